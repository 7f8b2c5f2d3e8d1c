"""Small contents with which the protocol itself is tried: they need no more of an implementation than they must."""

from __future__ import annotations

import struct
from typing import Any

from etui_conformance.oracle import packed, writing

Content = dict[str, Any]

KERNEL, BIAS, TIED = "dense/kernel", "dense/bias", "tied/kernel"


def floats(*values: float) -> bytes:
    """Values as float32."""
    return struct.pack(f"<{len(values)}f", *values)


def weights(seed: int = 1) -> Content:
    """A kernel, a bias and an alias; contents of different seeds differ in nothing but the numbers."""
    kernel = floats(*(seed + step / 8 for step in range(6)))
    return weights_of(
        {
            BIAS: {"dtype": "float32", "shape": [3], "data": floats(seed, -seed, 0.5)},
            KERNEL: {"dtype": "float32", "shape": [2, 3], "data": kernel},
        },
        {TIED: KERNEL},
    )


def weights_of(tensors: dict[str, dict[str, Any]], aliases: dict[str, str] | None = None) -> Content:
    """A content of nothing but these variables."""
    variables = {
        path: {
            "dtype": tensor["dtype"],
            "order": order,
            "role": path.rpartition("/")[2],
            "shape": tensor["shape"],
            "trainable": True,
            **_encoding(tensor),
        }
        for order, (path, tensor) in enumerate(sorted(tensors.items()))
    }
    document = {"aliases": aliases or {}, "format": "etui-weights", "variables": variables, "version": "1.0"}
    return {"profile": "weights", "weights": document, "tensors": {"weights": tensors}}


def _encoding(tensor: dict[str, Any]) -> dict[str, str]:
    kinds = {"complex64": "complex", "complex128": "complex", "int4": "packed4", "uint4": "packed4"}
    kinds |= {"string": "string", "bytes": "string"}
    found = "quantized" if "components" in tensor else kinds.get(tensor["dtype"])
    return {} if found is None else {"encoding": found}


def noted() -> Content:
    """Weights whose documents hold what a careless reader drops or changes: `x-` fields, and lines in a text."""
    content = weights()
    content["metadata"] = {"note": "two\nlines,\u2028and a third"}
    content["weights"]["x-origin"] = {"of": [1, 0.5, None, "a\tb"]}
    content["weights"]["variables"][BIAS]["x-note"] = "kept"
    return content


def everything() -> Content:
    """A training in all areas: an unknown op, an optimizer with a slot, a generator, a loss and an asset."""
    content = noted()
    content["profile"] = "training"
    content["config"] = {
        "format": "etui-config",
        "model": {
            "attrs": {"units": 3, "vocabulary": {"$asset": "assets/words.txt"}},
            "kind": "layer",
            "name": "dense",
            "op": "custom:nobody>Dense",
            "params": {"bias": BIAS, "kernel": KERNEL},
        },
        "version": "1.0",
    }
    content["training"] = {"format": "etui-training", "loss": "mean_squared_error", "version": "1.0"}
    slot = f"optimizer/slots/{BIAS}/momentum"
    content["optimizer"] = {
        "format": "etui-optimizer",
        "optimizers": {
            "optimizer": {
                "algorithm": "keras:SGD",
                "fresh": [KERNEL],
                "groups": [{"variables": [BIAS, KERNEL]}],
                "hyperparameters": {"learning_rate": 0.125, "momentum": 0.5},
                "learning_rate": 0.125,
                "micro_step": 7,
                "slots": {BIAS: {"momentum": {"$stored": slot}}},
                "step": 7,
            }
        },
        "tensors": {slot: {"dtype": "float32", "shape": [3]}},
        "version": "1.0",
    }
    generator = "rng/dropout/state"
    content["state"] = {
        "counters": {"batch": 2, "epoch": 1},
        "format": "etui-state",
        "rng": {"dropout": {"algorithm": "keras:SeedGenerator", "state": {"$stored": generator}}},
        "tensors": {generator: {"dtype": "uint32", "shape": [2]}},
        "version": "1.0",
    }
    content["tensors"] |= {
        "optimizer": {slot: {"dtype": "float32", "shape": [3], "data": floats(0.25, -0.0, 3)}},
        "state": {generator: {"dtype": "uint32", "shape": [2], "data": struct.pack("<2I", 17, 0xFFFFFFFF)}},
    }
    content["parts"] = {"assets/words.txt": {"role": "asset", "media_type": "text/plain", "data": b"one\ntwo\n"}}
    return content


def large() -> Content:
    """One tensor of more than 1 MiB, so that it goes by file."""
    count = 300_000
    data = struct.pack(f"<{count}f", *range(count))
    return weights_of({KERNEL: {"dtype": "float32", "shape": [count], "data": data}})


def dense_model() -> Content:
    """A graph of the core vocabulary: a dense op on one input, in float64."""
    content = weights_of(
        {
            BIAS: {"dtype": "float64", "shape": [1], "data": struct.pack("<d", 0.5)},
            KERNEL: {"dtype": "float64", "shape": [2, 1], "data": struct.pack("<2d", 2.0, -1.0)},
        }
    )
    precision = {"compute_dtype": "float64", "variable_dtype": "float64"}
    call = {"args": [{"$output": ["input", 0]}], "id": "dense", "kwargs": {}, "module": "dense"}
    content["config"] = {
        "format": "etui-config",
        "model": {
            "graph": {
                "calls": [{"args": [], "id": "input", "kwargs": {}, "module": "input"}, call],
                "inputs": [{"$output": ["input", 0]}],
                "outputs": [{"$output": ["dense", 0]}],
            },
            "kind": "graph",
            "modules": [
                {
                    "attrs": {"dtype": "float64", "shape": [None, 2]},
                    "kind": "layer",
                    "name": "input",
                    "op": "core:input",
                },
                {
                    "attrs": {"precision": precision, "units": 1},
                    "kind": "layer",
                    "name": "dense",
                    "op": "core:dense",
                    "params": {"bias": BIAS, "kernel": KERNEL},
                },
            ],
            "name": "line",
            "op": "core:graph",
        },
        "version": "1.0",
    }
    return content


def archive(content: Content) -> bytes:
    """The packed form of a content."""
    return packed.pack(writing.write(content))
