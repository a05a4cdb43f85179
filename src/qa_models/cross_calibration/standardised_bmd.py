"""Standardised BMD: the scales of three makes put on one, for comparing populations."""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple, TypeAlias, TypeVar

from qa_models.series import real_number

Make: TypeAlias = Literal["hologic", "lunar", "norland"]
"""Makes as in the published equations; GE scanners are "lunar"."""

Site: TypeAlias = Literal["spine", "total_hip", "femoral_neck", "trochanter"]
"""The spine is L2-L4."""

SpineForm: TypeAlias = Literal["hui", "proportional"]

MAKES: Final[Mapping[str, Make]] = {
    "hologic": "hologic",
    "lunar": "lunar",
    "ge": "lunar",
    "ge_lunar": "lunar",
    "norland": "norland",
}
SITES: Final[Mapping[str, Site]] = {
    "spine": "spine",
    "lumbar_spine": "spine",
    "total_hip": "total_hip",
    "femoral_neck": "femoral_neck",
    "trochanter": "trochanter",
}
"""Names as reports print them; case does not matter, and a space or a hyphen is as good as an underscore."""

_Known = TypeVar("_Known", bound=str)

SINGLE_PATIENT_ERROR_PERCENT: Final = 3.5
"""Mean error of a universal equation for one patient (University of Washington, bone densitometry course)."""

SMALLEST_G_CM2: Final = 0.05
LARGEST_G_CM2: Final = 5.0
"""No BMD by DXA is beyond these; 894.2 is one in mg/cm^2."""


class _Line(NamedTuple):
    offset: float
    slope: float


HIP: Final[dict[tuple[Site, Make], _Line]] = {
    ("total_hip", "hologic"): _Line(0.006, 1.008),
    ("total_hip", "lunar"): _Line(-0.031, 0.979),
    ("total_hip", "norland"): _Line(0.026, 1.012),
    ("femoral_neck", "hologic"): _Line(0.019, 1.087),
    ("femoral_neck", "lunar"): _Line(-0.023, 0.939),
    ("femoral_neck", "norland"): _Line(0.006, 0.985),
    ("trochanter", "hologic"): _Line(-0.017, 1.105),
    ("trochanter", "lunar"): _Line(-0.042, 0.949),
    ("trochanter", "norland"): _Line(0.057, 0.961),
}
"""``sBMD = offset + slope * BMD`` in g/cm^2: total hip by Hanson 1997, femoral neck and trochanter by Lu 2001."""

HUI_CENTRE: Final = 1.0436

HUI_SPINE: Final[dict[Make, tuple[float, float]]] = {
    "hologic": (0.972, 1.0550),
    "lunar": (1.100, 0.9683),
    "norland": (0.969, 0.9743),
}
"""Centre and slope: ``sBMD = slope * (BMD - centre) + 1.0436`` in g/cm^2."""

PROPORTIONAL_SPINE: Final[dict[Make, float]] = {"hologic": 1.0755, "lunar": 0.9522, "norland": 1.0761}
"""Factors of Genant 1994, as makers print them. Norland's agrees with a printed report; the other two are from
memory and only agree with the pairwise equations of the same paper."""


def standardised_bmd(value_g_cm2: float, make: str, site: str, *, form: SpineForm | None = None) -> float:
    """Return BMD on the common scale of the three makes.

    **Not for a single patient**: the mean error of a universal equation for one person is 3.5 %, more than
    the least significant change of a scanner. It compares populations; for a person who changes scanner there
    is cross-calibration. Total-hip equations must not be used for subregions: each has its own.

    Parameters
    ----------
    value_g_cm2
        BMD as the scanner reads it, in g/cm^2, 0.05 to 5.
    make
        "hologic", "lunar" (also "GE", "GE Lunar") or "norland"; case does not matter.
    site
        "spine" (L2-L4, also "lumbar spine"), "total_hip", "femoral_neck" or "trochanter"; case does not matter,
        and a space or a hyphen is as good as an underscore.
    form
        For the spine alone. "hui" (the default, since its coefficients were read at their source) is
        Hui 1997 [1]_; "proportional" is Genant 1994 [2]_, a factor only: what makers print on reports, to be
        chosen when the result is held against one. They differ by up to some percent away from 1 g/cm^2.

    Returns
    -------
    float
        sBMD in **mg/cm^2**.

    Raises
    ------
    ValueError
        If the value is no number or beyond any BMD in g/cm^2, make, site or form unknown (the message lists the
        known ones), or a form is given for a site of the hip.

    Examples
    --------
    >>> round(standardised_bmd(0.950, "lunar", "total_hip"), 2)
    899.05
    >>> standardised_bmd(0.950, "GE Lunar", "Total hip") == standardised_bmd(0.950, "lunar", "total_hip")
    True
    >>> round(standardised_bmd(0.8942, "norland", "spine", form="proportional"), 1)
    962.2

    References
    ----------
    .. [1] S. L. Hui et al., "Universal standardization of bone density measurements", J. Bone Miner. Res. 12
       (1997) 1463-1470.
    .. [2] H. K. Genant et al., "Universal standardization for dual x-ray absorptiometry", J. Bone Miner. Res.
       9 (1994) 1503-1514.
    .. [3] J. Hanson, "Standardization of femur BMD", J. Bone Miner. Res. 12 (1997) 1316-1317.
    .. [4] Y. Lu et al., "Standardization of bone mineral density at femoral neck, trochanter and Ward's
       triangle", Osteoporos. Int. 12 (2001) 438-444.
    """
    bmd = real_number(value_g_cm2, "value_g_cm2")
    if not SMALLEST_G_CM2 <= bmd <= LARGEST_G_CM2:
        raise ValueError(f"value_g_cm2 = {value_g_cm2!r} is not between {SMALLEST_G_CM2:g} and {LARGEST_G_CM2:g}")
    known_make, known_site = _known("make", make, MAKES), _known("site", site, SITES)
    if known_site == "spine":
        return 1000 * _spine(bmd, known_make, form)
    if form is not None:
        raise ValueError(f"form = {form!r} is for the spine, not for {known_site}")
    line = HIP[known_site, known_make]
    return 1000 * (line.offset + line.slope * bmd)


def _known(what: str, name: object, names: Mapping[str, _Known]) -> _Known:
    """Return what a report calls by this name."""
    plain = "_".join(name.casefold().replace("-", " ").replace("_", " ").split()) if isinstance(name, str) else ""
    if plain not in names:
        raise ValueError(f"{what} = {name!r} is not one of {', '.join(names)}")
    return names[plain]


def _spine(value_g_cm2: float, make: Make, form: SpineForm | None) -> float:
    if form == "proportional":
        return PROPORTIONAL_SPINE[make] * value_g_cm2
    if form not in {None, "hui"}:
        raise ValueError(f"form = {form!r} is neither hui nor proportional")
    centre, slope = HUI_SPINE[make]
    return slope * (value_g_cm2 - centre) + HUI_CENTRE
