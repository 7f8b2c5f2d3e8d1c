"""Configs and training with a fault (SPEC.md chapters 13 and 14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etui.testing.hostile import Edit, append, drop, put

clause = pytest.mark.clause
CONFIG = "config.json"
TRAINING = "training.json"
DENSE = ("model", "modules", 2)
OWN = ("model", "modules", 3)
GRAPH = ("model", "graph")


def attribute(value: Any) -> Edit:
    """The edit that gives a layer one more attribute."""
    return put(value, *DENSE, "attrs", "more")


FAULTS: dict[str, tuple[pytest.MarkDecorator, str, str, Edit]] = {
    # 13 Config
    "a config of another format": (clause("C-1@dd6453"), "config-form", CONFIG, put("etui", "format")),
    "a config without a model": (clause("C-1@dd6453"), "config-form", CONFIG, drop("model")),
    "attributes that are a tagged map": (
        clause("C-1@dd6453"),
        "config-form",
        CONFIG,
        put({"$map": [[1, 2]]}, *DENSE, "attrs"),
    ),
    "two modules of a name": (clause("C-2@1c195b"), "module-name", CONFIG, put("dense", *OWN, "name")),
    "a name of two segments": (clause("C-2@1c195b"), "module-name", CONFIG, put("a/b", *DENSE, "name")),
    "a name that is empty": (clause("C-2@1c195b"), "module-name", CONFIG, put("", *DENSE, "name")),
    "an unknown kind": (clause("C-3@59fafa"), "module-kind", CONFIG, put("block", *DENSE, "kind")),
    "a layer with a graph": (
        clause("C-3@59fafa"),
        "module-kind",
        CONFIG,
        put({"inputs": [], "outputs": [], "calls": []}, *DENSE, "graph"),
    ),
    "a graph without a graph": (clause("C-3@59fafa"), "module-kind", CONFIG, drop(*GRAPH)),
    "a layer without an op": (clause("C-3@59fafa"), "module-kind", CONFIG, drop(*DENSE, "op")),
    "a shared module with attributes": (
        clause("C-3@59fafa"),
        "module-kind",
        CONFIG,
        put({"a": 1}, *OWN, "modules", 0, "attrs"),
    ),
    "empty attributes": (clause("C-4@89cd45", "Q-10@7f28a5"), "config-form", CONFIG, put({}, *DENSE, "attrs")),
    "a null build": (clause("C-4@89cd45"), "config-form", CONFIG, put(None, *DENSE, "build")),
    "no modules in a list": (clause("C-4@89cd45", "Q-10@7f28a5"), "config-form", CONFIG, put([], *DENSE, "modules")),
    "a target that is not there": (
        clause("C-5@649a6c"),
        "reference-missing",
        CONFIG,
        put("x", *OWN, "modules", 0, "target"),
    ),
    "a target that is shared": (
        clause("C-5@649a6c"),
        "reference-missing",
        CONFIG,
        append({"kind": "shared", "name": "b", "target": "own/inner"}, *OWN, "modules"),
    ),
    "a target that is the root": (
        clause("C-5@649a6c"),
        "reference-missing",
        CONFIG,
        put("", *OWN, "modules", 0, "target"),
    ),
    "a parameter that is not there": (
        clause("C-6@68e963"),
        "reference-missing",
        CONFIG,
        put("x", *DENSE, "params", "kernel"),
    ),
    "an op without a namespace": (clause("C-8@c54784"), "op-form", CONFIG, put("Dense", *DENSE, "op")),
    "a class without a namespace": (
        clause("C-8@c54784"),
        "op-form",
        TRAINING,
        put("Huber", "loss", "$object", "class"),
    ),
    "an op of the core": (clause("C-9@2bc586"), "op-unknown", CONFIG, put("core:Dense", *DENSE, "op")),
    "a call id twice": (clause("C-11@695e1b"), "call-form", CONFIG, put("dense", *GRAPH, "calls", 2, "id")),
    "a call of no module": (clause("C-11@695e1b"), "call-form", CONFIG, put("x", *GRAPH, "calls", 2, "module")),
    "a call of a module below": (
        clause("C-11@695e1b"),
        "call-form",
        CONFIG,
        put("own/inner", *GRAPH, "calls", 2, "module"),
    ),
    "arguments that are no list": (
        clause("C-11@695e1b"),
        "call-form",
        CONFIG,
        put({"$tuple": []}, *GRAPH, "calls", 0, "args"),
    ),
    "named arguments that are no map": (
        clause("C-11@695e1b"),
        "call-form",
        CONFIG,
        put([], *GRAPH, "calls", 0, "kwargs"),
    ),
    "a call without an id": (clause("C-11@695e1b"), "call-form", CONFIG, drop(*GRAPH, "calls", 0, "id")),
    "a later output": (
        clause("C-12@ba0ef6"),
        "call-order",
        CONFIG,
        put([{"$output": ["dense:1", 0]}], *GRAPH, "calls", 1, "args"),
    ),
    "an output of itself": (
        clause("C-12@ba0ef6"),
        "call-order",
        CONFIG,
        put({"x": {"$output": ["dense", 0]}}, *GRAPH, "calls", 1, "kwargs"),
    ),
    "an output of no call": (
        clause("C-13@fc15f0"),
        "reference-missing",
        CONFIG,
        put([{"$output": ["x", 0]}], *GRAPH, "calls", 1, "args"),
    ),
    "an output outside of a graph": (
        clause("C-13@fc15f0"),
        "reference-missing",
        CONFIG,
        attribute({"$output": ["input", 0]}),
    ),
    "an output in training": (
        clause("C-13@fc15f0"),
        "reference-missing",
        TRAINING,
        put({"$output": ["input", 0]}, "metrics"),
    ),
    "an input of no call": (
        clause("C-13@fc15f0"),
        "reference-missing",
        CONFIG,
        put([{"$output": ["x", 0]}], *GRAPH, "inputs"),
    ),
    "an output that is a number": (clause("C-14@f295e4"), "call-form", CONFIG, put([0], *GRAPH, "outputs")),
    "a module shared before it is there": (
        clause("C-15@33b2a1"),
        "shared-order",
        CONFIG,
        lambda t: t["model"]["modules"].insert(0, {"kind": "shared", "name": "a", "target": "dense"}),
    ),
    "a module that holds itself": (
        clause("C-18@791f2f"),
        "shared-order",
        CONFIG,
        put("own", *OWN, "modules", 0, "target"),
    ),
    "residue of no framework": (clause("C-16@f3c92d"), "config-form", CONFIG, put({"Keras 3": {}}, *DENSE, "residue")),
    "residue that is no map": (clause("C-16@f3c92d"), "config-form", CONFIG, put({"keras": 1}, *DENSE, "residue")),
    # 14 Training
    "training of another format": (clause("T-1@bb58c9"), "training-form", TRAINING, put("etui", "format")),
    "a null loss": (clause("T-2@1147ab"), "training-form", TRAINING, put(None, "loss")),
    "no options in a map": (clause("T-2@1147ab", "Q-10@7f28a5"), "training-form", TRAINING, put({}, "options")),
    "a precision without a dtype": (
        clause("T-3@fa1d97"),
        "training-form",
        TRAINING,
        drop("precision", "compute_dtype"),
    ),
    "a precision that is a text": (clause("T-3@fa1d97"), "training-form", TRAINING, put("mixed", "precision")),
    "an added loss that is no name": (clause("T-1@bb58c9"), "training-form", TRAINING, put([1], "added_losses")),
}


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize(
    ("code", "part", "edit"), [pytest.param(*row, id=name, marks=mark) for name, (mark, *row) in FAULTS.items()]
)
def test_a_fault_is_refused_with_its_code(code: str, part: str, edit: Edit, refused: Callable[..., None]) -> None:
    """An artifact with one fault is refused with the code of the clause that it breaks."""
    refused(part, edit, code)
