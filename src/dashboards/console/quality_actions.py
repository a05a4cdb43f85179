"""Forms about quality control: entries by hand, baselines, releases, drift reviews."""

from collections.abc import Callable, Sequence
from typing import Final

from dashboards.console import wording
from dashboards.console.action import Action, Asked, Field, FieldKind
from dashboards.console.typed import Typed
from dashboards.context import Console
from streams.commands import AcceptBaseline, EnterPhantomScan, EnterVendorQc, ReleaseQc
from streams.fold.state import VENDOR_QC
from streams.readings import DeviceView, PhantomStatus
from streams.roles import Permission, may

_RESULT: Final = {"passed": "Passed", "failed": "Failed"}

_OWN_QC: Final = {VENDOR_QC: "The scanner's own QC"}
"""It has a chart like a phantom's, under a name that no phantom has."""

_MEASURED_AT: Final = Field(
    name="measured_at",
    label="When it was done",
    kind=FieldKind.MOMENT,
    hint="Leave blank if it was just now",
    required=False,
    later=True,
)


def _reviewers(console: Console) -> tuple[str, ...]:
    users = console.users.users()
    return tuple(user.name for user in users if user.enabled and may(user.role, Permission.ENTER_QC))


def _vendor_qc_fields(console: Console, _: DeviceView) -> Sequence[Field]:
    return (
        Field(
            name="result",
            label="What did the scanner's own QC say?",
            kind=FieldKind.CHOICE,
            choices=_RESULT,
        ),
        Field(
            name="reviewed_by",
            label="Who reviewed the result?",
            hint="Choose or type a name",
            suggestions=_reviewers(console),
        ),
        Field(name="note", label="Note", kind=FieldKind.LONG_TEXT, required=False, later=True),
        _MEASURED_AT,
    )


def _vendor_qc(asked: Asked, typed: Typed, _: DeviceView) -> EnterVendorQc:
    return EnterVendorQc(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        passed=typed.choice("result", _RESULT, "Say whether the QC passed or failed") == "passed",
        reviewed_by=typed.text("reviewed_by", "Name the person who reviewed the result"),
        measured_at=typed.moment("measured_at"),
        note=typed.optional("note"),
    )


def _phantom_field(view: DeviceView, label: str, wanted: Callable[[PhantomStatus], bool] = lambda _: True) -> Field:
    choices = _phantoms(view, wanted)
    only = next(iter(choices)) if len(choices) == 1 else ""
    return Field(name="phantom_id", label=label, kind=FieldKind.CHOICE, choices=choices, value=only)


def _phantoms(view: DeviceView, wanted: Callable[[PhantomStatus], bool] = lambda _: True) -> dict[str, str]:
    return {p.patient_id: f"{wording.phantom_name(p)}, {wording.duty(p.role)}" for p in view.phantoms if wanted(p)}


def _chosen_phantom(typed: Typed, view: DeviceView) -> str:
    return typed.choice("phantom_id", _phantoms(view), "Choose a phantom")


def _phantom_scan_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    return (
        _phantom_field(view, "Which phantom was scanned?"),
        Field(
            name="bmd_g_cm2",
            label="BMD in g/cm²",
            kind=FieldKind.NUMBER,
            hint="As the scanner shows it, such as 1.023",
        ),
        Field(
            name="repeat",
            label="This is the repeat, with the phantom positioned anew",
            kind=FieldKind.TICK,
            required=False,
        ),
        _MEASURED_AT,
    )


def _phantom_scan(asked: Asked, typed: Typed, view: DeviceView) -> EnterPhantomScan:
    return EnterPhantomScan(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        phantom_id=_chosen_phantom(typed, view),
        bmd_g_cm2=typed.bmd("bmd_g_cm2"),
        measured_at=typed.moment("measured_at"),
        repeat=typed.ticked("repeat"),
    )


def _has_candidates(phantom: PhantomStatus) -> bool:
    return phantom.candidates_needed > 0 and phantom.candidates >= phantom.candidates_needed


def _baseline_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    return (
        _phantom_field(view, "Which phantom's baseline?", _has_candidates),
        Field(
            name="reason",
            label="Why is this baseline accepted?",
            kind=FieldKind.LONG_TEXT,
            hint="For example: first baseline after commissioning; ten scans with repositioning looked at",
        ),
    )


def _baseline(asked: Asked, typed: Typed, view: DeviceView) -> AcceptBaseline:
    return AcceptBaseline(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        phantom_id=_chosen_phantom(typed, view),
        reason=typed.text("reason", "Say why this baseline is accepted"),
    )


def _release_fields(_: Console, view: DeviceView) -> Sequence[Field]:
    choices = _failures(view)
    only = next(iter(choices)) if len(choices) == 1 else ""
    return (
        Field(name="phantom_id", label="Which failure?", kind=FieldKind.CHOICE, choices=choices, value=only),
        Field(name="cause", label="What was the cause, and what was done?", kind=FieldKind.LONG_TEXT),
    )


def _failures(view: DeviceView) -> dict[str, str]:
    own = _OWN_QC if view.vendor_qc_failure_confirmed else {}
    return own | _phantoms(view, lambda p: p.failure_confirmed)


def _release(asked: Asked, typed: Typed, view: DeviceView) -> ReleaseQc:
    return ReleaseQc(
        device=asked.device,
        actor=asked.actor,
        request_id=asked.request_id,
        phantom_id=typed.choice("phantom_id", _OWN_QC | _phantoms(view), "Choose a failure"),
        cause=typed.text("cause", "Record the cause and what was done about it"),
    )


def _in_service(view: DeviceView) -> bool:
    return view.stage != "retired"


QUALITY_ACTIONS: Final = (
    Action(
        slug="daily-qc",
        title="Enter daily QC",
        intro="The result of the scanner's own QC program, run this morning before the first patient.",
        submit="Record daily QC",
        done="Daily QC recorded.",
        permission=Permission.ENTER_QC,
        offered=lambda view: (
            view.kind == "scanner"
            and (view.vendor_qc_required or view.vendor_qc_failure_confirmed)
            and _in_service(view)
        ),
        fields=_vendor_qc_fields,
        command=_vendor_qc,
    ),
    Action(
        slug="phantom-scan",
        title="Enter a phantom scan",
        intro="For a scanner that sends no structured report. Scans that arrive by DICOM need no entry.",
        submit="Record phantom scan",
        done="Phantom scan recorded.",
        permission=Permission.ENTER_QC,
        offered=lambda view: bool(view.phantoms) and _in_service(view),
        fields=_phantom_scan_fields,
        command=_phantom_scan,
    ),
    Action(
        slug="accept-baseline",
        title="Accept baseline",
        intro="The scans gathered become the baseline of a new epoch. A baseline is never edited afterwards.",
        submit="Accept this baseline",
        done="Baseline accepted; a new epoch has begun.",
        permission=Permission.ACCEPT_BASELINE,
        offered=lambda view: any(map(_has_candidates, view.phantoms)),
        fields=_baseline_fields,
        command=_baseline,
    ),
    Action(
        slug="release-qc",
        title="Release after failed QC",
        intro="After a confirmed failure: the cause is found and put right, and the QC has passed since.",
        submit="Release",
        done="Released after the failure.",
        permission=Permission.RELEASE_QC,
        offered=lambda view: bool(_failures(view)),
        fields=_release_fields,
        command=_release,
    ),
)
