"""The evaluator: how graphs, wrappers, masks and modes go together."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.core import vocabulary
from etui.core.evaluate import evaluate
from etui.core.ops.registry import definitions
from etui.errors import EtuiError
from etui.model import Model

RNG = np.random.default_rng(30)


def source(name: str, dtype: str = "float32") -> Module:
    return Module(name, op="core:input", attrs={"shape": [None, None], "dtype": dtype})


def layer(name: str, op: str, params: tuple[str, ...] = (), **attrs: Any) -> Module:
    return Module(name, op=f"core:{op}", attrs=attrs, params={role: f"{name}/{role}" for role in params})


def at(call: str, index: int = 0) -> OutputRef:
    return OutputRef(call, index)


def graph(name: str, modules: list[Module], inputs: Any, outputs: Any, calls: list[Call]) -> Module:
    return Module(name, "graph", "core:graph", modules=modules, graph=Graph(inputs, outputs, calls))


def model(root: Module, **variables: Any) -> Model:
    weights = Weights()
    for path, value in variables.items():
        weights.add(path.replace("__", "/"), Tensor.of(np.asarray(value)), role=path.rpartition("__")[2])
    return Model(config=Config(root), weights=weights)


@pytest.mark.library
def test_every_op_has_one_definition() -> None:
    """The registry defines each op of the vocabulary but those that the evaluator itself runs, and no other."""
    own = {"graph", "sequential", "input", "parameter"}
    assert set(definitions()) == set(vocabulary.ops()) - own
    for name, entry in vocabulary.ops().items():
        if name not in own:
            assert definitions()[name].masked or entry.mask in ("keep", "drop"), name


@pytest.mark.library
def test_a_module_called_twice_shares_its_variables() -> None:
    """A dense layer applied to its own output is its kernel applied twice."""
    kernel = RNG.normal(size=(3, 3))
    calls = [Call("x", "x"), Call("d", "d", [at("x")]), Call("d:1", "d", [at("d")])]
    root = graph(
        "m", [source("x"), layer("d", "dense", ("kernel",), units=3, use_bias=False)], [at("x")], at("d:1"), calls
    )
    x = RNG.normal(size=(2, 3))
    np.testing.assert_allclose(evaluate(model(root, d__kernel=kernel), x), x @ kernel @ kernel)


@pytest.mark.library
def test_nested_graphs_shared_modules_and_outputs_in_a_map() -> None:
    """An inner graph with two outputs, a module of it used outside, and outputs in the nesting of the graph."""
    kernel = RNG.normal(size=(3, 3))
    inner = graph(
        "inner",
        [source("y"), layer("d", "dense", ("kernel",), units=3, use_bias=False), layer("n", "unary", function="neg")],
        [at("y")],
        [at("d"), at("n")],
        [Call("y", "y"), Call("d", "d", [at("y")]), Call("n", "n", [at("y")])],
    )
    inner.modules[1].params = {"kernel": "inner/d/kernel"}
    again = Module("again", "shared", target="inner/d")
    calls = [Call("x", "x"), Call("inner", "inner", [at("x")]), Call("again", "again", [at("inner", 1)])]
    outputs = {"sum": [at("inner", 0)], "last": at("again")}
    root = graph("m", [source("x"), inner, again], {"x": at("x")}, outputs, calls)
    x = RNG.normal(size=(2, 3))
    for given in ({"x": x}, [x], x):
        found = evaluate(model(root, inner__d__kernel=kernel), given)
        np.testing.assert_allclose(found["sum"][0], x @ kernel)
        np.testing.assert_allclose(found["last"], -x @ kernel)


@pytest.mark.clause("CV-9@cc9e4c")
def test_inputs_are_bound_in_order_and_from_lists() -> None:
    """Inputs are in order, tensors stand in a list, a number stands for one, and a call has two outputs."""
    modules = [
        source("x"),
        source("y"),
        layer("sub", "sub"),
        layer("cat", "concat"),
        layer("split", "split", sections=[1, 3], axis=1),
        layer("twice", "binary", function="mul"),
    ]
    calls = [
        *(Call("x", "x"), Call("y", "y")),
        Call("sub", "sub", [at("x"), at("y")]),
        Call("cat", "cat", [[at("sub"), at("y")]]),
        Call("split", "split", [at("cat")]),
        Call("twice", "twice", [at("split", 1), 2.0]),
    ]
    root = graph("m", modules, [at("x"), at("y")], (at("twice"), at("split", 0)), calls)
    x, y = RNG.normal(size=(2, 2)), RNG.normal(size=(2, 2))
    found = evaluate(model(root), {"y": y, "x": x})
    assert isinstance(found, tuple)
    both = np.concatenate([x - y, y], axis=1)
    np.testing.assert_allclose(found[0], both[:, 1:] * 2)
    np.testing.assert_allclose(found[1], both[:, :1])


@pytest.mark.clause("CV-5@fe6927")
def test_a_sequence_without_a_graph_is_a_chain() -> None:
    """Each module takes what the one before gives; a wrapper calls its child."""
    kernel = RNG.normal(size=(3, 2))
    time = Module("time", op="core:time_distributed")
    time.modules = [layer("layer", "dense", units=2, use_bias=False)]
    time.modules[0].params = {"kernel": "time/layer/kernel"}
    root = Module("m", op="core:sequential", modules=[time, layer("n", "unary", function="neg")])
    x = RNG.normal(size=(2, 4, 3))
    np.testing.assert_allclose(evaluate(model(root, time__layer__kernel=kernel), x), -x @ kernel)


def masked(*between: Module, last: Module | None = None, **variables: Any) -> Any:
    """What the mean over time makes of a table's rows, after some modules in between."""
    modules = [
        source("ids", "int32"),
        layer("table", "embedding", ("embeddings",), input_dim=4, output_dim=2, mask_zero=True),
        *between,
        last or layer("mean", "global_avg_pool"),
    ]
    calls = [Call(modules[0].name, modules[0].name)]
    for before, module in pairwise(modules):
        args: list[Any] = [at(before.name)]
        if module.op in ("core:add", "core:concat"):
            args = [[at(before.name), at("table")]]
        calls.append(Call(module.name, module.name, args))
    root = graph("m", modules, [at("ids")], at(modules[-1].name), calls)
    table = np.array([[9.0, 9.0], [1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    return evaluate(model(root, table__embeddings=table, **variables), np.array([[1, 3, 0, 0]]))


KEPT, LOST = [[3.0, 4.0]], [[6.0, 6.5]]


@pytest.mark.clause("CV-12@22e43c", "CV-21@2f9187", "CV-44@2e4829")
@pytest.mark.parametrize(
    ("between", "expected"),
    [
        ([], KEPT),
        ([layer("same", "activation", function="relu")], KEPT),
        ([layer("lost", "permute", axes=[0, 1, 2])], LOST),
        ([layer("lost", "unary", function="abs"), layer("kept", "dropout", rate=0.5)], LOST),
        ([layer("sum", "add")], [[6.0, 8.0]]),
        ([layer("lost", "unary", function="abs"), layer("sum", "add")], [[12.0, 13.0]]),
    ],
)
def test_masks_go_along_as_the_rules_say(between: list[Module], expected: Any) -> None:
    """A mask made by a table reaches the mean through ops that keep it, and not through those that drop it."""
    np.testing.assert_allclose(masked(*between), expected)


@pytest.mark.clause("CV-52@dcaba0", "CV-12@22e43c")
def test_masks_are_put_together_with_their_tensors() -> None:
    """Along the time, the masks follow one another; an input without a mask counts as whole."""
    along_time = [layer("both", "concat", axis=1)]
    np.testing.assert_allclose(masked(*along_time), KEPT)
    lost = [layer("lost", "unary", function="abs"), *along_time]
    np.testing.assert_allclose(masked(*lost), [[(24.0 + 6.0) / 6, (26.0 + 8.0) / 6]])
    last = layer("wide", "concat")
    assert masked(last=last).shape == (1, 4, 4)


@pytest.mark.clause("CV-13@18074f", "CV-71@8484d7")
def test_a_mask_of_the_call_comes_first() -> None:
    """The argument `mask` is used instead of the mask that the input carries."""
    modules = [source("x"), source("m", "bool"), layer("made", "masking"), layer("mean", "global_avg_pool")]
    mean = Call("mean", "mean", [at("made")])
    calls = [Call("x", "x"), Call("m", "m"), Call("made", "made", [at("x")]), mean]
    root = graph("g", modules, [at("x"), at("m")], at("mean"), calls)
    x, mask = np.array([[[0.0], [2.0], [4.0]]]), np.array([[True, True, False]])
    assert evaluate(model(root), [x, mask]).tolist() == [[3]]
    mean.kwargs["mask"] = at("m")
    assert evaluate(model(root), [x, mask]).tolist() == [[1]]


@pytest.mark.clause("CV-13@18074f")
@pytest.mark.parametrize("kind", ["chain", "graph"])
def test_a_module_of_modules_takes_the_mask_of_its_call(kind: str) -> None:
    """A chain and a graph hand on the mask of their call, and with null that of their input."""
    mean = layer("mean", "global_avg_pool")
    inner = Module("inner", op="core:sequential", modules=[mean])
    if kind == "graph":
        calls = [Call("v", "v"), Call("mean", "mean", [at("v")])]
        inner = graph("inner", [source("v"), mean], [at("v")], at("mean"), calls)
    modules = [source("x"), source("m", "bool"), layer("made", "masking"), inner]
    own = Call("inner", "inner", [at("made")])
    calls = [Call("x", "x"), Call("m", "m"), Call("made", "made", [at("x")]), own]
    root = graph("g", modules, [at("x"), at("m")], at("inner"), calls)
    x, mask = np.array([[[0.0], [2.0], [4.0]]]), np.array([[True, True, False]])
    found = []
    for given in (None, at("m"), [at("m")]):
        own.kwargs["mask"] = given
        found.append(evaluate(model(root), [x, mask]).tolist())
    assert found == [[[3]], [[1]], [[1]]]
    own.kwargs["mask"] = [at("m"), at("m")]
    with pytest.raises(EtuiError, match="2 masks of 1 inputs") as refusal:
        evaluate(model(root), [x, mask])
    assert refusal.value.code == "core-evaluate"


@pytest.mark.clause("CV-31@6efaba")
@pytest.mark.parametrize(
    ("kwargs", "text"),
    [({"alpha": 2.0}, "'alpha'"), ({"x": at("x")}, "'x'"), ({"training": 1}, "training = 1"), ({"rng": True}, "'rng'")],
)
def test_a_call_has_no_other_arguments_than_its_op(kwargs: dict[str, Any], text: str) -> None:
    """An unknown argument, an input by its name, and a flag that is a number are refused with the module's name."""
    calls = [Call("x", "x"), Call("d", "d", [at("x")], kwargs)]
    root = graph("m", [source("x"), layer("d", "dropout", rate=0.5)], [at("x")], at("d"), calls)
    with pytest.raises(EtuiError, match=text) as refusal:
        evaluate(model(root), np.ones((1, 3)))
    assert (refusal.value.code, refusal.value.where) == ("core-call", "d (core:dropout)")


@pytest.mark.clause("CV-45@08657c")
@pytest.mark.parametrize("padding", ["valid", "same", [[0, 1]]])
@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("max_pool", {"pool_size": [3]}),
        ("max_pool", {"pool_size": [2], "dilation": [2]}),
        ("avg_pool", {"pool_size": [3], "strides": [2]}),
        ("conv", {"kernel_size": [3], "filters": 1, "use_bias": False}),
        ("depthwise_conv", {"kernel_size": [2], "dilation": [2], "use_bias": False}),
    ],
)
def test_an_axis_has_room_for_a_window(op: str, attrs: dict[str, Any], padding: Any) -> None:
    """Two elements have no room for a window of three, unless padding makes it."""
    params = ("kernel",) if "conv" in op else ()
    module = layer("d", op, params, **attrs, padding=padding)
    root = graph("m", [source("x"), module], [at("x")], at("d"), [Call("x", "x"), Call("d", "d", [at("x")])])
    kernel = {"d__kernel": np.ones((*attrs.get("kernel_size", [1]), 1, 1))} if params else {}
    x = np.ones((1, 2, 1))
    if padding != "valid":
        strides = attrs.get("strides", attrs.get("pool_size", [1]))
        assert evaluate(model(root, **kernel), x).shape[1] == (2 if padding == "same" and strides == [1] else 1)
        return
    with pytest.raises(EtuiError, match=r"window of \[3\] over the sizes \[2\]") as refusal:
        evaluate(model(root, **kernel), x)
    assert refusal.value.code == "core-evaluate"


@pytest.mark.clause("CV-11@c4ee77", "CV-26@d50759", "CV-8@76e0dd")
def test_training_is_the_mode_of_the_graph_unless_a_call_says_otherwise() -> None:
    """A call in training updates the statistics, which the next call sees; one with training=False does not."""
    norm = layer("n", "batch_norm", ("moving_mean", "moving_variance"), center=False, scale=False, momentum=0.5)
    calls = [Call("x", "x"), Call("n", "n", [at("x")]), Call("n:1", "n", [at("x")], {"training": False})]
    root = graph("m", [source("x"), norm], [at("x")], [at("n"), at("n:1")], calls)
    built = model(root, n__moving_mean=np.zeros(2), n__moving_variance=np.ones(2))
    x = RNG.normal(size=(8, 2)) + 3
    (first, second), updates = evaluate(built, x, training=True)
    np.testing.assert_allclose(first.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(updates["n/moving_mean"], x.mean(axis=0) / 2)
    expected = (x - updates["n/moving_mean"]) / np.sqrt(updates["n/moving_variance"] + 0.001)
    np.testing.assert_allclose(second, expected)
    np.testing.assert_allclose(evaluate(built, x)[0], x / np.sqrt(1.001))


@pytest.mark.library
def test_the_dtype_is_that_of_what_is_given() -> None:
    """Doubles stay doubles, singles singles, and halves are computed as singles."""
    root = Module("m", op="core:dense", attrs={"units": 2, "use_bias": False}, params={"kernel": "m/kernel"})
    kernel = RNG.normal(size=(3, 2))
    for dtype, expected in ((np.float64, "float64"), (np.float32, "float32"), (ml_dtypes.bfloat16, "float32")):
        found = evaluate(model(root, m__kernel=kernel.astype(dtype)), np.ones((1, 3), dtype))
        assert found.dtype == expected


@pytest.mark.clause("CV-10@578c3a")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
def test_precision_rounds_what_goes_in_and_out(dtype: str) -> None:
    """With `precision`, inputs, variables and outputs are of the compute dtype, float32 if none is named."""
    root = Module("m", op="core:dense", attrs={"units": 1, "use_bias": False}, params={"kernel": "m/kernel"})
    if dtype != "float32":
        root.attrs["precision"] = {"variable_dtype": "float32", "compute_dtype": dtype}
    x, kernel = RNG.normal(size=(4, 3)), RNG.normal(size=(3, 1))
    found = evaluate(model(root, m__kernel=kernel), x, precision=True)
    kind = np.dtype(getattr(ml_dtypes, dtype, dtype))
    assert found.dtype == kind
    exact = x.astype(kind).astype(np.float32) @ kernel.astype(kind).astype(np.float32)
    np.testing.assert_allclose(found.astype(np.float32), exact.astype(kind).astype(np.float32), rtol=1e-6)


@pytest.mark.library
def test_a_variable_may_be_an_input_and_an_activation_an_object() -> None:
    """The op `parameter` gives its variable, and an activation with parameters computes with them."""
    slope = ObjectValue("core:activations.leaky_relu", {"negative_slope": 0.5})
    modules = [
        source("x"),
        layer("p", "parameter", ("value",)),
        layer("s", "add"),
        layer("a", "activation", function=slope),
    ]
    calls = [Call("x", "x"), Call("p", "p"), Call("s", "s", [[at("x"), at("p")]]), Call("a", "a", [at("s")])]
    root = graph("m", modules, [at("x")], at("a"), calls)
    assert evaluate(model(root, p__value=np.array([[-1.0, 1.0]])), np.array([[-1.0, 1.0]])).tolist() == [[-1, 2]]


@pytest.mark.library
@pytest.mark.parametrize(
    ("inputs", "code", "text"),
    [
        ({}, "core-input", r"\['x'\]"),
        ({"y": np.ones(1)}, "core-input", "'y'"),
        ([np.ones((1, 3))] * 2, "core-input", "2 inputs"),
        (np.ones((1, 4)), "core-evaluate", r"d \(core:dense\).*\[1, 4\]"),
    ],
)
def test_wrong_inputs_are_told(inputs: Any, code: str, text: str) -> None:
    """An error says which inputs there are, or which module cannot take the shapes that it got."""
    modules = [source("x"), layer("d", "dense", ("kernel",), units=2, use_bias=False)]
    root = graph("m", modules, [at("x")], at("d"), [Call("x", "x"), Call("d", "d", [at("x")])])
    with pytest.raises(EtuiError, match=text) as refusal:
        evaluate(model(root, d__kernel=np.ones((3, 2))), inputs)
    assert refusal.value.code == code


@pytest.mark.library
@pytest.mark.parametrize(
    ("module", "code"),
    [
        (Module("d", op="keras:Lambda"), "core-op"),
        (Module("d", op="core:dense", attrs={"units": 2}, params={"kernel": "nowhere"}), "core-evaluate"),
        (layer("d", "dense", use_bias=False), "core-evaluate"),
        (layer("d", "where"), "core-evaluate"),
        (layer("d", "activation", function="nothing"), "core-evaluate"),
    ],
)
def test_what_cannot_be_evaluated_is_told(module: Module, code: str) -> None:
    """Another namespace, a missing variable, attribute or input, an unknown function: the error names the module."""
    root = graph("m", [source("x"), module], [at("x")], at("d"), [Call("x", "x"), Call("d", "d", [at("x")])])
    with pytest.raises(EtuiError, match="d ") as refusal:
        evaluate(model(root), np.ones((1, 3)))
    assert refusal.value.code == code


@pytest.mark.clause("CV-10@578c3a")
@pytest.mark.parametrize(
    ("op", "attrs"),
    [
        ("unary", {"function": "sqrt"}),
        ("reduce", {"function": "std"}),
        ("rescale", {"scale": 0.1}),
        ("avg_pool", {"pool_size": [3]}),
        ("unit_norm", {"axes": [1]}),
    ],
)
def test_functions_of_integers_are_computed_in_the_precision(op: str, attrs: dict[str, Any]) -> None:
    """Integers become floats of the compute dtype before an op computes with them, and not only behind it."""
    precision = {"compute_dtype": "float64", "variable_dtype": "float64"}
    given = Module("x", op="core:input", attrs={"shape": [None, 3, 1], "dtype": "int64"})
    modules = [given, layer("op", op, **attrs, precision=precision)]
    root = graph("m", modules, [at("x")], at("op"), [Call("x", "x"), Call("op", "op", [at("x")])])
    x = np.array([[[3], [5], [8]]])
    found = evaluate(model(root), x, precision=True)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, evaluate(model(root), x.astype(np.float64), precision=True))
    assert not np.array_equal(found, evaluate(model(root), x.astype(np.float32)))


@pytest.mark.clause("CV-10@578c3a")
@pytest.mark.parametrize(
    ("op", "attrs", "x", "dtype"),
    [
        ("activation", {"function": "relu"}, [[1, -2]], "float64"),
        ("relu", {}, [[1, -2]], "float64"),
        ("softmax", {}, [[1, -2]], "float64"),
        ("clip", {"low": -1.0, "high": 2.0}, [[True, False]], "int64"),
        ("unary", {"function": "square"}, [[True, False]], "int64"),
        ("global_max_pool", {}, [[[1], [3]]], "int64"),
        ("resize", {"size": [2], "interpolation": "bilinear"}, [[[1], [3]]], "float64"),
        ("resize", {"size": [4]}, [[[1], [3]]], "int64"),
        ("cast", {"dtype": "float32"}, [[1, -2]], "float32"),
    ],
)
def test_the_dtype_of_what_integers_become(op: str, attrs: dict[str, Any], x: Any, dtype: str) -> None:
    """Functions give floats of the compute dtype, arithmetic integers, a choice of elements their dtype."""
    array = np.array(x)
    precision = {"compute_dtype": "float64", "variable_dtype": "float64"}
    shape = [None, *array.shape[1:]]
    given = Module("x", op="core:input", attrs={"shape": shape, "dtype": array.dtype.name})
    modules = [given, layer("op", op, **attrs, precision=precision)]
    root = graph("m", modules, [at("x")], at("op"), [Call("x", "x"), Call("op", "op", [at("x")])])
    assert evaluate(model(root), array, precision=True).dtype == np.dtype(dtype)


@pytest.mark.clause("CV-10@578c3a")
def test_booleans_are_summed_as_numbers_among_numbers() -> None:
    """True and true and a half are two and a half, and the mean of true and true is one."""
    three = [source(name, dtype) for name, dtype in (("a", "bool"), ("b", "bool"), ("c", "float32"))]
    ends = [at("a"), at("b"), at("c")]
    modules = [*three, layer("sum", "add"), layer("mean", "mean")]
    calls = [*(Call(one.name, one.name) for one in three), Call("sum", "sum", [ends]), Call("mean", "mean", [ends[:2]])]
    root = graph("m", modules, ends, [at("sum"), at("mean")], calls)
    true = np.ones((1, 1), bool)
    total, mean = evaluate(model(root), [true, true, np.full((1, 1), 0.5, np.float32)])
    assert (total.tolist(), mean.tolist()) == ([[2.5]], [[1.0]])


@pytest.mark.clause("CV-10@578c3a")
@pytest.mark.parametrize("op", ["simple_rnn", "lstm", "gru"])
def test_a_sequence_of_integers_keeps_its_first_state(op: str) -> None:
    """The states are floats as the variables are."""
    gates = {"simple_rnn": 1, "lstm": 4, "gru": 3}[op]
    own = {"kernel": RNG.normal(size=(1, gates * 2)), "recurrent_kernel": RNG.normal(size=(2, gates * 2))}
    h, x = np.full((1, 2), 0.5), np.array([[[1], [2]]])
    states = [source("h", "float64"), *([source("c", "float64")] if op == "lstm" else [])]
    results = []
    for dtype in ("int64", "float64"):
        given = Module("x", op="core:input", attrs={"shape": [None, 2, 1], "dtype": dtype})
        modules = [given, *states, layer("r", op, ("kernel", "recurrent_kernel"), units=2, use_bias=False)]
        ends = [at("x"), *(at(one.name) for one in states)]
        calls = [*(Call(one.call, one.call) for one in ends), Call("r", "r", ends)]
        root = graph("m", modules, ends, at("r"), calls)
        made = model(root, **{f"r__{role}": value for role, value in own.items()})
        results.append(evaluate(made, [x.astype(dtype), *[h for _ in states]]))
    np.testing.assert_array_equal(*results)


@pytest.mark.clause("CV-10@578c3a")
@pytest.mark.parametrize("op", ["dot_attention", "additive_attention"])
def test_attention_of_booleans_adds_numbers(op: str) -> None:
    """Booleans are numbers to it, as in floats."""
    x = np.array([[[True, True], [False, True]]])
    results = []
    for dtype in ("bool", "float32"):
        given = Module("x", op="core:input", attrs={"shape": [None, 2, 2], "dtype": dtype})
        modules = [given, layer("op", op)]
        root = graph("m", modules, [at("x")], at("op"), [Call("x", "x"), Call("op", "op", [at("x"), at("x")])])
        results.append(evaluate(model(root), x.astype(dtype)))
    np.testing.assert_array_equal(*results)


@pytest.mark.clause("CV-10@578c3a")
def test_a_variable_that_an_op_changes_keeps_its_dtype() -> None:
    """With `precision` the new averages of batch_norm are stored as the old ones are."""
    roles = ("gamma", "beta", "moving_mean", "moving_variance")
    modules = [source("x"), layer("bn", "batch_norm", roles, precision={"compute_dtype": "bfloat16"})]
    root = graph("m", modules, [at("x")], at("bn"), [Call("x", "x"), Call("bn", "bn", [at("x")])])
    made = model(root, **{f"bn__{role}": np.ones(2, ml_dtypes.bfloat16) for role in roles})
    _, updates = evaluate(made, RNG.normal(size=(3, 2)).astype(np.float32), training=True, precision=True)
    assert {value.dtype.name for value in updates.values()} == {"bfloat16"}
