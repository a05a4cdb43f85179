"""Documents in DICOM objects: the PDF that a scanner prints over the network."""

from typing import Final

from pydicom.dataset import Dataset

from collectors.dicom.text import text
from collectors.errors import UndecodableError

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"


def document_of(ds: Dataset) -> bytes:
    """Return the PDF that an object holds.

    Raises
    ------
    UndecodableError
        It holds none.
    """
    value = ds["EncapsulatedDocument"].value if "EncapsulatedDocument" in ds else b""
    if not isinstance(value, bytes) or not value.startswith(b"%PDF"):
        raise UndecodableError("the object holds no PDF")
    stated = text(ds, "EncapsulatedDocumentLength")
    return value[: int(stated)] if stated.isdigit() and 0 < int(stated) <= len(value) else value
