"""Texts of devices that may go on into the log: numbers of requests, codes, versions. Anything else may be a name."""

import re
from typing import Final

_ACCESSION: Final = re.compile(r"(?=.*\d)[A-Za-z0-9][A-Za-z0-9._/-]{0,15}")
_VERSION: Final = re.compile(
    r"(?:(?:v|ver|version|sim|apex|encore|sp|rev)[ .:]?)?\d{1,5}(?:[.:\-/]\d{1,8}){0,6}[A-Za-z]?"
    r"(?: ?[(\[]?(?:sp|build|rev|service pack)\.? ?\d{1,6}[)\]]?)?",
    re.IGNORECASE | re.ASCII,
)
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
_UID: Final = re.compile(r"[0-9][0-9.]{0,63}")

_MODE_WORDS: Final = frozenset(
    {"standard", "thin", "thick", "array", "fast", "express", "high", "definition", "hd", "low", "density", "turbo"}
    | {"medium", "quick", "performance", "precise", "smartscan", "auto", "obese", "pediatric", "paediatric"}
)


def accession_number(text: str) -> str:
    """Return a text that can be an accession number, else nothing: it could be a name.

    Examples
    --------
    >>> accession_number("RK9-0012345"), accession_number("Smith"), accession_number("see 12 notes")
    ('RK9-0012345', '', '')
    """
    return text if _ACCESSION.fullmatch(text) else ""


def software_version(text: str) -> str:
    """Return a text that can be a version of software, else nothing."""
    return text if _VERSION.fullmatch(text) else ""


def code_value(text: str) -> str:
    """Return a text that can be a coded value, else nothing."""
    return text if _CODE.fullmatch(text) else ""


def uid(text: str) -> str:
    """Return a text that can be a UID, else nothing."""
    return text if _UID.fullmatch(text) else ""


def scan_mode(text: str) -> str:
    """Return a scanner's own name of a scan mode where it is made of words that name modes, else nothing."""
    words = text.casefold().replace("-", " ").split()
    return text if words and _MODE_WORDS.issuperset(words) else ""
