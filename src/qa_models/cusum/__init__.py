"""CUSUM charts: sums that notice a small lasting change long before a tolerance does.

`TabularCusum` watches the level against a known target and sigma, `SelfStartingCusum` while both are still being
learned, `VariabilityCusum` the spread. This is their front; each lies in a module of its own. None loads NumPy
or SciPy before it needs them.
"""

from qa_models.cusum.self_starting import (
    SelfStartingCusum,
    SelfStartingPath,
    SelfStartingPoint,
    SelfStartingState,
    SelfStartingStates,
)
from qa_models.cusum.tabular import CusumPath, CusumPoint, CusumState, CusumStates, TabularCusum
from qa_models.cusum.variability import VariabilityCusum

__all__ = [
    "CusumPath",
    "CusumPoint",
    "CusumState",
    "CusumStates",
    "SelfStartingCusum",
    "SelfStartingPath",
    "SelfStartingPoint",
    "SelfStartingState",
    "SelfStartingStates",
    "TabularCusum",
    "VariabilityCusum",
]
