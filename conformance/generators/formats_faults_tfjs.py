"""Faults in models of TensorFlow.js (SPEC.md, annex H)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from formats_fault import Edit, Fault, Files

_LAYERS, _GRAPH, _WEIGHTS = "tfjs/layers", "tfjs/graph", "tfjs/weights"
_MODEL, _MANIFEST = "model.json", "weights_manifest.json"
_FORMATS = {_LAYERS: "tfjs-layers", _GRAPH: "tfjs-graph", _WEIGHTS: "tfjs-weights"}


def _document(change: Callable[[Any], object], name: str = _MODEL) -> Edit:
    """The edit of the document."""

    def edit(files: Files) -> Files:
        tree = json.loads(files[name])
        change(tree)
        return files | {name: json.dumps(tree).encode()}

    return edit


def _path(path: Any) -> Edit:
    """Another name of the first file."""
    return _document(lambda tree: tree["weightsManifest"][0]["paths"].__setitem__(0, path))


def _entry(at: int, **fields: Any) -> Edit:
    """Other fields of a weight."""
    return _document(lambda tree: tree["weightsManifest"][0]["weights"][at].update(fields))


def _quantized(at: int = 0, **fields: Any) -> Edit:
    """Other fields of the quantization of a weight."""
    return _document(lambda tree: tree["weightsManifest"][0]["weights"][at]["quantization"].update(fields))


def _without(name: str) -> Edit:
    return lambda files: {key: data for key, data in files.items() if key != name}


def _resized(name: str, change: Callable[[bytes], bytes]) -> Edit:
    return lambda files: files | {name: change(files[name])}


def _with_a_weight(tree: dict[str, Any]) -> None:
    """One weight more, of no bytes."""
    tree["weightsManifest"][0]["weights"].append({"name": "third/bias", "shape": [0], "dtype": "float32"})


_FAULTS: list[tuple[str, str, Edit, str, str, str]] = [
    (
        "a model that is none",
        _LAYERS,
        _document(lambda tree: tree["modelTopology"].update(model_config=3)),
        "invalid",
        "tfjs-form",
        "KJ-2",
    ),
    (
        "a training config that is none",
        _LAYERS,
        _document(lambda tree: tree.update(trainingConfig=3)),
        "invalid",
        "tfjs-form",
        "KJ-2",
    ),
    (
        "a manifest that is none",
        _LAYERS,
        _document(lambda tree: tree.update(weightsManifest={"paths": []})),
        "invalid",
        "tfjs-form",
        "KJ-2",
    ),
    (
        "a group that is none",
        _GRAPH,
        _document(lambda tree: tree.update(weightsManifest=[None])),
        "invalid",
        "tfjs-form",
        "KJ-2",
    ),
    ("a file twice", _LAYERS, _path("w2.bin"), "invalid", "tfjs-form", "KJ-2"),
    ("a weight twice", _LAYERS, _entry(0, name="first/bias"), "invalid", "tfjs-form", "KJ-2"),
    ("a path upward", _LAYERS, _path("../w1.bin"), "unsafe", "tfjs-path", "KJ-3"),
    ("an absolute path", _LAYERS, _path("/w1.bin"), "unsafe", "tfjs-path", "KJ-3"),
    ("a path with a backslash", _LAYERS, _path("..\\w1.bin"), "unsafe", "tfjs-path", "KJ-3"),
    ("an address", _LAYERS, _path("https://example.org/w1.bin"), "unsafe", "tfjs-path", "KJ-3"),
    ("a path with a query", _LAYERS, _path("w1.bin?token=1"), "unsafe", "tfjs-path", "KJ-3"),
    ("an empty path", _LAYERS, _path(""), "unsafe", "tfjs-path", "KJ-3"),
    ("a path with a zero byte", _LAYERS, _path("w\0.bin"), "unsafe", "tfjs-path", "KJ-3"),
    ("a file that is not there", _LAYERS, _without("w2.bin"), "integrity", "tfjs-data", "KJ-5"),
    (
        "a group that is too short",
        _LAYERS,
        _resized("w2.bin", lambda data: data[:-1]),
        "integrity",
        "tfjs-data",
        "KJ-5",
    ),
    (
        "a group that is too long",
        _LAYERS,
        _resized("w2.bin", lambda data: data + b"\0"),
        "integrity",
        "tfjs-data",
        "KJ-5",
    ),
    (
        "a string that ends beyond its group",
        _GRAPH,
        _resized("group1-shard1of1.bin", lambda data: data.replace(b"\2\0\0\0hi", b"\2\0\0\xffhi")),
        "integrity",
        "tfjs-data",
        "KJ-5",
    ),
    ("an unknown dtype", _LAYERS, _entry(1, dtype="float64"), "unsupported", "tfjs-dtype", "KJ-6"),
    (
        "a quantization of truth values",
        _GRAPH,
        _entry(4, quantization={"dtype": "uint8", "min": 0, "scale": 1}),
        "invalid",
        "tfjs-quantization",
        "KJ-8",
    ),
    ("a scale of zero", _LAYERS, _quantized(scale=0), "invalid", "tfjs-quantization", "KJ-8"),
    ("a scale that is a word", _LAYERS, _quantized(scale="1"), "invalid", "tfjs-quantization", "KJ-8"),
    (
        "a quantization whose numbers the dtype does not hold",
        _GRAPH,
        _quantized(1, scale=1e9),
        "invalid",
        "tfjs-quantization",
        "KJ-8",
    ),
    ("a weight of no layer", _LAYERS, _entry(1, name="third/bias"), "invalid", "tfjs-weights", "KJ-13"),
    ("a weight that no layer has", _LAYERS, _document(_with_a_weight), "invalid", "tfjs-weights", "KJ-13"),
    (
        "no weights",
        _LAYERS,
        _document(lambda tree: tree.update(weightsManifest=[])),
        "invalid",
        "tfjs-weights",
        "KJ-13",
    ),
    (
        "weights alone, a group of which is none",
        _WEIGHTS,
        _document(lambda groups: groups.append({"paths": []}), _MANIFEST),
        "invalid",
        "tfjs-form",
        "KJ-2",
    ),
    (
        "weights alone, a file of which is not there",
        _WEIGHTS,
        _without("model-shard2"),
        "integrity",
        "tfjs-data",
        "KJ-5",
    ),
]

FAULTS = [
    Fault(name, _FORMATS[sibling], sibling, edit, code, error_class, (clause,))
    for name, sibling, edit, error_class, code, clause in _FAULTS
]
