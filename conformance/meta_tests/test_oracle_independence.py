"""The oracle owes nothing to the reference library: it imports none of it, and has its codes from SPEC.md."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest

import etui_conformance
from etui.error_codes import ERROR_CODES
from etui_conformance.oracle.errors import Refusal, class_of, pointer

PACKAGE = Path(etui_conformance.__file__).parent
SPEC = PACKAGE.parents[1] / "SPEC.md"


def imported(module: Path) -> set[str]:
    """The top-level packages that a module imports, at its head or within a function, by statement or by call."""
    found = set()
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Call) and ast.unparse(node.func).rsplit(".", 1)[-1] in (
            "import_module",
            "__import__",
        ):
            found |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return {name.split(".")[0] for name in found}


@pytest.mark.library
def test_nothing_but_the_reference_adapter_imports_the_library() -> None:
    """No module of the suite imports `etui`, early or late, but the adapter of the reference library."""
    modules = [path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "skeletons")]
    users = {path.relative_to(PACKAGE).as_posix() for path in modules if "etui" in imported(path)}
    assert len(modules) > 20
    assert "adapters/reference.py" in users or any(name.startswith("adapters/reference_") for name in users)
    assert {name for name in users if not name.startswith("adapters/reference")} == set()


@pytest.mark.library
def test_the_oracle_needs_the_standard_library_alone() -> None:
    """The modules of the oracle import each other and the standard library."""
    found = set().union(*map(imported, (PACKAGE / "oracle").glob("*.py")))
    assert {"etui_conformance", "zlib", "struct"} <= found
    assert found - sys.stdlib_module_names == {"etui_conformance"}


def classes_of_spec() -> dict[str, str]:
    """Code -> class, of the codes that the table of chapter 20 names."""
    chapter = SPEC.read_text("utf-8").split("## 20. Errors")[1].split("## 21.")[0]
    rows = re.findall(r"^\| `([a-z]+)` \| [^|]+ \| ([^|]+) \|$", chapter, re.MULTILINE)
    return {code: name for name, codes in rows for code in re.findall(r"`([a-z0-9]+(?:-[a-z0-9]+)+)`", codes)}


@pytest.mark.clause("E-1@c976f4")
def test_codes_have_the_classes_of_the_table() -> None:
    """Each code that chapter 20 names has its class there, and the others are invalid or limits, for both libraries."""
    table = classes_of_spec()
    assert len(table) > 20
    assert {code: class_of(code) for code in table} == table
    # Clauses of one letter are those of chapters 2 to 21, but for K, which is annex B, where its codes have classes.
    reference = {
        code: row.error_class for code, row in ERROR_CODES.items() if re.match("[A-JL-Z]-[0-9]", row.clause or "")
    }
    assert reference.keys() >= table.keys()
    assert {code: class_of(code) for code in reference} == reference


@pytest.mark.clause("E-1@c976f4")
def test_a_refusal_says_where() -> None:
    """A refusal carries code, class and place, and a place below a part is a JSON pointer."""
    refusal = Refusal("zip-crc", pointer("weights.json", "a/b", "~", 0), "what was found")
    assert (refusal.code, refusal.error_class, refusal.at) == ("zip-crc", "integrity", "weights.json /a~1b/~0/0")
    assert str(refusal) == "zip-crc at weights.json /a~1b/~0/0: what was found"
    assert pointer(pointer("weights.json", "a"), "b") == "weights.json /a/b"
