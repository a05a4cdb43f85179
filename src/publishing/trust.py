"""Whom a receiver's certificate must come from, and our own certificate where a receiver asks for one."""

import ssl
from pathlib import Path


def context_of(folder: Path, *, ca_file: str, certificate_file: str = "", key_file: str = "") -> ssl.SSLContext:
    """Return what is asked of a receiver's certificate and shown of our own; files are relative to `folder`.

    Without `ca_file` the certificate must come from an authority that this machine trusts.

    Raises
    ------
    ValueError
        A file cannot be used; the text names its key and says why.
    """
    try:
        context = ssl.create_default_context(cafile=folder / ca_file if ca_file else None)
    except OSError as error:
        raise ValueError(f"ca_file {ca_file}: {_words(error, 'no certificate in PEM')}") from error
    if certificate_file:
        try:
            context.load_cert_chain(folder / certificate_file, folder / key_file, password=_nothing)
        except OSError as error:
            words = _words(error, "no certificate and key in PEM that go together")
            raise ValueError(f"certificate_file {certificate_file}, key_file {key_file}: {words}") from error
    return context


def _nothing() -> str:
    """Answer a key that wants a password: nobody is there to be asked for one."""
    return ""


def _words(error: OSError, of_content: str) -> str:
    return of_content if isinstance(error, ssl.SSLError) else str(error.strerror)
