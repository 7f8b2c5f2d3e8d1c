"""Contents that are written by hand, for the checks of writers: small, and each with one thing in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Content = dict[str, Any]
Tensor = dict[str, Any]
Tree = dict[str, Any]

VERSION = "1.0"
FLAG: Tensor = {"dtype": "uint8", "shape": [1], "data": b"\x07"}


def tensor(dtype: str, shape: Sequence[int], data: bytes) -> Tensor:
    """A tensor of its bytes."""
    return {"dtype": dtype, "shape": list(shape), "data": data}


def texts(dtype: str, shape: Sequence[int], items: Sequence[bytes]) -> Tensor:
    """A tensor of strings or byte strings."""
    return {"dtype": dtype, "shape": list(shape), "strings": list(items)}


def quantized(dtype: str, shape: Sequence[int], **components: Tensor) -> Tensor:
    """A quantized tensor, whose data nobody looks at."""
    return {"dtype": dtype, "shape": list(shape), "data": b"", "components": components}


def entry(one: Tensor, **more: Any) -> Tree:
    """What an index says of a tensor, but for its place."""
    encoding = {"encoding": "quantized"} if "components" in one else {}
    return {"dtype": one["dtype"], "shape": one["shape"], **encoding, **more}


def variable(one: Tensor, order: int, **more: Any) -> Tree:
    """The entry of a variable."""
    return entry(one, order=order, role="kernel", trainable=True, **more)


def weights(tensors: Mapping[str, Tensor], aliases: Mapping[str, str] | None = None) -> Content:
    """A content of variables, in the order in which they are given."""
    variables = {path: variable(one, order) for order, (path, one) in enumerate(tensors.items())}
    document = {"format": "etui-weights", "version": VERSION, "variables": variables, "aliases": dict(aliases or {})}
    return {"weights": document, "tensors": {"weights": dict(tensors)}}


def state(tensors: Mapping[str, Tensor] | None = None, **fields: Any) -> Content:
    """A content with the state of a run, and weights without a variable, which its profile needs."""
    named = dict(tensors or {})
    document = {
        "format": "etui-state",
        "version": VERSION,
        **fields,
        "tensors": {name: entry(named[name]) for name in named},
    }
    content = weights({})
    content["tensors"]["state"] = named
    return {**content, "state": document}


def config(**module: Any) -> Content:
    """A content whose model is one module."""
    model = {"name": "m", "kind": "layer", "op": "other:Thing", **module}
    return {"config": {"format": "etui-config", "version": VERSION, "model": model}}


def training(**fields: Any) -> Tree:
    """The document of what a model is trained with."""
    return {"format": "etui-training", "version": VERSION, **fields}


def optimizer(one: Tree, tensors: Mapping[str, Tensor]) -> Content:
    """A content with one optimizer and weights of a variable `a`.

    Args:
        one: fields of the optimizer beside the required ones.
        tensors: by their names in the document.
    """
    content = weights({"a": FLAG})
    content["optimizer"] = {
        "format": "etui-optimizer",
        "version": VERSION,
        "optimizers": {
            "optimizer": {"algorithm": "other:Rule", "learning_rate": 0.1, "micro_step": 0, "step": 0, **one}
        },
        "tensors": {name: entry(item) for name, item in tensors.items()},
    }
    content["tensors"]["optimizer"] = dict(tensors)
    return content


def part(role: str, data: bytes, media_type: str = "application/octet-stream", **more: Any) -> Tree:
    """A part that is no document."""
    return {"role": role, "media_type": media_type, "data": data, **more}


def native(data: bytes, **bindings: str) -> Tree:
    """A native document of an imaginary framework.

    Args:
        data: its bytes.
        bindings: role of a document -> digest.
    """
    names = {"optimizer": "optimizer.msgpack", "state": "state.msgpack"}
    bound = {names.get(role, f"{role}.json"): text for role, text in bindings.items()}
    return part("native", data, "application/json", framework="other", framework_version="1.2", bindings=bound)


def everything() -> Content:
    """A content with every document, every role of part, an alias, and fields that begin with `x-` at many places."""
    slot = tensor("float32", [2, 2], bytes(range(16)))
    tensors = {
        "dense/kernel": tensor("float32", [2, 2], bytes(range(16, 32))),
        "dense/bias": tensor("float64", [2], bytes(range(16))),
        "steps": tensor("int64", [], b"\x01" * 8),
    }
    content = weights(tensors, {"tied/kernel": "dense/kernel"})
    content["weights"]["x-note"] = ["kept", 1, None]
    content["weights"]["variables"]["dense/bias"]["x-note"] = {"a": True}
    dense = {
        "name": "dense",
        "kind": "layer",
        "op": "other:Dense",
        "attrs": {"size": 2, "rate": 0.25},
        "params": {"bias": "dense/bias", "kernel": "dense/kernel"},
        "residue": {"other": {"seed": 7}},
        "x-note": "of a module",
    }
    inner = {
        "name": "words",
        "kind": "opaque",
        "op": "custom:mine>Words",
        "attrs": {"file": {"$asset": "assets/w.txt"}},
    }
    content |= config(modules=[dense, inner], build={"$tuple": [None, 2]})
    loss = {"$object": {"class": "other:losses.Mean", "config": {"axis": -1}}}
    content["training"] = training(loss=loss, metrics=["mae"], **{"x-note": 1})
    slots = {"dense/kernel": {"momentum": {"$stored": "optimizer/slots/dense/kernel/momentum"}}}
    one = {
        "algorithm": "other:Rule",
        "groups": [{"variables": ["dense/kernel", "dense/bias"], "x-note": 2}],
        "fresh": ["dense/bias"],
        "slots": slots,
        "learning_rate": {"$float": "1"},
        "micro_step": 3,
        "step": 3,
        "x-note": {"$float": "nan"},
    }
    content["optimizer"] = {
        "format": "etui-optimizer",
        "version": VERSION,
        "optimizers": {"optimizer": one},
        "tensors": {"optimizer/slots/dense/kernel/momentum": entry(slot, **{"x-note": "of a tensor"})},
        "x-note": {"$bytes": "AAE="},
    }
    content["state"] = {
        "format": "etui-state",
        "version": VERSION,
        "counters": {"epoch": 3},
        "rng": {"seeds": {"algorithm": "other:Seeds", "state": {"$stored": "rng/seeds/state"}}},
        "tensors": {"rng/seeds/state": entry(tensor("uint32", [2], bytes(8)))},
        "user": {"when": 0.5},
    }
    content["tensors"] |= {
        "optimizer": {"optimizer/slots/dense/kernel/momentum": slot},
        "state": {"rng/seeds/state": tensor("uint32", [2], bytes(8))},
    }
    content["parts"] = {
        "assets/w.txt": part("asset", b"one\r\ntwo\n\xff\0", "text/plain"),
        "programs/run/main.onnx": part("program", b"\x08\x01"),
        "native/other/config.json": native(b'{ "b": 1,\n "a": 2 }'),
    }
    content["metadata"] = {"by": "the suite", "score": {"$float": "1"}}
    return content
