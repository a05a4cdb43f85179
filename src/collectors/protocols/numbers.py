"""Decimal numbers as devices print them."""

import re
from decimal import Decimal
from typing import Final

_NUMBER: Final = re.compile(r"([+-]?) *([0-9]{1,9}(?:[.,][0-9]{0,6})?|[.,][0-9]{1,6})")


def number(text: str) -> Decimal | None:
    """Return a decimal number with an optional sign, blanks after it, and point or comma; None for anything else."""
    found = _NUMBER.fullmatch(text.strip())
    return Decimal(found[1] + found[2].replace(",", ".")) if found else None
