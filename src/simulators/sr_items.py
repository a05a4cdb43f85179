"""Items of a structured report's content tree, in codes of our own invention."""

from typing import Final

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag

_NUMERIC_VALUE: Final = Tag("NumericValue")


def numeric_item(concept: str, value: str, unit: str, unit_meaning: str = "") -> Dataset:
    """Return a NUM item; the value is written as it stands, a number or not."""
    measured = Dataset()
    # As bytes: pydicom writes no number that is none, and scanners do.
    text = value.encode() + b" " * (len(value) % 2)
    measured[_NUMERIC_VALUE] = RawDataElement(_NUMERIC_VALUE, "DS", len(text), text, 0, False, True)  # noqa: FBT003
    measured.MeasurementUnitsCodeSequence = Sequence([coded(unit, "UCUM", unit_meaning or unit)])
    item = _item("NUM", concept)
    item.MeasuredValueSequence = Sequence([measured])
    return item


def container_item(concept: str, content: list[Dataset]) -> Dataset:
    """Return a CONTAINER item around other items."""
    item = _item("CONTAINER", concept)
    item.ContinuityOfContent = "SEPARATE"
    item.ContentSequence = Sequence(content)
    return item


def finding_site(name: str) -> Dataset:
    """Return the modifier that says where something was found."""
    return _modifier(coded("363698007", "SCT", "Finding Site"), name)


def laterality(name: str) -> Dataset:
    """Return the modifier that says on which side something was found."""
    return _modifier(coded("272741003", "SCT", "Laterality"), name)


def _modifier(concept: Dataset, name: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "HAS CONCEPT MOD", "CODE"
    item.ConceptNameCodeSequence = Sequence([concept])
    item.ConceptCodeSequence = Sequence([coded("BW-SITE", "99BONEWATCH", name)])
    return item


def _item(value_type: str, concept: str) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", value_type
    item.ConceptNameCodeSequence = Sequence([coded("BW-CONCEPT", "99BONEWATCH", concept)])
    return item


def coded(value: str, scheme: str, meaning: str) -> Dataset:
    """Return an item of a code sequence."""
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code
