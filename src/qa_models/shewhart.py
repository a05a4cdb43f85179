"""Shewhart chart with run rules: each observation alone, and with the few before it.

What the rules mean and which conventions they follow is told in `qa_models.run_rules`. NumPy is loaded only by
`ShewhartChart.replay`: a process that only streams does not pay for it.
"""

from dataclasses import dataclass
from math import isfinite, nan
from typing import TYPE_CHECKING, Final, NamedTuple

from qa_models.run_rules import (
    WESTERN_ELECTRIC,
    RuleSet,
    fires,
    longest_window,
    refuse_rules,
)
from qa_models.series import finite_number, real_number, scans_first
from qa_models.standardise import refuse_centre, sigmas_from_target
from qa_models.subgroups import Limits, PhaseOneLimits, individuals, xbar_r, xbar_s

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Limits",
    "PhaseOneLimits",
    "ShewhartChart",
    "ShewhartPath",
    "ShewhartPoint",
    "ShewhartState",
    "ShewhartStates",
    "individuals",
    "xbar_r",
    "xbar_s",
]

MAX_RULES: Final = 16
"""Rules of one chart; `ShewhartPath.violated` has a bit for each."""

POINTS_AT_ONCE: Final = 65536
"""Points that `ShewhartChart.replay` judges in one go, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class ShewhartState:
    """Where a `ShewhartChart` stands: enough to resume it.

    Parameters
    ----------
    recent
        The latest observations in sigmas, oldest first: as many as there were, at most one less than the longest
        window of the rules.
    """

    recent: tuple[float, ...] = ()


class ShewhartStates(NamedTuple):
    """`ShewhartState` of many devices.

    Parameters
    ----------
    recent
        The latest observations in sigmas, oldest first, shape ``(n_devices, longest window - 1)``; NaN in front
        where a device had fewer.
    """

    recent: "NDArray[np.float64]"


class ShewhartPoint(NamedTuple):
    """What one observation did to the chart.

    Parameters
    ----------
    z
        The observation in sigmas from the target.
    violated
        Names of the rules it violates, in the order of the set.
    warning
        Whether a rule that only warns is among them.
    signal
        Whether any other rule is.
    """

    z: float
    violated: tuple[str, ...]
    warning: bool
    signal: bool


class ShewhartPath(NamedTuple):
    """`ShewhartPoint` of every observation of many devices: arrays of shape ``(n_devices, n_scans)``.

    Parameters
    ----------
    violated
        Rules violated: bit i is rule i of `rules`.
    warning, signal
        As in `ShewhartPoint`.
    states
        Where each device stands after its last scan, for the next replay to start from.
    rules
        The rule set of the chart.
    """

    violated: "NDArray[np.uint16]"
    warning: "NDArray[np.bool_]"
    signal: "NDArray[np.bool_]"
    states: ShewhartStates
    rules: RuleSet

    def names(self, device: int, scan: int) -> tuple[str, ...]:
        """Return the names of the rules that one observation violates, in the order of the set."""
        mask = int(self.violated[device, scan])
        return tuple(rule.name for i, rule in enumerate(self.rules) if mask >> i & 1)


class ShewhartChart:
    """Shewhart chart for individual observations, with run rules.

    It does not reset itself: after a signal a person decides.

    Parameters
    ----------
    target
        Centre line, in the unit of x (for BMD g/cm^2).
    sigma
        In-control standard deviation, same unit, > 0.
    rules
        Run rules, at most 16, each with a name of its own. Every rule adds false alarms: with known target and
        sigma the ARL0 is 370 for one point beyond 3 sigmas and 92 for the four Western Electric rules.
    full_window
        Whether a rule waits at the start until it has seen as many points as its window (R qcc) instead of
        judging those there are.
    state
        Observations to resume from.

    Raises
    ------
    ValueError
        If a parameter is out of its range or not finite, or `state` is none of a chart with these rules.

    Examples
    --------
    >>> chart = ShewhartChart(target=1.000, sigma=0.005)
    >>> [chart.update(bmd).violated for bmd in (1.001, 1.011, 1.012, 1.016)]
    [(), (), ('we_2',), ('we_1', 'we_2')]
    >>> resumed = ShewhartChart(target=1.000, sigma=0.005, state=chart.state)
    >>> resumed.update(1.006).violated
    ('we_3',)

    References
    ----------
    .. [1] C. W. Champ and W. H. Woodall, "Exact results for Shewhart control charts with supplementary runs
       rules", Technometrics 29 (1987) 393-399.
    """

    __slots__ = ("_recent", "full_window", "rules", "sigma", "target")

    def __init__(
        self,
        target: float,
        sigma: float,
        rules: RuleSet = WESTERN_ELECTRIC,
        *,
        full_window: bool = False,
        state: ShewhartState | None = None,
    ) -> None:
        refuse_centre(target, sigma)
        refuse_rules(rules)
        if len(rules) > MAX_RULES:
            raise ValueError(f"{len(rules)} rules are more than {MAX_RULES}")
        self.target: Final = float(target)
        self.sigma: Final = float(sigma)
        self.rules: Final = tuple(rules)
        self.full_window: Final = full_window
        before = longest_window(rules) - 1
        recent = [] if state is None else [real_number(z, f"state.recent[{i}]") for i, z in enumerate(state.recent)]
        if len(recent) > before or not all(map(isfinite, recent)):
            raise ValueError(f"{state} is no state of a chart that looks back at {before} observations")
        self._recent = [nan] * (before - len(recent)) + recent

    @property
    def state(self) -> ShewhartState:
        """The latest observations; pass it to a new chart to resume with the same signals."""
        return ShewhartState(tuple(z for z in self._recent if isfinite(z)))

    def update(self, x: float) -> ShewhartPoint:
        """Add one observation.

        Parameters
        ----------
        x
            Observation in the unit of `target`.

        Returns
        -------
        ShewhartPoint
            Its distance from the target in sigmas and the rules it violates.

        Raises
        ------
        ValueError
            If x is not a finite number (a bool is none) or too many sigmas from the target for a float; the state
            is unchanged.
        """
        z = sigmas_from_target(finite_number(x, "x"), self.target, self.sigma, "x")
        points = [*self._recent, z]
        fired = [rule for rule in self.rules if fires(rule, points, full_window=self.full_window)]
        self._recent = points[1:]
        warnings = [rule.warning for rule in fired]
        return ShewhartPoint(z, tuple(rule.name for rule in fired), any(warnings), not all(warnings))

    def replay(self, x: "ArrayLike", *, state: ShewhartStates | None = None) -> ShewhartPath:
        """Chart many devices at once; the chart itself stays as it is.

        Equal to `update`, observation by observation. Devices with targets and sigmas of their own: standardise
        first and replay on ``ShewhartChart(0.0, 1.0)``. A history that does not fit in memory is replayed in
        blocks of scans, each from the states after the one before, to the same bits.

        Parameters
        ----------
        x
            Observations of shape ``(n_devices, n_scans)``, oldest first, in the unit of `target`.
        state
            Where each device stands: the `states` of the path before. Without it each starts from this chart's
            present state.

        Returns
        -------
        ShewhartPath
            Arrays of the shape of x, and the states after them.

        Raises
        ------
        ValueError
            If x is not two-dimensional, not of numbers, or holds a value that `update` refuses (the message
            gives its place); if `state` is of other devices than x or of other rules.

        Examples
        --------
        >>> chart = ShewhartChart(target=1.000, sigma=0.005)
        >>> path = chart.replay([[1.001, 1.011, 1.012], [0.999, 1.001, 1.000]])
        >>> path.signal.any(axis=1).tolist(), path.names(0, 2)
        ([True, False], ('we_2',))
        >>> chart.replay([[1.016], [1.001]], state=path.states).names(0, 0)
        ('we_1', 'we_2')
        """
        import numpy as np  # noqa: PLC0415 - a process that only streams never loads it

        scans = scans_first(x)
        n_scans, n_devices = scans.shape
        before = len(self._recent)
        start = ShewhartStates(np.tile(self._recent, (n_devices, 1))) if state is None else state
        with np.errstate(over="ignore"):  # refused with its place, or a distance that is beyond any width
            points = np.concatenate((_recent(start, n_devices, before).T, self._in_sigmas(scans)))
            violated = self._violated(points, n_scans)
        warnings = np.uint16(sum(1 << i for i, rule in enumerate(self.rules) if rule.warning))
        return ShewhartPath(
            violated.T,
            (violated & warnings).T > 0,
            (violated & ~warnings).T > 0,
            ShewhartStates(points[n_scans:].T.copy()),  # a view would keep all points in memory
            self.rules,
        )

    def _in_sigmas(self, scans: "NDArray[np.float64]") -> "NDArray[np.float64]":
        import numpy as np  # noqa: PLC0415 - see the top

        z = (scans - self.target) / self.sigma
        for device, scan in np.argwhere(~np.isfinite(z.T)):
            sigmas_from_target(float(scans[scan, device]), self.target, self.sigma, f"x[{device}, {scan}]")
        return z

    def _violated(self, points: "NDArray[np.float64]", n_scans: int) -> "NDArray[np.uint16]":
        """Judge the last `n_scans` rows of points, some at a time, by the rows before each."""
        import numpy as np  # noqa: PLC0415 - see the top

        window, n_devices = len(self._recent) + 1, points.shape[1]
        violated = np.zeros((n_scans, n_devices), np.uint16)
        rows = max(1, POINTS_AT_ONCE // max(1, n_devices))
        for first in range(0, n_scans, rows):
            masks = violated[first : first + rows]
            latest = [points[first + i : first + i + len(masks)] for i in range(window)]
            for i, rule in enumerate(self.rules):
                masks |= fires(rule, latest, full_window=self.full_window) * np.uint16(1 << i)
        return violated


def _recent(state: ShewhartStates, n_devices: int, before: int) -> "NDArray[np.float64]":
    """Return the observations of a state; a ValueError unless it fits these devices and these rules."""
    import numpy as np  # noqa: PLC0415 - see the top

    recent = np.asarray(state.recent, dtype=np.float64)
    if recent.shape != (n_devices, before):
        raise ValueError(f"state.recent has shape {recent.shape}; {(n_devices, before)} is needed")
    missing = np.isnan(recent)
    if np.isinf(recent).any() or (missing[:, 1:] > missing[:, :-1]).any():
        raise ValueError("state.recent holds an infinity or a gap: NaN stands only in front, for what never was")
    return recent
