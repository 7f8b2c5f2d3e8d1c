"""Vectors of training and of optimizers (SPEC.md chapters 14 and 15)."""

from __future__ import annotations

from typing import Any

from vectors_contents import config, f32, joined, layer, numbers, optimizer, quantized, stored, texts, training, weights
from vectors_kit import Area
from vectors_parts import OPTIMIZER, TRAINING, Edit, add, both, drop, put, rename

from etui_conformance.oracle.msgpack import Stored

_OUTER = ("optimizers", "optimizer")
_ADAM = (*_OUTER, "inner")
_PREFIX = "optimizer/inner"


def areas() -> list[Area]:
    """The vectors of both documents."""
    return [trainings(), optimizers()]


def _trained(**fields: Any) -> dict[str, Any]:
    return joined(config(layer("m")), training(**fields))


def trainings() -> Area:
    """Chapter 14."""
    found = Area("training", "config", "training")
    huber = {"$object": {"class": "example:losses.Huber", "config": {"delta": {"$float": "1"}}}}
    own = {"$object": {"class": "custom:mine>Metric", "config": {}}}
    precision = {"compute_dtype": "bfloat16", "name": "mixed_bfloat16", "variable_dtype": "float32"}
    full = {
        "added_losses": ["encoder/kl", "a"],
        "class_weighting": {"$map": [[0, {"$float": "1"}], [1, 2.5]]},
        "loss": {"a": "mse", "b": huber, "c": None},
        "loss_weights": {"a": {"$float": "1"}, "b": 0.5},
        "metrics": [["mae", own], None],
        "options": {"steps_per_execution": 1},
        "precision": precision | {"more": [1]},
        "residue": {"example": {"jit": False}},
        "sample_weighting": "temporal",
        "weighted_metrics": [["accuracy"]],
    }
    found.valid("training of nothing", "T-1 T-2", _trained())
    found.valid("training with every field", "T-1 T-2 T-3 T-4", _trained(**full))
    base = found.valid(
        "losses, metrics, and a precision",
        "T-1 T-2 T-3 T-4",
        _trained(loss=huber, metrics=["mae", own], options={"a": 1}, precision=precision),
    )
    form = "training-form"
    rows: list[tuple[str, str, str, Edit]] = [
        ("another format", "T-1", form, put("etui", "format")),
        ("no format", "T-1", form, drop("format")),
        ("an unknown field", "T-1 Q-7", form, put("mse", "losses")),
        ("an added loss that is no name", "T-1", form, put([1], "added_losses")),
        ("added losses in a map", "T-1", form, put({"a": 1}, "added_losses")),
        ("options in a list", "T-1", form, put([1], "options")),
        ("options that are a tagged map", "T-1", form, put({"$map": [[1, 2]]}, "options")),
        ("a null loss", "T-2", form, put(None, "loss")),
        ("no metrics in a list", "T-2 Q-10", form, put([], "metrics")),
        ("no metrics in a map", "T-2 Q-10", form, put({}, "metrics")),
        ("a loss without letters", "T-2", form, put("", "loss")),
        ("empty options", "T-2 Q-10", form, put({}, "options")),
        ("no added losses in a list", "T-2 Q-10", form, put([], "added_losses")),
        ("an empty residue", "T-2 Q-10", form, put({}, "residue")),
        ("a precision without its name", "T-3", form, drop("precision", "name")),
        ("a precision without the dtype of computing", "T-3", form, drop("precision", "compute_dtype")),
        ("a precision without the dtype of variables", "T-3", form, drop("precision", "variable_dtype")),
        ("a precision that is a text", "T-3", form, put("mixed_bfloat16", "precision")),
        ("a precision whose dtype is a number", "T-3", form, put(16, "precision", "compute_dtype")),
        ("residue of something that is no framework", "C-16 T-1", form, put({"Keras 3": {"a": 1}}, "residue")),
        ("a class without a namespace", "C-8", "op-form", put("Huber", "loss", "$object", "class")),
        ("a class that the core vocabulary lacks", "C-9", "op-unknown", put("core:Huber", "loss", "$object", "class")),
        ("an output", "C-13", "reference-missing", put({"$output": ["a", 0]}, "metrics", 0)),
        ("a module that is not there", "V-10", "reference-missing", put({"$module": "a"}, "metrics", 0)),
    ]
    found.faults(base, TRAINING, rows)
    return found


def _adam() -> dict[str, Any]:
    """An optimizer with everything, behind a wrapper."""
    adam = {
        "algorithm": "example:Adam",
        "fresh": ["c", "b"],
        "groups": [{"variables": ["k", "b"]}, {"hyperparameters": {"decay": {"$float": "0"}}, "variables": ["c"]}],
        "hyperparameters": {"beta_1": 0.9, "learning_rate": 0.001, "name": "adam", "amsgrad": False},
        "learning_rate": 0.0005,
        "micro_step": 240,
        "residue": {"example": {"history": stored(f"{_PREFIX}/residue/example/history")}},
        "schedule": {"$object": {"class": "example:Decay", "config": {"steps": 10}}},
        "schedule_clock": "micro_step",
        "shared_slots": {"product": stored(f"{_PREFIX}/shared_slots/product")},
        "slots": {"k": {name: stored(f"{_PREFIX}/slots/k/{name}") for name in ("momentum", "velocity")}},
        "step": 120,
    }
    return {
        "algorithm": "example:Scaler",
        "hyperparameters": {"scale": {"$float": "32768"}},
        "inner": adam,
        "learning_rate": None,
        "micro_step": 240,
        "step": 120,
    }


def optimizers() -> Area:
    """Chapter 15."""
    found = Area("optimizer", "weights", "optimizer")
    names = ("k", "b", "c")
    model = weights({name: f32([2], at, 1) for at, name in enumerate(names)}, {"tied": "k"})
    held = {
        f"{_PREFIX}/slots/k/momentum": f32([2], 0.5, -0.0),
        f"{_PREFIX}/slots/k/velocity": f32([2], 1e-42, 2),
        f"{_PREFIX}/shared_slots/product": numbers("float64", [], 0.25),
        f"{_PREFIX}/residue/example/history": numbers("int32", [3], 1, 2, 3),
    }
    clauses = "O-1 O-2 O-3 O-4 O-5 O-6 O-7 O-8 O-9 O-10 O-11 O-12 O-13 O-14 O-15 O-16 O-17 B-12"
    base = found.valid(
        "an optimizer with everything, behind a wrapper",
        clauses,
        joined(model, optimizer(held, {"optimizer": _adam()})),
    )
    least = {"algorithm": "example:SGD", "learning_rate": {"$float": "1"}, "micro_step": 0, "step": 0}
    found.valid("an optimizer with nothing", "O-1 O-4 O-5", joined(model, optimizer({}, {"optimizer": least})))
    two = {"generator/optimizer": least, "critic/optimizer": least | {"groups": [{"variables": ["b"]}]}}
    found.valid("two optimizers", "O-2 O-7", joined(model, optimizer({}, two)))
    counts = [{"$int": "9007199254740993"}, {"$int": "18446744073709551615"}]
    far = least | {"step": counts[0], "micro_step": counts[1], "learning_rate": {"$float": "-0"}}
    found.valid(
        "counts up to 2^64 - 1, and a rate of minus zero",
        "O-4 O-5 B-2",
        joined(model, optimizer({}, {"optimizer": far})),
    )
    found.valid("no rate", "O-5", joined(model, optimizer({}, {"optimizer": least | {"learning_rate": None}})))
    idle = least | {
        "groups": [{"variables": []}],
        "schedule": {"$object": {"class": "example:D", "config": {}}},
        "schedule_clock": "step",
    }
    found.valid("a group of no variables, and a schedule", "O-6 O-7", joined(model, optimizer({}, {"optimizer": idle})))
    _slots(found)
    found.faults(base, OPTIMIZER, _form_faults())
    found.faults(base, OPTIMIZER, _group_faults())
    found.faults(base, OPTIMIZER, _tensor_faults())
    return found


def _slots(found: Area) -> None:
    """Slots of every dtype and encoding, their names, and shards of them."""
    pair = quantized("float32", [2], f32([2], 2, 4)["data"], values=numbers("int8", [2], 1, 2), scale=f32([1], 2))
    kinds = {"integers": numbers("int64", [1], 1), "texts": texts([1], "é"), "quantized": pair, "none": f32([0])}
    one = {"algorithm": "example:SGD", "learning_rate": 0.5, "micro_step": 1, "step": 1}
    prefix = "optimizer/slots/a/k"
    slots = {"a/k": {name: stored(f"{prefix}/{name}") for name in kinds}}
    content = optimizer(
        {f"{prefix}/{name}": held for name, held in kinds.items()},
        {"optimizer": one | {"groups": [{"variables": ["a/k"]}], "slots": slots}},
    )
    found.valid("slots of every kind", "O-8 O-16", joined(weights({"a/k": f32([1], 1)}), content))
    odd = {
        "a/b": "optimizer/shared_slots/a%2Fb",
        "%": "optimizer/shared_slots/%25",
        "..": "optimizer/shared_slots/%2E%2E",
    }
    odd |= {"a@b#c": "optimizer/shared_slots/a%40b%23c", "a\\b\n": "optimizer/shared_slots/a%5Cb%0A"}
    tensors = {name: f32([], at) for at, name in enumerate(odd.values())}
    content = optimizer(
        tensors, {"optimizer": one | {"shared_slots": {key: stored(name) for key, name in odd.items()}}}
    )
    found.valid("names of tensors below keys that are no paths", "O-16 D-3", joined(weights({}), content))
    many = {f"optimizer/shared_slots/s{at}": f32([at], *range(at)) for at in (3, 1, 2)}
    shards = optimizer(
        many, {"optimizer": one | {"shared_slots": {name.rpartition("/")[2]: stored(name) for name in many}}}
    )
    found.valid(
        "slots in shards, in the order of their names",
        "W-24 P-5",
        joined(weights({"k": f32([3], 1, 2, 3)}), shards),
        shard_size=12,
    )


def _form_faults() -> list[tuple[str, str, str, Edit]]:
    form = "optimizer-form"
    return [
        ("another format", "O-1", form, put("etui", "format")),
        ("no optimizers", "O-1 O-2", form, drop("optimizers")),
        ("no tensors", "O-1", form, drop("tensors")),
        ("an empty map of optimizers", "O-2", form, lambda tree: tree.update(optimizers={}, tensors={})),
        ("an optimizer under no path", "O-2 D-2", "path-form|tensor-name", rename("", *_OUTER)),
        (
            "an optimizer that is a list",
            "O-1",
            form,
            lambda tree: tree.update(optimizers={"optimizer": []}, tensors={}),
        ),
        ("an unknown field", "O-1 Q-7", form, put(1, "comment")),
        ("an unknown field of an optimizer", "Q-7", form, put(1, *_ADAM, "momentum")),
        ("an unknown field of a group", "Q-7", form, put(1, *_ADAM, "groups", 0, "lr")),
        ("an unknown field of a tensor", "Q-7", form, put(1, "tensors", f"{_PREFIX}/shared_slots/product", "order")),
        ("an optimizer without an algorithm", "O-3 O-1", f"{form}|op-form", drop(*_ADAM, "algorithm")),
        ("an algorithm without a namespace", "O-3 C-8", "op-form", put("Adam", *_ADAM, "algorithm")),
        ("an algorithm that the core vocabulary lacks", "O-3 C-9", "op-unknown", put("core:Adam", *_ADAM, "algorithm")),
        ("an optimizer without steps", "O-4", form, drop(*_ADAM, "step")),
        ("an optimizer without steps of gradients", "O-4", form, drop(*_ADAM, "micro_step")),
        ("a step below zero", "O-4", form, put(-1, *_ADAM, "step")),
        ("a step that is a float", "O-4", form, put(1.0, *_ADAM, "step")),
        ("an optimizer without a rate", "O-5", form, drop(*_ADAM, "learning_rate")),
        ("a rate that is an integer", "O-5", form, put(1, *_ADAM, "learning_rate")),
        ("a rate that is a text", "O-5", form, put("auto", *_ADAM, "learning_rate")),
        ("a schedule without a clock", "O-6", form, drop(*_ADAM, "schedule_clock")),
        ("a clock without a schedule", "O-6", form, drop(*_ADAM, "schedule")),
        ("another clock", "O-6", form, put("epoch", *_ADAM, "schedule_clock")),
        ("a schedule that is no object", "O-6", form, put("cosine", *_ADAM, "schedule")),
        ("a shared slot that is a number", "O-12", form, put(0.5, *_ADAM, "shared_slots", "more")),
        ("a slot that is a number", "O-8", form, put(0.5, *_ADAM, "slots", "k", "more")),
        ("slots that are a list", "O-8", form, put([1], *_ADAM, "slots", "k")),
        ("a wrapped optimizer that is a list", "O-13", form, both(put([], *_ADAM), put({}, "tensors"))),
        ("a wrapped optimizer without an algorithm", "O-13", f"{form}|op-form", drop(*_ADAM, "algorithm")),
        ("no groups in a list", "Q-10 O-1", form, put([], *_OUTER, "groups")),
        ("empty hyperparameters", "Q-10 O-1", form, put({}, *_ADAM, "groups", 0, "hyperparameters")),
        ("nothing fresh in a list", "Q-10", form, put([], *_OUTER, "fresh")),
        ("an empty residue", "Q-10", form, put({}, *_OUTER, "residue")),
        ("empty slots", "Q-10", form, put({}, *_OUTER, "slots")),
        ("empty slots of a variable", "Q-10", form, put({}, *_ADAM, "slots", "b")),
        (
            "residue of something that is no framework",
            "O-15 C-16",
            form,
            put({"Keras 3": {"a": 1}}, *_OUTER, "residue"),
        ),
        ("an output", "C-13", "reference-missing", put({"$output": ["a", 0]}, *_ADAM, "hyperparameters", "name")),
    ]


def _group_faults() -> list[tuple[str, str, str, Edit]]:
    code, missing = "optimizer-groups", "reference-missing"
    return [
        ("a variable in two groups", "O-7", code, add("k", *_ADAM, "groups", 1, "variables")),
        ("a variable twice in a group", "O-7", code, add("k", *_ADAM, "groups", 0, "variables")),
        ("groups in a map", "O-7 O-1", "optimizer-form", put({"a": 1}, *_ADAM, "groups")),
        ("a group without variables", "O-7 O-1", "optimizer-form", drop(*_ADAM, "groups", 1, "variables")),
        ("slots of a variable in no group", "O-8", code, drop(*_ADAM, "groups", 0, "variables", 0)),
        ("a fresh variable with slots", "O-10", code, add("k", *_ADAM, "fresh")),
        ("a fresh variable in no group", "O-10", code, drop(*_ADAM, "groups", 0, "variables", 1)),
        ("a fresh variable twice", "O-9 O-1", f"{code}|optimizer-form", add("b", *_ADAM, "fresh")),
        ("a variable that is not there", "O-11", missing, add("nowhere", *_ADAM, "groups", 1, "variables")),
        ("an alias", "O-11", missing, add("tied", *_ADAM, "groups", 1, "variables")),
        ("a variable with an empty segment", "D-2", "path-form", add("a//b", *_ADAM, "groups", 1, "variables")),
    ]


def _tensor_faults() -> list[tuple[str, str, str, Edit]]:
    missing, unreferenced, name = "reference-missing", "tensor-unreferenced", "tensor-name"
    product = f"{_PREFIX}/shared_slots/product"
    momentum = f"{_PREFIX}/slots/k/momentum"
    return [
        ("a slot without its tensor", "O-14", f"{missing}|{unreferenced}", drop("tensors", momentum)),
        (
            "a reference to no tensor",
            "O-14",
            missing,
            put(Stored(f"{_PREFIX}/shared_slots/more"), *_ADAM, "shared_slots", "more"),
        ),
        ("a tensor that nothing refers to", "O-14", unreferenced, drop(*_ADAM, "shared_slots")),
        (
            "a slot that refers to another's tensor",
            "O-16 O-17",
            f"{name}|{unreferenced}",
            put(Stored(f"{_PREFIX}/slots/k/velocity"), *_ADAM, "slots", "k", "momentum"),
        ),
        (
            "a tensor with another name than its place",
            "O-16",
            name,
            both(
                rename("optimizer/product", "tensors", product),
                put(Stored("optimizer/product"), *_ADAM, "shared_slots", "product"),
            ),
        ),
        (
            "a tensor named from the root of the document",
            "O-16",
            name,
            both(
                rename(f"optimizers/{product}", "tensors", product),
                put(Stored(f"optimizers/{product}"), *_ADAM, "shared_slots", "product"),
            ),
        ),
        (
            "a tensor with a place in capitals",
            "O-16",
            name,
            both(
                rename(product.upper(), "tensors", product),
                put(Stored(product.upper()), *_ADAM, "shared_slots", "product"),
            ),
        ),
        ("a tensor without chunks", "O-1 W-1", "optimizer-form", drop("tensors", product, "chunks")),
        ("a tensor of an unknown dtype", "D-7", "dtype-unknown", put("float24", "tensors", product, "dtype")),
        (
            "a tensor of another dtype than its chunk",
            "W-4",
            "chunk-mismatch",
            put("int64", "tensors", product, "dtype"),
        ),
        ("a tensor with a negative dimension", "D-10", "shape-form", put([-1], "tensors", product, "shape")),
        ("a tensor of another shape than its chunk", "W-9", "chunk-mismatch", put([1], "tensors", product, "shape")),
        (
            "a tensor with another digest",
            "H-6",
            "digest-mismatch",
            put("sha256:" + "0" * 64, "tensors", product, "chunks", 0, "digest"),
        ),
        ("a chunk with an offset", "W-5", "chunk-form", put([], "tensors", product, "chunks", 0, "offset")),
        ("a chunk with another field", "Q-9", "optimizer-form", put(1, "tensors", product, "chunks", 0, "x-note")),
    ]
