"""Reads which clauses the tests of a module claim, from its syntax tree alone.

A claim is a string argument of a call ``clause(…)`` or ``pytest.mark.clause(…)``. It belongs to a test if it
stands in the test's decorators or body, in the ``pytestmark`` of its class or module, or in a module-level
definition that the test names, directly or through others: a table of cases, a fixture, a helper.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

_TestNode: TypeAlias = ast.FunctionDef | ast.AsyncFunctionDef | ast.Assign

_CLAIM = re.compile(r"(?P<id>[A-Z]+-[1-9][0-9]*)(?:@(?P<stamp>[0-9a-f]{6}))?")


@dataclass(frozen=True, order=True)
class Problem:
    """Something that is wrong, and where."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Claim:
    """That a test proves a clause whose digest was ``stamp`` when the author read it."""

    clause_id: str
    stamp: str | None  # None: not stamped yet
    written: str
    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Test:
    """A test function, a test method, or the ``TestCase`` of a Hypothesis state machine."""

    __test__ = False  # keeps pytest from collecting this class where a test module imports it

    file: str
    name: str
    line: int
    claims: tuple[Claim, ...]
    library: bool  # whether it carries the mark of behaviour that no clause governs
    runs: bool  # False if it is skipped or expected to fail
    described: bool  # whether it has a docstring; a state machine needs none

    @property
    def node(self) -> str:
        """The test's id as pytest prints it, without parameters."""
        return f"{self.file}::{self.name}"


def read_test_module(path: Path, file: str) -> tuple[list[Test], list[Problem]]:
    """The tests of a Python file, and what is wrong with its claims.

    Args:
        path: the file to read.
        file: its name in problems and test ids.
    """
    source = path.read_text(encoding="utf-8")
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        return [], [Problem(file, error.lineno or 1, f"not Python: {error.msg}")]
    module = _Module(tree, source, file)
    return module.tests, module.problems


class _Module:
    """One parsed test module: its definitions by name, its claims, its tests."""

    def __init__(self, tree: ast.Module, source: str, file: str) -> None:
        self.file = file
        self.source = source
        self.problems: list[Problem] = []
        self.tests: list[Test] = []
        self.claims = {call: self._read_claims(call) for call in _calls_of_clause(tree)}
        self.definitions = _definitions(tree.body)
        self._used: set[ast.Call] = set()
        module_marks = self.definitions.get("pytestmark", [])
        for statement in _statements(tree.body):
            self._read_tests(statement, module_marks)
        for call, claims in self.claims.items():
            if call not in self._used:
                for claim in claims:
                    trouble = f"{claim.clause_id} is claimed here, but no test uses the claim"
                    self.problems.append(Problem(file, claim.line, trouble))

    def _read_claims(self, call: ast.Call) -> tuple[Claim, ...]:
        claims: list[Claim] = []
        if not call.args or call.keywords:
            self._complain(call, "clause() takes ids of clauses and nothing else")
        for argument in call.args:
            if not (isinstance(argument, ast.Constant) and isinstance(argument.value, str)):
                self._complain(argument, "an id of a clause is written as a literal string")
                continue
            written = argument.value
            match = _CLAIM.fullmatch(written)
            if match is None:
                self._complain(argument, f'{written!r} is not a claim such as "W-12" or "W-12@1a2b3c"')
            elif ast.get_source_segment(self.source, argument) not in {f'"{written}"', f"'{written}'"}:
                self._complain(argument, f"{written} is not written as one plain string")
            else:
                place = (self.file, argument.lineno, argument.col_offset)
                claims.append(Claim(match["id"], match["stamp"], written, *place))
        return tuple(claims)

    def _complain(self, node: ast.expr, message: str) -> None:
        self.problems.append(Problem(self.file, node.lineno, message))

    def _read_tests(self, statement: ast.stmt, module_marks: list[ast.AST]) -> None:
        match statement:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if name.startswith("test_"):
                self._add(name, statement, [statement], [*module_marks, *statement.decorator_list])
            case ast.ClassDef(name=group) if group.startswith("Test"):
                group_marks = [
                    *module_marks,
                    *statement.decorator_list,
                    *_definitions(statement.body).get("pytestmark", []),
                ]
                for method in _statements(statement.body):
                    if isinstance(method, ast.FunctionDef) and method.name.startswith("test_"):
                        name = f"{group}::{method.name}"
                        self._add(name, method, [method], [*group_marks, *method.decorator_list])
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if name.startswith("Test"):
                attributes = {node.attr for node in ast.walk(value) if isinstance(node, ast.Attribute)}
                if "TestCase" in attributes:
                    marks = self.definitions.get(f"{name}.pytestmark", [])
                    self._add(name, statement, [value], [*module_marks, *marks])

    def _add(self, name: str, at: _TestNode, body: list[ast.AST], marks: list[ast.AST]) -> None:
        claims: list[Claim] = []
        library = False
        for node in self._reached([*marks, *body]):
            if isinstance(node, ast.Call) and node in self.claims:
                self._used.add(node)
                claims += self.claims[node]
            library = library or _is_mark(node, "library")
        self.tests.append(
            Test(
                file=self.file,
                name=name,
                line=at.lineno,
                claims=tuple(dict.fromkeys(claims)),
                library=library,
                runs=not any(_is_mark(mark, "skip") or _is_mark(mark, "xfail") for mark in _flat(marks)),
                described=isinstance(at, ast.Assign) or bool(ast.get_docstring(at)),
            )
        )

    def _reached(self, start: list[ast.AST]) -> Iterator[ast.AST]:
        """Every node under the given ones, and under the module-level definitions that they name."""
        seen: set[str] = set()
        waiting = list(start)
        while waiting:
            for node in ast.walk(waiting.pop()):
                yield node
                match node:
                    # An argument's name may be that of a fixture.
                    case ast.Name(id=name) | ast.arg(arg=name) if name not in seen:
                        seen.add(name)
                        waiting += self.definitions.get(name, [])


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements of a module or class, those under `if`, `try` and `with` included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            children = ast.iter_child_nodes(statement)
            yield from _statements(child for child in children if isinstance(child, ast.stmt))


def _definitions(body: Iterable[ast.stmt]) -> dict[str, list[ast.AST]]:
    """What each name of a module or class is defined as; ``X.pytestmark`` is a name too."""
    found: defaultdict[str, list[ast.AST]] = defaultdict(list)
    for statement in _statements(body):
        match statement:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                found[statement.name].append(statement)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    found[ast.unparse(target)].append(value)
            case ast.AnnAssign(target=target, value=ast.expr() as value) | ast.AugAssign(target=target, value=value):
                found[ast.unparse(target)].append(value)
    return dict(found)


def _flat(marks: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """The marks themselves, out of the lists and calls that hold them."""
    for mark in marks:
        match mark:
            case ast.List(elts=elements) | ast.Tuple(elts=elements):
                yield from _flat(elements)
            case ast.Call(func=function):
                yield function
            case _:
                yield mark


def _is_mark(node: ast.AST, name: str) -> bool:
    """Whether a node is ``pytest.mark.<name>`` or ``mark.<name>``."""
    match node:
        case ast.Attribute(attr=attribute, value=ast.Attribute(attr="mark") | ast.Name(id="mark")):
            return attribute == name
    return False


def _calls_of_clause(tree: ast.Module) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and (_is_mark(node.func, "clause") or (isinstance(node.func, ast.Name) and node.func.id == "clause"))
    ]
