"""Core modules in the terms of Keras, without Keras (SPEC.md, annex L.3)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.canonical.values import ObjectValue, OutputRef
from etui.cli import main
from etui.containers.config import Call, Config, Module
from etui.containers.optimizer import Group, Optimizer, OptimizerState
from etui.containers.tensors import Tensor
from etui.report import Report

MODELS = Path(__file__).parents[2] / "examples" / "models"
X = OutputRef("x", 0)


def _ops(model: etui.Model) -> dict[str, str]:
    assert model.config is not None
    return {path: module.op.partition(":")[2] for path, module in model.config.walk() if path}


def _edited(model: etui.Model, path: str, **attrs: Any) -> etui.Model:
    """The model with other attributes of one module."""
    assert model.config is not None

    def rewritten(module: Module, at: str) -> Module:
        children = [rewritten(child, f"{at}/{child.name}" if at else child.name) for child in module.modules]
        found = replace(module, modules=children)
        return replace(found, attrs=found.attrs | attrs) if at == path else found

    return replace(model, config=Config(rewritten(model.config.model, "")))


@pytest.mark.clause("KC-20@d3048b", "KC-21@cf1ba6")
def test_edits_win_over_the_residue(kit: Any) -> None:
    """After an edit of the core attribute Keras' spelling of the old value is not put back, all else is."""
    pool = kit.layer("MaxPooling1D", pool_size=2, strides=None, padding="VALID")
    pool.attrs["name"] = "other"
    model = kit.model(pool, shape=(None, 6, 4))
    core = etui.to_core(model)
    assert core.config is not None
    patch = core.config.find("it").residue["keras"]["patch"]
    assert {"at": ["attrs", "pool_size"], "was": [[2]], "is": [2]} in patch
    found = etui.to_keras(_edited(core, "it", pool_size=[3])).config.find("it")  # type: ignore[union-attr]
    assert (found.attrs["pool_size"], found.attrs["strides"]) == ([3], [3])
    assert (found.attrs["padding"], found.attrs["name"]) == ("VALID", "other")


@pytest.mark.clause("KC-21@cf1ba6")
@pytest.mark.parametrize(
    "patch", [3, [None], [{}], [{"at": [], "was": [], "is": []}], [{"at": ["attrs", "x", "y"], "was": [], "is": [1]}]]
)
def test_odd_patches_are_passed_over(kit: Any, patch: Any) -> None:
    """A patch of another form changes nothing, and is no error."""
    module = kit.core("dropout", rate=0.5)
    module.residue = {"keras": {"patch": patch}}
    found = etui.to_keras(kit.model(module, core=True)).config.find("it")  # type: ignore[union-attr]
    assert (found.op, found.attrs["rate"]) == ("keras:Dropout", 0.5)


@pytest.mark.clause("KC-22@781916")
@pytest.mark.parametrize("name", ["shapes.keras", "words.keras"])
def test_the_demo_models_come_back(tmp_path: Path, name: str) -> None:
    """Through an etui in the core vocabulary, a `.keras` file gets its own config back, byte for byte."""
    etui.convert(MODELS / name, tmp_path / "core.etui", vocabulary="core")
    etui.convert(tmp_path / "core.etui", tmp_path / "keras.etui", vocabulary="keras")
    etui.convert(MODELS / name, tmp_path / "plain.etui")
    with etui.open(tmp_path / "keras.etui") as back, etui.open(tmp_path / "plain.etui") as plain:
        documents = ("config.json", "weights.json", "training.json", "optimizer.msgpack")
        assert [back.fingerprint(one) for one in documents] == [plain.fingerprint(one) for one in documents]


@pytest.mark.clause("KC-23@609aea")
@pytest.mark.parametrize("name", ["shapes.keras", "words.keras"])
def test_without_residue_the_same_layers_come_back(kit: Any, tmp_path: Path, name: str) -> None:
    """What is lowered without residue has the same classes, and is written as a `.keras` file."""
    etui.convert(MODELS / name, tmp_path / "plain.etui")
    with etui.open(tmp_path / "plain.etui") as plain:
        core = kit.stripped(etui.to_core(plain))
        back = etui.to_keras(replace(core, native={}, training=None, optimizer=None))
        listed = {path: op for path, op in _ops(plain).items() if op not in ("Softmax", "Dropout") or "/" not in path}
        assert {path: op for path, op in _ops(back).items() if path in listed} == listed
        etui.save(back, tmp_path / "back.etui")
    etui.convert(tmp_path / "back.etui", tmp_path / "back.keras")


@pytest.mark.clause("KC-24@7110ee")
def test_classes_follow_from_shapes(kit: Any) -> None:
    """The number of axes of the input tells the class; the class in the residue goes first where it can say the op."""
    pools = {3: "GlobalMaxPooling1D", 4: "GlobalMaxPooling2D", 5: "GlobalMaxPooling3D"}
    for rank, kind in pools.items():
        model = kit.model(kit.core("global_max_pool"), shape=(None, *[4] * (rank - 1)), core=True)
        assert _ops(etui.to_keras(model))["it"] == kind
    pad = kit.core("pad", padding=[[1, 1], [0, 0]])
    assert _ops(etui.to_keras(kit.model(pad, shape=(None, 4, 4), core=True)))["it"] == "ZeroPadding1D"
    pad.residue = {"keras": {"op": "keras:ops.numpy.Pad"}}
    assert _ops(etui.to_keras(kit.model(pad, shape=(None, 4, 4), core=True)))["it"] == "ops.numpy.Pad"
    pad.residue = {"keras": {"op": "keras:ZeroPadding3D"}}
    assert _ops(etui.to_keras(kit.model(pad, shape=(None, 4, 4), core=True)))["it"] == "ZeroPadding1D"


@pytest.mark.clause("KC-25@c7970f")
def test_padding_by_pairs(kit: Any) -> None:
    """Pairs are a module in front: a layer of zeros, or for the largest of a window an operation with −∞."""
    pairs = [[1, 2], [0, 1]]
    conv = kit.core("conv", params=("kernel", "bias"), filters=3, kernel_size=[3, 3], padding=pairs)
    model = etui.to_keras(kit.model(conv, shape=(None, 6, 6, 2), core=True))
    assert _ops(model) == {"x": "InputLayer", "it_pad": "ZeroPadding2D", "it": "Conv2D"}
    assert model.config is not None
    assert model.config.find("it_pad").attrs["padding"] == pairs
    assert model.config.find("it").attrs["padding"] == "valid"
    pool = kit.core("max_pool", pool_size=[2, 2], padding=pairs)
    model = etui.to_keras(kit.model(pool, shape=(None, 6, 6, 2), core=True))
    assert _ops(model) == {"x": "InputLayer", "it_pad": "ops.numpy.Pad", "it": "MaxPooling2D"}
    assert model.config is not None
    assert model.config.model.graph is not None
    assert model.config.model.graph.calls[1].kwargs == {"constant_values": float("-inf")}
    up = kit.core(
        "conv_transpose", params=("kernel", "bias"), filters=3, kernel_size=[2, 2], strides=[3, 2], padding=pairs
    )
    model = etui.to_keras(kit.model(up, shape=(None, 6, 6, 2), core=True))
    assert _ops(model) == {"x": "InputLayer", "it": "Conv2DTranspose", "it_crop": "Cropping2D"}
    assert model.config is not None
    assert model.config.find("it_crop").attrs["cropping"] == [[1, 3], [0, 1]]
    assert model.config.model.graph is not None
    assert model.config.model.graph.outputs == OutputRef("it_crop", 0)


@pytest.mark.clause("KC-26@9acc38", "KC-30@470752")
def test_activations_of_their_own(kit: Any) -> None:
    """An activation that is no attribute is an operation behind, for which a Sequential model is a Functional one."""
    gelu = ObjectValue("core:activations.gelu", {"approximate": True})
    dense = kit.core("dense", params=("kernel", "bias"), units=3, activation=gelu)
    model = kit.model(dense, core=True)
    assert model.config is not None
    model.config.model.op = "core:sequential"
    found = etui.to_keras(model)
    assert found.config is not None
    assert found.config.model.op == "keras:Functional"
    assert _ops(found) == {"x": "InputLayer", "it": "Dense", "it_activation": "ops.nn.Gelu"}
    assert found.config.find("it_activation").attrs == {"approximate": True}
    dense.attrs["activation"] = "gelu"
    assert etui.to_keras(model).config.model.op == "keras:Sequential"  # type: ignore[union-attr]


@pytest.mark.clause("KC-27@3beb63")
def test_two_biases_become_one(kit: Any) -> None:
    """Keras' bias is the sum of both, and what an optimizer kept for either is not transferable."""
    roles = ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    lstm = kit.core("lstm", params=roles, units=2, bias_form="double")
    model = kit.model(lstm, shape=(None, 5, 3), core=True)
    assert model.weights is not None
    for role, value in (("bias", 1.0), ("recurrent_bias", 2.0)):
        model.weights.variables[f"it/{role}"].tensor = Tensor.of(np.full(8, value, "float32"))
    slot = Tensor.of(np.ones(8, "float32"))
    paths = [f"it/{role}" for role in roles]
    adam = Optimizer("core:adam", {"learning_rate": 0.1}, 0.1, 1, 1, groups=[Group(paths)])
    adam.slots = {path: {"momentum": slot, "velocity": slot} for path in paths}
    model.optimizer = OptimizerState({"optimizer": adam})
    report = Report()
    found = etui.to_keras(model, report)
    assert found.weights is not None
    assert np.array_equal(found.weights["it/bias"].numpy(), np.full(8, 3.0, "float32"))
    assert "it/recurrent_bias" not in found.weights
    assert "it/recurrent_bias" in model.weights
    kinds = {(entry.subject, entry.transfer.kind) for entry in report.entries if entry.transfer is not None}
    assert kinds >= {("it/bias", "reparametrised"), ("optimizer/it/bias", "not-transferable")}
    assert found.optimizer is not None
    lowered = found.optimizer.optimizers["optimizer"]
    assert "it/recurrent_bias" not in lowered.variables()
    assert not lowered.slots.keys() & {"it/bias", "it/recurrent_bias"}
    assert found.config is not None
    assert found.config.find("it/cell").params["bias"] == "it/bias"


@pytest.mark.clause("KC-28@cca67a")
def test_what_keras_does_otherwise_is_reported(kit: Any) -> None:
    """An unbiased variance, and a mask that Keras does not hand on, are approximated."""
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    norm = kit.core("batch_norm", params=roles, moving_variance="unbiased")
    report = Report()
    etui.to_keras(kit.model(norm, shape=(None, 4, 4, 3), core=True), report)
    assert [(entry.subject, entry.status) for entry in report.lost] == [("it", "approximated")]
    gru = kit.core("gru", params=("kernel", "recurrent_kernel", "bias"), units=4)
    calls = [Call("masked", "masked", [X]), Call("it", "it", [OutputRef("masked", 0)])]
    calls[1].kwargs = {"initial_state": [OutputRef("start", 0)]}
    calls.insert(1, Call("start", "start", [X]))
    start = kit.core("reduce", name="start", function="mean", axes=[1])
    report = Report()
    etui.to_keras(
        kit.model(kit.core("masking", name="masked"), start, gru, shape=(None, 5, 4), calls=calls, core=True), report
    )
    assert [(entry.subject, entry.status) for entry in report.lost] == [("it", "approximated")]


@pytest.mark.clause("KC-29@e36fd6", "K-60@e528a0")
@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (Module("it", "layer", "core:avg_pool", {"pool_size": [2, 2], "padding": [[1, 0], [0, 0]]}), "pairs"),
        (Module("it", "layer", "core:max_pool", {"pool_size": [2, 2], "dilation": [2, 2]}), "no layer"),
        (Module("it", "layer", "core:activation", {"function": "sparsemax"}), "no layer for core:activation"),
        (Module("it", "layer", "core:layer_norm", {"axes": None, "center": False, "scale": False}), "every axis"),
        (
            Module(
                "it",
                "layer",
                "core:dropout",
                {"rate": 0.5, "precision": {"variable_dtype": "float16", "compute_dtype": "float32"}},
            ),
            "float16",
        ),
    ],
)
def test_what_keras_cannot_say(kit: Any, tmp_path: Path, module: Module, reason: str) -> None:
    """A core module that no class of Keras can say is reported with the reason, and no file of Keras is written."""
    model = kit.model(module, shape=(None, 6, 6, 2), core=True)
    report = Report()
    found = etui.to_keras(model, report)
    assert found.config is not None
    assert found.config.find("it").op == module.op
    assert [entry.status for entry in report.lost if reason in entry.detail] == ["not-transferable"]
    etui.save(model, tmp_path / "it.etui")
    for strict, code in ((True, "not-complete"), (False, "keras-op")):
        with pytest.raises(etui.TransferError) as caught:
            etui.convert(tmp_path / "it.etui", tmp_path / "it.keras", strict=strict)
        assert caught.value.code == code


@pytest.mark.clause("KC-31@08f384")
def test_tf_keras_goes_back_to_tf_keras(kit: Any) -> None:
    """An edited model of tf_keras is one of tf_keras with the edit, in tf_keras' own names of attributes."""
    leaky = kit.layer("LeakyReLU", alpha=0.25, dtype="float32")
    model = kit.model(leaky)
    assert model.config is not None
    model.config.model.residue = {"keras": {"dialect": "tf_keras"}}
    model.config.model.modules[0].attrs = {
        "batch_input_shape": (None, 4),
        "dtype": "float32",
        "sparse": False,
        "ragged": False,
    }
    core = etui.to_core(model)
    assert core.config is not None
    assert core.config.find("it").attrs == {"negative_slope": 0.25}
    assert kit.returned(model)
    found = etui.to_keras(_edited(core, "it", negative_slope=0.5)).config
    assert found is not None
    assert found.find("it").attrs == {"trainable": True, "dtype": "float32", "alpha": 0.5}
    assert found.model.residue["keras"]["dialect"] == "tf_keras"


@pytest.mark.clause("KC-32@93bf80")
@pytest.mark.parametrize("target", ["it.keras", "it.h5", "it.weights.h5", "it.json", "it.tfjs"])
def test_writers_of_keras_formats_take_core_models(tmp_path: Path, target: str) -> None:
    """A model in the vocabulary is written in every format of Keras as the same model of Keras is."""
    to = {"it.tfjs": "tfjs-layers"}.get(target)
    for vocabulary in ("core", "keras"):
        (tmp_path / vocabulary).mkdir()
        etui.convert(MODELS / "shapes.keras", tmp_path / f"{vocabulary}.etui", vocabulary=vocabulary, native=False)
        report = etui.convert(tmp_path / f"{vocabulary}.etui", tmp_path / vocabulary / target, to=to, strict=False)
        assert {entry.status for entry in report.lost if entry.kind != "training"} <= {"not-transferable"}

    def files(folder: Path) -> dict[str, bytes]:
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    assert files(tmp_path / "core") == files(tmp_path / "keras") != {}


@pytest.mark.library
def test_the_command_and_its_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--vocabulary` is of the etui format alone, and an unknown one is named."""
    target = str(tmp_path / "core.etui")
    assert main(["convert", str(MODELS / "shapes.keras"), target, "--vocabulary", "core"]) == 0
    with etui.open(target) as model:
        assert {module.op.partition(":")[0] for _, module in model.config.walk()} == {"core"}  # type: ignore[union-attr]
        etui.save(model, tmp_path / "back.etui", vocabulary="keras")
    with etui.open(tmp_path / "back.etui") as model:
        assert {module.op.partition(":")[0] for _, module in model.config.walk()} == {"keras"}  # type: ignore[union-attr]
    with pytest.raises(etui.UsageError) as caught:
        etui.convert(target, tmp_path / "x.keras", vocabulary="core")
    assert caught.value.code == "writer-misuse"
    with pytest.raises(etui.UsageError) as caught:
        etui.convert(target, tmp_path / "x.etui", vocabulary="torch")
    assert "torch" in str(caught.value)
    assert main(["convert", "--help"]) == 0
    assert "--vocabulary" in capsys.readouterr().out


@pytest.mark.clause("KC-1@95d653", "KC-21@cf1ba6", "KC-24@7110ee")
def test_a_layer_of_several_ops(kit: Any) -> None:
    """The layer that is a graph comes back with an edited number, and an edited graph comes back as a model."""
    layer = kit.layer("src.applications.inception_resnet_v2.CustomScaleLayer", scale=0.5)
    layer.build = {"input_shape": [[None, 4], [None, 4]]}
    model = kit.model(layer, calls=[Call("it", "it", [[X, X]])])
    core = etui.to_core(model)
    assert core.config is not None
    found = core.config.find("it")
    assert {child.name: child.op for child in found.modules} == {
        "first": "core:input",
        "second": "core:input",
        "product": "core:binary",
        "sum": "core:binary",
    }
    assert etui.to_keras(core).fingerprint("config.json") == model.fingerprint("config.json")
    assert found.graph is not None
    found.graph.calls[2].args[1] = 0.25
    back = etui.to_keras(core).config.find("it")  # type: ignore[union-attr]
    assert (back.op, back.attrs["scale"], back.modules) == (layer.op, 0.25, [])
    edited = etui.to_keras(_edited(core, "it/sum", function="sub")).config.find("it")  # type: ignore[union-attr]
    assert edited.op == "keras:Functional"
    assert [child.op for child in edited.modules[2:]] == ["keras:ops.numpy.Multiply", "keras:ops.numpy.Subtract"]


@pytest.mark.clause("KC-1@95d653", "KC-22@781916", "KC-24@7110ee")
def test_a_scale_of_channels(kit: Any) -> None:
    """A LayerScale is an einsum with its factor as kernel; one that begins otherwise comes back as an EinsumDense."""
    layer = kit.layer("src.applications.convnext.LayerScale", params=("0",), init_values=0.5, projection_dim=4)
    model = kit.model(layer)
    core = etui.to_core(model)
    found = core.config.find("it")  # type: ignore[union-attr]
    assert (found.op, found.params) == ("core:einsum_dense", {"kernel": "it/0"})
    assert (found.attrs["equation"], found.attrs["output_shape"]) == ("...c,c->...c", [4])
    assert etui.to_keras(core).fingerprint("config.json") == model.fingerprint("config.json")
    edited = etui.to_keras(_edited(core, "it", initializers={})).config.find("it")  # type: ignore[union-attr]
    assert (edited.op, edited.params) == ("keras:EinsumDense", {"kernel": "it/0"})
