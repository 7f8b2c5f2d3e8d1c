"""State of optimizers, and other state, with a fault (SPEC.md chapters 15 and 16)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etui.canonical.values import StoredTensor
from etui.testing.hostile import Edit, all_of, append, drop, moved, put

clause = pytest.mark.clause
OPTIMIZER = "optimizer.msgpack"
STATE = "state.msgpack"
ADAM = ("optimizers", "optimizer", "inner")


FAULTS: dict[str, tuple[pytest.MarkDecorator, str, str, Edit]] = {
    # 15 Optimizer
    "an optimizer of another format": (clause("O-1@219480"), "optimizer-form", OPTIMIZER, put("etui", "format")),
    "a rate that is an integer": (clause("O-5@06fdad"), "optimizer-form", OPTIMIZER, put(1, *ADAM, "learning_rate")),
    "an optimizer without a rate": (clause("O-5@06fdad"), "optimizer-form", OPTIMIZER, drop(*ADAM, "learning_rate")),
    "a negative step": (clause("O-4@fba7c5"), "optimizer-form", OPTIMIZER, put(-1, *ADAM, "step")),
    "an optimizer without steps": (clause("O-4@fba7c5"), "optimizer-form", OPTIMIZER, drop(*ADAM, "micro_step")),
    "no optimizer": (clause("O-2@941acb"), "optimizer-form", OPTIMIZER, lambda t: t.update(optimizers={}, tensors={})),
    "an algorithm without a namespace": (clause("O-3@86daea"), "op-form", OPTIMIZER, put("Adam", *ADAM, "algorithm")),
    "a schedule without a clock": (clause("O-6@3df4ac"), "optimizer-form", OPTIMIZER, drop(*ADAM, "schedule_clock")),
    "another clock": (clause("O-6@3df4ac"), "optimizer-form", OPTIMIZER, put("epoch", *ADAM, "schedule_clock")),
    "a schedule that is no object": (
        clause("O-6@3df4ac"),
        "optimizer-form",
        OPTIMIZER,
        put("cosine", *ADAM, "schedule"),
    ),
    "a variable in two groups": (
        clause("O-7@a041bd"),
        "optimizer-groups",
        OPTIMIZER,
        append("own/half", *ADAM, "groups", 1, "variables"),
    ),
    "slots of a variable in no group": (
        clause("O-8@1d677f"),
        "optimizer-groups",
        OPTIMIZER,
        drop(*ADAM, "groups", 0, "variables", 0),
    ),
    "a fresh variable with slots": (
        clause("O-10@40c824"),
        "optimizer-groups",
        OPTIMIZER,
        append("dense/kernel", *ADAM, "fresh"),
    ),
    "a fresh variable in no group": (
        clause("O-10@40c824"),
        "optimizer-groups",
        OPTIMIZER,
        append("dense/bias", *ADAM, "fresh"),
    ),
    "an optimized variable that is not there": (
        clause("O-11@4ac814"),
        "reference-missing",
        OPTIMIZER,
        append("nowhere", *ADAM, "groups", 1, "variables"),
    ),
    "an optimized alias": (
        clause("O-11@4ac814"),
        "reference-missing",
        OPTIMIZER,
        append("tied/kernel", *ADAM, "groups", 1, "variables"),
    ),
    "a wrapped optimizer of another form": (clause("O-13@c49fe4"), "optimizer-form", OPTIMIZER, put([], *ADAM)),
    "a slot without its tensor": (
        clause("O-14@164285"),
        "reference-missing",
        OPTIMIZER,
        drop("tensors", "optimizer/inner/slots/dense/kernel/momentum"),
    ),
    "a tensor that nothing refers to": (
        clause("O-14@164285"),
        "tensor-unreferenced",
        OPTIMIZER,
        drop(*ADAM, "shared_slots"),
    ),
    "a slot named after another": (
        clause("O-16@b9348c"),
        "tensor-name",
        OPTIMIZER,
        put(StoredTensor("optimizer/inner/slots/dense/kernel/velocity"), *ADAM, "slots", "dense/kernel", "momentum"),
    ),
    "a tensor at two places of one name": (
        clause("O-17@09c459", "R-4@6e14c2"),
        "tensor-unreferenced",
        STATE,
        all_of(
            moved(("tensors", "metrics/mae/total"), ("tensors", "metrics/a/b/c")),
            put(
                {"a": {"b": {"c": StoredTensor("metrics/a/b/c")}}, "a/b": {"c": StoredTensor("metrics/a/b/c")}},
                "metrics",
            ),
        ),
    ),
    "no groups in a list": (
        clause("Q-10@7f28a5"),
        "optimizer-form",
        OPTIMIZER,
        put([], "optimizers", "optimizer", "groups"),
    ),
    "no residue in a map": (clause("Q-10@7f28a5"), "optimizer-form", OPTIMIZER, put({}, *ADAM, "residue")),
    "no counters in a map": (clause("Q-10@7f28a5"), "state-form", STATE, put({}, "counters")),
    "a shared slot that is a number": (
        clause("O-12@e1282c"),
        "optimizer-form",
        OPTIMIZER,
        put(0.5, *ADAM, "shared_slots", "product"),
    ),
    "an unknown field of an optimizer": (clause("Q-7@8e4f71"), "optimizer-form", OPTIMIZER, put(1, *ADAM, "momentum")),
    # 16 State
    "state of another format": (clause("R-1@3d2da9"), "state-form", STATE, put("etui", "format")),
    "a negative counter": (clause("R-1@3d2da9"), "state-form", STATE, put(-1, "counters", "epoch")),
    "a counter that is too large": (
        clause("R-1@3d2da9"),
        "state-form",
        STATE,
        put({"$int": str(2**64)}, "counters", "epoch"),
    ),
    "a generator without an algorithm": (
        clause("R-2@d02840"),
        "state-form",
        STATE,
        drop("rng", "dropout/seed", "algorithm"),
    ),
    "a generator's state that is a number": (
        clause("R-2@d02840"),
        "state-form",
        STATE,
        put(1, "rng", "dropout/seed", "state"),
    ),
    "an algorithm of a generator without a namespace": (
        clause("R-2@d02840"),
        "op-form",
        STATE,
        put("philox", "rng", "dropout/seed", "algorithm"),
    ),
    "a metric that is no map": (clause("R-3@f088eb"), "state-form", STATE, put(0.5, "metrics", "auc")),
    "a tensor of the state that nothing refers to": (
        clause("R-4@6e14c2"),
        "tensor-unreferenced",
        STATE,
        drop("user", "history"),
    ),
}


@pytest.mark.clause("E-1@c976f4")
@pytest.mark.parametrize(
    ("code", "part", "edit"), [pytest.param(*row, id=name, marks=mark) for name, (mark, *row) in FAULTS.items()]
)
def test_a_fault_is_refused_with_its_code(code: str, part: str, edit: Edit, refused: Callable[..., None]) -> None:
    """An artifact with one fault is refused with the code of the clause that it breaks."""
    refused(part, edit, code)
