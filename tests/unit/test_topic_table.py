"""Every kind of outcome has a topic of its own: one without ends every worker."""

from typing import get_args

from streams.messages import Outcome
from streams.topics import OUTCOMES


def test_every_kind_of_outcome_has_a_topic_of_its_own() -> None:
    kinds = set(get_args(Outcome))
    assert set(OUTCOMES) == kinds
    assert len(set(OUTCOMES.values())) == len(kinds)
