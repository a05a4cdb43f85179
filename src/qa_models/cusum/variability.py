"""CUSUM of the spread: notices a device that became less precise, or suspiciously precise, at the same level."""

from math import gamma, pi, sqrt
from typing import TYPE_CHECKING, Final

from qa_models.cusum.tabular import CusumPath, CusumPoint, CusumState, CusumStates, TabularCusum
from qa_models.series import finite_number, scans_first
from qa_models.standardise import refuse_centre, sigmas_from_target

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

MEAN_ROOT: Final = 2**0.25 * gamma(0.75) / sqrt(pi)
"""Mean of ``sqrt(abs(z))`` for a standard normal z: 0.822179."""

SD_ROOT: Final = sqrt(sqrt(2 / pi) - MEAN_ROOT**2)
"""Standard deviation of ``sqrt(abs(z))`` for a standard normal z: 0.349151."""


class VariabilityCusum:
    """Two-sided CUSUM of the scale of individual observations.

    Charts ``w = (sqrt(abs(z)) - 0.822179) / 0.349151`` with ``z = (x - target) / sigma`` on a `TabularCusum`:
    in control w has mean 0 and standard deviation 1 and is nearly normal (never below -2.36). The upper sum
    signals a spread that grew, the lower one a spread that shrank. A shift of the level raises w as well:
    read it beside the chart of the level. It does not reset itself: after a signal a person decides.

    Parameters
    ----------
    target
        In-control mean, in the unit of x (for BMD g/cm^2).
    sigma
        In-control standard deviation, same unit, > 0.
    k
        Reference value in standard deviations of w, >= 0.
    h
        Decision interval in standard deviations of w, > 0; k=0.5, h=5 gives a two-sided ARL0 of 536.
    state
        Sums to resume from.

    Raises
    ------
    ValueError
        If a parameter or a sum of `state` is out of its range or not finite.

    Examples
    --------
    >>> chart = VariabilityCusum(target=1.000, sigma=0.005)
    >>> [chart.update(bmd).signal for bmd in (1.001, 0.988, 1.013, 0.988, 1.014)]
    [False, False, False, False, True]

    References
    ----------
    .. [1] D. M. Hawkins, "A cusum for a scale parameter", Journal of Quality Technology 13 (1981) 228-231.
    """

    __slots__ = ("_sums", "sigma", "target")

    def __init__(
        self, target: float, sigma: float, *, k: float = 0.5, h: float = 5.0, state: CusumState | None = None
    ) -> None:
        refuse_centre(target, sigma)
        self.target: Final = float(target)
        self.sigma: Final = float(sigma)
        self._sums: Final = TabularCusum(0.0, 1.0, k=k, h=h, state=state)

    @property
    def k(self) -> float:
        """Reference value in standard deviations of w."""
        return self._sums.k

    @property
    def h(self) -> float:
        """Decision interval in standard deviations of w."""
        return self._sums.h

    @property
    def state(self) -> CusumState:
        """The sums as they stand; pass it to a new chart to resume with the same signals."""
        return self._sums.state

    def update(self, x: float) -> CusumPoint:
        """Add one observation.

        Parameters
        ----------
        x
            Observation in the unit of `target`.

        Returns
        -------
        CusumPoint
            Sums after it, in standard deviations of w, and whether they signal.

        Raises
        ------
        ValueError
            If x is not a finite number (a bool is none) of sigmas; the state is unchanged.
        """
        z = sigmas_from_target(finite_number(x, "x"), self.target, self.sigma, "x")
        return self._sums.update((sqrt(abs(z)) - MEAN_ROOT) / SD_ROOT)

    def replay(self, x: "ArrayLike", *, state: CusumStates | None = None) -> CusumPath:
        """Chart many devices at once; the chart itself stays as it is.

        Equal to `update`, observation by observation, to the last bit. See `TabularCusum.replay`.

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
        >>> VariabilityCusum(target=0.0, sigma=1.0).replay([[0.5, 9.0, -9.0]]).signal.tolist()
        [[False, True, True]]
        """
        import numpy as np  # noqa: PLC0415 - a process that only streams never loads it

        scans = scans_first(x)
        with np.errstate(over="ignore"):  # refused below, with its place
            z = (scans - self.target) / self.sigma
        for device, i in np.argwhere(~np.isfinite(z.T)):
            sigmas_from_target(float(scans[i, device]), self.target, self.sigma, f"x[{device}, {i}]")
        return self._sums.replay(((np.sqrt(np.abs(z)) - MEAN_ROOT) / SD_ROOT).T, state=state)
