"""Faults in weights files of several data files, and in the YAML of a model (SPEC.md, annex D)."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

from formats_fault import Edit, Fault, Files, hdf5, only

_INDEX, _FIRST, _SECOND = "model.weights.json", "model_00000.weights.h5", "model_00001.weights.h5"
_SPREAD = f"keras/spread/{_INDEX}"
_YAML = "keras2/model.yaml"
_GROUP, _OTHER = "/layers/dense/vars", "/layers/dense_1/vars"


def _index(change: Callable[[Any], object], files: Callable[[Files], Files] = lambda found: found) -> Edit:
    """The index and its data files with a change to the one or the others."""

    def edit(found: Files) -> Files:
        tree = json.loads(found[_INDEX])
        change(tree)
        return files(found) | {_INDEX: json.dumps(tree, indent=4).encode()}

    return edit


def _mapped(group: str, names: Any, files: Callable[[Files], Files] = lambda found: found) -> Edit:
    return _index(lambda tree: tree["weight_map"].update({group: names}), files)


def _renamed(old: str, new: str) -> Edit:
    """The set whose data file has another name, in the index too."""

    def edit(found: Files) -> Files:
        text = found[_INDEX].replace(old.encode(), new.encode())
        return {new if name == old else name: data for name, data in found.items()} | {_INDEX: text}

    return edit


def _without_map(tree: Any) -> None:
    del tree["weight_map"]


def _disagreeing(found: Files) -> Files:
    edit = hdf5(lambda file: file[_GROUP].attrs.__setitem__("name", "dense_7"))
    return found | {_SECOND: edit({_SECOND: found[_SECOND]})[_SECOND]}


def _array(data: bytes) -> bytes:
    """A file with one of the arrays of another one, and with nothing else."""
    import h5py

    file = io.BytesIO()
    with h5py.File(io.BytesIO(data)) as found, h5py.File(file, "w") as made:
        path = f"{_OTHER}/0"
        made.create_dataset(path, data=found[path][()])
    return file.getvalue()


def _text(old: bytes, new: bytes) -> Edit:
    def change(data: bytes) -> bytes:
        if data.count(old) != 1:
            raise ValueError(f"{old!r} is there {data.count(old)} times")
        return data.replace(old, new)

    return only(change)


def _more(lines: str) -> Edit:
    """The YAML with more fields in the config of the layer."""
    return _text(b"      units: 3\n", f"      units: 3\n{lines}".encode())


def _bomb(levels: int, width: int) -> str:
    """Lists of aliases of lists, each so many times as long as the one before."""
    lists = [f"      a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * width)}]\n" for at in range(1, levels)]
    return "".join(["      a0: &a0 [1]\n", *lists])


FAULTS = [
    *(
        Fault(f"an index {what}", "keras-weights", _SPREAD, edit, "weight-map", "invalid", ("KW-1",))
        for what, edit in (
            ("without a map", _index(_without_map)),
            ("whose metadata is a list", _index(lambda tree: tree.update(metadata=[]))),
            ("that names a number in place of a file", _mapped(_GROUP, [_FIRST, 1])),
            ("that names a file twice for a group", _mapped(_OTHER, [_FIRST, _FIRST])),
            (
                "with the path of a group that begins with no slash",
                lambda found: found | {_INDEX: found[_INDEX].replace(b'"/layers/dense_1', b'"layers/dense_1')},
            ),
            ("of files that disagree about the name of a group", _disagreeing),
        )
    ),
    *(
        Fault(f"an index that names {what}", "keras-weights", _SPREAD, edit, "sibling-name", "unsafe", ("KW-2",))
        for what, edit in (
            ("a file in a folder", _renamed(_SECOND, f"below/{_SECOND}")),
            (
                "a folder in place of a file",
                _mapped(_OTHER, [_FIRST, "folder"], lambda found: found | {"folder/empty": b""}),
            ),
        )
    ),
    Fault(
        "an index that names a file that is not there",
        "keras-weights",
        _SPREAD,
        _mapped(_OTHER, [_FIRST, "model_00002.weights.h5"]),
        "sibling-missing",
        "integrity",
        ("KW-3",),
    ),
    *(
        Fault(f"an index of {what}", "keras-weights", _SPREAD, edit, "weight-map-array", "invalid", ("KW-4",))
        for what, edit in (
            (
                "files of which two have an array",
                _mapped(_OTHER, [_FIRST, "more.h5"], lambda found: found | {"more.h5": _array(found[_FIRST])}),
            ),
            ("a file that it does not name for one of the groups with arrays there", _mapped(_GROUP, _FIRST)),
            ("a group that has no arrays", _mapped("/layers/absent/vars", _FIRST)),
        )
    ),
    *(
        Fault(f"YAML {what}", "keras-json", _YAML, edit, "keras-yaml", "malformed", ("KW-14",))
        for what, edit in (
            ("of two documents", only(lambda data: data + b"---\nclass_name: A\n")),
            ("with a key twice", _more("      units: 3\n")),
            ("with a number as a key", _more("      7: 3\n")),
        )
    ),
    *(
        Fault(f"YAML with {what}", "keras-json", _YAML, edit, "keras-yaml-tag", "unsafe", ("KW-15",))
        for what, edit in (
            ("the tag of a function", _text(b"activation: relu", b"activation: !!python/name:os.system ''")),
            ("a tag of its own", _text(b"activation: relu", b"activation: !own relu")),
            ("a date", _more("      when: 2020-01-01\n")),
            ("the tag of an object", _more("      made: !!python/object/apply:os.getcwd []\n")),
        )
    ),
    *(
        Fault(f"YAML {what}", "keras-json", _YAML, edit, "limit-document", "limit", ("KW-16",))
        for what, edit in (
            ("of 101 levels", _more(f"      deep: {'[' * 98}1{']' * 98}\n")),
            ("of aliases that stand for 300,000 values", _more(_bomb(6, 11))),
        )
    ),
]
