"""CUSUM for a device without a baseline: it learns mean and spread from the observations that it judges.

SciPy and NumPy are loaded by the first observation: a process that only imports this does not pay for them.
"""

from dataclasses import dataclass, field
from math import inf, nan, sqrt, ulp
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from qa_models.cusum.tabular import CusumState, CusumStates, TabularCusum, cusum_states
from qa_models.series import Series, finite_number, finite_series, one_per_device, scans_first

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

LEAST_TAIL: Final = ulp(0.0)
"""Smallest probability a float holds; with it a score is at most 38.5, however far the observation."""


@dataclass(frozen=True, slots=True)
class SelfStartingState:
    """Where a `SelfStartingCusum` stands: enough to resume it.

    Parameters
    ----------
    n
        Observations learned from.
    mean
        Their mean, in the unit of x.
    spread
        Root of the sum of their squared deviations from it, same unit; the standard deviation is
        ``spread / sqrt(n - 1)``.
    sums
        Sums of the scores; zero as long as nothing could be judged.
    """

    n: int = 0
    mean: float = 0.0
    spread: float = 0.0
    sums: CusumState = field(default_factory=CusumState)


class SelfStartingPoint(NamedTuple):
    """What one observation did to the chart.

    Parameters
    ----------
    upper, lower
        Upper and lower sum of the scores, after the observation.
    n_upper, n_lower
        Consecutive observations since the sum was last zero.
    signal
        Whether either sum is strictly above h; never where `judged` is false.
    score
        The observation as a standard normal score, between -38.5 and 38.5; NaN where it was not judged.
    judged
        Whether earlier observations sufficed to judge this one. Where not, no signal is no pass.
    """

    upper: float
    lower: float
    n_upper: int
    n_lower: int
    signal: bool
    score: float
    judged: bool


class SelfStartingStates(NamedTuple):
    """`SelfStartingState` of many devices: arrays of shape ``(n_devices,)``."""

    n: "NDArray[np.int64]"
    mean: "NDArray[np.float64]"
    spread: "NDArray[np.float64]"
    sums: CusumStates


class SelfStartingPath(NamedTuple):
    """`SelfStartingPoint` of every observation of many devices: arrays of shape ``(n_devices, n_scans)``.

    `states` is where each device stands after its last scan, for the next replay to start from.
    """

    upper: "NDArray[np.float64]"
    lower: "NDArray[np.float64]"
    n_upper: "NDArray[np.int64]"
    n_lower: "NDArray[np.int64]"
    signal: "NDArray[np.bool_]"
    score: "NDArray[np.float64]"
    judged: "NDArray[np.bool_]"
    states: SelfStartingStates


class SelfStartingCusum:
    """Two-sided CUSUM for individual observations with unknown mean and standard deviation.

    Observation n is compared with the mean and the sample standard deviation of the n - 1 before it:
    ``t = (x - mean) / sd * sqrt((n - 1) / n)`` has a t distribution with n - 2 degrees of freedom, and its
    probability as a standard normal quantile is the score. In control the scores are independent and standard
    normal, so k, h and run lengths are those of a `TabularCusum` with known parameters.

    The first two observations cannot be judged, nor any while all before it are equal: the point says so
    (``judged=False``), the sums stay zero, and it is learned from. That is never a pass.

    After a signal the sums stay as they are and a person decides. Every observation is learned from, as Hawkins
    has it: a lasting shift then becomes part of the mean, the scores shrink and the signal may end by itself.
    Whoever looks only at the newest point would take the fault for normal: heed the first signal of an episode,
    or set `freeze_on_signal`. A shift among the first few observations is hardly seen by either.

    Parameters
    ----------
    k
        Reference value in standard deviations, >= 0: half the shift to detect.
    h
        Decision interval in standard deviations, > 0; k=0.5, h=5 gives a two-sided ARL0 of 465.
    freeze_on_signal
        Whether mean and spread stand still while the chart signals. Up to the first signal it is the same chart.
    state
        Where to resume from.

    Raises
    ------
    ValueError
        If a parameter or the state is out of its range or not finite.

    Examples
    --------
    >>> chart = SelfStartingCusum()
    >>> first = [chart.update(bmd) for bmd in (1.001, 0.998, 1.002, 0.999, 1.000, 1.001, 1.000)]
    >>> [point.judged for point in first]
    [False, False, True, True, True, True, True]
    >>> [chart.update(bmd).signal for bmd in (1.006, 1.007, 1.008, 1.009)]
    [False, False, False, True]

    References
    ----------
    .. [1] D. M. Hawkins, "Self-starting cusum charts for location and scale", The Statistician 36 (1987)
       299-316.
    .. [2] B. P. Welford, "Note on a method for calculating corrected sums of squares and products",
       Technometrics 4 (1962) 419-420.
    """

    __slots__ = ("_mean", "_n", "_spread", "_sums", "freeze_on_signal")

    def __init__(
        self,
        *,
        k: float = 0.5,
        h: float = 5.0,
        freeze_on_signal: bool = False,
        state: SelfStartingState | None = None,
    ) -> None:
        state = SelfStartingState() if state is None else state
        _refuse_state(state)
        self.freeze_on_signal: Final = freeze_on_signal
        self._sums: Final = TabularCusum(0.0, 1.0, k=k, h=h, state=state.sums)
        self._n, self._mean, self._spread = int(state.n), float(state.mean), float(state.spread)

    @classmethod
    def from_baseline(cls, scans: Series, *, k: float = 0.5, h: float = 5.0, freeze_on_signal: bool = False) -> Self:
        """Start from scans known to be good: they are learned from, not judged.

        Parameters
        ----------
        scans
            Scans, shape ``(n_scans,)``, at least 2.
        k, h, freeze_on_signal
            As for the chart itself.

        Returns
        -------
        SelfStartingCusum
            A chart that judges the next observation, unless all scans are equal.

        Raises
        ------
        ValueError
            If scans are not one-dimensional, fewer than 2, or one is not a finite number; if a parameter is out
            of range.

        Examples
        --------
        >>> chart = SelfStartingCusum.from_baseline([1.001, 0.998, 1.002, 0.999, 1.000])
        >>> chart.update(1.008).judged
        True
        """
        chart = cls(k=k, h=h, freeze_on_signal=freeze_on_signal)
        for i, x in enumerate(finite_series(scans, at_least=2)):
            chart._learn(x, chart._spread_with(x, f"x[{i}]"))
        return chart

    @property
    def k(self) -> float:
        """Reference value in standard deviations."""
        return self._sums.k

    @property
    def h(self) -> float:
        """Decision interval in standard deviations."""
        return self._sums.h

    @property
    def state(self) -> SelfStartingState:
        """Where the chart stands; pass it to a new one to resume with the same answers."""
        return SelfStartingState(self._n, self._mean, self._spread, self._sums.state)

    def update(self, x: float) -> SelfStartingPoint:
        """Judge one observation by those before it, then learn from it.

        Parameters
        ----------
        x
            Observation, in the unit of those before.

        Returns
        -------
        SelfStartingPoint
            Sums after it, whether they signal, and whether it could be judged.

        Raises
        ------
        ValueError
            If x is not a finite number (a bool is none), or so far away that the spread with it overflows; the
            state is unchanged.
        """
        x = finite_number(x, "x")
        spread = self._spread_with(x, "x")
        if self._spread == 0:  # fewer than two observations, or all equal
            self._learn(x, spread)
            return SelfStartingPoint(0.0, 0.0, 0, 0, signal=False, score=nan, judged=False)
        step = (x - self._mean) * sqrt(self._n / (self._n + 1))
        score = float(_score(step / self._spread * sqrt(self._n - 1), self._n - 1))
        point = self._sums.update(score)
        if not (self.freeze_on_signal and point.signal):
            self._learn(x, spread)
        return SelfStartingPoint(*point, score=score, judged=True)

    def replay(self, x: "ArrayLike", *, state: SelfStartingStates | None = None) -> SelfStartingPath:
        """Chart many devices at once; the chart itself stays as it is.

        Equal to `update`, observation by observation, to the last bit. A history that does not fit in memory
        is replayed in blocks of scans, each from the states after the one before, to the same bits.

        Parameters
        ----------
        x
            Observations of shape ``(n_devices, n_scans)``, oldest first; each device in a unit of its own.
        state
            Where each device stands, arrays of shape ``(n_devices,)``: the `states` of the path before.
            Without it each starts from this chart's present state.

        Returns
        -------
        SelfStartingPath
            Arrays of the shape of x, and the states after them.

        Raises
        ------
        ValueError
            If x is not two-dimensional, not of numbers, or holds a value that `update` refuses (the message
            gives its place); if `state` is of other devices than x or one that no chart can have.

        Examples
        --------
        >>> SelfStartingCusum().replay([[1.001, 0.998, 1.002, 0.999], [1.0, 1.0, 1.0, 1.0]]).judged.tolist()
        [[False, False, True, True], [False, False, False, False]]
        """
        import numpy as np  # noqa: PLC0415 - a process that only imports this never loads it

        scans = scans_first(x)
        start = _starts(self.state if state is None else state, scans.shape[1])
        scores, n, mean, spread = self._scores(scans, start)
        judged = ~np.isnan(scores)
        path = self._sums.replay(np.where(judged, scores, 0.0).T, state=start.sums)
        states = SelfStartingStates(n, mean, spread, path.states)
        return SelfStartingPath(*path[:5], score=scores.T, judged=judged.T, states=states)

    def _scores(self, scans: "NDArray[np.float64]", start: SelfStartingStates) -> "tuple[NDArray[Any], ...]":
        """Return the scores of all scans, NaN where not judged; then n, mean and spread after the last."""
        import numpy as np  # noqa: PLC0415 - see the top

        scores = np.empty(scans.shape)
        n, mean, spread, sums = start
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):  # masked, or refused with its place
            for i, scan in enumerate(scans):
                deviation = scan - mean
                step = deviation * np.sqrt(n / (n + 1))
                grown = np.hypot(spread, step)
                if not (grown < inf).all():
                    device = int((grown < inf).argmin())
                    raise ValueError(self._refusal(f"x[{device}, {i}]", float(scan[device])))
                judged = spread > 0
                scores[i] = np.where(judged, _score(step / spread * np.sqrt(n - 1), n - 1), nan)
                learns: Any = True
                if self.freeze_on_signal:
                    path = self._sums.replay(np.where(judged, scores[i], 0.0)[:, np.newaxis], state=sums)
                    sums, learns = path.states, ~path.signal[:, 0]
                mean = np.where(learns, mean + deviation / (n + 1), mean)
                spread = np.where(learns, grown, spread)
                n = n + learns
        return scores, n, mean, spread

    def _spread_with(self, x: float, place: str) -> float:
        """Return the spread as it will be with x."""
        import numpy as np  # noqa: PLC0415 - see the top

        with np.errstate(over="ignore"):  # refused below
            # NumPy's, not math's: the last bit of the two may differ, and a replay has NumPy's.
            spread = float(np.hypot(self._spread, (x - self._mean) * sqrt(self._n / (self._n + 1))))
        if not spread < inf:
            raise ValueError(self._refusal(place, x))
        return spread

    def _learn(self, x: float, spread: float) -> None:
        self._n += 1
        self._mean += (x - self._mean) / self._n
        self._spread = spread

    @staticmethod
    def _refusal(place: str, value: float) -> str:
        return f"{place} = {value!r} is too far from those before it: their spread is no finite number"


def _score(t: Any, df: Any) -> Any:
    """Return the standard normal quantile of t's probability, by the lower tail, where floats are dense."""
    import numpy as np  # noqa: PLC0415 - see the top
    from scipy.special import ndtri, stdtr  # noqa: PLC0415

    return np.copysign(ndtri(np.maximum(stdtr(df, -np.abs(t)), LEAST_TAIL)), t)


def _refuse_state(state: SelfStartingState) -> None:
    learned = state.n >= 0 and -inf < state.mean < inf and 0 <= state.spread < inf
    no_spread_yet = state.n < 2 or state.spread == 0
    if not learned or (no_spread_yet and (state.spread, state.sums) != (0, CusumState())):
        raise ValueError(f"{state} is no state of a self-starting CUSUM")


def _starts(state: SelfStartingState | SelfStartingStates, n_devices: int) -> SelfStartingStates:
    """Return the states of so many devices, in memory of their own."""
    import numpy as np  # noqa: PLC0415 - see the top

    sums = cusum_states(state.sums, n_devices)
    if isinstance(state, SelfStartingState):
        n, mean, spread = (np.full(n_devices, value) for value in (state.n, state.mean, state.spread))
        return SelfStartingStates(n, mean, spread, sums)
    n = one_per_device(state.n, n_devices, "n", counts=True)
    mean = one_per_device(state.mean, n_devices, "mean")
    spread = one_per_device(state.spread, n_devices, "spread")
    for i in range(n_devices):
        device_sums = CusumState(*(values[i].item() for values in sums))
        _refuse_state(SelfStartingState(n[i].item(), mean[i].item(), spread[i].item(), device_sums))
    return SelfStartingStates(n, mean, spread, sums)
