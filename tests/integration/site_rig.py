"""A whole site in this process, without a database, with what a test configures beside."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bonewatch.configuration.loading import parse
from bonewatch.site import Site

SITE = """
[site]
id = "test-site"

[dicom]
port = 0

[http]
port = 0

[database]
enabled = false

"""
"""A site; devices and what else it has come behind it."""


@contextmanager
def running_site(configuration: str, folder: Path) -> Iterator[Site]:
    """Run a site whose data stands in `folder`'s ``var``."""
    site = Site(parse(configuration, "site.toml"), folder / "var", folder=folder)
    site.start()
    try:
        yield site
    finally:
        site.stop()
