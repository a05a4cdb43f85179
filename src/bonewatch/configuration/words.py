"""What a configuration's decoding error says to its author: the key, what is wrong with it, what to write instead."""

import re
import tomllib
from difflib import get_close_matches
from typing import Final

import msgspec
from msgspec import inspect

from bonewatch.configuration.sections import Config

_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.+)`")
_MISSING: Final = re.compile(r"Object missing required field `(.+)`")
_TYPE: Final = re.compile(r"Expected `([a-z]+)(?: \| [a-z |]+)?`, got `([a-z]+)`")
_CHOICE: Final = re.compile(r"Invalid enum value ('.*'|-?\d+)")
_STEP: Final = re.compile(r"\.([A-Za-z_][A-Za-z0-9_]*)|\[(?:\d+|\.\.\.)\]")
_TOML_PLACE: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")

_AS_WRITTEN: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotes",
    "bool": "true or false",
    "array": "a list in brackets",
    "object": "a table",
    "date": "a date such as 2027-01-31",
    "datetime": "a date and time",
    "time": "a time of day without quotes",
}


def words_of(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return the path of the key that an error is about (``$.device[1].kind``; empty: the file) and words for it."""
    said, _, path = str(error).partition(" - at `")
    path = path.rstrip("`")
    if unknown := _UNKNOWN.fullmatch(said):
        return f"{path or '$'}.{unknown[1]}", f"there is no key `{unknown[1]}` here; {_known_instead(unknown[1], path)}"
    if missing := _MISSING.fullmatch(said):
        return path, f"the key `{missing[1]}` is missing; add it"
    if choice := _CHOICE.fullmatch(said):
        choices = _choices(_type_at(path))
        return path, f"{choice[1]} cannot be chosen" + (f"; one of {', '.join(choices)}" if choices else "")
    if (wrong := _TYPE.fullmatch(said)) and wrong[1] in _AS_WRITTEN:
        return path, f"write {_AS_WRITTEN[wrong[1]]}, not {_AS_WRITTEN.get(wrong[2], wrong[2])}"
    return path, said


def words_of_toml(error: tomllib.TOMLDecodeError) -> tuple[int | None, str]:
    """Return the line at which a file stops being TOML, None for its end, and words for it."""
    said = str(error)
    place = _TOML_PLACE.search(said)
    what = said[: place.start()] if place else said
    line, column = (int(place[1]), f", column {place[2]}") if place and place[1] else (None, "")
    remedy = "keep one of them" if what.startswith("Cannot") else "look for a quotation mark or bracket that is missing"
    return line, f"this is not TOML{column}: {what}; {remedy}"


def _known_instead(name: str, path: str) -> str:
    table = _type_at(path)
    known = [field.encode_name for field in table.fields] if isinstance(table, inspect.StructType) else []
    near = get_close_matches(name, known, n=1)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(known)}"


def _choices(kind: inspect.Type | None) -> list[str]:
    if isinstance(kind, inspect.EnumType):
        return [str(member.value) for member in kind.cls]
    return [str(value) for value in kind.values] if isinstance(kind, inspect.LiteralType) else []


def _type_at(path: str) -> inspect.Type | None:
    """Return what a path of the file takes; None where that has no one answer."""
    kind: inspect.Type | None = inspect.type_info(Config)
    for step in _STEP.finditer(path):
        kind = _within(_one_of(kind), step[1])
    return _one_of(kind)


def _within(kind: inspect.Type | None, name: str | None) -> inspect.Type | None:
    if isinstance(kind, inspect.StructType) and name:
        return next((field.type for field in kind.fields if field.encode_name == name), None)
    if isinstance(kind, inspect.VarTupleType):
        return kind.item_type
    return kind.value_type if isinstance(kind, inspect.DictType) else None


def _one_of(kind: inspect.Type | None) -> inspect.Type | None:
    """Return the type beside None of an optional one."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    given = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
    return given[0] if len(given) == 1 else None
