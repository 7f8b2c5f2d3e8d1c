"""Whatever Etui writes goes through one module, in which each system call can be made to fail."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from saves import SAVES

import etui

PACKAGE = Path(etui.__file__).parent
DRIVER = Path(__file__).parent / "harness" / "seam_driver.py"
# The transaction module and its helpers. `exchange` is the one call that Python does not have.
SEAM = {
    f"storage/{name}.py" for name in ("transaction", "making", "entries", "leftovers", "output", "system", "exchange")
}
# What may write though it is no save.
OUTSIDE = {
    "storage/hdf5_worker.py": "bytes in memory that a child process reads as a file without a name",
    "storage/zip_foreign.py": "a large member that is read, inflated into a file without a name",
    "signing.py": "the library that signs reads a manifest and a key from a folder, which is then removed",
    "bridges/keras/live/restore.py": "a layer of Keras loads its assets from a folder, which is then removed",
    "bridges/keras/live/look.py": "a layer of Keras saves its assets into a folder, which is then removed",
    "storage/remote_spool.py": "what is remote is put together in files that are removed when they are closed",
    "storage/remote_download.py": "a reader of another format needs files, in a folder that is then removed",
    "cli/__init__.py": "the null device takes the place of a standard output that nobody reads",
}
# Test helpers, which no module of the library imports.
HELPERS = "testing/"
# Functions of `os` that change a file system, a file, or a lock.
OS = {
    *("chflags", "chmod", "chown", "copy_file_range", "fallocate", "fchmod", "fchown", "fdatasync", "fdopen", "fsync"),
    *("ftruncate", "lchmod", "lchown", "link", "lockf", "makedirs", "mkdir", "mkfifo", "mknod", "posix_fallocate"),
    *("pwrite", "pwritev", "remove", "removedirs", "removexattr", "rename", "renames", "replace", "rmdir", "sendfile"),
    *("setxattr", "splice", "symlink", "sync", "truncate", "unlink", "utime", "write", "writev"),
}
METHODS = {
    *("chmod", "hardlink_to", "lchmod", "mkdir", "rmdir", "symlink_to", "touch", "unlink", "write_bytes"),
    "write_text",
}
MODULES = {"shutil", "tempfile", "fcntl"}
WRITING_FLAGS = {"O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND", "O_EXCL", "O_TMPFILE"}


def writing_calls(tree: ast.AST) -> Iterator[str]:
    """The places of a module that may change a file system."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None) or node.names[0].name
            if module.partition(".")[0] in MODULES or module == "etui.storage.system":
                yield f"{node.lineno}: imports {module}"
        elif isinstance(node, ast.Attribute) and node.attr in WRITING_FLAGS:
            yield f"{node.lineno}: {node.attr}"
        elif isinstance(node, ast.Call):
            yield from _writing(node)


def _writing(node: ast.Call) -> Iterator[str]:
    function = node.func
    if isinstance(function, ast.Name) and function.id == "open" and _opens_to_write(node, 1):
        yield f"{node.lineno}: open"
    if not isinstance(function, ast.Attribute):
        return
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if owner == "os" and function.attr in OS:
        reads = function.attr == "fdopen" and not _opens_to_write(node, 1)
        if not reads:
            yield f"{node.lineno}: os.{function.attr}"
    elif owner == "os":
        return
    elif function.attr in METHODS or (function.attr in {"rename", "replace"} and _is_of_a_path(node)):
        yield f"{node.lineno}: .{function.attr}"
    elif function.attr == "open" and _opens_to_write(node, 0):
        yield f"{node.lineno}: .open"


def _opens_to_write(node: ast.Call, position: int) -> bool:
    """Whether a mode, if it is told as text, is one to write."""
    modes = [*node.args[position : position + 1], *(word.value for word in node.keywords if word.arg == "mode")]
    return any(
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and bool(set(mode.value) & set("wxa+"))
        for mode in modes
    )


def _is_of_a_path(node: ast.Call) -> bool:
    """`Path.replace` takes one argument; that of text takes two, and that of dataclasses names its fields."""
    return len(node.args) == 1 and not node.keywords


def modules() -> dict[str, list[str]]:
    """The calls that write of every module of the library that has some, by its name in the package."""
    names = {path.relative_to(PACKAGE).as_posix(): path for path in sorted(PACKAGE.rglob("*.py"))}
    calls = {
        name: list(writing_calls(ast.parse(path.read_text())))
        for name, path in names.items()
        if not name.startswith(HELPERS)
    }
    assert len(calls) > 100
    return {name: found for name, found in calls.items() if found}


@pytest.mark.library
def test_no_other_module_makes_calls_that_write() -> None:
    """In the text of no other module is there a call that changes a file system, but for those that are no saves."""
    found = modules()
    # What is excepted is still there, and the search finds it; so it finds the calls of the seam itself.
    assert set(found) - SEAM == set(OUTSIDE), {name: found[name] for name in set(found) - SEAM - set(OUTSIDE)}
    assert {"storage/system.py", "storage/transaction.py"} < set(found)


@pytest.mark.library
def test_the_search_finds_calls_that_write() -> None:
    """Each way to write a file that Python has is found, and what only looks like one is not."""
    writing = [
        "open('a', 'wb')",
        "open('a', mode='x')",
        "path.open('r+b')",
        "os.rename(a, b)",
        "os.pwrite(f, b, 0)",
        "path.replace(other)",
        "path.unlink()",
        "os.open(p, os.O_CREAT)",
        "import shutil",
        "from tempfile import TemporaryFile",
        "from etui.storage.system import calls",
    ]
    reading = [
        "open('a', 'rb')",
        "path.open()",
        "text.replace('a', 'b')",
        "replace(model, config=None)",
        "os.read(f, 1)",
    ]
    assert [text for text in writing if not list(writing_calls(ast.parse(text)))] == []
    assert [text for text in reading if list(writing_calls(ast.parse(text)))] == []


@pytest.mark.library
@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="Linux alone counts what a process writes")
def test_every_change_and_every_byte_of_a_save_goes_through_the_seam(tmp_path: Path) -> None:
    """While each kind of save runs, Python sees no other change of a file system, and the kernel no other byte."""
    environment = os.environ | {"PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, str(DRIVER), str(tmp_path), *SAVES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found) == list(SAVES)
    for name, seen in found.items():
        assert seen["stray"] == [], name
        assert seen["written"] == seen["counted"] > 100, name
        assert seen["through"] > 3, name
