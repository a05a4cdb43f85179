"""The numbers in a structured report's tree, with every name around them; nothing is keyed on a template."""

from collections.abc import Iterator
from typing import Final

import msgspec
from pydicom.dataset import Dataset

from collectors.dicom.text import first_item, items, text

_FINDING_SITE: Final = frozenset({"G-C0E3", "363698007"})
_LATERALITY: Final = frozenset({"G-C171", "272741003"})


class Numeric(msgspec.Struct, frozen=True):
    """A NUM item with the names around it, nearest first; the document's title is not among them.

    `site` and `side` are the finding site and the laterality of the nearest item that has one.
    """

    concept: str
    units: tuple[str, ...]
    value: str
    site: str
    side: str
    surroundings: tuple[str, ...]

    @property
    def place(self) -> str:
        """Side and site, as far as they are said."""
        return f"{self.side} {self.site}".strip()


def numerics(ds: Dataset) -> Iterator[Numeric]:
    """Walk the whole content; an item that holds no number (a region that was not analysed) is left out."""
    return _inside(ds, site="", side="", surroundings=())


def _inside(ds: Dataset, *, site: str, side: str, surroundings: tuple[str, ...]) -> Iterator[Numeric]:
    for item in items(ds, "ContentSequence"):
        concept = text(first_item(item, "ConceptNameCodeSequence"), "CodeMeaning")
        own_site = _modifier(item, _FINDING_SITE, "finding site") or site
        own_side = _modifier(item, _LATERALITY, "laterality") or side
        if text(item, "ValueType") == "NUM":
            measured = first_item(item, "MeasuredValueSequence")
            if value := text(measured, "NumericValue"):
                unit = first_item(measured, "MeasurementUnitsCodeSequence")
                units = tuple(filter(None, (text(unit, "CodeValue"), text(unit, "CodeMeaning"))))
                yield Numeric(concept, units, value, own_site, own_side, surroundings)
        around = (concept, *surroundings) if concept else surroundings
        yield from _inside(item, site=own_site, side=own_side, surroundings=around)


def _modifier(item: Dataset, codes: frozenset[str], meaning: str) -> str:
    for child in items(item, "ContentSequence"):
        name = first_item(child, "ConceptNameCodeSequence")
        if text(name, "CodeValue") in codes or text(name, "CodeMeaning").lower() == meaning:
            coded = text(first_item(child, "ConceptCodeSequence"), "CodeMeaning")
            return coded or text(child, "TextValue")
    return ""
