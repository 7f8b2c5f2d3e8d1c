"""Faults of chapters 14 to 16: training, optimizers, state."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle.msgpack import Stored
from etui_conformance.strategies.drafts import Draft
from etui_conformance.strategies.faults.base import OPTIMIZER, STATE, TRAINING, in_draft
from etui_conformance.strategies.faults.common import pick
from etui_conformance.strategies.faults.hosts import BIAS, GENERATOR, KERNEL, SLOT, STEPS, TIED

Tree = dict[str, Any]


def _training(draft: Draft) -> Tree:
    found: Tree = draft.documents["training.json"]
    return found


def _document(draft: Draft) -> Tree:
    found: Tree = draft.documents["optimizer.msgpack"]
    return found


def _optimizer(draft: Draft) -> Tree:
    found: Tree = _document(draft)["optimizers"]["host"]
    return found


def _state(draft: Draft) -> Tree:
    found: Tree = draft.documents["state.msgpack"]
    return found


# Chapter 14


@in_draft("T-1", "training-form", "another format", TRAINING)
def _training_format(draw: st.DrawFn, draft: Draft) -> None:
    _training(draft)["format"] = pick(draw, "etui-config", "training", None)


@in_draft("T-1", "training-form", "field of another type", TRAINING)
def _training_type(draw: st.DrawFn, draft: Draft) -> None:
    field, value = pick(
        draw,
        ("added_losses", "kl"),
        ("added_losses", [1]),
        ("options", [1]),
        ("residue", [1]),
        ("precision", "float32"),
    )
    _training(draft)[field] = value


@in_draft("T-2 Q-10", "training-form", "empty field that is left out", TRAINING)
def _training_empty(draw: st.DrawFn, draft: Draft) -> None:
    field, value = pick(
        draw,
        ("loss", None),
        ("metrics", []),
        ("loss_weights", {}),
        ("weighted_metrics", None),
        ("added_losses", []),
        ("options", {}),
        ("residue", {}),
        ("class_weighting", {}),
        ("sample_weighting", None),
    )
    _training(draft)[field] = value


for _field in ("compute_dtype", "name", "variable_dtype"):

    @in_draft("T-3", "training-form", f"precision without {_field}", TRAINING)
    def _precision(draw: st.DrawFn, draft: Draft, field: str = _field) -> None:
        precision = _training(draft)["precision"]
        if draw(st.booleans()):
            del precision[field]
        else:
            precision[field] = pick(draw, None, 1, {"$dtype": "float32"})


# Chapter 15


@in_draft("O-1", "optimizer-form", "field is lacking", OPTIMIZER)
def _optimizer_lacks(draw: st.DrawFn, draft: Draft) -> None:
    del _optimizer(draft)[pick(draw, "learning_rate", "micro_step", "step", "algorithm")]


@in_draft("O-1", "optimizer-form", "field of another type", OPTIMIZER)
def _optimizer_type(draw: st.DrawFn, draft: Draft) -> None:
    field, value = pick(
        draw,
        ("groups", {KERNEL: 1}),
        ("groups", [[KERNEL, BIAS]]),
        ("fresh", BIAS),
        ("hyperparameters", [1]),
        ("inner", []),
    )
    _optimizer(draft)[field] = value


@in_draft("O-1", "optimizer-form", "another format", OPTIMIZER)
def _optimizer_format(draw: st.DrawFn, draft: Draft) -> None:
    _document(draft)["format"] = pick(draw, "etui-state", "optimizer", 1)


@in_draft("O-2", "optimizer-form", "no optimizer", OPTIMIZER)
def _no_optimizer(_draw: st.DrawFn, draft: Draft) -> None:
    _document(draft).update(optimizers={}, tensors={})
    for part in [part for part in draft.data if part.startswith("optimizer")]:
        del draft.data[part]
    draft.manifest["requires"] = sorted(_features(draft))


def _features(draft: Draft) -> set[str]:
    """The required features that are still in use when the optimizer's tensors are gone."""
    used = {one for one in draft.manifest["requires"] if not one.startswith(("encoding", "chunks"))}
    for role in ("weights", "state"):
        for entry in draft.entries(role).values():
            used |= _used(entry)
    return used


def _used(entry: Tree) -> set[str]:
    found = {f"encoding.{entry['encoding']}"} if "encoding" in entry else set()
    found |= {"chunks"} if len(entry.get("chunks", ())) > 1 else set()
    return found.union(*(_used(one) for one in entry.get("components", {}).values()))


@in_draft("O-1", "optimizer-form", "no index of tensors", OPTIMIZER)
def _no_index(draw: st.DrawFn, draft: Draft) -> None:
    _no_optimizer(draw, draft)
    bare = {"algorithm": "keras:SGD", "learning_rate": None, "micro_step": 0, "step": 0}
    _document(draft)["optimizers"]["host"] = bare
    del _document(draft)["tensors"]


@in_draft("O-3 C-8", "op-form", "algorithm that is no name with a namespace", OPTIMIZER)
def _algorithm(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["algorithm"] = pick(draw, "Adam", "Keras:Adam", "keras:", "keras:A dam", ":a")


@in_draft("C-9", "op-unknown", "algorithm that the core vocabulary does not have", OPTIMIZER)
def _core_algorithm(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["algorithm"] = pick(draw, "core:Adam", "core:dense", "core:adamw2")


@in_draft("O-4", "optimizer-form", "steps that are no count", OPTIMIZER)
def _steps(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)[pick(draw, "step", "micro_step")] = pick(draw, -1, 1.5, "1", None, True, -(2**60))


@in_draft("O-5", "optimizer-form", "learning rate that is no float", OPTIMIZER)
def _rate(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["learning_rate"] = pick(draw, 1, 0, "0.1", True, [0.1])


@in_draft("O-6", "optimizer-form", "schedule and clock without each other", OPTIMIZER)
def _clock(draw: st.DrawFn, draft: Draft) -> None:
    del _optimizer(draft)[pick(draw, "schedule", "schedule_clock")]


@in_draft("O-6", "optimizer-form", "unknown clock", OPTIMIZER)
def _clock_name(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["schedule_clock"] = pick(draw, "epoch", "Step", "", 1)


@in_draft("O-6", "optimizer-form", "schedule that is no object", OPTIMIZER)
def _schedule(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["schedule"] = pick(draw, "cosine", {"decay": 1}, 0.5, [])


@in_draft("O-7", "optimizer-groups", "variable listed twice", OPTIMIZER)
def _twice(draw: st.DrawFn, draft: Draft) -> None:
    groups = _optimizer(draft)["groups"]
    if draw(st.booleans()):
        groups[0]["variables"].append(pick(draw, KERNEL, BIAS))
    else:
        groups.append({"variables": [pick(draw, KERNEL, BIAS)]})


@in_draft("O-8", "optimizer-groups", "slot of a variable that is in no group", OPTIMIZER)
def _slot(_draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["groups"] = [{"variables": [BIAS]}]


@in_draft("O-10", "optimizer-groups", "fresh variable that is in no group", OPTIMIZER)
def _fresh(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["fresh"].append(pick(draw, STEPS, "host/nothing"))


@in_draft("O-10", "optimizer-groups", "fresh variable with slots", OPTIMIZER)
def _fresh_slots(_draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["fresh"].append(KERNEL)


@in_draft("O-11", "reference-missing", "variable that is not there", OPTIMIZER)
def _no_variable(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["groups"].append({"variables": [pick(draw, "host/nothing", "host", "kernel of nothing")]})


@in_draft("O-11", "reference-missing", "alias in a group", OPTIMIZER)
def _alias(_draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["groups"].append({"variables": [TIED]})


@in_draft("O-11 O-13", "reference-missing", "variable of a wrapped optimizer that is not there", OPTIMIZER)
def _no_inner_variable(draw: st.DrawFn, draft: Draft) -> None:
    group = {"variables": [pick(draw, "host/nothing", TIED)]}
    inner = {"algorithm": "keras:SGD", "groups": [group], "learning_rate": None, "micro_step": 0, "step": 0}
    _optimizer(draft)["inner"] = inner


@in_draft("O-12", "optimizer-form", "shared slot that is no stored tensor", OPTIMIZER)
def _shared_slot(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["shared_slots"]["v"] = pick(draw, 0.5, None, [1], "host/shared_slots/u")


@in_draft("O-8 O-1", "optimizer-form", "slot that is no stored tensor", OPTIMIZER)
def _slot_value(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["slots"][KERNEL]["v"] = pick(draw, 0.5, None, [1], SLOT)


@in_draft("O-13 O-1", "optimizer-form", "wrapped optimizer of another form", OPTIMIZER)
def _inner(draw: st.DrawFn, draft: Draft) -> None:
    inner = {"algorithm": "keras:SGD", "learning_rate": None, "micro_step": 0, "step": 0}
    del inner[pick(draw, "learning_rate", "micro_step", "step")]
    _optimizer(draft)["inner"] = inner


@in_draft("O-14", "tensor-unreferenced", "tensor without a reference", OPTIMIZER)
def _lost(_draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["slots"] = {}
    del _optimizer(draft)["slots"]


@in_draft("O-14", "reference-missing", "reference without a tensor", OPTIMIZER)
def _missing(draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["slots"][KERNEL]["v"] = Stored(pick(draw, "host/slots/host/kernel/v", "v"))


@in_draft("O-16", "tensor-name", "tensor of another name than its place", OPTIMIZER)
def _name(draw: st.DrawFn, draft: Draft) -> None:
    name = pick(draw, "m", "host/slots/host%2Fkernel/m", "optimizers/host/slots/host/kernel/m", "host/kernel/m")
    tensors = _document(draft)["tensors"]
    tensors[name] = tensors.pop(SLOT)
    _optimizer(draft)["slots"][KERNEL]["m"] = Stored(name)


@in_draft("O-17", "tensor-unreferenced tensor-name", "tensor that is referred to twice", OPTIMIZER)
def _shared(_draw: st.DrawFn, draft: Draft) -> None:
    _optimizer(draft)["slots"][KERNEL]["v"] = Stored(SLOT)


@in_draft("D-4", "path-collision", "two tensors of one normal form", STATE)
def _collision(draw: st.DrawFn, draft: Draft) -> None:
    state = _state(draft)
    one, other = pick(draw, ("\u00e9", "e\u0301"), ("\u00c5", "\u212b"))
    entry = state["tensors"][GENERATOR]
    state["tensors"][f"user/host/{one}"] = entry
    state["tensors"][f"user/host/{other}"] = {**entry, "chunks": []}
    state["user"]["host"] = {name: Stored(f"user/host/{name}") for name in (one, other)}
    del state["tensors"][GENERATOR]
    del state["rng"]["host"]
    if not state["rng"]:
        del state["rng"]
    chunk = entry["chunks"][0]
    copy = {**chunk, "tensor": "copy"}
    draft.data[chunk["part"]]["copy"] = draft.physical(chunk)
    state["tensors"][f"user/host/{other}"]["chunks"] = [copy]


@in_draft("O-8 Q-10 O-1", "optimizer-form", "variable with no slots by no name", OPTIMIZER)
def _no_slots(_draw: st.DrawFn, draft: Draft) -> None:
    del _optimizer(draft)["fresh"]
    _optimizer(draft)["slots"][BIAS] = {}


@in_draft("Q-10 O-1", "optimizer-form", "empty field that is left out", OPTIMIZER)
def _optimizer_empty(draw: st.DrawFn, draft: Draft) -> None:
    one = _optimizer(draft)
    field, value = pick(draw, ("hyperparameters", {}), ("residue", {}), ("fresh", []))
    if draw(st.booleans()):
        one[field] = value
    else:
        one["groups"][0]["hyperparameters"] = {}


# Chapter 16


@in_draft("R-1", "state-form", "another format", STATE)
def _state_format(draw: st.DrawFn, draft: Draft) -> None:
    _state(draft)["format"] = pick(draw, "etui-optimizer", "state", 1)


@in_draft("R-1", "state-form", "counter that is no count", STATE)
def _counter(draw: st.DrawFn, draft: Draft) -> None:
    _state(draft)["counters"]["host"] = pick(draw, -1, 0.5, 1.0, "1", None, True, [1])


def _without_tensors(draft: Draft) -> list[str]:
    """The optional fields that hold no references, which would be lost with them."""
    places = {name.partition("/")[0] for name in _state(draft)["tensors"]}
    return [field for field in ("counters", "data", "residue", "user", "metrics") if field not in places]


@in_draft("R-1 Q-10", "state-form", "empty field that is left out", STATE)
def _state_empty(draw: st.DrawFn, draft: Draft) -> None:
    _state(draft)[pick(draw, *_without_tensors(draft))] = {}


@in_draft("R-1", "state-form", "field of another type", STATE)
def _state_type(draw: st.DrawFn, draft: Draft) -> None:
    _state(draft)[pick(draw, *_without_tensors(draft))] = pick(draw, [1], "a", 1)


@in_draft("R-2", "state-form", "generator without a field", STATE)
def _generator(draw: st.DrawFn, draft: Draft) -> None:
    _state(draft)["rng"]["other"] = pick(draw, {"algorithm": "keras:SeedGenerator"}, {}, [], None)


@in_draft("R-2", "state-form", "generator whose state is no stored tensor", STATE)
def _generator_state(draw: st.DrawFn, draft: Draft) -> None:
    _state(draft)["rng"]["other"] = {"algorithm": "keras:SeedGenerator", "state": pick(draw, 1, None, "a", [1, 2])}


@in_draft("R-2 C-8", "op-form", "generator that is no name with a namespace", STATE)
def _generator_name(draw: st.DrawFn, draft: Draft) -> None:
    _state(draft)["rng"]["host"]["algorithm"] = pick(draw, "Philox", "Keras:Seed", "keras:", ":a")


@in_draft("R-3 R-1", "state-form", "metric that is no map", STATE)
def _metric(draw: st.DrawFn, draft: Draft) -> None:
    _state(draft)["metrics"]["host"] = pick(draw, 0.5, [0.5], None, "a")


@in_draft("R-4 O-14", "tensor-unreferenced", "tensor without a reference in the state", STATE)
def _state_lost(_draw: st.DrawFn, draft: Draft) -> None:
    state = _state(draft)
    del state["rng"]["host"]
    if not state["rng"]:
        del state["rng"]


@in_draft("R-4 O-16", "tensor-name", "tensor of another name than its place in the state", STATE)
def _state_name(draw: st.DrawFn, draft: Draft) -> None:
    name = pick(draw, "state", "rng/host", "host/state")
    state = _state(draft)
    state["tensors"][name] = state["tensors"].pop(GENERATOR)
    state["rng"]["host"]["state"] = Stored(name)
