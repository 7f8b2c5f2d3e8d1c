"""Vectors of state (SPEC.md chapter 16)."""

from __future__ import annotations

from vectors_contents import f32, joined, numbers, quantized, state, stored, tensor, texts, weights
from vectors_kit import Area
from vectors_parts import STATE, Edit, both, drop, put, rename

from etui_conformance.oracle.msgpack import Stored

_SEED = "rng/dropout/seed/state"
_TOTAL = "metrics/mae/total"


def area() -> Area:
    """The vectors."""
    found = Area("state", "weights", "state")
    held = {
        _SEED: numbers("uint32", [2], 1, 2),
        _TOTAL: f32([], 0.5),
        "user/history": f32([3], 1, 2, 3),
        "data/train/order": numbers("int64", [2], 1, 0),
        "residue/example/more": f32([1], 7),
    }
    full = {
        "counters": {"batch": 5, "epoch": 3, "samples": {"$int": "18446744073709551615"}},
        "data": {"train": {"order": stored("data/train/order"), "position": {"$tuple": [1, 2]}}},
        "metrics": {"mae": {"count": {"$float": "10"}, "total": stored(_TOTAL)}},
        "residue": {"example": {"more": stored("residue/example/more")}},
        "rng": {"dropout/seed": {"algorithm": "example:Generator", "state": stored(_SEED)}},
        "user": {"best": {"$float": "-inf"}, "history": stored("user/history"), "of": {"$variable": "k"}},
    }
    base = found.valid(
        "state with every field",
        "R-1 R-2 R-3 R-4 B-12 O-14 O-16 O-17",
        joined(weights({"k": f32([1], 1)}), state(held, **full)),
    )
    found.valid("state of nothing", "R-1", joined(weights({}), state()))
    _valid(found)
    found.faults(base, STATE, _faults())
    twice = {"a": {"b": {"c": Stored("metrics/a/b/c")}}, "a/b": {"c": Stored("metrics/a/b/c")}}
    edit = both(put(twice, "metrics"), rename("metrics/a/b/c", "tensors", _TOTAL))
    found.fault(base, STATE, ("a tensor at two places with one name", "O-17 R-4", "tensor-unreferenced", edit))
    return found


def _valid(found: Area) -> None:
    pair = quantized("float32", [2], f32([2], 2, 4)["data"], values=tensor("int4", [2], b"\1\2"), scale=f32([1], 2))
    kinds = {
        "bool": tensor("bool", [2], b"\0\1"),
        "complex": tensor("complex64", [], bytes(8)),
        "int4": tensor("int4", [1], b"\xf8"),
        "quantized": pair,
        "texts": texts([2], "", "é"),
    }
    names = {f"user/{kind}": each for kind, each in kinds.items()}
    found.valid(
        "tensors of every encoding",
        "R-4 O-16 W-16",
        joined(weights({}), state(names, user={kind: stored(f"user/{kind}") for kind in kinds})),
    )
    places = {
        "user/list/0": f32([], 0),
        "user/list/2/1": f32([], 1),
        "user/tuple/0": f32([], 2),
        "user/odd%2Fkey": f32([], 4),
        "user/%": f32([], 5),
        "user/%25": f32([], 6),
        "user/$a/$b": f32([], 8),
        "user/é": f32([], 7),
    }
    user = {
        "list": [stored("user/list/0"), None, [1, stored("user/list/2/1")]],
        "tuple": {"$tuple": [stored("user/tuple/0")]},
        "odd/key": stored("user/odd%2Fkey"),
        "%": stored("user/%25"),
        "$$a": {"$$b": stored("user/$a/$b"), "c": 1},
        "": stored("user/%"),
        "é": stored("user/é"),
    }
    found.valid(
        "references in lists, tuples, and below odd keys", "O-16 R-4 D-3", joined(weights({}), state(places, user=user))
    )
    keys = {'user/m/"text"': 1, "user/m/1": 2, 'user/m/["a"]': 3, "user/m/null": 4}
    entries = [
        ["text", stored('user/m/"text"')],
        [1, stored("user/m/1")],
        [["a"], stored('user/m/["a"]')],
        [None, stored("user/m/null")],
    ]
    content = state({name: f32([], at) for name, at in keys.items()}, user={"m": {"$map": entries}})
    found.valid("references below keys that are no strings", "O-16 R-4 V-4", joined(weights({}), content))
    loose = {"$object": {"class": "example:Kept", "config": {"a": stored("user/o/config/a")}}}
    found.valid(
        "a reference in an object",
        "O-16 R-4",
        joined(weights({}), state({"user/o/config/a": f32([], 1)}, user={"o": loose})),
    )


def _faults() -> list[tuple[str, str, str, Edit]]:
    form, missing, unreferenced, name = "state-form", "reference-missing", "tensor-unreferenced", "tensor-name"
    generator = ("rng", "dropout/seed")
    return [
        ("another format", "R-1", form, put("etui", "format")),
        ("no format", "R-1", form, drop("format")),
        ("no tensors", "R-1", form, drop("tensors")),
        ("an unknown field", "R-1 Q-7", form, put(1, "comment")),
        ("a counter below zero", "R-1", form, put(-1, "counters", "epoch")),
        ("a counter that is a float", "R-1", form, put(1.0, "counters", "epoch")),
        ("a counter that is a text", "R-1", form, put("3", "counters", "epoch")),
        ("a counter beyond 64 bits", "R-1", form, put({"$int": str(2**64)}, "counters", "epoch")),
        ("counters in a list", "R-1", form, put([1], "counters")),
        ("a position in the data that is a list", "R-1", form, put([1], "data")),
        ("empty counters", "Q-10", form, put({}, "counters")),
        ("residue of something that is no framework", "R-1 C-16", form, put({"Keras 3": {"a": 1}}, "residue")),
        ("a generator without an algorithm", "R-2", f"{form}|op-form", drop(*generator, "algorithm")),
        ("a generator without a state", "R-2", f"{form}|{unreferenced}", drop(*generator, "state")),
        ("a generator's state that is a number", "R-2", f"{form}|{unreferenced}", put(1, *generator, "state")),
        ("a generator's algorithm without a namespace", "R-2 C-8", "op-form", put("philox", *generator, "algorithm")),
        ("a generator under no path", "R-2 D-2", f"path-form|{name}", rename("a//b", *generator)),
        ("an unknown field of a generator", "R-2 Q-7", form, put(1, *generator, "seed")),
        ("a metric that is a number", "R-3", form, put(0.5, "metrics", "auc")),
        ("a metric that is a list", "R-3", form, put([0.5], "metrics", "auc")),
        ("no metrics in a list", "R-3 R-1", form, both(put([], "metrics"), drop("tensors", _TOTAL))),
        ("a reference to no tensor", "R-4 O-14", missing, put(Stored("user/more"), "user", "more")),
        ("a reference without its tensor", "R-4 O-14", f"{missing}|{unreferenced}", drop("tensors", "user/history")),
        ("a tensor that nothing refers to", "R-4 O-14", unreferenced, drop("user", "history")),
        (
            "a reference to another's tensor",
            "R-4 O-16 O-17",
            f"{name}|{unreferenced}",
            put(Stored("user/history"), "user", "again"),
        ),
        (
            "a tensor with another name than its place",
            "R-4 O-16",
            name,
            both(rename("user/past", "tensors", "user/history"), put(Stored("user/past"), "user", "history")),
        ),
        (
            "a tensor named by its key alone",
            "R-4 O-16",
            name,
            both(rename("history", "tensors", "user/history"), put(Stored("history"), "user", "history")),
        ),
        (
            "a tensor's name whose place is not escaped",
            "R-4 O-16 D-3",
            name,
            both(
                rename("user/past/history", "tensors", "user/history"),
                drop("user", "history"),
                put(Stored("user/past/history"), "user", "past/history"),
            ),
        ),
        ("a tensor of an unknown dtype", "D-7", "dtype-unknown", put("float24", "tensors", _TOTAL, "dtype")),
        (
            "a tensor with another digest",
            "H-6",
            "digest-mismatch",
            put("sha256:" + "0" * 64, "tensors", _TOTAL, "chunks", 0, "digest"),
        ),
        (
            "a chunk of weights' data",
            "S-9 W-10",
            f"{missing}|{unreferenced}|chunk-mismatch",
            put("weights.safetensors", "tensors", _TOTAL, "chunks", 0, "part"),
        ),
        ("an unknown field of a tensor", "Q-7", form, put(True, "tensors", _TOTAL, "trainable")),
        ("a chunk with another field", "Q-9", form, put(1, "tensors", _TOTAL, "chunks", 0, "x-note")),
        ("an output", "C-13", missing, put({"$output": ["a", 0]}, "user", "of")),
    ]
