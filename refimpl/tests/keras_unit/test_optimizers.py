"""Optimizer state: slots by variable and name, counters, rates, and what cannot be told from the file."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from etui.canonical.values import ObjectValue
from etui.errors import TransferError
from etui.report import Report

Json = Any

# The variables of the kit's `dense_model` in Keras' order: two matrices and two vectors.
PATHS = ["first/kernel", "first/bias", "second/kernel", "second/bias"]
SHAPES = [(4, 3), (3,), (3, 2), (2,)]
LIKE = list(zip(PATHS, SHAPES, strict=True))
Stored = tuple[str, str, tuple[int, ...], str]


def side_by_side(*names: str) -> list[Stored]:
    """One pass: the slots of each variable next to each other."""
    return [(path, name, shape, "float32") for path, shape in LIKE for name in names]


def passes(*names: str) -> list[Stored]:
    """Several passes of one slot each."""
    return [slot for name in names for slot in side_by_side(name)]


ADAFACTOR: list[Stored] = [
    ("first/kernel", "r", (4,), "float32"),
    ("first/kernel", "c", (3,), "float32"),
    ("first/kernel", "v", (4, 3), "float32"),
    ("first/bias", "r", (), "int32"),
    ("first/bias", "c", (), "int32"),
    ("first/bias", "v", (3,), "float32"),
    ("second/kernel", "r", (3,), "float32"),
    ("second/kernel", "c", (2,), "float32"),
    ("second/kernel", "v", (3, 2), "float32"),
    ("second/bias", "r", (), "int32"),
    ("second/bias", "c", (), "int32"),
    ("second/bias", "v", (2,), "float32"),
]
MUON: list[Stored] = [
    ("first/kernel", "momentum", (4, 3), "float32"),
    ("first/bias", "momentum", (3,), "float32"),
    ("first/bias", "velocity", (3,), "float32"),
    ("second/kernel", "momentum", (3, 2), "float32"),
    ("second/kernel", "velocity", (3, 2), "float32"),
    ("second/bias", "momentum", (2,), "float32"),
    ("second/bias", "velocity", (2,), "float32"),
]
OPTIMIZERS: list[tuple[str, dict[str, Json], list[Stored], list[str]]] = [
    ("SGD", {"momentum": 0.5}, passes("momentum"), []),
    ("SGD", {"momentum": 0.0}, [], []),
    ("SGD", {"momentum": 0.5, "use_ema": True}, passes("average", "momentum"), []),
    (
        "SGD",
        {"momentum": 0.5, "use_ema": True, "gradient_accumulation_steps": 4},
        passes("average", "gradient_accumulator", "momentum"),
        [],
    ),
    ("Adam", {}, side_by_side("momentum", "velocity"), []),
    ("Adam", {"amsgrad": True}, side_by_side("momentum", "velocity") + passes("velocity_hat"), []),
    ("AdamW", {"weight_decay": 0.25}, side_by_side("momentum", "velocity"), []),
    ("Adamax", {}, side_by_side("momentum", "norm"), []),
    ("Nadam", {}, side_by_side("momentum", "velocity"), ["u_product"]),
    ("Lamb", {}, side_by_side("momentum", "velocity"), []),
    ("ScheduleFreeAdamW", {}, side_by_side("momentum", "velocity"), []),
    ("Lion", {}, passes("momentum"), []),
    ("Adagrad", {}, passes("accumulator"), []),
    ("Adadelta", {}, side_by_side("accumulated_grad", "accumulated_delta_var"), []),
    ("Ftrl", {}, side_by_side("accumulator", "linear"), []),
    ("RMSprop", {"momentum": 0.0, "centered": False}, passes("velocity"), []),
    ("RMSprop", {"momentum": 0.5, "centered": True}, passes("velocity", "momentum", "average_gradient"), []),
    ("Adafactor", {}, ADAFACTOR, []),
    ("Adafactor", {"gradient_accumulation_steps": 2}, passes("gradient_accumulator") + ADAFACTOR, []),
    ("Muon", {"exclude_layers": ["second"], "exclude_embeddings": True}, MUON, []),
    (
        "Muon",
        {"exclude_layers": ["^seco.d/kernel$"], "exclude_embeddings": True, "use_ema": True},
        passes("average") + MUON,
        [],
    ),
]


def arrays_for(
    stored: list[Stored], tail: list[str], *, group: str = "optimizer", dtype: str = "int64"
) -> dict[str, Any]:
    """The numbered variables of an optimizer: iteration 11, rate 0.3, then slots of different content."""
    arrays: list[Any] = [np.array(11, dtype), np.float32(0.3)]
    arrays += [np.full(shape, at + 0.5).astype(kind) for at, (_, _, shape, kind) in enumerate(stored)]
    arrays += [np.float32(0.625) for _ in tail]
    return {f"{group}/vars/{at}": np.asarray(array) for at, array in enumerate(arrays)}


@pytest.mark.clause("K-53@9a5378", "K-54@e77d06", "K-55@def5af", "O-8@1d677f", "O-12@e1282c")
@pytest.mark.parametrize(("kind", "config", "stored", "tail"), OPTIMIZERS)
def test_every_optimizer_has_its_slots_by_name(
    kit: Any, kind: str, config: dict[str, Json], stored: list[Stored], tail: list[str]
) -> None:
    """Numbers become slots by variable and name, for each optimizer and option that changes them, and numbers again."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer(kind, kind.lower(), **config)))
    arrays = arrays_for(stored, tail)
    report = Report()
    model = kit.round_trip(tree, kit.dense_arrays() | arrays)
    kit.read(kit.write(tree, kit.dense_arrays() | arrays), report=report)
    optimizer = model.optimizer.optimizers["optimizer"]
    assert optimizer.algorithm == f"keras:{kind}"
    assert optimizer.hyperparameters == {"learning_rate": 0.125} | config
    assert optimizer.variables() == PATHS
    steps = config.get("gradient_accumulation_steps", 1)
    assert (optimizer.micro_step, optimizer.step) == (11, 11 // steps)
    assert optimizer.learning_rate == float(np.float32(0.3))
    found = {(path, name): tensor for path, slots in optimizer.slots.items() for name, tensor in slots.items()}
    assert set(found) == {(path, name) for path, name, _, _ in stored}
    for at, (path, name, shape, dtype) in enumerate(stored):
        assert (found[path, name].shape, found[path, name].dtype) == (shape, dtype)
        assert found[path, name].numpy().tobytes() == arrays[f"optimizer/vars/{at + 2}"].tobytes()
    assert list(optimizer.shared_slots) == tail
    assert optimizer.fresh == []
    assert {entry.status for entry in report.entries if entry.kind == "slot"} == {"restored"}


@pytest.mark.clause("K-55@def5af")
def test_the_tests_have_every_optimizer_of_keras() -> None:
    """The optimizers that Keras 3.15 exports are all tested, wrappers aside."""
    assert {kind for kind, _, _, _ in OPTIMIZERS} == {
        "Adadelta", "Adafactor", "Adagrad", "Adam", "AdamW", "Adamax", "Ftrl", "Lamb", "Lion", "Muon", "Nadam",
        "RMSprop", "SGD", "ScheduleFreeAdamW",
    }  # fmt: skip


@pytest.mark.clause("O-9@4b191f")
def test_an_optimizer_without_slots_yet_is_fresh(kit: Any) -> None:
    """Compiled but untrained: every variable is in a group and fresh."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam")))
    arrays = {"optimizer/vars/0": np.int32(0), "optimizer/vars/1": np.float32(0.125)}
    model = kit.round_trip(tree, kit.dense_arrays() | arrays)
    optimizer = model.optimizer.optimizers["optimizer"]
    assert optimizer.fresh == optimizer.variables() == PATHS
    assert (optimizer.slots, optimizer.step, optimizer.micro_step) == ({}, 0, 0)


@pytest.mark.clause("K-54@e77d06", "O-5@06fdad")
@pytest.mark.parametrize("rate", [np.float64(0.1), np.float16(0.1), ml_dtypes.bfloat16(0.1), np.float32(0.1)])
def test_counters_and_rates_keep_their_dtype(kit: Any, rate: Any) -> None:
    """The rate's every bit and the dtype of the counter come back, whatever the backend made them."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("SGD", momentum=0.0)))
    arrays = kit.dense_arrays() | {"optimizer/vars/0": np.int32(7), "optimizer/vars/1": np.asarray(rate)}
    model = kit.round_trip(tree, arrays)
    assert model.optimizer.optimizers["optimizer"].learning_rate == float(rate)


@pytest.mark.clause("K-53@9a5378", "O-6@3df4ac")
def test_a_schedule_counts_gradients(kit: Any) -> None:
    """A schedule is the optimizer's `schedule`, no rate is stored, and its clock is the micro step."""
    schedule = {
        "module": "keras.optimizers.schedules",
        "class_name": "CosineDecay",
        "config": {"initial_learning_rate": 0.5, "decay_steps": 9},
        "registered_name": None,
    }
    steps = {"gradient_accumulation_steps": 3, "momentum": 0.5}
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("SGD", learning_rate=schedule, **steps)))
    stored = passes("gradient_accumulator", "momentum")
    numbered = list(arrays_for(stored, []).values())
    del numbered[1]
    arrays = {f"optimizer/vars/{at}": array for at, array in enumerate(numbered)}
    optimizer = kit.round_trip(tree, kit.dense_arrays() | arrays).optimizer.optimizers["optimizer"]
    assert optimizer.schedule == ObjectValue(
        "keras:optimizers.schedules.CosineDecay", {"initial_learning_rate": 0.5, "decay_steps": 9}
    )
    assert (optimizer.schedule_clock, optimizer.learning_rate) == ("micro_step", None)
    assert (optimizer.micro_step, optimizer.step) == (11, 3)
    assert "learning_rate" not in optimizer.hyperparameters


def wrapped(kit: Any, inner: Json) -> Json:
    """The node of a loss-scale optimizer."""
    config = {"name": "scale", "inner_optimizer": inner, "initial_scale": 32768.0, "dynamic_growth_steps": 2000}
    return {"module": "keras.optimizers", "class_name": "LossScaleOptimizer", "config": config, "registered_name": None}


def wrapped_arrays(inner: dict[str, Any]) -> dict[str, Any]:
    """A wrapper's variables and its copies of the wrapped optimizer's, which are in a group of their own too."""
    own = [np.int64(0), np.float32(0), np.int64(5), np.float32(4096)]
    copies = [inner[f"optimizer/inner_optimizer/vars/{at}"] for at in range(len(inner))]
    return inner | {f"optimizer/vars/{at}": np.asarray(array) for at, array in enumerate([*own, *copies])}


@pytest.mark.clause("O-13@c49fe4", "K-53@9a5378", "K-55@def5af")
@pytest.mark.parametrize("implied", [False, True])
def test_a_loss_scaler_wraps_an_optimizer(kit: Any, implied: bool) -> None:
    """The wrapped optimizer is `inner`, its second copy is left out, also where Keras wraps it without saying so."""
    stored = side_by_side("momentum", "velocity")
    arrays = wrapped_arrays(arrays_for(stored, [], group="optimizer/inner_optimizer"))
    adam = kit.optimizer("Adam")
    tree = kit.dense_model(compiled=kit.compiled(adam if implied else wrapped(kit, adam)))
    outer = kit.round_trip(tree, kit.dense_arrays() | arrays).optimizer.optimizers["optimizer"]
    assert (outer.algorithm, outer.inner.algorithm) == ("keras:LossScaleOptimizer", "keras:Adam")
    assert {name: tensor.numpy().item() for name, tensor in outer.shared_slots.items()} == {
        "step_counter": 5,
        "dynamic_scale": 4096.0,
    }
    assert outer.slots == {}
    assert set(outer.inner.slots) == set(PATHS)
    assert outer.variables() == outer.inner.variables() == PATHS
    assert (outer.step, outer.learning_rate) == (11, float(np.float32(0.3)))


def tf_scaler(inner: Json) -> Json:
    """The node of a loss-scale optimizer of tf_keras."""
    config = {"inner_optimizer": inner, "dynamic": True, "initial_scale": 32768.0, "dynamic_growth_steps": 2000}
    name = "LossScaleOptimizerV3"
    module = "tf_keras.src.mixed_precision.loss_scale_optimizer"
    return {"module": module, "class_name": name, "config": config, "registered_name": name}


@pytest.mark.clause("O-13@c49fe4", "K-68@d6badc")
@pytest.mark.parametrize("case", ["explicit", "implied", "stored once"])
def test_a_loss_scaler_of_tf_keras_has_the_list_of_the_wrapped_optimizer(kit: Any, case: str) -> None:
    """Its list is that of the wrapped optimizer with the iteration, and holds no scale; slots are found by name."""
    listed = [
        np.int64(11),
        *(np.full(shape, at + half, "float32") for at, (_, shape) in enumerate(LIKE) for half in (0, 0.5)),
    ]
    groups = ("optimizer/inner_optimizer/vars", "optimizer/vars")[: 1 if case == "stored once" else 2]
    arrays = {f"{group}/{at}": np.asarray(array) for group in groups for at, array in enumerate(listed)}
    adam = kit.optimizer("Adam")
    tree = kit.dense_model(compiled=kit.compiled(adam if case == "implied" else tf_scaler(adam)))
    path = kit.write(tree, kit.dense_arrays() | arrays, version="2.21.0")
    outer = kit.read(path, native=False).optimizer.optimizers["optimizer"]
    assert outer.algorithm == "tf_keras:src.mixed_precision.loss_scale_optimizer.LossScaleOptimizerV3"
    assert (outer.inner.algorithm, outer.step, outer.inner.step) == ("keras:Adam", 11, 11)
    assert (outer.slots, outer.shared_slots, set(outer.inner.slots)) == ({}, {}, set(PATHS))
    assert outer.residue["keras"].keys() <= {"own", "implied"}
    if case != "stored once":
        kit.round_trip(tree, kit.dense_arrays() | arrays, version="2.21.0")


@pytest.mark.clause("O-13@c49fe4", "O-9@4b191f")
def test_a_loss_scaler_that_was_not_trained_yet(kit: Any) -> None:
    """Before the first step a wrapper has no tensors of its own, and the wrapped optimizer's variables are fresh."""
    inner = {f"optimizer/inner_optimizer/vars/{at}": value for at, value in enumerate([np.int64(0), np.float32(0.5)])}
    own = [np.int64(0), np.float32(0), np.int64(0), np.float32(0.5)]
    arrays = inner | {f"optimizer/vars/{at}": value for at, value in enumerate(own)}
    tree = kit.dense_model(compiled=kit.compiled(wrapped(kit, kit.optimizer("Adam"))))
    outer = kit.round_trip(tree, kit.dense_arrays() | arrays).optimizer.optimizers["optimizer"]
    assert (outer.shared_slots, outer.fresh, outer.inner.fresh) == ({}, [], PATHS)
    assert "copies" not in outer.residue["keras"]


@pytest.mark.clause("O-15@8fa8b4", "O-13@c49fe4")
@pytest.mark.parametrize("missing", ["inner", "own"])
def test_wrappers_with_other_lists_come_back(kit: Any, missing: str) -> None:
    """A list that is neither that of a new wrapper nor of a built one is kept as it is."""
    arrays = wrapped_arrays(arrays_for(passes("momentum"), [], group="optimizer/inner_optimizer"))
    del arrays["optimizer/inner_optimizer/vars/5" if missing == "inner" else "optimizer/vars/9"]
    tree = kit.dense_model(compiled=kit.compiled(wrapped(kit, kit.optimizer("Lion"))))
    kit.round_trip(tree, kit.dense_arrays() | arrays)


@pytest.mark.clause("O-15@8fa8b4", "O-13@c49fe4")
def test_copies_that_differ_are_kept(kit: Any) -> None:
    """Where a wrapper's copy is not the wrapped optimizer's state, both come back."""
    arrays = wrapped_arrays(arrays_for(passes("momentum"), [], group="optimizer/inner_optimizer"))
    arrays["optimizer/vars/7"] = arrays["optimizer/vars/7"] + 1
    tree = kit.dense_model(compiled=kit.compiled(wrapped(kit, kit.optimizer("Lion"))))
    kit.round_trip(tree, kit.dense_arrays() | arrays)


@pytest.mark.clause("K-55@def5af", "K-19@5f61ba")
@pytest.mark.parametrize("accumulated", [False, True])
def test_scales_of_float8_layers_have_no_slots(kit: Any, accumulated: bool) -> None:
    """A variable whose gradient takes its place is the optimizer's, has no slots, and an accumulator nevertheless."""
    policy = {"module": "keras", "class_name": "QuantizedFloat8DTypePolicy", "config": {"mode": "float8"}}
    layer = kit.layer("Dense", "d", units=2, dtype=policy, use_bias=False)
    shapes = [(4, 2), (), (8,), (), (8,), (), (8,)]
    arrays = {f"layers/dense/vars/{at}": np.full(shape, at, "float32") for at, shape in enumerate(shapes)}
    numbered = [np.int64(3), np.float32(0.5), *([np.ones(shape, "float32") for shape in shapes] if accumulated else [])]
    numbered += [np.full((4, 2), at, "float32") for at in (1, 2)]
    arrays |= {f"optimizer/vars/{at}": np.asarray(array) for at, array in enumerate(numbered)}
    config = {"gradient_accumulation_steps": 2} if accumulated else {}
    tree = kit.sequential([layer]) | {"compile_config": kit.compiled(kit.optimizer("Adam", **config))}
    optimizer = kit.round_trip(tree, arrays).optimizer.optimizers["optimizer"]
    assert len(optimizer.variables()) == 7
    slots = {"momentum", "velocity"} | ({"gradient_accumulator"} if accumulated else set())
    assert set(optimizer.slots["d/kernel"]) == slots
    assert set(optimizer.slots) == (set(optimizer.variables()) if accumulated else {"d/kernel"})


@pytest.mark.clause("K-56@142b97", "O-15@8fa8b4")
def test_slots_of_variables_that_are_gone_stay_numbers(kit: Any) -> None:
    """The slots of a kernel that was quantized after training fit no variable, and are kept."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam")))
    arrays = kit.dense_arrays()
    arrays |= {path: array.astype("int8") for path, array in arrays.items() if path.endswith("0")}
    for node in tree["config"]["layers"][1:]:
        node["config"]["dtype"] = "int8_from_float32"
    arrays |= {f"layers/dense{end}/vars/2": np.ones(3, "float32") for end in ("", "_1")}
    optimizer = kit.round_trip(tree, arrays | arrays_for(side_by_side("momentum", "velocity"), []))
    assert optimizer.optimizer.optimizers["optimizer"].slots == {}


@pytest.mark.clause("K-56@142b97", "K-48@6a0db9")
@pytest.mark.parametrize("frozen_now", [False, True])
def test_layers_that_were_frozen_or_thawed_after_training(kit: Any, frozen_now: bool) -> None:
    """Slots belong to what was trainable when the optimizer was built, whatever is frozen now."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam")))
    trained = ["second/kernel", "second/bias"] if not frozen_now else PATHS
    if frozen_now:
        tree["config"]["layers"][1]["config"]["trainable"] = False
    stored = [slot for slot in side_by_side("momentum", "velocity") if slot[0] in trained]
    model = kit.round_trip(tree, kit.dense_arrays() | arrays_for(stored, []))
    optimizer = model.optimizer.optimizers["optimizer"]
    assert optimizer.variables() == trained
    assert set(optimizer.slots) == set(trained)
    assert model.weights["first/kernel"].trainable is not frozen_now


def four_equal(kit: Any, kind: str = "Dense") -> tuple[list[Json], dict[str, Any]]:
    """Four layers of one shape, without bias, and their arrays."""
    layers = [kit.layer(kind, f"d{at}", units=2, use_bias=False) for at in range(4)]
    arrays = {f"layers/dense{f'_{at}' * bool(at)}/vars/0": np.full((2, 2), at, "float32") for at in range(4)}
    return layers, arrays


@pytest.mark.clause("K-56@142b97", "O-15@8fa8b4")
def test_slots_that_fit_in_two_ways_stay_numbers(kit: Any) -> None:
    """Two slots for four layers of one shape could be any two layers': they are data, and the report says so."""
    layers, arrays = four_equal(kit)
    tree = kit.sequential(layers) | {"compile_config": kit.compiled(kit.optimizer("Lion"))}
    numbered = [np.int64(3), np.float32(0.5), np.ones((2, 2), "float32"), np.zeros((2, 2), "float32")]
    arrays |= {f"optimizer/vars/{at}": np.asarray(array) for at, array in enumerate(numbered)}
    optimizer = kit.round_trip(tree, arrays).optimizer.optimizers["optimizer"]
    assert (optimizer.slots, optimizer.groups, optimizer.step) == ({}, [], 3)
    assert set(optimizer.residue["keras"]["variables"]) == {"2", "3"}
    report = Report()
    kit.read(kit.write(tree, arrays), report=report)
    assert [(entry.kind, entry.subject) for entry in report.entries if entry.status == "data-only"] == [
        ("optimizer", "optimizer"),
        ("slot", "optimizer: optimizer/vars/2"),
        ("slot", "optimizer: optimizer/vars/3"),
    ]


def block(kit: Any) -> Json:
    """A custom layer, whose own layers and flags only the weights file shows."""
    return kit.layer("Block", "block") | {"module": None, "registered_name": "mine>Block"}


@pytest.mark.clause("K-56@142b97", "K-48@6a0db9")
def test_slots_tell_the_order_and_flags_of_a_custom_layer(kit: Any) -> None:
    """Where the shapes leave one way, slots find the variables of a custom layer, and which of them are trained."""
    arrays = {
        "layers/block/vars/0": np.zeros(5, "float32"),
        "layers/block/vars/1": np.zeros(6, "float32"),
        "layers/block/alpha/vars/0": np.zeros((2, 3), "float32"),
        "layers/block/omega/vars/0": np.zeros((4, 2), "float32"),
        "layers/block/omega/vars/1": np.zeros(2, "int64"),
    }
    slots = [np.full(shape, 1.5, "float32") for shape in ((5,), (4, 2), (2, 3))]
    numbered = [np.int64(3), np.float32(0.5), *slots]
    arrays |= {f"optimizer/vars/{at}": np.asarray(array) for at, array in enumerate(numbered)}
    tree = kit.sequential([block(kit)]) | {"compile_config": kit.compiled(kit.optimizer("Lion"))}
    model = kit.round_trip(tree, arrays)
    optimizer = model.optimizer.optimizers["optimizer"]
    assert optimizer.variables() == ["block/0", "block/omega/0", "block/alpha/0"]
    assert {path: variable.trainable for path, variable in model.weights.variables.items()} == {
        "block/0": True,
        "block/1": False,
        "block/alpha/0": True,
        "block/omega/0": True,
        "block/omega/1": False,
    }


@pytest.mark.clause("K-56@142b97")
def test_layers_of_one_shape_in_unknown_order_are_not_guessed(kit: Any) -> None:
    """Two layers of one shape in a custom layer stay apart, unless they are members of one list."""
    shape = np.zeros((2, 2), "float32")
    numbered = [np.int64(3), np.float32(0.5), shape, shape]
    slots = {f"optimizer/vars/{at}": np.asarray(array) for at, array in enumerate(numbered)}
    tree = kit.sequential([block(kit)]) | {"compile_config": kit.compiled(kit.optimizer("Lion"))}
    apart = {"layers/block/one/vars/0": shape, "layers/block/two/vars/0": shape}
    assert kit.round_trip(tree, apart | slots).optimizer.optimizers["optimizer"].slots == {}
    listed = {"layers/block/all/step/vars/0": shape, "layers/block/all/step_1/vars/0": shape}
    optimizer = kit.round_trip(tree, listed | slots).optimizer.optimizers["optimizer"]
    assert optimizer.variables() == ["block/all/step/0", "block/all/step_1/0"]


@pytest.mark.clause("K-56@142b97", "E-2@310409")
def test_a_search_without_end_is_given_up(kit: Any) -> None:
    """Thirty layers of one shape in unknown order end in data, soon."""
    shape = np.zeros((2, 2), "float32")
    arrays = {f"layers/block/{chr(97 + at % 26)}{at}/vars/0": shape for at in range(30)}
    numbered = [np.int64(3), np.float32(0.5), *[shape] * 17]
    arrays |= {f"optimizer/vars/{at}": np.asarray(array) for at, array in enumerate(numbered)}
    tree = kit.sequential([block(kit)]) | {"compile_config": kit.compiled(kit.optimizer("Lion"))}
    assert kit.round_trip(tree, arrays).optimizer.optimizers["optimizer"].slots == {}


@pytest.mark.clause("K-57@60623d", "O-15@8fa8b4")
def test_an_optimizer_of_the_authors_own_keeps_its_numbers(kit: Any) -> None:
    """The variables of an optimizer that is not built in are data, and come back; its counter and rate are known."""
    own = kit.optimizer("SignMomentum") | {"module": None, "registered_name": "mine>SignMomentum"}
    tree = kit.dense_model(compiled=kit.compiled(own))
    report = Report()
    path = kit.write(tree, kit.dense_arrays() | arrays_for(passes("running_sum"), []))
    optimizer = kit.read(path, report=report).optimizer.optimizers["optimizer"]
    assert optimizer.algorithm == "custom:mine>SignMomentum"
    assert (optimizer.step, optimizer.learning_rate) == (11, float(np.float32(0.3)))
    assert set(optimizer.residue["keras"]["variables"]) == {"2", "3", "4", "5"}
    assert "data-only" in {entry.status for entry in report.entries if entry.kind == "optimizer"}
    kit.round_trip(tree, kit.dense_arrays() | arrays_for(passes("running_sum"), []))


@pytest.mark.clause("K-58@3c09cf", "O-15@8fa8b4")
@pytest.mark.parametrize(
    "arrays",
    [
        {},
        {"optimizer/vars/0": np.float32(1)},
        {"optimizer/vars/0": np.int64(-1)},
        {"optimizer/vars/0": np.int64(1)},
        {"optimizer/vars/0": np.int64(1), "optimizer/vars/1": np.int64(1)},
        {"optimizer/vars/1": np.float32(1)},
        {"optimizer/vars/named": np.float32(1)},
        {"optimizer/other/vars/0": np.float32(1), "optimizer/vars/0": np.int64(1)},
        {"optimizer/loose": np.float32(1)},
    ],
)
def test_whatever_lies_in_the_optimizers_group_comes_back(kit: Any, arrays: dict[str, Any]) -> None:
    """Lists of another form than Keras', and other datasets, are kept as they are."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam")))
    kit.round_trip(tree, kit.dense_arrays() | {path: np.asarray(array) for path, array in arrays.items()})


@pytest.mark.clause("O-2@941acb", "K-58@3c09cf")
def test_a_compiled_model_inside_of_another_has_an_optimizer_of_its_own(kit: Any) -> None:
    """Its state is under the path of that model."""
    inner = kit.dense_model(compiled=kit.compiled(kit.optimizer("Lion")))
    inner["config"]["name"] = "inner"
    prefix = "layers/sequential"
    arrays = {f"{prefix}/{path}": array for path, array in kit.dense_arrays().items()}
    arrays |= arrays_for(passes("momentum"), [], group=f"{prefix}/optimizer")
    model = kit.round_trip(kit.sequential([inner]), arrays)
    assert list(model.optimizer.optimizers) == ["inner/optimizer"]
    assert set(model.optimizer.optimizers["inner/optimizer"].slots) == {f"inner/{path}" for path in PATHS}
    assert model.training is None


@pytest.mark.clause("O-8@1d677f", "O-9@4b191f", "K-60@e528a0")
@pytest.mark.parametrize("change", ["missing", "unexpected", "shared", "custom", "nowhere"])
def test_slots_that_keras_cannot_hold_are_refused(kit: Any, change: str) -> None:
    """A slot that the algorithm lacks, or one too few, is refused before anything is written."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam")))
    model = kit.model(tree, kit.dense_arrays() | arrays_for(side_by_side("momentum", "velocity"), []))
    optimizer = model.optimizer.optimizers["optimizer"]
    tensor = optimizer.slots["first/bias"]["momentum"]
    if change == "missing":
        del optimizer.slots["first/bias"]["momentum"]
    elif change == "unexpected":
        optimizer.slots["first/bias"]["third"] = tensor
    elif change == "shared":
        optimizer.shared_slots["u_product"] = tensor
    elif change == "custom":
        optimizer.algorithm = "custom:mine>Own"
    else:
        model.optimizer.optimizers = {"generator/optimizer": optimizer}
    with pytest.raises(TransferError) as caught:
        kit.back(model)
    assert caught.value.code == "keras-slots"


@pytest.mark.clause("K-60@e528a0")
def test_an_algorithm_of_another_framework_is_refused(kit: Any) -> None:
    """Keras has no class for it."""
    model = kit.model(kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam"))), kit.dense_arrays())
    model.optimizer.optimizers["optimizer"].algorithm = "torch:optim.Adam"
    with pytest.raises(TransferError) as caught:
        kit.back(model)
    assert caught.value.code == "keras-op"


@pytest.mark.clause("K-52@be0bf7", "T-2@1147ab", "T-4@3033cf")
def test_compile_arguments_are_the_training_document(kit: Any) -> None:
    """Losses, metrics and options have their fields, with the author's own functions as objects of a custom class."""
    own = {"module": "builtins", "class_name": "function", "config": "my_loss", "registered_name": "function"}
    huber = {"module": "keras.losses", "class_name": "Huber", "config": {"delta": 2.0}, "registered_name": None}
    regularizer = {"module": "keras.regularizers", "class_name": "L2", "config": {"l2": 0.5}, "registered_name": None}
    fields = {"loss": {"b": own, "a": huber}, "loss_weights": {"b": 1.0, "a": 2}, "metrics": [["mae"], None]}
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam"), **fields, jit_compile=True, extra={"x": 1}))
    tree["config"]["layers"][2]["config"]["kernel_regularizer"] = regularizer
    tree["config"]["layers"].insert(1, kit.layer("ActivityRegularization", "penalty", l2=0.5))
    model = kit.round_trip(tree, kit.dense_arrays())
    training = model.training
    assert training.loss["b"] == ObjectValue("custom:my_loss", None, None, training.loss["b"].residue)
    assert training.loss["a"] == ObjectValue("keras:losses.Huber", {"delta": 2.0})
    assert (training.loss_weights, training.metrics) == ({"b": 1.0, "a": 2}, [["mae"], None])
    assert training.options == {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": True}
    assert training.added_losses == ["penalty", "second/kernel_regularizer"]
    assert training.precision == {"name": "float32", "variable_dtype": "float32", "compute_dtype": "float32"}


@pytest.mark.clause("K-52@be0bf7", "K-58@3c09cf")
@pytest.mark.parametrize(
    "fields",
    [
        {"loss": None},
        {"metrics": [], "loss_weights": {}, "weighted_metrics": ""},
        {"run_eagerly": None, "jit_compile": "auto", "steps_per_execution": 16},
        {"optimizer": None},
        {"optimizer": "unheard-of"},
        {"more": [1.0]},
    ],
)
def test_odd_compile_arguments_come_back(kit: Any, fields: dict[str, Json]) -> None:
    """Empty lists are not null, and arguments that no rule knows are kept."""
    compiled = kit.compiled(kit.optimizer("Adam")) | fields
    kit.round_trip(kit.dense_model(compiled=compiled), kit.dense_arrays())
    del compiled["metrics"]
    kit.round_trip(kit.dense_model(compiled=compiled), kit.dense_arrays())


@pytest.mark.clause("T-3@fa1d97")
@pytest.mark.parametrize(
    ("policies", "expected"),
    [
        (["mixed_bfloat16", "mixed_bfloat16"], ("mixed_bfloat16", "float32", "bfloat16")),
        (["mixed_bfloat16", "float32"], None),
        (["int8_from_float32"] * 2, None),
    ],
)
def test_precision_is_the_policy_of_all_layers(kit: Any, policies: list[str], expected: Json) -> None:
    """Where all layers have one named policy, the training document repeats it."""
    layers = [
        kit.layer("Flatten", f"f{at}", dtype={"module": "keras", "class_name": "DTypePolicy", "config": {"name": name}})
        for at, name in enumerate(policies)
    ]
    tree = kit.sequential(layers) | {"compile_config": kit.compiled(kit.optimizer("Adam"))}
    del tree["config"]["dtype"]
    precision = kit.model(tree).training.precision
    assert (tuple(precision.values()) or None) == expected
