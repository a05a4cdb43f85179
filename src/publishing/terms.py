"""What values are called in HL7 version 2: LOINC where a public source gives the code, UCUM, and codes of our own.

LOINC 24701-5 is that of HL7's example of a bone density (observation-example-bmd); the others are by LOINC's own names.
"""

import re
from typing import Final, NamedTuple

LOINC: Final = "LN"
OURS: Final = "99BONEWATCH"
"""Local coding systems begin with 99 (HL7 table 0396)."""
PSEUDONYMS: Final = "0589598e-1834-4276-bdd5-3ecae3338b09"
"""Who assigns pseudonyms, as a UUID."""

DXA_PANEL: Final = ("83311-1", "Bone density quantitative measurement by DXA panel", LOINC)
BODY_WEIGHT: Final = ("29463-7", "Body weight", LOINC)
BODY_HEIGHT: Final = ("8302-2", "Body height", LOINC)
BODY_SIZE: Final = ("BODY-SIZE", "Body weight and height", OURS)
_LUMBAR: Final = re.compile(r"L[1-5](?:[-,]L[1-5])*")


class Quality(NamedTuple):
    """Something that is measured: our code and words, UCUM's unit, and how it is told first.

    `status` is of HL7 table 0085: ``P`` preliminary (a BMD is not reported yet), ``F`` final.
    """

    code: str
    words: str
    unit: str
    status: str = "P"


BMD: Final = Quality("BMD", "Bone mineral density (DXA)", "g/cm2")
BMC: Final = Quality("BMC", "Bone mineral content (DXA)", "g")
AREA: Final = Quality("AREA", "Projected area (DXA)", "cm2")
T_SCORE: Final = Quality("T", "T-score, as the device gave it", "{T-score}")
Z_SCORE: Final = Quality("Z", "Z-score, as the device gave it", "{Z-score}")
WEIGHT: Final = Quality("WEIGHT", "Body weight", "kg", "F")
HEIGHT: Final = Quality("HEIGHT", "Body height", "cm", "F")

_LOINC_OF: Final = {
    ("", "WEIGHT"): BODY_WEIGHT[:2],
    ("", "HEIGHT"): BODY_HEIGHT[:2],
    ("hip", "BMD"): ("24701-5", "Femur DXA Bone density"),
    ("hip", "T"): ("38263-0", "DXA Femur [T-score] Bone density"),
    ("spine", "BMD"): ("24966-4", "DXA Lumbar spine [Mass/Area] Bone density"),
    ("spine", "T"): ("38267-1", "DXA Lumbar spine [T-score] Bone density"),
    ("spine", "Z"): ("85394-5", "DXA Lumbar spine [Z-score] Bone density"),
}


def loinc(quality: Quality, anatomy: str, region: str) -> tuple[str, str] | None:
    """Return LOINC's code and name of a value; of a spine only where every vertebra of the region is a lumbar one."""
    if anatomy == "spine" and not _LUMBAR.fullmatch(region):
        return None
    return _LOINC_OF.get((anatomy if region else "", quality.code))


def local_code(quality: Quality, region: str, laterality: str) -> str:
    """Return our code of a value.

    Examples
    --------
    >>> local_code(BMD, "Neck", "left"), local_code(T_SCORE, "L1-L4", ""), local_code(BMC, "Radius 1/3", "")
    ('BMD.NECK.L', 'T.L1-L4', 'BMC.RADIUS-1-3')
    """
    place = re.sub(r"[^A-Z0-9]+", "-", region.upper()).strip("-")
    return ".".join(filter(None, (quality.code, place, laterality[:1].upper())))
