"""Mutants of a module: each is the module with one small fault, made by the operators of mutmut.

mutmut itself mutates function bodies alone, because it keeps all mutants of a function in one file and chooses
among them at run time. Half of what can be wrong here lies in tables, defaults and properties, so its operators are
applied to the whole module, one mutant at a time. Left alone are annotations, type aliases, decorators, imports and
docstrings, the text of f-strings, which are messages, and the `strict` of ``zip``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import libcst as cst
from libcst.metadata import ByteSpanPositionProvider, CodeSpan, MetadataWrapper
from mutmut.mutation.mutators import mutation_operators


@dataclass(frozen=True)
class Mutant:
    """A module with one fault.

    Parameters
    ----------
    module
        Its name below `qa_models`.
    scope
        Class and function, or table, that the fault lies in; empty elsewhere at the top of the module.
    was, now
        The lines that differ. With `module` and `scope` they name the mutant; a line number would not last.
    source
        The faulty module.
    """

    module: str
    scope: str
    was: str
    now: str
    source: str = field(repr=False, compare=False)


def mutants(module: str, source: str) -> list[Mutant]:
    """Return the mutants of a module's source that are Python, each once."""
    tree, text = MetadataWrapper(cst.parse_module(source)), source.encode()
    finder = _Finder()
    tree.visit(finder)
    found: dict[str, Mutant] = {}
    for scope, place, code in finder.changes:
        changed = (text[: place.start] + code.encode() + text[place.start + place.length :]).decode()
        if changed != source and changed not in found and _compiles(changed):
            found[changed] = Mutant(module, scope, *_difference(source, changed), changed)
    return list(found.values())


class _Finder(cst.CSTVisitor):
    """Collects scope, place and new code of every change."""

    METADATA_DEPENDENCIES = (ByteSpanPositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.changes: list[tuple[str, CodeSpan, str]] = []
        self._scope: list[str] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if _left_alone(node):
            return False
        self._scope += _name(node)
        scope, place = ".".join(self._scope), self.get_metadata(ByteSpanPositionProvider, node, None)
        if place is not None:
            self.changes += [(scope, place, _WRITER.code_for_node(changed)) for changed in _changed(node)]
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if _name(original_node):
            self._scope.pop()


_WRITER: Final = cst.Module([])


def _name(node: cst.CSTNode) -> list[str]:
    """Return the name of a function, a class or a table, which makes a scope."""
    match node:
        case cst.FunctionDef() | cst.ClassDef():
            return [node.name.value]
        case cst.AnnAssign(target=cst.Name(value=name)) if name.isupper():
            return [name]
        case _:
            return []


def _left_alone(node: cst.CSTNode) -> bool:
    if isinstance(node, cst.AnnAssign):
        return isinstance(node.annotation.annotation, cst.Name) and node.annotation.annotation.value == "TypeAlias"
    if isinstance(node, cst.Arg):
        return node.keyword is not None and node.keyword.value == "strict"
    return isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom)


def _changed(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Yield the node as each operator changes it; mutmut adds one to a number, the last rule takes one away."""
    for kind, operator in mutation_operators:
        if isinstance(node, kind):
            yield from (changed for changed in operator(node) if not _same(node, changed))
    if isinstance(node, cst.Integer | cst.Float) and 1 <= node.evaluated_value != node.evaluated_value - 1:
        yield node.with_changes(value=repr(node.evaluated_value - 1))


def _same(old: cst.CSTNode, new: cst.CSTNode) -> bool:
    """Whether no run can tell: 1e100 + 1 is 1e100; the `strict` of ``zip`` refuses what the code never gives it."""
    match old, new:
        case cst.Float(), cst.Float():
            return old.evaluated_value == new.evaluated_value
        case cst.Call(func=cst.Name("zip")), cst.Call():
            zipped = [[arg.value for arg in call.args if arg.keyword is None] for call in (old, new)]
            return len(zipped[0]) == len(zipped[1]) and all(a is b for a, b in zip(*zipped, strict=True))
        case _:
            return False


def _compiles(code: str) -> bool:
    try:
        compile(code, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _difference(old: str, new: str) -> tuple[str, str]:
    """Return the lines that differ, of both, without their indentation."""
    was, now = old.splitlines(), new.splitlines()
    while was and now and was[0] == now[0]:
        del was[0], now[0]
    while was and now and was[-1] == now[-1]:
        del was[-1], now[-1]
    return "\n".join(line.strip() for line in was), "\n".join(line.strip() for line in now)
