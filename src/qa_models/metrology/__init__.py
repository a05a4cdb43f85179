"""Checks of scales against weights of known mass (class III), and of stadiometers against rods.

Arithmetic is on decimals, so that a load, a length or an error that is exactly on a limit is judged as on it. On a
limit is within. A load below Min or above Max is refused: unknown is never a pass.
"""

from qa_models.metrology.stadiometer import Linearity, RodJudgement, judge_rod, linearity
from qa_models.metrology.verdict import Verdict
from qa_models.metrology.weighing import (
    CheckWeightJudgement,
    WeighingInstrument,
    WeighingRange,
    class_iii_mpe,
    judge_check_weight,
    weights_adequate,
)

__all__ = [
    "CheckWeightJudgement",
    "Linearity",
    "RodJudgement",
    "Verdict",
    "WeighingInstrument",
    "WeighingRange",
    "class_iii_mpe",
    "judge_check_weight",
    "judge_rod",
    "linearity",
    "weights_adequate",
]
