"""Tabular CUSUM: sums that notice a small lasting shift long before a tolerance does.

Sums are held in sigmas, so k, h and the head start mean the same for every device. NumPy is loaded only by
`TabularCusum.replay`: a process that only streams does not pay for it.
"""

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from qa_models.series import finite_number, one_per_device, real_number, scans_first, whole_number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class CusumState:
    """Where a `TabularCusum` stands: enough to resume it.

    Parameters
    ----------
    upper, lower
        Upper and lower sum in sigmas, >= 0.
    n_upper, n_lower
        Consecutive observations since the sum was last zero, >= 0.
    """

    upper: float = 0.0
    lower: float = 0.0
    n_upper: int = 0
    n_lower: int = 0


class CusumPoint(NamedTuple):
    """What one observation did to the chart.

    Parameters
    ----------
    upper, lower
        Upper and lower sum in sigmas, after the observation.
    n_upper, n_lower
        Consecutive observations since the sum was last zero; the change is estimated to lie just before
        them.
    signal
        Whether either sum is strictly above h.
    """

    upper: float
    lower: float
    n_upper: int
    n_lower: int
    signal: bool


_new_tuple: Final = tuple.__new__
"""Makes a `CusumPoint` in half the time of its own constructor, which is a Python function."""


class CusumStates(NamedTuple):
    """`CusumState` of many devices: arrays of shape ``(n_devices,)``."""

    upper: "NDArray[np.float64]"
    lower: "NDArray[np.float64]"
    n_upper: "NDArray[np.int64]"
    n_lower: "NDArray[np.int64]"


class CusumPath(NamedTuple):
    """`CusumPoint` of every observation of many devices: arrays of shape ``(n_devices, n_scans)``.

    `states` is where each device stands after its last scan, for the next replay to start from.
    """

    upper: "NDArray[np.float64]"
    lower: "NDArray[np.float64]"
    n_upper: "NDArray[np.int64]"
    n_lower: "NDArray[np.int64]"
    signal: "NDArray[np.bool_]"
    states: CusumStates


class TabularCusum:
    """Two-sided tabular CUSUM for individual observations.

    With ``z = (x - target) / sigma`` the sums are ``max(0, upper + z - k)`` and ``max(0, lower - z - k)``.
    Signals when a sum is strictly above h. It does not reset itself: after a signal a person decides.

    Parameters
    ----------
    target
        In-control mean, in the unit of x (for BMD g/cm^2).
    sigma
        In-control standard deviation, same unit, > 0.
    k
        Reference value in sigmas, >= 0: half the shift to detect.
    h
        Decision interval in sigmas, > 0; k=0.5, h=5 gives a two-sided ARL0 of 465 when target and sigma are
        known. Estimated from ten scans the false alarms are several times as many (median run length 70).
    head_start
        Where both sums start, in sigmas, 0 <= head_start < h; h/2 is the 50 % fast initial response [2]_.
        Without effect when `state` is given.
    state
        Sums to resume from.

    Raises
    ------
    ValueError
        If a parameter or a sum of `state` is out of its range or not finite.

    Examples
    --------
    >>> chart = TabularCusum(target=1.000, sigma=0.005)
    >>> [chart.update(bmd).signal for bmd in (1.001, 1.012, 1.011, 1.013)]
    [False, False, False, True]
    >>> resumed = TabularCusum(target=1.000, sigma=0.005, state=chart.state)
    >>> resumed.update(1.012).n_upper
    4

    References
    ----------
    .. [1] E. S. Page, "Continuous inspection schemes", Biometrika 41 (1954) 100-115.
    .. [2] J. M. Lucas and R. B. Crosier, "Fast initial response for CUSUM quality-control schemes",
       Technometrics 24 (1982) 199-205.
    """

    __slots__ = ("_lower", "_n_lower", "_n_upper", "_upper", "h", "head_start", "k", "sigma", "target")

    def __init__(
        self,
        target: float,
        sigma: float,
        *,
        k: float = 0.5,
        h: float = 5.0,
        head_start: float = 0.0,
        state: CusumState | None = None,
    ) -> None:
        self.target: Final = real_number(target, "target")
        self.sigma: Final = real_number(sigma, "sigma")
        self.k: Final = real_number(k, "k")
        self.h: Final = real_number(h, "h")
        self.head_start: Final = real_number(head_start, "head_start")
        centred = -inf < self.target < inf and 0 < self.sigma < inf
        if not (centred and 0 <= self.k < inf and 0 <= self.head_start < self.h < inf):
            raise ValueError(_parameter_refusal(self.target, self.sigma, self.k, self.h, self.head_start))
        if state is None:
            self._upper = self._lower = self.head_start
            self._n_upper = self._n_lower = 0
            return
        state = _of_numbers(state)
        if not _possible(state):
            raise ValueError(_state_refusal(state))
        self._upper, self._lower, self._n_upper, self._n_lower = state.upper, state.lower, state.n_upper, state.n_lower

    @property
    def state(self) -> CusumState:
        """The sums as they stand; pass it to a new chart to resume with the same signals."""
        return CusumState(self._upper, self._lower, self._n_upper, self._n_lower)

    def update(self, x: float) -> CusumPoint:
        """Add one observation.

        Parameters
        ----------
        x
            Observation in the unit of `target`.

        Returns
        -------
        CusumPoint
            Sums after it, in sigmas, and whether they signal.

        Raises
        ------
        ValueError
            If x is not a finite number (a bool is none) or a sum with it is not finite; the state is unchanged.
        """
        if type(x) is not float:
            x = finite_number(x, "x")
        z = (x - self.target) / self.sigma
        upper = self._upper + z - self.k
        lower = self._lower - z - self.k
        if not upper + lower < inf:  # one of them overflowed, or x was NaN or infinite and their sum is NaN
            raise ValueError(self._refusal("x", x))
        if upper > 0.0:
            n_upper = self._n_upper + 1
        else:
            upper, n_upper = 0.0, 0
        if lower > 0.0:
            n_lower = self._n_lower + 1
        else:
            lower, n_lower = 0.0, 0
        self._upper, self._lower, self._n_upper, self._n_lower = upper, lower, n_upper, n_lower
        signal = upper > self.h or lower > self.h
        return _new_tuple(CusumPoint, (upper, lower, n_upper, n_lower, signal))

    def replay(self, x: "ArrayLike", *, state: CusumStates | None = None) -> CusumPath:
        """Chart many devices at once; the chart itself stays as it is.

        Equal to `update`, observation by observation, to the last bit. Devices with targets and sigmas of
        their own: standardise first and replay on ``TabularCusum(0.0, 1.0)``. A history that does not fit in
        memory is replayed in blocks of scans, each from the states after the one before, to the same bits.

        Parameters
        ----------
        x
            Observations of shape ``(n_devices, n_scans)``, oldest first, in the unit of `target`.
        state
            Where each device stands, arrays of shape ``(n_devices,)``: the `states` of the path before.
            Without it each starts from this chart's present state.

        Returns
        -------
        CusumPath
            Arrays of the shape of x, and the states after them.

        Raises
        ------
        ValueError
            If x is not two-dimensional, not of numbers, or holds a value that `update` refuses (the message
            gives its place); if `state` is of other devices than x or one that no chart can have.

        Examples
        --------
        >>> two_scanners = [[1.001, 1.012, 1.011, 1.013], [0.999, 1.001, 1.000, 1.002]]
        >>> chart = TabularCusum(target=1.000, sigma=0.005)
        >>> path = chart.replay(two_scanners)
        >>> path.signal.any(axis=1).tolist()
        [True, False]
        >>> chart.replay([[1.012], [1.001]], state=path.states).n_upper.tolist()
        [[4], [0]]
        """
        import numpy as np  # noqa: PLC0415 - a process that only streams never loads it

        scans = scans_first(x)
        start = cusum_states(self.state if state is None else state, scans.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):  # refused below, with its place
            z = (scans - self.target) / self.sigma
            upper, n_upper = _one_sided(z, self.k, start.upper, start.n_upper)
            lower, n_lower = _one_sided(np.negative(z, out=z), self.k, start.lower, start.n_lower)
            total = upper + lower
        finite = total < inf
        if not finite.all():
            device, i = np.argwhere(~finite.T)[0]
            raise ValueError(self._refusal(f"x[{device}, {i}]", float(scans[i, device])))
        signal = (upper > self.h) | (lower > self.h)
        sums = (upper, lower, n_upper, n_lower)
        # Copies: a view of the last scan would keep the whole block in memory.
        states = CusumStates(*(a[-1].copy() for a in sums)) if len(scans) else start
        return CusumPath(upper.T, lower.T, n_upper.T, n_lower.T, signal.T, states)

    def _refusal(self, place: str, value: float) -> str:
        return f"{place} = {value!r} is no finite number of sigmas from {self.target!r}"


def _parameter_refusal(target: float, sigma: float, k: float, h: float, head_start: float) -> str:
    """Name the parameter that is out of its range."""
    if not -inf < target < inf:
        return f"target = {target!r} is not finite"
    if not 0 < sigma < inf:
        return f"sigma = {sigma!r} is not positive and finite"
    if not 0 <= k < inf:
        return f"k = {k!r} is negative or not finite"
    if not 0 < h < inf:
        return f"h = {h!r} is not positive and finite"
    return f"head_start = {head_start!r} is not in [0, h) with h = {h!r}"


def cusum_states(state: CusumState | CusumStates, n_devices: int) -> CusumStates:
    """Return the states of so many devices, in memory of their own.

    Raises
    ------
    ValueError
        If `state` is of another number of devices, or one that no chart can have.
    """
    import numpy as np  # noqa: PLC0415 - see the top

    fields = (state.upper, state.lower, state.n_upper, state.n_lower)
    if isinstance(state, CusumState):
        return CusumStates(*(np.full(n_devices, value) for value in fields))
    columns = zip(CusumStates._fields, fields, strict=True)
    starts = CusumStates(*(one_per_device(a, n_devices, name, counts=name.startswith("n_")) for name, a in columns))
    with np.errstate(over="ignore", invalid="ignore"):
        possible = _possible(starts)
    if not possible.all():
        device = int(possible.argmin())
        raise ValueError(_state_refusal(CusumState(*(values[device].item() for values in starts))))
    return starts


def _of_numbers(state: CusumState) -> CusumState:
    """Return the state in Python's numbers; a ValueError for a sum that is none or a count that is not whole."""
    return CusumState(
        real_number(state.upper, "state.upper"),
        real_number(state.lower, "state.lower"),
        whole_number(state.n_upper, "state.n_upper"),
        whole_number(state.n_lower, "state.n_lower"),
    )


def _possible(state: CusumState | CusumStates) -> Any:
    """Return whether a chart can stand there; of the sums no two are so large that an overflow would hide."""
    sums_possible = (state.upper >= 0) & (state.lower >= 0) & (state.upper + state.lower < inf)
    return sums_possible & (state.n_upper >= 0) & (state.n_lower >= 0)


def _state_refusal(state: CusumState) -> str:
    return f"{state} is no state of a CUSUM: its sums are finite together, nothing is negative"


def _one_sided(
    excess: "NDArray[np.float64]", k: float, total: "NDArray[np.float64]", count: "NDArray[np.int64]"
) -> "tuple[NDArray[np.float64], NDArray[np.int64]]":
    """Return the sums and counts of one side, scan after scan, from the totals and counts of the devices."""
    import numpy as np  # noqa: PLC0415 - see the top

    totals, counts = np.empty(excess.shape), np.empty(excess.shape, np.int64)
    for i, z in enumerate(excess):
        total = np.add(total, z, out=totals[i])
        total -= k
        np.maximum(total, 0.0, out=total)
        count = np.add(count, 1, out=counts[i])
        count *= (total > 0.0).view(np.int8)  # numbers: NumPy multiplies them twice as fast as booleans
    return totals, counts
