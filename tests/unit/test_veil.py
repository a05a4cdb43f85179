"""What the log knows of patients is found in texts as a whole, and nothing that only looks alike."""

import pytest

from streams.messages import EntryKind, FaultLogged, LogEntryMade
from streams.record.veil import LEFT_OUT, holds, veiled
from tests.folding import OPERATOR

KNOWN = frozenset({"rk9-0000001", "1.2.840.113619.2.80.4.71", "a1234567"})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Patient RK9-0000001 came late", True),
        ("rk9-0000001.pdf", True),
        ("(see A1234567)", True),
        ("object 1.2.840.113619.2.80.4.71, series 2", True),
        ("RK9-00000012", False),
        ("XRK9-0000001", False),
        ("RK9 0000001", False),
        ("A12345678 and A123456", False),
        ("", False),
    ],
)
def test_a_number_is_found_whole(text: str, found: bool) -> None:  # noqa: FBT001 - of a table
    assert holds(text, KNOWN) is found


def test_only_the_texts_in_which_it_stands_are_left_out() -> None:
    entry = LogEntryMade(EntryKind.COMMENT, "RK9-0000001 came late", OPERATOR)
    left = veiled(entry, KNOWN)
    assert (left.text, left.kind, left.made_by) == (LEFT_OUT, EntryKind.COMMENT, OPERATOR)
    fault = FaultLogged("f1", "It squeaks", stops_scanning=False, logged_by=OPERATOR)
    assert veiled(fault, KNOWN) is fault
