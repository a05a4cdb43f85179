"""The readings that hold a device, as people speak of them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, NamedTuple

from streams.fold.gate import VENDOR_NAME
from streams.messages import CheckJudged, CheckVerdict, QcJudged, Verdict
from streams.readings import DeviceView

_FAILED: Final = frozenset({Verdict.FAIL, Verdict.FAIL_CONFIRMED})


class Failure(NamedTuple):
    """One chart whose last reading failed; `size` is how far off (``+1.9 %``), empty where no reading says."""

    chart: str
    name: str
    event_id: str
    measured_at: datetime
    size: str
    is_confirmed: bool
    is_phantom: bool = True

    @property
    def named(self) -> str:
        """How a gate's reason names the chart."""
        return self.chart or VENDOR_NAME


def failures(view: DeviceView) -> list[Failure]:
    """Return what failed on a device and has not passed since, phantoms first."""
    return [*_phantoms(view), *_own_qc(view), *_checks(view)]


def _phantoms(view: DeviceView) -> Iterator[Failure]:
    for phantom in view.phantoms:
        last = phantom.last
        if last is not None and last.verdict in _FAILED and (phantom.failed_scans or phantom.failure_confirmed):
            name = f"phantom {phantom.patient_id}"
            yield Failure(
                phantom.patient_id,
                name,
                last.subject_event_id,
                last.measured_at,
                _percent(last),
                phantom.failure_confirmed,
            )


def _own_qc(view: DeviceView) -> Iterator[Failure]:
    last = view.vendor_qc_last
    if last is not None and last.verdict in _FAILED:
        confirmed = view.vendor_qc_failure_confirmed
        yield Failure(
            "", f"the {VENDOR_NAME}", last.subject_event_id, last.measured_at, "", confirmed, is_phantom=False
        )


def _checks(view: DeviceView) -> Iterator[Failure]:
    for standard in view.standards:
        last = standard.last
        if last is not None and last.verdict is CheckVerdict.FAIL:
            name = f"the check with {standard.standard_id}"
            size = _error(last, standard.unit)
            yield Failure(
                standard.standard_id,
                name,
                last.subject_event_id,
                last.measured_at,
                size,
                is_confirmed=False,
                is_phantom=False,
            )


def _percent(judged: QcJudged) -> str:
    return f"{judged.chart.deviation_percent:+.1f} %" if judged.chart is not None else ""


def _error(judged: CheckJudged, unit: str) -> str:
    return f"{judged.error:+.2f} kg" if unit == "kg" else f"{10 * judged.error:+.0f} mm"
