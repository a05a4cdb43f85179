"""The manual: it builds without a warning, its generated pages are the program's, and the commands in it exist."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bonewatch import reference
from bonewatch.cli import app
from bonewatch.reference.command_line import page as command_line
from bonewatch.reference.markdown import page, table
from bonewatch.reference.topics import type_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PERSONS = ("operator", "physicist", "engineer", "manager", "clinical-services", "it")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built website; a warning, such as a link that leads nowhere, fails it."""
    folder = tmp_path_factory.mktemp("manual")
    command = [sys.executable, "-m", "bonewatch", "docs", "build", "--docs", str(DOCS), "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_of_the_manual_is_built_and_each_person_has_one(site: Path) -> None:
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert {path for path in pages if not (site / path).is_file()} == set()
    front = (site / "index.html").read_text(encoding="utf-8")
    assert [name for name in PERSONS if f"for/{name}.html" not in front] == []


def test_the_website_asks_for_nothing_from_another_host(site: Path) -> None:
    for path in site.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]* src=\"([^\"]+)|<link[^>]* href=\"([^\"]+)", text)
        assert [one for pair in loaded for one in pair if re.match(r"(https?:)?//", one)] == [], path
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*[\"']?(https?:)?//", sheet.read_text(encoding="utf-8")), sheet


def test_a_link_or_an_anchor_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "conf.py").write_text((DOCS / "conf.py").read_text(encoding="utf-8"), encoding="utf-8")
    (docs / "other.md").write_text("---\norphan: true\n---\n# Other\n\n## There\n")
    links = ("no-page.md", "other.md#no-anchor", "#no-heading", "other.md#there")
    (docs / "index.md").write_text("# A manual\n\n" + "\n".join(f"[a link]({link})" for link in links))
    command = [sys.executable, "-m", "bonewatch", "docs", "build", "--docs", str(docs), "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert [word for word in ("no-page", "no-anchor", "no-heading") if word not in done.stderr] == []
    assert "there" not in done.stderr


def test_a_folder_that_is_no_manual_is_a_sentence(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bonewatch", "docs", "build", "--docs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is not the manual's folder" in done.stderr


def test_generated_pages_are_what_the_program_says() -> None:
    differ = [str(path) for path in reference.differences(DOCS)]
    assert differ == [], "run ./bonewatch docs reference"


def test_a_generated_page_that_differs_is_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "PAGES", {Path("reference/one.md"): lambda _docs: "as it should be\n"})
    (tmp_path / "reference").mkdir()
    (tmp_path / "reference" / "one.md").write_text("of yesterday\n")
    assert reference.write(tmp_path) == [Path("reference/one.md")]
    assert (tmp_path / "reference" / "one.md").read_text() == "as it should be\n"
    assert reference.write(tmp_path) == []


def test_the_page_of_commands_does_not_depend_on_how_it_was_made(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = []
    for argv in (["bonewatch"], ["pytest", "-q"]):
        monkeypatch.setattr(sys, "argv", argv)
        pages.append(command_line(DOCS))
    assert pages[0] == pages[1] == (DOCS / "reference" / "command-line.md").read_text(encoding="utf-8")


def commands() -> Iterator[tuple[str, str]]:
    """Each `./bonewatch ...` in the manual and the README, in a code block or in a line, with its file."""
    for path in (*sorted(DOCS.rglob("*.md")), ROOT / "README.md", ROOT / "deploy" / "README.md"):
        text = re.sub(r"\\\n\s*", "", path.read_text(encoding="utf-8"))
        blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE)
        lines = [line.strip() for block in blocks for line in block.splitlines()]
        found = [line for line in lines if line.startswith("./bonewatch ")]
        found += re.findall(r"(?<!`)`(\./bonewatch [^`]+)`(?!`)", text)
        yield from ((str(path.relative_to(ROOT)), " ".join(line.split())) for line in found)


COMMANDS = sorted(set(commands()))
BEFORE_THE_PROGRAM = {"test", "mutate"}
"""What the launcher does by itself."""


def words_of(line: str) -> list[str]:
    """A command line as its words, without comment, redirection and what stands for more."""
    words = shlex.split(line.replace("…", ""), comments=True)[1:]
    for stop in ("|", ">", "&&", "<", "2>"):
        words = words[: words.index(stop)] if stop in words else words
    return [word for word in words if word != "..."]


def is_known(words: list[str]) -> bool:
    """Whether the command is there, and each of its options."""
    chain, _, rest = app.parse_commands(words)
    last = app
    for name in chain:
        last = last[name]
    if last.default_command is None:  # a group of commands
        return bool(chain) and not rest
    known = {name for argument in last.assemble_argument_collection(parse_docstring=False) for name in argument.names}
    asked = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    return bool(chain) and asked <= known | {"--help"}


@pytest.mark.parametrize(("path", "line"), COMMANDS, ids=[f"{path}: {line[:60]}" for path, line in COMMANDS])
def test_every_command_in_the_manual_exists_with_its_options(path: str, line: str) -> None:
    words = words_of(line)
    assert (words and words[0] in BEFORE_THE_PROGRAM) or is_known(words), f"{path}: {line}"


def test_a_command_or_an_option_that_is_not_there_is_noticed() -> None:
    assert is_known(["log", "verify", "-c", "site.toml"])
    assert not is_known(["log", "verify", "--colour"])
    assert not is_known(["log", "rewrite"])
    assert not is_known(["mend"])


def test_what_is_pressed_or_read_on_a_person_s_page_stands_on_the_screens() -> None:
    sources = [path for path in (ROOT / "src").rglob("*") if path.suffix in {".py", ".html", ".js"}]
    screens = " ".join(path.read_text(encoding="utf-8") for path in sources if "vendor" not in path.parts)
    screens = " ".join(screens.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())
    missing = []
    for name in PERSONS:
        text = " ".join((DOCS / "for" / f"{name}.md").read_text(encoding="utf-8").split())
        missing += [
            f"{name}: {one}" for one in re.findall(r"press (?:the )?\*\*([^*]+)\*\*", text) if one not in screens
        ]
    assert missing == []


def test_a_cell_cannot_break_its_table_and_a_page_says_that_it_is_made() -> None:
    assert table(("A", "B"), [("x|y", "two\nlines")])[2] == "| x\\|y | two lines |"
    assert page("Title", ["one"]).splitlines()[0].startswith("<!-- Made by")


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "format": "date-time"}, "time"),
        ({"anyOf": [{"type": "number"}, {"type": "null"}]}, "number or nothing"),
        ({"type": "array", "items": {"$ref": "#/$defs/Reason"}}, "list of `Reason`"),
        ({"enum": ["open", "held"]}, "`open` or `held`"),
    ],
)
def test_a_shape_in_words(shape: dict[str, object], words: str) -> None:
    assert type_of(shape) == words
