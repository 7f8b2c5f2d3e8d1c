"""Losses, metrics, optimizers and the `.keras` writer between Keras 2 and Keras 3."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.bridges.keras import v3
from etui.bridges.keras.content import Dialect
from etui.bridges.keras.core.optimizer_lift import lift_optimizer
from etui.bridges.keras.dialects.normalize import dialect_of, to_dialect
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.containers.training import Training
from etui.containers.weights import Variable, Weights
from etui.errors import TransferError, UsageError
from etui.limits import Limits
from etui.model import Model
from etui.report import Report
from etui.testing.parts import present

PATHS = ("d/kernel", "d/bias")
RATE = float(np.float32(0.01))


def weights() -> Weights:
    """The variables of one Dense layer."""
    tensors = {"kernel": Tensor.of(np.ones((2, 3), "float32")), "bias": Tensor.of(np.ones(3, "float32"))}
    return Weights({f"d/{role}": Variable(tensor, role) for role, tensor in tensors.items()})


def model(optimizer: Optimizer | None = None, training: Training | None = None, dialect: str = "tf_keras") -> Model:
    """A Sequential model of one layer."""
    key = "batch_input_shape" if dialect == "tf_keras" else "batch_shape"
    entry = Module("i", "layer", "keras:InputLayer", {key: [None, 2], "dtype": "float32"})
    dense = Module(
        "d", "layer", "keras:Dense", {"units": 3, "dtype": "float32"}, {"kernel": PATHS[0], "bias": PATHS[1]}
    )
    root = Module("m", "layer", "keras:Sequential", modules=[entry, dense])
    if dialect == "tf_keras":
        root.residue = {"keras": {"dialect": dialect}}
    state = None if optimizer is None else OptimizerState({"optimizer": optimizer})
    return Model(Config(root), weights(), training, state)


def slots(**values: float) -> dict[str, dict[str, Tensor]]:
    """The same slots for both variables."""
    found = weights()
    return {
        path: {name: Tensor.of(np.full(found[path].shape, value, "float32")) for name, value in values.items()}
        for path in PATHS
    }


def optimizer(algorithm: str, own: dict[str, dict[str, Tensor]] | None = None, **hyperparameters: Any) -> Optimizer:
    """An optimizer after 3 steps."""
    found = Optimizer(f"keras:{algorithm}", {"learning_rate": RATE} | hyperparameters, RATE, 3, 3)
    found.groups, found.slots = [Group(list(PATHS))], own or {}
    return found


def there(found: Optimizer, dialect: Any = "keras", *, lost: int = 0) -> tuple[Optimizer, Report]:
    """An optimizer in the terms of the other dialect."""
    report = Report()
    source = "tf_keras" if dialect == "keras" else "keras"
    made = to_dialect(model(found, dialect=source), dialect, report)
    assert len(report.lost) == lost, report.lost
    assert made.optimizer is not None
    return made.optimizer.optimizers["optimizer"], report


def statuses(report: Report) -> dict[str, str]:
    """What became of each slot."""
    return {entry.subject: entry.status for entry in report.entries if entry.kind == "slot"}


@pytest.mark.clause("KN-17@6dbe4b", "KN-18@c9fab0")
def test_a_momentum_that_is_0_is_left_out_and_made_again() -> None:
    """Keras 2 keeps a momentum that nothing reads; Keras 3 has none, and on the way back it is zeros."""
    found, report = there(
        optimizer("SGD", slots(momentum=7.0), momentum=0.0, jit_compile=True, is_legacy_optimizer=False)
    )
    assert found.hyperparameters == {"learning_rate": RATE, "momentum": 0.0}
    assert found.slots == {path: {} for path in PATHS}
    assert statuses(report) == {f"optimizer/{path}/momentum": "left-out" for path in PATHS}
    back, report = there(found, "tf_keras")
    assert [float(back.slots[path]["momentum"].numpy().sum()) for path in PATHS] == [0.0, 0.0]
    assert back.hyperparameters["jit_compile"] is False
    assert statuses(report) == {f"optimizer/{path}/momentum": "translated" for path in PATHS}


@pytest.mark.clause("KN-17@6dbe4b")
def test_slots_that_both_have_are_the_same_tensors() -> None:
    """A momentum that is used, and the averages of Adam, are handed on without a copy."""
    for name, own in (("SGD", slots(momentum=1.0)), ("Adam", slots(momentum=1.0, velocity=2.0))):
        found, report = there(optimizer(name, own, momentum=0.9) if name == "SGD" else optimizer(name, own))
        assert found.slots == own
        assert all(found.slots[path][key] is own[path][key] for path in PATHS for key in own[path])
        assert statuses(report) == {}
        assert (found.step, found.micro_step, found.learning_rate) == (3, 3, RATE)


@pytest.mark.clause("KN-18@c9fab0")
def test_placeholders_of_adafactor_come_and_go() -> None:
    """Keras 3 stores a 0 where a variable has no rows and columns; Keras 2 stores nothing."""
    own = slots(v=1.0)
    own["d/kernel"] |= {"r": Tensor.of(np.ones(2, "float32")), "c": Tensor.of(np.ones(3, "float32"))}
    found, _ = there(optimizer("Adafactor", own))
    assert {key: (tensor.dtype, tensor.shape) for key, tensor in found.slots["d/bias"].items()} == {
        "r": ("int32", ()),
        "c": ("int32", ()),
        "v": ("float32", (3,)),
    }
    back, report = there(found, "tf_keras")
    assert set(back.slots["d/bias"]) == {"v"}
    assert set(back.slots["d/kernel"]) == {"r", "c", "v"}
    assert statuses(report) == {f"optimizer/d/bias/{key}": "left-out" for key in ("r", "c")}


def product(steps: int) -> float:
    """The product that Keras 3's Nadam has after so many steps, in float32."""
    found, one = np.float32(1), np.float32
    for step in range(1, steps + 1):
        found = one(one(found * one(0.9)) * one(one(1) - one(one(0.5) * one(np.power(one(0.96), one(step))))))
    return float(found)


@pytest.mark.clause("KN-19@820d19")
def test_the_product_of_nadam_is_computed() -> None:
    """It follows from the steps, however many, and Keras 2 cannot take it over."""
    found, report = there(optimizer("Nadam", slots(momentum=1.0, velocity=1.0)))
    assert float(found.shared_slots["u_product"].numpy()) == product(3)
    assert found.shared_slots["u_product"].dtype == "float32"
    assert statuses(report) == {"optimizer/u_product": "translated"}
    late = optimizer("Nadam", slots(momentum=1.0, velocity=1.0), beta_1=0.999999)
    late.step = late.micro_step = 10**12
    assert float(there(late)[0].shared_slots["u_product"].numpy()) == 0.0
    back, report = there(found, "tf_keras", lost=1)
    assert back.shared_slots == {}
    assert statuses(report) == {"optimizer/u_product": "not-transferable"}


@pytest.mark.library
@pytest.mark.parametrize(("beta", "expected"), [(0.9, 0.0), (10.0, math.inf), (10**400, math.inf), (1.0, None)])
def test_the_product_of_nadam_takes_no_time_for_any_steps_and_factor(beta: float, expected: float | None) -> None:
    """A file may say that there were 2^62 steps, and a factor that no float holds after them."""
    late = optimizer("Nadam", slots(momentum=1.0, velocity=1.0), beta_1=beta)
    late.step = late.micro_step = 2**62

    products = [
        float(found.shared_slots["u_product"].numpy())
        for found in (there(late)[0], lift_optimizer(late, Report(), "optimizer"))
    ]

    assert len(products) == 2
    assert all((0 < found < 1e-3) if expected is None else found == expected for found in products)


LEGACY = [
    ("SGD", {}, "SGD", 0),
    ("Adam", {"amsgrad": False}, "Adam", 0),
    ("Adamax", {}, "Adamax", 0),
    ("Adadelta", {}, "Adadelta", 0),
    ("Ftrl", {}, "Ftrl", 0),
    ("RMSprop", {"momentum": 0.5}, "RMSprop", 0),
    ("RMSprop", {"momentum": 0.0}, "RMSprop", 1),
    ("Adagrad", {}, "Adagrad", 1),
    ("Nadam", {"decay": 0.004}, "Nadam", 1),
]


@pytest.mark.clause("KN-20@e595c1")
@pytest.mark.parametrize(("name", "own", "expected", "lost"), LEGACY)
def test_legacy_optimizers(name: str, own: dict[str, Any], expected: str, lost: int) -> None:
    """An older optimizer becomes the newer one of its rule, or is reported."""
    found, _ = there(optimizer(f"optimizers.legacy.{name}", **own), lost=lost)
    assert found.algorithm == f"keras:{expected}"
    assert "decay" not in found.hyperparameters


@pytest.mark.clause("KN-20@e595c1")
def test_the_product_of_the_legacy_nadam_is_another() -> None:
    """What the older Nadam keeps is reported, and the newer one gets the product of its own."""
    old = optimizer("optimizers.legacy.Nadam", slots(momentum=1.0, velocity=1.0))
    old.shared_slots = {"momentum_cache": Tensor.of(np.float32(0.5))}
    found, report = there(old, lost=2)
    assert set(found.shared_slots) == {"u_product"}
    assert statuses(report) == {"optimizer/momentum_cache": "not-transferable", "optimizer/u_product": "translated"}


@pytest.mark.clause("KN-20@e595c1")
def test_a_decay_is_a_schedule() -> None:
    """A rate that decays with the steps, by the names of Keras 1 too, is the schedule that gives the same rates."""
    found = optimizer("optimizers.legacy.Adam", decay=0.25, epsilon=None)
    found.hyperparameters["lr"] = found.hyperparameters.pop("learning_rate")
    made, _ = there(found)
    config = {
        "initial_learning_rate": RATE,
        "decay_steps": 1,
        "decay_rate": 0.25,
        "staircase": False,
        "name": "InverseTimeDecay",
    }
    assert made.schedule == ObjectValue("keras:optimizers.schedules.InverseTimeDecay", config)
    assert made.learning_rate is None
    assert made.hyperparameters == {"epsilon": 1e-7}
    scheduled = optimizer("optimizers.legacy.Adam", decay=0.25)
    scheduled.schedule = made.schedule
    _, report = there(scheduled, lost=1)
    assert "schedule" in report.lost[0].detail


OTHERS = [
    ("tf_keras", "Muon", {}, "no such optimizer"),
    ("tf_keras", "Lamb", {}, "no such optimizer"),
    ("tf_keras", "Adam", {"gradient_accumulation_steps": 4}, "gradient_accumulation_steps"),
    ("tf_keras", "Adam", {"loss_scale_factor": 2.0}, "loss_scale_factor"),
    ("keras", "Adam", {"adaptive_epsilon": True}, "adaptive_epsilon"),
    ("keras", "mixed_precision.LossScaleOptimizer", {"dynamic": False, "initial_scale": 8.0}, "the scale is fixed"),
    ("tf_keras", "LossScaleOptimizer", {"clipnorm": 1.0}, "clipnorm"),
]


@pytest.mark.clause("KN-17@6dbe4b")
@pytest.mark.parametrize(("dialect", "name", "own", "reason"), OTHERS)
def test_optimizers_without_an_equal_are_reported(dialect: str, name: str, own: dict[str, Any], reason: str) -> None:
    """A class or a value that the target does not have is lost, with the reason."""
    _, report = there(optimizer(name, **own), dialect, lost=1)
    assert reason in report.lost[0].detail
    assert report.lost[0].subject.partition("/")[0] == "optimizer"


def scaler(algorithm: str, adam: Optimizer, **hyperparameters: Any) -> Optimizer:
    """A scaler of the loss around an optimizer."""
    found = Optimizer(algorithm, hyperparameters, adam.learning_rate, adam.step, adam.micro_step, inner=adam)
    found.groups = [Group(list(PATHS))]
    return found


OLD_SCALER = "tf_keras:src.mixed_precision.loss_scale_optimizer.LossScaleOptimizer"


@pytest.mark.clause("KN-23@c74845")
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("held", [False, True])
def test_a_scaler_of_keras_2_is_one_of_keras_3(legacy: bool, held: bool) -> None:
    """It keeps scale and count where the source holds them, else begins as Keras 2 does; it comes back as it was."""
    names = ("momentum", "velocity")
    adam = optimizer("optimizers.legacy.Adam" if legacy else "Adam", slots(**dict.fromkeys(names, 1.0)))
    own = {"dynamic": True, "initial_scale": 1024.0, "dynamic_growth_steps": 9}
    found = scaler(OLD_SCALER + "V3" * (not legacy), adam, **own)
    settings = {"current_loss_scale": Tensor.of(np.float32(64)), "good_steps": Tensor.of(np.int64(5))}
    if held:
        found.residue = {"tensorflow": {"settings": settings}}
    made, report = there(found)
    assert (made.algorithm, present(made.inner).algorithm) == ("keras:LossScaleOptimizer", "keras:Adam")
    assert made.hyperparameters == {"initial_scale": 1024.0, "dynamic_growth_steps": 9}
    state = {name: tensor.numpy()[()] for name, tensor in made.shared_slots.items()}
    assert state == (
        {"dynamic_scale": 64.0, "step_counter": 5} if held else {"dynamic_scale": 1024.0, "step_counter": 0}
    )
    assert [tensor.dtype for tensor in made.shared_slots.values()] == ["float32", "int32"]
    assert set(statuses(report).values()) == {"translated"}
    assert (found.shared_slots, "tensorflow" in found.residue) == ({}, held)
    back, _ = there(made, "tf_keras")
    assert (back.algorithm, back.hyperparameters, back.shared_slots) == (f"{OLD_SCALER}V3", own, {})
    kept = {name: tensor.numpy()[()] for name, tensor in back.residue["tensorflow"]["settings"].items()}
    assert kept == {"current_loss_scale": state["dynamic_scale"], "good_steps": state["step_counter"]}


@pytest.mark.clause("KN-23@c74845")
def test_a_scaler_that_has_not_begun_has_no_state() -> None:
    """Before the first step there is nothing but the defaults, which both have."""
    made, report = there(scaler(f"{OLD_SCALER}V3", optimizer("Adam")))
    assert made.hyperparameters == {"initial_scale": 2.0**15, "dynamic_growth_steps": 2000}
    assert (made.shared_slots, statuses(report)) == ({}, {})


@pytest.mark.clause("KN-23@c74845")
def test_a_translated_scaler_is_written_for_either(tmp_path: Path) -> None:
    """Files of both are written without loss, and have the wrapped optimizer's slots where each looks for them."""
    adam = optimizer("Adam", slots(momentum=1.0, velocity=2.0))
    found = model(
        scaler(f"{OLD_SCALER}V3", adam, dynamic=True, initial_scale=8.0, dynamic_growth_steps=4), Training(loss="mse")
    )
    counts: dict[Dialect, int] = {"tf_keras": 5, "keras": 4 + 6}
    for dialect, count in counts.items():
        v3.write(found, tmp_path / f"{dialect}.keras", Report(), strict=True, dialect=dialect)
        report = Report()
        with v3.read(tmp_path / f"{dialect}.keras", report, limits=Limits()) as again:
            assert report.ok
            made = present(again.optimizer).optimizers["optimizer"]
            assert "datasets" not in made.residue["keras"]
            assert "variables" not in made.residue["keras"]
            assert set(present(made.inner).slots) == set(PATHS)
            stored = [entry for entry in report.entries if entry.subject.startswith("optimizer/vars/")]
            assert len(stored) == count - 1 - 3 * (dialect == "keras")


@pytest.mark.clause("KN-22@b502ea")
@pytest.mark.parametrize("step", [0, 3])
def test_averages_that_have_not_begun_are_reported(step: int) -> None:
    """Before the first step the two begin their averages otherwise; after it they go on alike."""
    found = optimizer("SGD", slots(momentum=0.0, average=1.0), momentum=0.5, use_ema=True)
    found.step = found.micro_step = step
    _, report = there(found, lost=int(step == 0))
    assert [entry.subject for entry in report.lost] == ["optimizer/use_ema"] * (step == 0)


@pytest.mark.clause("KN-17@6dbe4b")
def test_an_optimizer_of_the_author_stays() -> None:
    """A class that is not Keras' is handed on as it is."""
    found = Optimizer("custom:mine>Own", {"learning_rate": 1.0}, 1.0)
    assert there(found)[0] is found


@pytest.mark.clause("KN-17@6dbe4b")
@pytest.mark.parametrize(("name", "rate"), [("SGD", 0.01), ("RMSprop", 0.001)])
def test_an_optimizer_by_its_name_alone_gets_its_rate(name: str, rate: float) -> None:
    """Keras 3 stores the rate, which a file with nothing but the name does not tell."""
    found = there(Optimizer(f"keras:{name}"))[0]
    assert found.learning_rate == found.hyperparameters["learning_rate"] == float(np.float32(rate))


@pytest.mark.clause("KN-21@42c094", "KN-5@5f0c00")
def test_losses_and_metrics_have_the_names_of_keras_3() -> None:
    """Names, reductions and functions are those of the target, in any nesting; compile options are never null."""
    auto = ObjectValue("keras:losses.Huber", {"name": "h", "reduction": "auto", "fn": "huber", "delta": 0.5})
    wrapped = ObjectValue("keras:metrics.MeanMetricWrapper", {"name": "w", "dtype": "float32", "fn": "mse"})
    counts = ObjectValue("keras:metrics.MeanIoU", {"num_classes": 2, "dtype": "float32"})
    training = Training(
        loss={"a": auto, "b": "huber_loss", "c": "mse"}, metrics=[["acc", "logcosh", "kld"], [wrapped, counts]]
    )
    report = Report()
    made = to_dialect(model(training=training), "keras", report).training
    assert made is not None
    huber = ObjectValue("keras:losses.Huber", {"name": "h", "reduction": "sum_over_batch_size", "delta": 0.5})
    assert made.loss == {"a": huber, "b": "huber", "c": "mse"}
    log_cosh = ObjectValue("keras:losses.log_cosh", None)
    assert made.metrics[0] == ["acc", log_cosh, "kl_divergence"]
    function = ObjectValue("keras:metrics.mean_squared_error", None)
    assert made.metrics[1][0].config == {"name": "w", "dtype": "float32", "fn": function}
    assert made.metrics[1][1].config == {"num_classes": 2}
    assert made.options == {"run_eagerly": False, "steps_per_execution": 1, "jit_compile": False}
    assert report.lost == []
    assert training.loss["a"] is auto


def heads(training: Training, *, dialect: str = "tf_keras", outputs: Any = None) -> Model:
    """A Functional model of two outputs, which are layers called `one` and `two` unless others are given."""
    made = model(training=training, dialect=dialect)
    root = present(made.config).model
    root.op = "keras:Functional"
    root.modules += [Module(name, "layer", "keras:Flatten", {"dtype": "float32"}) for name in ("one", "two")]
    names = [module.name for module in root.modules]
    calls = [Call(name, name, [OutputRef(before, 0)] if before else []) for before, name in pairwise(["", *names])]
    ends = outputs or [OutputRef("one", 0), OutputRef("two", 0)]
    root.graph = Graph([OutputRef("i", 0)], ends, calls)
    return made


BY_OUTPUT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"metrics": ["mae"]}, {"metrics": [["mae"], ["mae"]]}),
    ({"metrics": "mae"}, {"metrics": [["mae"], ["mae"]]}),
    ({"metrics": [None, "mae"]}, {"metrics": [["mae"], ["mae"]]}),
    ({"weighted_metrics": [["mae"], [None]]}, {"weighted_metrics": [["mae"], []]}),
    ({"metrics": {"one": ["mae", None], "two": "mse"}}, {"metrics": {"one": ["mae"], "two": "mse"}}),
    ({"loss": {"two": "mse"}}, {"loss": {"one": None, "two": "mse"}}),
    (
        {"loss": {"one": "mse", "two": "mae"}, "loss_weights": {"two": 2.0}},
        {"loss": {"one": "mse", "two": "mae"}, "loss_weights": {"one": 1.0, "two": 2.0}},
    ),
    (
        {"loss": "mse", "loss_weights": [1.0, 2.0]},
        {"loss": {"one": "mse", "two": "mse"}, "loss_weights": {"one": 1.0, "two": 2.0}},
    ),
    (
        {"loss": ["mse", "mae"], "loss_weights": {"two": 2.0}},
        {"loss": ["mse", "mae"], "loss_weights": [1.0, 2.0]},
    ),
    ({"loss": "mse", "metrics": []}, {"loss": "mse", "metrics": []}),
    ({"loss": {"other": "mse"}}, {"loss": {"other": "mse"}}),
]


@pytest.mark.clause("KN-1@5d963b")
@pytest.mark.parametrize(("given", "expected"), BY_OUTPUT)
def test_each_output_is_trained_as_in_keras_2(given: dict[str, Any], expected: dict[str, Any]) -> None:
    """Flat metrics are of every output, and an output that a map leaves out has no loss and the weight 1."""
    made = present(to_dialect(heads(Training(**given)), "keras", Report()).training)
    assert {key: getattr(made, key) for key in expected} == expected


@pytest.mark.clause("KN-1@5d963b")
def test_outputs_of_one_layer_are_trained_in_their_order() -> None:
    """Keras 2 numbers the outputs of one layer, and Keras 3 does not: they are told apart by their places."""
    training = Training({"one_1": "mse", "one": "mae"}, {"one_1": 2.0}, {"one_1": ["mae"]})
    found = heads(training, outputs=[OutputRef("one", 0), OutputRef("one", 1)])
    made = present(to_dialect(found, "keras", Report()).training)
    assert (made.loss, made.loss_weights, made.metrics) == (["mae", "mse"], [1.0, 2.0], [None, ["mae"]])


@pytest.mark.clause("KN-1@5d963b")
def test_metrics_of_a_map_of_outputs_are_by_its_keys() -> None:
    """Flat metrics of a model whose outputs are a map are those of each key, and its losses stay as they are."""
    ends = {"b": OutputRef("one", 0), "a": OutputRef("two", 0)}
    training = Training({"b": "mse"}, {"b": 2.0}, ["mae"])
    made = present(to_dialect(heads(training, outputs=ends), "keras", Report()).training)
    assert (made.loss, made.loss_weights) == ({"b": "mse"}, {"b": 2.0})
    assert made.metrics == {"a": ["mae"], "b": ["mae"]}


@pytest.mark.clause("KN-1@5d963b")
def test_each_output_has_its_own_metrics_in_keras_2() -> None:
    """A list of Keras 3 with one metric for each output becomes a list of lists, for Keras 2 gives each a flat one."""
    found = heads(Training(metrics=["mae", None], weighted_metrics=[["mae"], None]), dialect="keras")
    made = present(to_dialect(found, "tf_keras", Report()).training)
    assert (made.metrics, made.weighted_metrics) == ([["mae"], []], [["mae"], None])


@pytest.mark.clause("KN-1@5d963b")
def test_what_only_code_tells_of_outputs_stays() -> None:
    """Losses by output of a model whose outputs are nested deeper, or in code alone, are as they were."""
    training = Training({"one": "mse"}, metrics=["mae"])
    for outputs in ([[OutputRef("one", 0)], OutputRef("two", 0)], {"a": [OutputRef("one", 0)]}, None):
        found = heads(training, outputs=outputs)
        if outputs is None:
            present(found.config).model.graph = None
        made = present(to_dialect(found, "keras", Report()).training)
        assert (made.loss, made.metrics) == ({"one": "mse"}, ["mae"])


@pytest.mark.clause("KN-6@68dae3")
def test_a_function_that_keras_does_not_know_is_the_authors() -> None:
    """A metric of a function of the author's own holds it as his, or is it where it is called like it and no more."""

    def metric(name: str, fn: str, dtype: str = "float32") -> ObjectValue:
        return ObjectValue("keras:metrics.MeanMetricWrapper", {"name": name, "dtype": dtype, "fn": fn})

    given = [
        metric("dice", "dice"),
        metric("N_dice", "dice"),
        metric("dice", "dice", "float64"),
        metric("hinge", "hinge"),
    ]
    report = Report()
    made = to_dialect(model(training=Training(metrics=given)), "keras", report).training
    assert made is not None
    dice = ObjectValue("custom:dice", None)
    assert made.metrics[0] == dice
    assert [one.config["fn"] for one in made.metrics[1:3]] == [dice, dice]
    assert made.metrics[3].config["fn"] == ObjectValue("keras:metrics.hinge", None)
    assert report.lost == []


@pytest.mark.clause("KN-4@6cb9a8", "KN-5@5f0c00")
def test_losses_and_metrics_without_an_equal_are_reported() -> None:
    """A loss that only one side has, and a reduction that Keras 2 does not know, are lost."""
    mean = ObjectValue("keras:losses.Huber", {"reduction": "mean_with_sample_weight", "dtype": "float32"})
    kinds = [ObjectValue("keras:losses.Dice", {}), "tversky", mean]
    report = Report()
    made = to_dialect(model(training=Training(loss=kinds), dialect="keras"), "tf_keras", report).training
    assert made is not None
    assert made.loss[2].config == {"reduction": "mean_with_sample_weight"}
    assert [entry.subject for entry in report.lost] == ["loss"] * 3
    report = Report()
    to_dialect(model(training=Training(metrics=[ObjectValue("keras:metrics.MeanTensor", {})])), "keras", report)
    assert [(entry.kind, entry.subject) for entry in report.lost] == [("training", "metrics")]


@pytest.mark.clause("KN-5@5f0c00")
@pytest.mark.parametrize(("mode", "lost"), [(None, []), ("temporal", ["sample_weight_mode"])])
def test_compile_options_of_old_files(mode: Any, lost: list[str]) -> None:
    """An option that Keras 3 does not take goes where it says nothing, and is reported where it does."""
    training = Training(loss="mse", residue={"keras": {"fields": {"sample_weight_mode": mode, "own": 1}}})
    report = Report()
    made = to_dialect(model(training=training), "keras", report).training
    assert made is not None
    assert made.residue == {"keras": {"fields": {"own": 1}}}
    assert [entry.subject for entry in report.lost] == lost


@pytest.mark.clause("KN-17@6dbe4b")
def test_what_the_target_does_not_hold_is_not_translated() -> None:
    """A target without training gets no report of an optimizer that it would not hold."""
    found = model(optimizer("optimizers.legacy.Adagrad"), Training(loss="mse"))
    report = Report()
    made = to_dialect(found, "keras", report, holds=frozenset())
    assert report.lost == []
    assert made.optimizer is found.optimizer
    assert made.training is found.training


def save(folder: Path) -> Path:
    """A file of Keras 2 with a layer that Keras 3 does not have."""
    made = model(optimizer("Adam", slots(momentum=1.0, velocity=2.0)), Training(loss="mse"))
    path = folder / "old.keras"
    v3.write(made, path, Report(), strict=True, dialect="tf_keras")
    return path


@pytest.mark.clause("KN-8@d56a74")
def test_a_keras_file_is_one_of_keras_3_unless_the_caller_says_otherwise(tmp_path: Path) -> None:
    """Without an option the file is in the terms of Keras 3, and with one it is what it was."""
    path = save(tmp_path)
    etui.convert(path, tmp_path / "new.keras")
    etui.convert(path, tmp_path / "same.keras", dialect="tf_keras")
    for name, dialect, version in (("new", "keras", "3.15.1"), ("same", "tf_keras", "2.21.0")):
        with v3.read(tmp_path / f"{name}.keras", Report(), limits=Limits()) as found:
            assert dialect_of(found) == dialect
            assert found.native["native/keras/metadata.json"].framework_version == version
    assert (tmp_path / "same.keras").read_bytes() == path.read_bytes()
    etui.convert(tmp_path / "new.keras", tmp_path / "back.keras", dialect="tf_keras")
    etui.convert(tmp_path / "back.keras", tmp_path / "again.keras")
    assert (tmp_path / "again.keras").read_bytes() == (tmp_path / "new.keras").read_bytes()


@pytest.mark.clause("KN-4@6cb9a8", "KN-8@d56a74")
def test_strict_callers_are_refused_what_has_no_equal(tmp_path: Path) -> None:
    """Nothing is written, unless the caller asks for leniency; a dialect that is none is refused."""
    made = model()
    assert made.config is not None
    made.config.model.modules[1].op = "keras:LocallyConnected1D"
    made.config.model.modules[1].attrs["units"] = 3
    made.config.model.modules[1].params = {}
    made.weights = Weights()
    with pytest.raises(TransferError) as refused:
        v3.write(made, tmp_path / "x.keras", Report(), strict=True)
    assert refused.value.code == "not-complete"
    assert not (tmp_path / "x.keras").exists()
    v3.write(made, tmp_path / "x.keras", Report(), strict=False)
    with v3.read(tmp_path / "x.keras", Report(), limits=Limits()) as found:
        assert found.config is not None
        assert found.config.find("d").op == "keras:LocallyConnected1D"
    wrong: Any = "other"
    with pytest.raises(UsageError) as misuse:
        v3.write(made, tmp_path / "y.keras", Report(), strict=False, dialect=wrong)
    assert misuse.value.code == "writer-misuse"


@pytest.mark.clause("KN-2@bf0e6d")
def test_the_same_model_is_translated_to_the_same_bytes(tmp_path: Path) -> None:
    """Two files of one model are equal byte for byte."""
    path = save(tmp_path)
    for name in ("one", "two"):
        etui.convert(path, tmp_path / f"{name}.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "two.keras").read_bytes()
