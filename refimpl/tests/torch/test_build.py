"""What the torch module of a core graph is like."""

from __future__ import annotations

import copy
import io
import keyword
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Module
from etui.core.evaluate import evaluate
from etui.errors import InvalidError, TransferError, UsageError
from etui.report import Report
from etui.testing.runnable import remasked

torch = pytest.importorskip("torch")

from etui.bridges.torch.binding import bindings, record_of, source_of
from etui.bridges.torch.build import to_module

sys.path.insert(0, str(Path(__file__).parent))
kit: Any = import_module("module_kit")

pytestmark = pytest.mark.frameworks
WORDS = torch.tensor([[1, 5, 0, 2, 0], [3, 0, 0, 0, 0], [4, 4, 8, 1, 2]])


@pytest.fixture(autouse=True)
def without_onednn() -> None:
    """On some processors oneDNN's convolutions crash."""
    torch.backends.mkldnn.enabled = False


def chain(*names: str, width: int = 3) -> Any:
    """Dense modules of these names, one after the other."""
    b = kit.Builder()
    x = b.input("x")
    for name in names:
        x = b.add(name, "dense", x, params=kit.dense(width, width), units=width)
    return b.model(x)


@pytest.mark.clause("PT-5@0b7ccd")
def test_names_are_the_models_own_where_python_lets_them() -> None:
    """Names stay; what is no identifier, is reserved, belongs to torch or is taken changes, as is known."""
    names = ("dense", "dense 1", "dense_1", "class", "forward", "training", "1st", "weight", "é")
    module = to_module(chain(*names))
    found = [name for name, _ in module.named_children()]
    expected = ["dense", "dense_1", "dense_1_1", "class_", "forward_", "training_", "_1st", "weight", "_"]
    assert found == expected
    assert all(name.isidentifier() and not keyword.iskeyword(name) for name in found)
    assert record_of(module).module_names == {"": "", **dict(zip(names, expected, strict=True))}
    assert [binding.name for binding in bindings(module)][2] == "dense_1.weight"


@pytest.mark.library
def test_the_module_can_be_read() -> None:
    """Its print shows the tree by the model's names, torch's classes, and what differs from their defaults."""
    text = str(to_module(kit.image_model()))
    for line in (
        "(conv): Conv2d(2, 4, kernel_size=(3, 3), stride=(2, 2), pad_input='same'",
        "(norm): BatchNorm(4, eps=0.001, axis=-1, momentum=0.99",
        "(head): Dense(in_features=16, out_features=3, bias=True, activation=softmax)",
    ):
        assert line in text
    module = to_module(kit.text_model())
    assert isinstance(module.embedding, torch.nn.Embedding)
    assert isinstance(module.attention.query, torch.nn.Linear)
    assert "GRU(5, 2, bias=True, go_backwards=True)" in str(module)


@pytest.mark.library
@pytest.mark.parametrize("make", [kit.image_model, kit.text_model])
def test_it_does_what_torch_modules_do(make: Any) -> None:
    """It is copied, its state goes through files and comes back strictly, and it compiles as one graph."""
    module = to_module(make(), dtype=torch.float32)
    x = WORDS if make is kit.text_model else torch.randn(3, 8, 8, 2)
    y = module(x)
    twin = copy.deepcopy(module)
    assert torch.equal(twin(x), y)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    buffer = io.BytesIO()
    torch.save(module.state_dict(), buffer)
    buffer.seek(0)
    twin.load_state_dict(torch.load(buffer, weights_only=True), strict=True)
    assert torch.equal(twin(x), y)
    plain = {name: value.clone() for name, value in module.state_dict().items()}
    twin.load_state_dict(plain, strict=True)
    assert [one.path for one in bindings(twin)] == [one.path for one in bindings(module)]
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), y)
    module.train()
    module(x).sum().backward()
    assert all(parameter.grad is not None for parameter in module.parameters())
    assert module.to(torch.float64).eval()(x if make is kit.text_model else x.double()).dtype == torch.float64


@pytest.mark.clause("PT-4@8a3bef")
def test_shared_modules_and_variables_are_one_tensor() -> None:
    """A module that two graphs have, one that is called twice, and an alias: one parameter under all names."""
    b = kit.Builder()
    x = b.input("x")
    x = b.add("first", "dense", x, params=kit.dense(3, 3), units=3)
    x = b.call("first", x)
    inner = kit.Builder("inner")
    z = inner.input("z")
    inner.modules.append(Module("again", "shared", target="first"))
    b.modules.append(inner.root(inner.call("again", z)))
    x = b.call("inner", x)
    b.weights.aliases["tied/kernel"] = "first/kernel"
    tied = Module("tied", op="core:dense", attrs={"units": 3, "use_bias": False}, params={"kernel": "tied/kernel"})
    b.modules.append(tied)
    model = b.model(b.call("tied", x))
    report = Report()
    module = to_module(model, report=report)
    assert module.first.weight is module.inner.again.weight
    assert module.first.weight is module.tied.weight
    assert len(list(module.parameters())) == 2
    kernel, _bias = bindings(module)
    assert kernel.names == ("first.weight", "inner.again.weight", "tied.weight")
    assert [entry.subject for entry in report.entries if entry.status == "aliased"] == ["tied/kernel"]
    array = np.random.default_rng(0).normal(size=(2, 3))
    np.testing.assert_allclose(module(torch.from_numpy(array)).detach().numpy(), evaluate(model, [array]), rtol=1e-12)


@pytest.mark.clause("PT-3@6ed63a")
def test_frozen_variables_need_no_gradient() -> None:
    """A variable that is not trainable is a parameter without gradient; statistics are buffers."""
    b = kit.Builder()
    x = b.add("frozen", "dense", b.input("x"), params=kit.dense(3, 3), frozen=True, units=3)
    x = b.add("norm", "batch_norm", x, params=kit.norm(3))
    module = to_module(b.model(x))
    assert {name: one.requires_grad for name, one in module.named_parameters()} == {
        "frozen.weight": False,
        "frozen.bias": False,
        "norm.weight": True,
        "norm.bias": True,
    }
    assert [name for name, _ in module.named_buffers()] == ["norm.running_mean", "norm.running_var"]


@pytest.mark.clause("PT-6@333e3c")
def test_the_mode_is_the_modules_unless_a_call_states_it() -> None:
    """A call that states `training` in the graph is made so, whatever the module's mode and the caller's."""
    for stated in (True, False):
        b = kit.Builder()
        x = b.input("x")
        b.modules.append(b.module("drop", "dropout", {}, rate=0.5))
        module = to_module(b.model(b.call("drop", x, training=stated)))
        ones = torch.ones(500)
        for mode in (True, False):
            assert torch.equal(module.train(mode)(ones), ones) == (not stated)
        assert torch.equal(module(ones, training=not stated), ones) == (not stated)


@pytest.mark.clause("PT-8@c13163")
def test_masks_go_into_nested_graphs_and_out_of_them() -> None:
    """A mask that is made inside of a nested graph works outside, and one from outside works inside."""
    inner = kit.Builder("inner", prefix="inner/")
    z = inner.input("z")
    z = inner.add("lstm", "lstm", z, params=kit.recurrent(4, 3, 2), units=2, return_sequences=True)
    outer = kit.Builder()
    x = outer.add("masking", "masking", outer.input("x"))
    outer.modules.append(inner.root(z))
    x = outer.call("inner", x)
    y = outer.add("mean", "global_avg_pool", x)
    model = outer.model(y)
    for path, variable in inner.weights.variables.items():
        model.weights.variables[path] = variable
    array = np.random.default_rng(0).normal(size=(2, 4, 3))
    array[0, 2:] = 0
    module = to_module(model)
    found = module(torch.from_numpy(array)).detach().numpy()
    np.testing.assert_allclose(found, evaluate(model, [array]), rtol=1e-12)
    alone = module(torch.from_numpy(array[:1, :2])).detach().numpy()
    np.testing.assert_allclose(found[:1], alone, rtol=1e-12)


@pytest.mark.clause("PT-1@65a29a", "PT-13@684ca5")
def test_inputs_as_the_model_nests_them() -> None:
    """One tensor, several, a list, or a map, in the dtypes that the model takes; others are refused."""
    b = kit.Builder()
    a, c = b.input("a"), b.input("b", dtype="int32")
    total = b.add("sum", "binary", a, c, function="add")
    module = to_module(b.model({"total": total, "parts": [a, c]}))
    one, two = torch.tensor([1.5]), torch.tensor([2])
    for found in (module(one, two), module([one, two]), module({"b": two, "a": one})):
        assert float(found["total"]) == 3.5
        assert [float(part) for part in found["parts"]] == [1.5, 2.0]
    whole = module(torch.tensor([1]), torch.tensor([2.7]))
    assert whole["parts"][0].dtype == torch.float32
    assert whole["parts"][1].dtype == torch.int32
    assert module(one.double(), two)["parts"][0].dtype == torch.float64
    for wrong in ((one,), (one, two, two), ({"a": one, "x": two},)):
        with pytest.raises(UsageError) as caught:
            module(*wrong)
        assert caught.value.code == "torch-call"


@pytest.mark.clause("PT-9@ebbb57", "PT-14@5a89b9")
def test_what_torch_cannot_express_is_refused_with_all_of_it() -> None:
    """The report names every such module before the first one is refused; nothing is left out silently."""
    model = chain("one", "two", "three")
    root = model.config.model
    root.modules[1].op, root.modules[1].attrs = "other:Thing", {}
    root.modules[3].op, root.modules[3].attrs = "custom:mine>Thing", {}
    report = Report()
    with pytest.raises(TransferError) as caught:
        to_module(model, report=report)
    assert caught.value.code == "torch-op"
    assert caught.value.where == "one"
    assert caught.value.found == "other:Thing, and 1 more"
    lost = [(entry.subject, entry.transfer.kind) for entry in report.lost if entry.transfer is not None]
    assert lost[-2:] == [("one", "not-transferable"), ("three", "not-transferable")]


@pytest.mark.clause("PT-9@ebbb57")
def test_strings_are_refused() -> None:
    """Torch has no tensors of strings: neither look-ups nor inputs of them."""
    b = kit.Builder()
    looked_up = b.model(b.add("look", "lookup", b.input("x", dtype="int64"), vocabulary=["a", "b"]))
    b = kit.Builder()
    given = b.model(b.add("same", "identity", b.input("text", dtype="string")))
    for model, place in ((looked_up, "look"), (given, "text")):
        with pytest.raises(TransferError) as caught:
            to_module(model)
        assert caught.value.code == "torch-op"
        assert caught.value.where == place


@pytest.mark.library
def test_faulty_models_are_refused() -> None:
    """Attributes and shapes that the vocabulary does not allow, absent weights, and variables of no role."""
    model = chain("one")
    model.config.model.modules[1].attrs["units"] = 4
    with pytest.raises(InvalidError):
        to_module(model)
    model = chain("one")
    model.weights = None
    with pytest.raises(TransferError) as caught:
        to_module(model)
    assert caught.value.code == "torch-variable"
    model = chain("one")
    model.config.model.graph.calls[1].kwargs["surprise"] = 1
    with pytest.raises(TransferError) as caught:
        to_module(model)
    assert caught.value.code == "torch-value"


@pytest.mark.clause("PT-14@5a89b9")
def test_the_report_accounts_for_everything() -> None:
    """Each module and each variable has an entry of the class exact; a variable of no module is kept and named."""
    model = kit.image_model()
    model.weights.add("left/over", etui.Tensor.of(np.ones(2)), role="value")
    report = Report()
    module = to_module(model, report=report)
    modules = {entry.subject for entry in report.entries if entry.kind == "module"}
    assert modules == {path or "model" for path, _ in model.config.walk()}
    variables = {entry.subject: entry.status for entry in report.entries if entry.kind == "variable"}
    assert variables.pop("left/over") == "data-only"
    assert variables == dict.fromkeys(list(model.weights.variables)[:-1], "restored")
    kinds = {entry.transfer.kind for entry in report.entries if entry.transfer is not None}
    assert kinds == {"exact"}
    assert report.ok
    kept = source_of(module).weights
    assert kept is not None
    assert kept["left/over"].numpy().tolist() == [1.0, 1.0]


@pytest.mark.clause("PT-10@4cb7e1")
def test_penalties() -> None:
    """Regularizers along the variable's axes, once for a shared one, and of activity for each example of the batch."""
    b = kit.Builder()
    x = b.input("x")
    kernel = ObjectValue("core:regularizers.orthogonal_regularizer", {"factor": 0.5, "mode": "columns"})
    bias = ObjectValue("core:regularizers.l1_l2", {"l1": 0.25, "l2": 0.5})
    output = ObjectValue("core:regularizers.l1", {"l1": 2.0})
    regularizers = {"kernel": kernel, "bias": bias}
    x = b.add(
        "one", "dense", x, params=kit.dense(3, 2), units=2, regularizers=regularizers, activity_regularizer=output
    )
    y = b.add("two", "activity_regularization", x, l2=3.0)
    module = to_module(b.model(y))
    array = np.random.default_rng(0).normal(size=(4, 3))
    k, c = b.weights["one/kernel"].numpy(), b.weights["one/bias"].numpy()
    columns = k / np.linalg.norm(k, axis=0)
    own = 0.5 * abs(columns[:, 0] @ columns[:, 1]) + 0.25 * np.abs(c).sum() + 0.5 * np.square(c).sum()
    assert float(module.regularization_loss().detach()) == pytest.approx(own, rel=1e-12)
    value = array @ k + c
    activity = (2.0 * np.abs(value).sum() + 3.0 * np.square(value).sum()) / 4
    for _ in range(2):
        module(torch.from_numpy(array))
        assert float(module.regularization_loss().detach()) == pytest.approx(own + activity, rel=1e-12)
    module.regularization_loss().backward()
    assert module.one.weight.grad.abs().sum() > 0
    copy.deepcopy(module)
    module.one.requires_grad_(False)
    module(torch.from_numpy(array))
    assert float(module.regularization_loss()) == pytest.approx(activity, rel=1e-12)
    assert float(to_module(chain("plain")).regularization_loss()) == 0.0


CONSTRAINTS: list[tuple[str, dict[str, Any]]] = [
    ("max_norm", {"max_value": 0.4}),
    ("min_max_norm", {"min_value": 0.7, "max_value": 0.9, "rate": 0.5, "axis": 1}),
    ("unit_norm", {}),
    ("non_neg", {}),
]


@pytest.mark.clause("PT-11@30f97c")
@pytest.mark.parametrize(("name", "config"), CONSTRAINTS)
def test_constraints(name: str, config: dict[str, Any]) -> None:
    """A constraint is applied along the axes of the variable, not those of torch's tensor."""
    from etui.core.constraints import project

    constraint = ObjectValue(f"core:constraints.{name}", config)
    b = kit.Builder()
    y = b.add("one", "dense", b.input("x"), params=kit.dense(4, 2), units=2, constraints={"kernel": constraint})
    module = to_module(b.model(y))
    before = module.one.weight.detach().clone()
    module.apply_constraints()
    expected = project(constraint, b.weights["one/kernel"].numpy())
    np.testing.assert_allclose(module.one.weight.detach().numpy().T, expected, rtol=1e-12)
    assert not torch.equal(module.one.weight, before)


@pytest.mark.clause("PT-12@ae0b03")
def test_precision() -> None:
    """A module computes in the dtype of its precision with parameters of another, unless one dtype is asked for."""
    b = kit.Builder()
    half = {"precision": {"variable_dtype": "float32", "compute_dtype": "bfloat16"}}
    single = {role: np.full(shape, 0.1, np.float32) for role, shape in kit.dense(4, 4).items()}
    x = b.add("one", "dense", b.input("x"), params=single, units=4, **half)
    inner = b.add("norm", "layer_norm", x, params={r: np.ones(4, np.float32) for r in ("gamma", "beta")}, **half)
    y = b.add("two", "dense", inner, params=single, units=4)
    model = b.model([x, inner, y])
    module = to_module(model)
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}
    found = module(torch.ones(2, 4))
    assert [tensor.dtype for tensor in found] == [torch.bfloat16, torch.bfloat16, torch.float32]
    found[2].sum().backward()
    assert module.one.weight.grad.dtype == torch.float32
    whole = to_module(model, dtype=torch.float64)
    assert [tensor.dtype for tensor in whole(torch.ones(2, 4).double())] == [torch.float64] * 3


@pytest.mark.library
def test_sequences_without_recorded_calls() -> None:
    """A sequential op without calls is its modules one after the other."""
    b = kit.Builder()
    modules = [b.module(name, "dense", kit.dense(3, 3), units=3, activation="tanh") for name in ("one", "two")]
    root = Module("model", "layer", "core:sequential", modules=modules)
    model = etui.Model(config=etui.Config(root), weights=b.weights)
    array = np.random.default_rng(0).normal(size=(2, 3))
    expected = array
    for name in ("one", "two"):
        expected = np.tanh(expected @ b.weights[f"{name}/kernel"].numpy() + b.weights[f"{name}/bias"].numpy())
    np.testing.assert_allclose(to_module(model)(torch.from_numpy(array)).detach().numpy(), expected, rtol=1e-12)


@pytest.mark.library
def test_files_are_read(tmp_path: Path) -> None:
    """A saved etui becomes a module that stays when the file is closed."""
    model = kit.image_model()
    path = tmp_path / "model.etui"
    etui.save(model, path)
    report = Report()
    module = to_module(path, report=report, device="cpu", dtype=torch.float32)
    assert report.source == str(path)
    assert module(torch.zeros(1, 8, 8, 2)).shape == (1, 3)
    path.unlink()
    assert module(torch.zeros(1, 8, 8, 2)).dtype == torch.float32


def _out(call: str) -> OutputRef:
    return OutputRef(call, 0)


@pytest.mark.clause("CV-13@18074f")
@pytest.mark.parametrize("kind", ["chain", "graph"])
@pytest.mark.parametrize(("given", "expected"), [(None, 3.0), (OutputRef("m", 0), 1.0), ([OutputRef("m", 0)], 1.0)])
def test_a_module_of_modules_takes_the_mask_of_its_call(kind: str, given: Any, expected: float) -> None:
    """A chain and a graph hand on the mask of their call, and with null that of their input."""
    x, mask = np.array([[[0.0], [2.0], [4.0]]], "float32"), np.array([[True, True, False]])
    module = to_module(remasked(kind, given))
    assert module(torch.from_numpy(x), torch.from_numpy(mask)).tolist() == [[expected]]
