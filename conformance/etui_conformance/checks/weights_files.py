"""Weights files and documents of Keras that no vector can hold: large ones, odd names of files, and what is written."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from etui_conformance.checks.base import Check, Context, Mismatch
from etui_conformance.protocol.session import Reply
from etui_conformance.protocol.wire import new_path
from etui_conformance.resources import vectors_directory

_REQUEST: Final = "CF-30"
_INDEX, _FIRST, _SECOND = "model.weights.json", "model_00000.weights.h5", "model_00001.weights.h5"
_DIGITS: Final = 16
"""So many of a digest are looked for in the name of a file."""
_LONGEST: Final = 250
"""So many bytes has the name of an earlier data file; file systems take 255."""
_MIB: Final = 1 << 20


def checks() -> list[Check]:
    """The checks, each for those who know its format."""
    asks: list[tuple[str, tuple[str, ...], str, str, Callable[[Context], None]]] = [
        (
            f"index/{name}",
            ("KW-2",),
            "keras-weights",
            f"Refuses an index that names {title}.",
            partial(_refuses_names, make),
        )
        for name, title, make in _NAMES
    ]
    asks += [
        ("index/values", ("KW-20",), "keras-weights", "Reads no index of more values than the limit.", _index_values),
        ("config/values", ("KW-20",), "keras-json", "Reads no config of more values than the limit.", _config_values),
        ("config/yaml", ("KW-16",), "keras-json", "Reads no YAML that is longer than the limit.", _yaml_length),
        ("index/earlier", ("KW-13",), "keras-weights", "Leaves an index whose successor is not written.", _earlier),
        ("index/names", ("KW-12",), "keras-weights", "Names data files after their content.", _digests),
    ]
    return [
        Check(f"weights-files/{name}", (*clauses, _REQUEST), frozenset({"convert", f"format:{needed}"}), title, run)
        for name, clauses, needed, title, run in asks
    ]


def _source(name: str) -> Path:
    return vectors_directory() / "formats" / name


def _converted(context: Context, source: Path, to: str, target: Path) -> Reply:
    return context.session.ask("convert", source=str(source), to=to, path=str(target), options={"strict": False})


def _accepted(context: Context, source: Path, to: str = "etui", target: Path | None = None) -> None:
    reply = _converted(context, source, to, target or new_path(context.folder, ".etui"))
    if reply.result != "ok":
        raise Mismatch(f"{source.name} is not converted", expected="ok", found=dict(reply.fields))


def _refused(context: Context, source: Path, error_class: str, code: str) -> None:
    reply = _converted(context, source, "etui", new_path(context.folder, ".etui"))
    if reply.refusal != (error_class, code):
        found = reply.refusal or reply.result
        raise Mismatch(f"{source.name} is not refused as it must be", expected=(error_class, code), found=found)


# An index and its data files, one of which has another name


def _set(context: Context) -> Path:
    """A copy of an index with two data files."""
    place = new_path(context.folder)
    shutil.copytree(_source("sources/keras/spread"), place)
    return place / _INDEX


def _named(name: str, index: Path) -> None:
    """Give the second data file another name."""
    index.with_name(_SECOND).rename(index.with_name(name))
    tree = json.loads(index.read_text(encoding="utf-8"))
    for group, files in tree["weight_map"].items():
        tree["weight_map"][group] = [name if file == _SECOND else file for file in files]
    index.write_text(json.dumps(tree), encoding="utf-8")


def _linked(index: Path) -> None:
    path = index.with_name(_SECOND)
    path.rename(index.with_name("elsewhere"))
    path.symlink_to("elsewhere")


_NAMES: Final[tuple[tuple[str, str, Callable[[Path], None]], ...]] = (
    ("backslash", "a file with a backslash in its name", partial(_named, "below\\model.weights.h5")),
    ("colon", "a file with a colon in its name", partial(_named, "C:model.weights.h5")),
    ("control", "a file with a control character in its name", partial(_named, "model\n.weights.h5")),
    ("dot", "a file whose name ends with a dot", partial(_named, "model.weights.h5.")),
    ("space", "a file whose name ends with a space", partial(_named, "model.weights.h5 ")),
    ("case", "two files whose names differ in case alone", partial(_named, _FIRST.upper())),
    ("link", "a symbolic link", _linked),
)


def _refuses_names(make: Callable[[Path], None], context: Context) -> None:
    index = _set(context)
    _accepted(context, index)
    try:
        make(index)
    except OSError:
        return  # no such file can be there, so that nobody can be asked for it
    _refused(context, index, "unsafe", "sibling-name")


# Documents at a limit, and one value or byte above it


def _values(data: bytes) -> int:
    return sum(map(data.count, (b",", b"[", b"{")))


def _at_limit(context: Context, path: Path, make: Callable[[str], Any], limit: int) -> None:
    """A document whose text has so many values is read, and one with a value more is not."""
    filled = limit - _values(json.dumps(make("")).encode())
    path.write_text(json.dumps(make("," * filled)), encoding="utf-8")
    _accepted(context, path)
    path.write_text(json.dumps(make("," * (filled + 1))), encoding="utf-8")
    _refused(context, path, "limit", "limit-document")


def _index_values(context: Context) -> None:
    index = _set(context)
    tree = json.loads(index.read_text(encoding="utf-8"))
    _at_limit(context, index, lambda text: tree | {"metadata": {"note": text}}, 500_000)


def _config_values(context: Context) -> None:
    tree = json.loads(_source("sources/keras2/model.json").read_text(encoding="utf-8"))

    def noted(text: str) -> Any:
        tree["config"]["layers"][0]["config"]["note"] = text
        return tree

    _at_limit(context, new_path(context.folder, ".json"), noted, 1_000_000)


def _yaml_length(context: Context) -> None:
    path = new_path(context.folder, ".yaml")
    text = _source("sources/keras2/model.yaml").read_bytes()
    line = b"#" * 1023 + b"\n"
    filled = 4 * _MIB - len(text)
    path.write_bytes(text + line * (filled // len(line)) + b"\n" * (filled % len(line)))
    _accepted(context, path)
    with path.open("ab") as file:
        file.write(b"\n")
    _refused(context, path, "limit", "limit-document")


# What is written


def _files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def _written(context: Context, to: str, suffix: str, source: str) -> Path:
    """An artifact of the vectors, written to a format in a folder of its own."""
    target = new_path(context.folder) / f"model{suffix}"
    target.parent.mkdir()
    _accepted(context, _source(source), to, target)
    return target


def _digests(context: Context) -> None:
    one = _written(context, "keras-weights", ".weights.json", "0001.etui")
    two = _written(context, "keras-weights", ".weights.json", "0001.etui")
    if _files(one.parent) != _files(two.parent):
        expected, found = (sorted(_files(index.parent)) for index in (one, two))
        raise Mismatch("the same model gives other files when it is written again", expected=expected, found=found)
    for name in _listed(one):
        digest = hashlib.sha256(one.with_name(name).read_bytes()).hexdigest()
        if digest[:_DIGITS] not in name:
            raise Mismatch(
                "the name of a data file does not hold the SHA-256 of its content", expected=digest, found=name
            )


def _listed(index: Path) -> list[str]:
    """The data files that an index names; there is at least one."""
    tree = json.loads(index.read_text(encoding="utf-8"))
    found = sorted(set(_names(tree["weight_map"].values())))
    if not found:
        raise Mismatch("the index names no file")
    return found


def _names(listed: Any) -> Iterator[str]:
    for files in listed:
        yield from files if isinstance(files, list) else [files]


def _earlier(context: Context) -> None:
    """Names of data files that hold a digest are too long for a file system here, so that no writer can end."""
    place = new_path(context.folder)
    place.mkdir()
    base = "m" * (_LONGEST - len("_00000.weights.h5"))
    text = _source(f"sources/keras/spread/{_INDEX}").read_bytes()
    for name in (_FIRST, _SECOND):
        new = name.replace("model", base)
        shutil.copyfile(_source(f"sources/keras/spread/{name}"), place / new)
        text = text.replace(name.encode(), new.encode())
    index = place / f"{base}.weights.json"
    index.write_bytes(text)
    before = _files(place)
    if _converted(context, _source("0001.etui"), "keras-weights", index).result == "ok":
        return
    found = _files(place)
    wrong = [name for name, data in before.items() if found.get(name) != data]
    if wrong:
        raise Mismatch("files of the earlier index are not as they were", expected=[], found=wrong)
