"""The front end's files: nothing in them asks for another host, and what is not ours says whence it came."""

import re
from pathlib import Path

import pytest

import dashboards

STATIC = Path(dashboards.__file__).parent / "static"
VENDOR = STATIC / "vendor"


@pytest.mark.parametrize("path", sorted(STATIC.rglob("*.css")), ids=lambda path: path.name)
def test_no_style_asks_for_a_font_an_import_or_another_host(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for foreign in ("@font-face", "@import", "url(", "http:", "https:", "frutiger"):
        assert foreign not in text.lower()


@pytest.mark.parametrize("path", sorted((STATIC / "js").glob("*.js")), ids=lambda path: path.name)
def test_no_script_of_ours_names_another_host(path: Path) -> None:
    assert not re.search(r"https?://|//[a-z]+\.", path.read_text(encoding="utf-8"))


def test_every_vendored_package_is_listed_with_version_integrity_and_licence() -> None:
    listed = (VENDOR / "VENDORED.md").read_text(encoding="utf-8")
    for folder in (path for path in VENDOR.iterdir() if path.is_dir()):
        assert (folder / "LICENSE.txt").is_file(), folder.name
        for file in folder.glob("*.min.*"):
            assert f"`{folder.name}/{file.name}`" in listed
    assert len(re.findall(r"sha512-[A-Za-z0-9+/]{86}==", listed)) == 4
