"""A phantom that visits: it opens no gate, holds none, and has no chart here."""

from msgspec.structs import replace

from streams.messages import GateStatus, PhantomMeasured
from streams.policy import Phantom, PhantomRole
from tests.folding import POLICY, Folded, baseline, in_service

VISITOR = Phantom("ESP-7", PhantomRole.CIRCULATING, region="L1", serial="7")
VISITED = replace(POLICY, phantoms=(*POLICY.phantoms, VISITOR))


def visit(folded: Folded, bmd: float = 0.5, region: str = "L1") -> tuple[object, ...]:
    return folded.fact(PhantomMeasured(VISITOR.patient_id, region, bmd, folded.now, "acquisition-of-the-visitor"))


def test_its_scans_are_in_the_log_and_decide_nothing() -> None:
    folded = Folded(VISITED)
    folded.fact(baseline())
    folded.vendor_qc()
    folded.scan(1.0)
    assert folded.status is GateStatus.OPEN
    before = folded.state
    for bmd in (0.5, 9.0, -0.004):
        assert visit(folded, bmd) == ()
    assert replace(folded.state, device_seq=before.device_seq) == before


def test_it_needs_no_baseline_for_the_scanner_to_enter_service() -> None:
    folded = Folded(VISITED)
    folded.fact(baseline())
    assert folded.state.stage == "clinical"
    assert not any(VISITOR.patient_id in reason.text for reason in folded.state.gates["all"].reasons)


def test_it_vouches_for_no_scanner() -> None:
    folded = Folded(replace(POLICY, phantoms=(VISITOR,)))
    assert "no_baseline" in folded.codes
    visit(folded)
    assert "no_baseline" in folded.codes


def test_a_scanner_folds_as_before_beside_it() -> None:
    alone, visited = in_service(), Folded(VISITED)
    visited.fact(baseline())
    visited.vendor_qc()
    visited.scan(1.0)
    for folded in (alone, visited):
        folded.scan(1.02)
    assert visited.codes == alone.codes == ["qc_failed"]
