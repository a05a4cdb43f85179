"""Says what a decoder found wrong with a configuration as its author would: with the keys and values that there are."""

import difflib
import re
from collections.abc import Iterable
from typing import Final

from msgspec import inspect

_STEP: Final = re.compile(r"\.(\w+)|\[(\d+|\.\.\.)\]")
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(.*)`")
_ENUM: Final = re.compile(r"Invalid enum value '?(.*?)'?", re.DOTALL)
_EXPECTED: Final = re.compile(r"Expected `(.*)`, got `(.*)`")
_TYPES: Final = {
    "int": "a whole number",
    "float": "a number",
    "str": "text in quotation marks",
    "bool": "true or false",
    "array": "a list in brackets",
    "object": "a table",
    "null": "nothing",
    "date": "a date such as 2026-01-31",
}


def plainly(words: str, path: str, whole: type) -> str:
    """Return a complaint of msgspec about a value at a path of a type, in plain words; others as they are."""
    there = _at(inspect.type_info(whole), path)
    if match := _UNKNOWN.fullmatch(words):
        return f"there is no key {match[1]} here" + _instead(match[1], _keys(there))
    if match := _MISSING.fullmatch(words):
        return f"the key {match[1]} is missing"
    if match := _ENUM.fullmatch(words):
        return f"{match[1]!r} cannot be chosen" + _instead(match[1], _choices(there))
    if match := _EXPECTED.fullmatch(words):
        wanted = " or ".join(_TYPES.get(one, one) for one in match[1].split(" | ") if one != "null")
        return f"{wanted} is wanted, not {_TYPES.get(match[2], match[2])}"
    return words


def _instead(given: str, known: Iterable[str]) -> str:
    """Name what was meant, or all that there is."""
    known = list(known)
    if close := difflib.get_close_matches(given, known, n=1):
        return f"; did you mean {close[0]}?"
    return f"; there are {', '.join(known)}" if known else ""


def _at(there: inspect.Type, path: str) -> list[inspect.Type]:
    """Return the types that a value may have at a path, such as ``$.device[0].kind``."""
    types = _each(there)
    for name, _ in _STEP.findall(path):
        types = [inner for one in types for inner in (_field(one, name) if name else _items(one))]
    return types


def _each(one: inspect.Type) -> list[inspect.Type]:
    return list(one.types) if isinstance(one, inspect.UnionType) else [one]


def _field(one: inspect.Type, name: str) -> list[inspect.Type]:
    if isinstance(one, inspect.DictType):
        return _each(one.value_type)
    fields = one.fields if isinstance(one, inspect.StructType) else ()
    return [inner for field in fields if field.encode_name == name for inner in _each(field.type)]


def _items(one: inspect.Type) -> list[inspect.Type]:
    if isinstance(one, inspect.CollectionType):
        return _each(one.item_type)
    if isinstance(one, inspect.TupleType):
        return [inner for item in one.item_types for inner in _each(item)]
    return _each(one.value_type) if isinstance(one, inspect.DictType) else []


def _keys(types: Iterable[inspect.Type]) -> list[str]:
    return [field.encode_name for one in types if isinstance(one, inspect.StructType) for field in one.fields]


def _choices(types: Iterable[inspect.Type]) -> list[str]:
    found: list[str] = []
    for one in types:
        if isinstance(one, inspect.EnumType):
            found += [str(member.value) for member in one.cls]
        elif isinstance(one, inspect.LiteralType):
            found += [str(value) for value in one.values]
    return found
