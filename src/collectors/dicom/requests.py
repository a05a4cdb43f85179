"""What a worklist item says of where and how it is to be scanned."""

from pydicom.dataset import Dataset

from collectors.dicom.text import items, text
from streams.policy import DevicePolicy


def station_ae_titles(item: Dataset) -> frozenset[str]:
    """Return every station AE title that an item names, in any of its steps; none if it names none."""
    titles = (
        title.strip()
        for step in items(item, "ScheduledProcedureStepSequence")
        for title in text(step, "ScheduledStationAETitle").split("\\")
    )
    return frozenset(filter(None, titles))


def procedure_codes(item: Dataset) -> frozenset[str]:
    """Return the codes of the requested procedure and of the scheduled protocols."""
    sequences = [items(item, "RequestedProcedureCodeSequence")]
    sequences += [
        items(step, "ScheduledProtocolCodeSequence") for step in items(item, "ScheduledProcedureStepSequence")
    ]
    return frozenset(filter(None, (text(code, "CodeValue") for sequence in sequences for code in sequence)))


def mode_of(policy: DevicePolicy, codes: frozenset[str]) -> str | None:
    """Return the mode that procedure codes ask for; None, the strictest gate, if none or more than one does."""
    modes = [mode.name for mode in policy.modes if codes.intersection(mode.procedure_codes)]
    return modes[0] if len(modes) == 1 else None
