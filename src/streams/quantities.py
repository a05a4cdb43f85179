"""What is measured of patients, as other programs know it: words, UCUM's units, LOINC's codes, who assigns pseudonyms.

LOINC 24701-5 is that of HL7's example of a bone density (observation-example-bmd); the others are by LOINC's own names.
"""

import re
from typing import Final, NamedTuple

PSEUDONYM_SYSTEM: Final = "0589598e-1834-4276-bdd5-3ecae3338b09"
"""Who assigns pseudonyms, as a UUID: permanent, for other programs keep it."""

_LUMBAR: Final = re.compile(r"L[1-5](?:[-,]L[1-5])*")


class Quantity(NamedTuple):
    """Something that is measured: our code and words, UCUM's unit."""

    code: str
    words: str
    unit: str


BMD: Final = Quantity("bmd", "Bone mineral density (DXA)", "g/cm2")
BMC: Final = Quantity("bmc", "Bone mineral content (DXA)", "g")
AREA: Final = Quantity("area", "Projected area (DXA)", "cm2")
T_SCORE: Final = Quantity("t-score", "T-score, as the device gave it", "{T-score}")
Z_SCORE: Final = Quantity("z-score", "Z-score, as the device gave it", "{Z-score}")
WEIGHT: Final = Quantity("weight", "Body weight", "kg")
HEIGHT: Final = Quantity("height", "Body height", "cm")

_LOINC: Final = {
    ("", "weight"): ("29463-7", "Body weight"),
    ("", "height"): ("8302-2", "Body height"),
    ("hip", "bmd"): ("24701-5", "Femur DXA Bone density"),
    ("hip", "t-score"): ("38263-0", "DXA Femur [T-score] Bone density"),
    ("spine", "bmd"): ("24966-4", "DXA Lumbar spine [Mass/Area] Bone density"),
    ("spine", "t-score"): ("38267-1", "DXA Lumbar spine [T-score] Bone density"),
    ("spine", "z-score"): ("85394-5", "DXA Lumbar spine [Z-score] Bone density"),
}


def is_lumbar(region: str) -> bool:
    """Whether every vertebra of a spine's region is a lumbar one, as in ``L1-L4``."""
    return _LUMBAR.fullmatch(region) is not None


def loinc(quantity: Quantity, anatomy: str = "", region: str = "") -> tuple[str, str] | None:
    """Return LOINC's code and name of a value, of a spine only where `is_lumbar`; None where no source gives one."""
    if anatomy == "spine" and not is_lumbar(region):
        return None
    return _LOINC.get((anatomy if region else "", quantity.code))
