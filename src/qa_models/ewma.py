"""EWMA chart: a running mean that forgets, with limits that notice a small lasting shift.

NumPy is loaded only by `EwmaChart.replay`: a process that only streams does not pay for it.
"""

from dataclasses import dataclass
from math import inf, sqrt
from typing import TYPE_CHECKING, Final, NamedTuple

from qa_models.series import finite_number, one_per_device, positive_number, real_number, scans_first
from qa_models.standardise import refuse_centre

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, slots=True)
class EwmaState:
    """Where an `EwmaChart` stands: enough to resume it.

    Parameters
    ----------
    ewma
        Weighted mean, in the unit of x.
    start_weight
        ``(1 - lam) ** (2 * i)`` after i observations, between 0 and 1: how far the limits still are from
        their final width. 0 on a chart with fixed limits.
    """

    ewma: float
    start_weight: float


class EwmaPoint(NamedTuple):
    """What one observation did to the chart.

    Parameters
    ----------
    ewma
        Weighted mean after the observation, in the unit of x.
    lcl, ucl
        Control limits that hold for it, same unit.
    signal
        Whether the mean is strictly beyond a limit.
    """

    ewma: float
    lcl: float
    ucl: float
    signal: bool


class EwmaStates(NamedTuple):
    """`EwmaState` of many devices: arrays of shape ``(n_devices,)``."""

    ewma: "NDArray[np.float64]"
    start_weight: "NDArray[np.float64]"


class EwmaPath(NamedTuple):
    """`EwmaPoint` of every observation of many devices: arrays of shape ``(n_devices, n_scans)``.

    `states` is where each device stands after its last scan, for the next replay to start from.
    """

    ewma: "NDArray[np.float64]"
    lcl: "NDArray[np.float64]"
    ucl: "NDArray[np.float64]"
    signal: "NDArray[np.bool_]"
    states: EwmaStates


class EwmaChart:
    """Two-sided EWMA chart for individual observations.

    The mean starts at the target and moves by ``ewma = lam * x + (1 - lam) * ewma``; the limits after i
    observations are ``target +- width * sigma * sqrt(lam / (2 - lam) * (1 - (1 - lam) ** (2 * i)))``.
    Signals strictly beyond a limit. It does not reset itself: after a signal a person decides.

    Parameters
    ----------
    target
        In-control mean, in the unit of x (for BMD g/cm^2).
    sigma
        In-control standard deviation, same unit, > 0.
    lam
        Weight of the newest observation, 0 < lam <= 1; 1 is a Shewhart chart.
    width
        Half-width of the limits in standard deviations of the weighted mean, > 0. With fixed limits lam=0.1,
        width=2.814 gives an ARL0 of 500 [2]_.
    time_varying
        Whether the limits start narrow and widen as the formula says, or are fixed at their final width.
    state
        Where to resume from.

    Raises
    ------
    ValueError
        If a parameter or the state is out of its range or not finite.

    Examples
    --------
    >>> chart = EwmaChart(target=1.000, sigma=0.005, lam=0.1, width=2.7)
    >>> [chart.update(bmd).signal for bmd in (1.001, 1.010, 1.007, 1.013)]
    [False, False, False, True]
    >>> resumed = EwmaChart(target=1.000, sigma=0.005, lam=0.1, width=2.7, state=chart.state)
    >>> round(resumed.update(1.012).ewma, 9)
    1.00373161

    References
    ----------
    .. [1] S. W. Roberts, "Control chart tests based on geometric moving averages", Technometrics 1 (1959)
       239-250.
    .. [2] J. M. Lucas and M. S. Saccucci, "Exponentially weighted moving average control schemes",
       Technometrics 32 (1990) 1-12.
    """

    __slots__ = ("_ewma", "_start_weight", "lam", "sigma", "target", "time_varying", "width")

    def __init__(
        self,
        target: float,
        sigma: float,
        *,
        lam: float,
        width: float,
        time_varying: bool = True,
        state: EwmaState | None = None,
    ) -> None:
        _refuse_parameters(target, sigma, lam, width)
        self.target: Final = float(target)
        self.sigma: Final = float(sigma)
        self.lam: Final = float(lam)
        self.width: Final = float(width)
        self.time_varying: Final = time_varying
        if state is None:
            state = EwmaState(self.target, 1.0 if time_varying else 0.0)
        if not _possible(state, time_varying=time_varying):
            raise ValueError(_state_refusal(state, time_varying=time_varying))
        self._ewma, self._start_weight = float(state.ewma), float(state.start_weight)

    @property
    def state(self) -> EwmaState:
        """Where the chart stands; pass it to a new one to resume with the same signals."""
        return EwmaState(self._ewma, self._start_weight)

    def update(self, x: float) -> EwmaPoint:
        """Add one observation.

        Parameters
        ----------
        x
            Observation in the unit of `target`.

        Returns
        -------
        EwmaPoint
            Weighted mean after it, the limits that hold for it, and whether it signals.

        Raises
        ------
        ValueError
            If x is not a finite number (a bool is none); the state is unchanged.
        """
        keep = 1 - self.lam
        self._ewma = self.lam * finite_number(x, "x") + keep * self._ewma
        self._start_weight *= keep * keep
        # A power, Python's or NumPy's, would differ in the last bit; this product is the same in a replay.
        half_width = self.width * self.sigma * sqrt(self.lam / (2 - self.lam) * (1 - self._start_weight))
        lcl, ucl = self.target - half_width, self.target + half_width
        return EwmaPoint(self._ewma, lcl, ucl, signal=not lcl <= self._ewma <= ucl)

    def replay(self, x: "ArrayLike", *, state: EwmaStates | None = None) -> EwmaPath:
        """Chart many devices at once; the chart itself stays as it is.

        Equal to `update`, observation by observation, to the last bit. A history that does not fit in memory
        is replayed in blocks of scans, each from the states after the one before, to the same bits.

        Parameters
        ----------
        x
            Observations of shape ``(n_devices, n_scans)``, oldest first, in the unit of `target`.
        state
            Where each device stands, arrays of shape ``(n_devices,)``: the `states` of the path before.
            Without it each starts from this chart's present state.

        Returns
        -------
        EwmaPath
            Arrays of the shape of x, and the states after them.

        Raises
        ------
        ValueError
            If x is not two-dimensional, not of numbers, or holds one that is not finite (the message gives its
            place); if `state` is of other devices than x or one that no chart can have.

        Examples
        --------
        >>> chart = EwmaChart(target=0.0, sigma=1.0, lam=0.5, width=3.0, time_varying=False)
        >>> chart.replay([[0.0, 1.0, 2.0], [2.0, 2.0, 2.0]]).ewma.tolist()
        [[0.0, 0.5, 1.25], [1.0, 1.5, 1.75]]
        """
        import numpy as np  # noqa: PLC0415 - a process that only streams never loads it

        scans = scans_first(x)
        ewma, weight = self._starts(self.state if state is None else state, scans.shape[1])
        ewmas, weights = self.lam * scans, np.empty(scans.shape)
        keep = 1 - self.lam
        for i in range(len(scans)):
            ewma = np.add(ewmas[i], keep * ewma, out=ewmas[i])
            weight = np.multiply(weight, keep * keep, out=weights[i])
        half_width = self.width * self.sigma * np.sqrt(self.lam / (2 - self.lam) * (1 - weights))
        lcl, ucl = self.target - half_width, self.target + half_width
        signal = (ewmas < lcl) | (ewmas > ucl)
        # Copies: a view of the last scan would keep the whole block in memory.
        return EwmaPath(ewmas.T, lcl.T, ucl.T, signal.T, EwmaStates(ewma.copy(), weight.copy()))

    def _starts(self, state: EwmaState | EwmaStates, n_devices: int) -> EwmaStates:
        """Return the states of so many devices, in memory of their own."""
        import numpy as np  # noqa: PLC0415 - see the top

        if isinstance(state, EwmaState):
            return EwmaStates(np.full(n_devices, state.ewma), np.full(n_devices, state.start_weight))
        columns = zip(EwmaStates._fields, state, strict=True)
        starts = EwmaStates(*(one_per_device(values, n_devices, name) for name, values in columns))
        for ewma, weight in zip(*(values.tolist() for values in starts), strict=True):
            if not _possible(EwmaState(ewma, weight), time_varying=self.time_varying):
                raise ValueError(_state_refusal(EwmaState(ewma, weight), time_varying=self.time_varying))
        return starts


def _possible(state: EwmaState, *, time_varying: bool) -> bool:
    return -inf < state.ewma < inf and 0 <= state.start_weight <= time_varying


def _state_refusal(state: EwmaState, *, time_varying: bool) -> str:
    limits = "time-varying" if time_varying else "fixed"
    return f"{state} is no state of an EWMA chart with {limits} limits"


def _refuse_parameters(target: float, sigma: float, lam: float, width: float) -> None:
    refuse_centre(target, sigma)
    if not 0 < real_number(lam, "lam") <= 1:
        raise ValueError(f"lam = {lam!r} is not in (0, 1]")
    positive_number(width, "width")
    if not abs(float(target)) + float(width) * float(sigma) < inf:
        raise ValueError(f"width * sigma = {width * sigma!r} from target = {target!r} is beyond all floats")
