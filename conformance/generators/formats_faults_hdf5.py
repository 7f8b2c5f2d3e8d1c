"""Faults in legacy HDF5 files (SPEC.md, annex C)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from formats_fault import Edit, Fault, hdf5, only

_FORMAT = "keras-h5"
_ONE = "keras2/rmsprop.h5"
_TWO = "keras1/sorted.h5"
_THREE = "keras2/renumbered.h5"
_MERGED = "keras1/theano.h5"


def _swapped(old: bytes, new: bytes) -> Edit:
    """The file with a text in place of another one of as many bytes, which is there once."""

    def change(data: bytes) -> bytes:
        if data.count(old) != 1 or len(old) != len(new):
            raise ValueError(f"{old!r} is there {data.count(old)} times, or {new!r} is longer or shorter")
        return data.replace(old, new)

    return only(change)


def _without(group: str, name: str) -> Edit:
    return hdf5(lambda file: _at(file, group).__delitem__(name))


def _with(group: str, name: str, change: Callable[[Any], Any]) -> Edit:
    """The file whose list of names is changed."""

    def edit(file: Any) -> None:
        attributes = _at(file, group)
        attributes[name] = change(attributes[name])

    return hdf5(edit)


def _at(file: Any, group: str) -> Any:
    return file[group].attrs


def _fault(name: str, sibling: str, edit: Edit, code: str, clause: str) -> Fault:
    return Fault(name, _FORMAT, sibling, edit, code, clauses=(clause,))


FAULTS = [
    *(
        Fault(f"{what} of Keras 1", _FORMAT, _MERGED, edit, "keras-legacy", "unsupported", ("KH-1",))
        for what, edit in (
            ("a Merge by a function", _swapped(b'"mode": "concat"', b'"mode": "lambda"')),
            ("a Graph", _swapped(b'"class_name": "Flatten"', b'"class_name": "Graph"  ')),
        )
    ),
    *(
        _fault(f"a legacy file with {what}", sibling, edit, "keras-h5", "KH-8")
        for what, sibling, edit in (
            ("no config", _ONE, _without("/", "model_config")),
            ("no list of layers", _ONE, _without("model_weights", "layer_names")),
            ("a layer without a list of arrays", _ONE, _without("model_weights/dense_1", "weight_names")),
            (
                "a list that names a layer twice",
                _ONE,
                _with("model_weights", "layer_names", lambda names: [*names] * 2),
            ),
            (
                "a list that names an array twice",
                _ONE,
                _with("model_weights/dense_1", "weight_names", lambda names: [*names, names[0]]),
            ),
            (
                "a list that names a layer that is not there",
                _ONE,
                _with("model_weights", "layer_names", lambda names: [*names, b"absent"]),
            ),
            (
                "a list that names an array that is not there",
                _TWO,
                _with("optimizer_weights", "weight_names", lambda names: [*names, b"absent:0"]),
            ),
        )
    ),
    *(
        _fault(f"a legacy file with {what}", sibling, edit, "keras-h5-layers", "KH-9")
        for what, sibling, edit in (
            (
                "an array more than the attributes of its layer give",
                _ONE,
                _swapped(b'"use_bias": true', b'"use_bias":false'),
            ),
            ("an array of another shape than the attributes give", _ONE, _swapped(b'"units": 2', b'"units": 3')),
            (
                "names of layers in another order than the config's",
                _THREE,
                _with("model_weights", "layer_names", lambda names: names[[1, 0, 2]]),
            ),
            (
                "fewer layers than the config has, of other names",
                _THREE,
                _with("model_weights", "layer_names", lambda names: names[[0, 2]]),
            ),
        )
    ),
]
