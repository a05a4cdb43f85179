"""What values are called in HL7 version 2: LOINC where a public source gives the code, UCUM, and codes of our own."""

import re
from typing import Final, NamedTuple

from streams import quantities
from streams.quantities import Quantity

LOINC: Final = "LN"
OURS: Final = "99BONEWATCH"
"""Local coding systems begin with 99 (HL7 table 0396)."""

DXA_PANEL: Final = ("83311-1", "Bone density quantitative measurement by DXA panel", LOINC)
BODY_WEIGHT: Final = ("29463-7", "Body weight", LOINC)
BODY_HEIGHT: Final = ("8302-2", "Body height", LOINC)
BODY_SIZE: Final = ("BODY-SIZE", "Body weight and height", OURS)


class Quality(NamedTuple):
    """Something that is measured: our code, and how it is told first.

    `status` is of HL7 table 0085: ``P`` preliminary (a BMD is not reported yet), ``F`` final.
    """

    code: str
    quantity: Quantity
    status: str = "P"

    @property
    def words(self) -> str:
        """What it is."""
        return self.quantity.words

    @property
    def unit(self) -> str:
        """UCUM's unit."""
        return self.quantity.unit


BMD: Final = Quality("BMD", quantities.BMD)
BMC: Final = Quality("BMC", quantities.BMC)
AREA: Final = Quality("AREA", quantities.AREA)
T_SCORE: Final = Quality("T", quantities.T_SCORE)
Z_SCORE: Final = Quality("Z", quantities.Z_SCORE)
WEIGHT: Final = Quality("WEIGHT", quantities.WEIGHT, "F")
HEIGHT: Final = Quality("HEIGHT", quantities.HEIGHT, "F")


def local_code(quality: Quality, region: str, laterality: str) -> str:
    """Return our code of a value; vertebrae with one left out between them are not those from the one to the other.

    Examples
    --------
    >>> local_code(BMD, "Neck", "left"), local_code(T_SCORE, "L2-L4", ""), local_code(T_SCORE, "L2,L4", "")
    ('BMD.NECK.L', 'T.L2-L4', 'T.L2+L4')
    >>> local_code(BMC, "Radius 1/3", "")
    'BMC.RADIUS-1-3'
    """
    place = re.sub(r"[^A-Z0-9+]+", "-", region.upper().replace(",", "+")).strip("-")
    return ".".join(filter(None, (quality.code, place, laterality[:1].upper())))
