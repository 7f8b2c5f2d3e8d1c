"""Artifacts to make faults in: drawn ones, to which items of known names are added, all below `host`."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle import writing
from etui_conformance.strategies.artifacts import artifacts
from etui_conformance.strategies.drafts import Draft, Physical, take_apart
from etui_conformance.strategies.extensions import VERSION
from etui_conformance.strategies.scope import Scope
from etui_conformance.strategies.weights import entry_of

KERNEL, BIAS, STEPS, TIED = "host/kernel", "host/bias", "host/steps", "host/tied"
"""Variables of every artifact with weights: float32 [2, 3], float32 [3], int32 [2, 3], and an alias of the first."""

SLOT, SHARED_SLOT, GENERATOR = "host/slots/host/kernel/m", "host/shared_slots/u", "rng/host/state"


def _tensor(dtype: str, shape: list[int], first: int) -> dict[str, Any]:
    count = 1
    for size in shape:
        count *= size
    return {"dtype": dtype, "shape": shape, "data": b"".join((first + i).to_bytes(4, "little") for i in range(count))}


def hosted(
    draw: st.DrawFn,
    scope: Scope,
    having: Collection[str] = (),
    *,
    tensors: Mapping[str, dict[str, Any]],
    cut: bool,
    parts: Mapping[str, dict[str, Any]],
) -> Draft:
    """A valid artifact with items to make faults in, in each document that it has.

    Args:
        draw: given by Hypothesis.
        scope: what the implementation claims.
        having: documents that must be there.
        tensors: further variables.
        cut: whether the first variable lies in two chunks.
        parts: further parts.
    """
    content = draw(artifacts(scope, having, small=True).filter(lambda found: _version(found) == VERSION))
    for area, add in _HOSTS.items():
        if area in content:
            add(content)
    for path, tensor in tensors.items():
        _add_variable(content, path, tensor)
    if parts:
        content["parts"] = {**content.get("parts", {}), **parts}
    draft = take_apart(writing.write(content))
    if cut:
        _cut(draft)
    return draft


def _version(content: dict[str, Any]) -> str:
    return next(str(content[area]["version"]) for area in ("weights", "config") if area in content)


def _add_variable(content: dict[str, Any], path: str, tensor: dict[str, Any]) -> None:
    variables = content["weights"]["variables"]
    variables[path] = {**entry_of(tensor), "order": len(variables), "role": "kernel", "trainable": True}
    content["tensors"]["weights"][path] = tensor


def _weights(content: dict[str, Any]) -> None:
    _add_variable(content, KERNEL, _tensor("float32", [2, 3], 1))
    _add_variable(content, BIAS, _tensor("float32", [3], 11))
    _add_variable(content, STEPS, _tensor("int32", [2, 3], 21))
    content["weights"]["aliases"][TIED] = KERNEL


def _config(content: dict[str, Any]) -> None:
    """A module at the end of the model's: a graph of two layers, one of which has a second place."""
    params = {"params": {"kernel": KERNEL}} if "weights" in content else {}
    source, result = {"$output": ["in", 0]}, {"$output": ["out", 0]}
    calls = [
        {"args": [], "id": "in", "kwargs": {}, "module": "input"},
        {"args": [source], "id": "out", "kwargs": {}, "module": "dense"},
    ]
    host = {
        "attrs": {"value": 1},
        "graph": {"calls": calls, "inputs": [source], "outputs": result},
        "kind": "graph",
        "modules": [
            {"kind": "layer", "name": "input", "op": "keras:InputLayer"},
            {"attrs": {"units": 3}, "kind": "layer", "name": "dense", "op": "keras:Dense", **params},
            {"kind": "shared", "name": "again", "target": "host/dense"},
        ],
        "name": "host",
        "op": "keras:Functional",
    }
    content["config"]["model"].setdefault("modules", []).append(host)


def _training(content: dict[str, Any]) -> None:
    training = content["training"]
    training.setdefault("loss", "mse")
    training.setdefault("precision", {"compute_dtype": "float32", "name": "float32", "variable_dtype": "float32"})
    training.setdefault("added_losses", []).append("host")
    training.setdefault("options", {})["host"] = {"value": 1}


def _optimizer(content: dict[str, Any]) -> None:
    content["optimizer"]["optimizers"]["host"] = {
        "algorithm": "keras:Adam",
        "fresh": [BIAS],
        "groups": [{"variables": [KERNEL, BIAS]}],
        "hyperparameters": {"value": 1},
        "learning_rate": 0.5,
        "micro_step": 2,
        "schedule": {"$object": {"class": "keras:CosineDecay", "config": {}}},
        "schedule_clock": "step",
        "shared_slots": {"u": {"$stored": SHARED_SLOT}},
        "slots": {KERNEL: {"m": {"$stored": SLOT}}},
        "step": 1,
    }
    _store(content, "optimizer", SLOT, _tensor("float32", [2, 3], 31))
    _store(content, "optimizer", SHARED_SLOT, _tensor("float32", [2, 3], 41))


def _state(content: dict[str, Any]) -> None:
    state = content["state"]
    generator = {"algorithm": "keras:SeedGenerator", "state": {"$stored": GENERATOR}}
    for field, value in (("counters", 3), ("rng", generator), ("user", {"value": 1}), ("metrics", {"total": 0.5})):
        state.setdefault(field, {})["host"] = value
    _store(content, "state", GENERATOR, _tensor("int32", [2], 51))


def _store(content: dict[str, Any], area: str, name: str, tensor: dict[str, Any]) -> None:
    content[area]["tensors"][name] = entry_of(tensor)
    content["tensors"][area][name] = tensor


_HOSTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "weights": _weights,
    "config": _config,
    "training": _training,
    "optimizer": _optimizer,
    "state": _state,
}


def _cut(draft: Draft) -> None:
    """Put the rows of the first variable into a chunk each."""
    entry = draft.entries("weights")[KERNEL]
    whole = entry["chunks"][0]
    found = draft.data[whole["part"]].pop(whole["tensor"])
    entry["chunks"] = []
    for row in range(2):
        name = f"{KERNEL}@{row},0"
        chunk = {"digest": "", "offset": [row, 0], "part": whole["part"], "shape": [1, 3], "tensor": name}
        entry["chunks"].append(chunk)
        draft.data[whole["part"]][name] = Physical(found.dtype, [1, 3], found.data[row * 12 : row * 12 + 12])
    draft.manifest["requires"] = sorted({*draft.manifest["requires"], "chunks"})
