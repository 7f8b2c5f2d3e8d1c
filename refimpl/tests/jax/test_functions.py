"""`to_function`: pure functions of core models, what they take and give, and what is refused."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import etui
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Module
from etui.containers.training import Training
from etui.core.evaluate import evaluate
from etui.errors import TransferError, UsageError
from etui.model import Model
from etui.report import Report
from etui.testing.runnable import core_graph, core_input, remasked

jax = pytest.importorskip("jax")
jnp = jax.numpy
pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(5)


def _draw(*shape: int) -> Any:
    return RNG.normal(size=shape).astype("float32")


def _dense(name: str, units: int, path: str | None = None, **attrs: Any) -> Module:
    path = path or name
    params = {"kernel": f"{path}/kernel", "bias": f"{path}/bias"}
    return Module(name, op="core:dense", attrs={"units": units, **attrs}, params=params)


def _out(call: str, index: int = 0) -> OutputRef:
    return OutputRef(call, index)


def _function(model: Any, **options: Any) -> Any:
    from etui.jax import to_function

    return to_function(model, **options)


def _classifier(tools: SimpleNamespace) -> Model:
    """Dense, batch normalization, dropout, dense, with a regularizer, a constraint and a loss."""
    l2 = ObjectValue("core:regularizers.l2", {"l2": 0.1})
    norm = Module(
        "bn",
        op="core:batch_norm",
        attrs={"momentum": 0.9},
        params={role: f"bn/{role}" for role in ("gamma", "beta", "moving_mean", "moving_variance")},
    )
    modules = [
        core_input("x", 3),
        _dense("a", 4, activation="relu", regularizers={"kernel": l2}),
        norm,
        Module("drop", op="core:dropout", attrs={"rate": 0.5}),
        _dense(
            "b",
            2,
            activation="softmax",
            constraints={"kernel": ObjectValue("core:constraints.max_norm", {"max_value": 0.5})},
            activity_regularizer=ObjectValue("core:regularizers.l1", {"l1": 0.02}),
        ),
    ]
    calls = [
        Call("x", "x"),
        Call("a", "a", [_out("x")]),
        Call("bn", "bn", [_out("a")]),
        Call("drop", "drop", [_out("bn")]),
        Call("b", "b", [_out("drop")]),
    ]
    variables = {
        "a/kernel": _draw(3, 4),
        "a/bias": _draw(4),
        "bn/gamma": _draw(4),
        "bn/beta": _draw(4),
        "bn/moving_mean": _draw(4),
        "bn/moving_variance": np.abs(_draw(4)) + 0.5,
        "b/kernel": _draw(4, 2),
        "b/bias": _draw(2),
    }
    loss = ObjectValue("core:losses.sparse_categorical_crossentropy", {})
    root = core_graph("model", modules, calls, [_out("x")], _out("b"))
    return Model(config=Config(root), weights=tools.weights_of(variables), training=Training(loss=loss))


@pytest.mark.clause("JX-1@32cb78", "JX-2@f293f3")
def test_params_are_what_trains(tools: SimpleNamespace) -> None:
    """The trainable variables are `params` and the others `state`, by path, in the model's order and bit for bit."""
    model = _classifier(tools)
    report = Report()
    function = _function(model, report=report)
    assert list(function.params) == ["a/kernel", "a/bias", "bn/gamma", "bn/beta", "b/kernel", "b/bias"]
    assert list(function.state) == ["bn/moving_mean", "bn/moving_variance"]
    assert model.weights is not None
    for path, array in (function.params | function.state).items():
        assert np.array_equal(array, model.weights[path].numpy())
    assert report.counts()["variable"] == {"restored": 8}
    assert report.counts()["module"] == {"translated": 6}


@pytest.mark.clause("JX-3@8c2f32")
def test_apply_is_pure(tools: SimpleNamespace) -> None:
    """`apply` can be compiled, differentiated and mapped, leaves its arguments alone and gives the same twice."""
    function = _function(_classifier(tools))
    x, key = _draw(6, 3), jax.random.key(0)
    plain = function.apply(function.params, x)
    assert np.allclose(jax.jit(function.apply)(function.params, x), plain, rtol=1e-5, atol=1e-6)
    mapped = jax.vmap(lambda row: function.apply(function.params, row[None])[0])(jnp.asarray(x))
    assert np.allclose(mapped, plain, rtol=1e-5, atol=1e-6)

    def total(params: Any) -> Any:
        outputs, state = function.apply(params, x, training=True, rng=key)
        return jnp.sum(jnp.square(outputs)), state

    before = {path: np.array(value) for path, value in (function.params | function.state).items()}
    (value, state), gradients = jax.jit(jax.value_and_grad(total, has_aux=True))(function.params)
    assert gradients.keys() == function.params.keys()
    assert all(np.any(np.asarray(gradient) != 0) for path, gradient in gradients.items() if path != "b/bias")
    (again, same), _ = jax.jit(jax.value_and_grad(total, has_aux=True))(function.params)
    assert value == again
    assert all(np.array_equal(state[path], same[path]) for path in state)
    assert all(np.array_equal(value, before[path]) for path, value in (function.params | function.state).items())


@pytest.mark.clause("JX-5@fc6d80")
def test_training_moves_the_statistics(tools: SimpleNamespace) -> None:
    """In training the new state has the moved statistics of the evaluator, and it goes into the next call."""
    model = _classifier(tools)
    function = _function(model)
    x, key = _draw(6, 3), jax.random.key(0)
    _, state = function.apply(function.params, x, training=True, rng=key)
    _, wanted = evaluate(model, [x], training=True, rng=np.random.default_rng(0))
    assert wanted.keys() == state.keys() == function.state.keys()
    for path, value in wanted.items():
        assert tools.difference(state[path], value) <= 1e-5
        assert not np.array_equal(state[path], function.state[path])
    moved = function.apply(function.params, x, state=state)
    assert not np.allclose(moved, function.apply(function.params, x))


@pytest.mark.clause("JX-5@fc6d80")
def test_frozen_statistics_stay(tools: SimpleNamespace) -> None:
    """A batch normalization that is not trainable uses and keeps its statistics in training, too."""
    names = ("gamma", "beta", "moving_mean", "moving_variance")
    params = {name: np.abs(_draw(3)) + 0.5 for name in names}
    x = _draw(4, 3)
    function = _function(tools.one_op("batch_norm", {"trainable": False}, [x], params))
    outputs, state = function.apply(function.params, x, training=True)
    assert np.array_equal(outputs, function.apply(function.params, x))
    assert all(np.array_equal(state[path], function.state[path]) for path in state)


@pytest.mark.clause("JX-6@898cba")
def test_random_ops_draw_from_the_key(tools: SimpleNamespace) -> None:
    """Dropout draws from `rng` alone: the same for the same key, another for each call, none at inference."""
    modules = [core_input("x", 400), Module("drop", op="core:dropout", attrs={"rate": 0.25})]
    calls = [Call("x", "x"), Call("one", "drop", [_out("x")]), Call("two", "drop", [_out("x")])]
    root = core_graph("model", modules, calls, [_out("x")], [_out("one"), _out("two")])
    function = _function(Model(config=Config(root), weights=tools.weights_of({})))
    x = np.ones((50, 400), "float32")
    (one, two), _ = function.apply({}, x, training=True, rng=jax.random.key(1))
    (again, _two), _ = function.apply({}, x, training=True, rng=jax.random.key(1))
    (other, _two), _ = function.apply({}, x, training=True, rng=jax.random.key(2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, two)
    assert not np.array_equal(one, other)
    assert set(np.unique(one)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(float(np.mean(np.asarray(one) == 0)) - 0.25) < 0.01
    assert np.array_equal(function.apply({}, x)[0], x)
    with pytest.raises(UsageError, match="jax-rng"):
        function.apply({}, x, training=True)


@pytest.mark.clause("JX-6@898cba")
@pytest.mark.parametrize(
    ("op", "attrs", "shared"),
    [
        ("spatial_dropout", {"rate": 0.5}, True),
        ("dropout", {"rate": 0.5, "noise_shape": [None, 1, None]}, True),
        ("gaussian_noise", {"stddev": 0.5}, False),
        ("gaussian_dropout", {"rate": 0.2}, False),
        ("alpha_dropout", {"rate": 0.3}, False),
    ],
)
def test_noise_is_as_wide_as_defined(op: str, attrs: dict[str, Any], shared: bool, tools: SimpleNamespace) -> None:
    """The random ops keep mean and width: what one draw shares, and how the rest is scaled, is the vocabulary's."""
    x = np.asarray(RNG.normal(size=(200, 20, 30)), "float32")
    function = _function(tools.one_op(op, attrs, [x]))
    y = np.asarray(function.apply({}, x, training=True, rng=jax.random.key(3))[0])
    if shared:
        assert np.array_equal(y == 0, np.broadcast_to(y[:, :1] == 0, y.shape))
        assert np.allclose(y[y != 0], 2 * x[y != 0])
    else:
        expected = {"gaussian_noise": 1.25, "gaussian_dropout": 1.25, "alpha_dropout": 1.0}[op]
        assert abs(float(np.mean(y))) < 0.02
        assert abs(float(np.var(y)) - expected) < 0.03


@pytest.mark.clause("JX-6@898cba")
@pytest.mark.parametrize("op", ["simple_rnn", "lstm", "gru"])
def test_recurrent_dropout_is_one_draw_for_all_steps(op: str, tools: SimpleNamespace) -> None:
    """Equal steps have equal outputs, as what is dropped is the same in all of them; the key is needed."""
    gates = {"simple_rnn": 1, "lstm": 4, "gru": 3}[op]
    params = {
        "kernel": _draw(6, gates * 2),
        "recurrent_kernel": np.zeros((2, gates * 2), "float32"),
        "bias": np.zeros((2, gates * 2) if op == "gru" else (gates * 2,), "float32"),
    }
    x = np.broadcast_to(_draw(3, 1, 6), (3, 4, 6)).copy()
    attrs = {"units": 2, "return_sequences": True, "dropout": 0.5, "recurrent_dropout": 0.25}
    function = _function(tools.one_op(op, attrs, [x], params))
    y = np.asarray(function.apply(function.params, x, training=True, rng=jax.random.key(1))[0])
    again = np.asarray(function.apply(function.params, x, training=True, rng=jax.random.key(1))[0])
    assert np.array_equal(y, again)
    assert not np.allclose(y, function.apply(function.params, x))
    if op == "simple_rnn":
        assert np.allclose(y, y[:, :1])
    with pytest.raises(UsageError, match="jax-rng"):
        function.apply(function.params, x, training=True)


@pytest.mark.clause("JX-4@52f12d")
def test_shared_and_nested_modules_are_one(tools: SimpleNamespace) -> None:
    """A module called twice, a nested graph, a shared place of a module and a parameter use the same variables."""
    inner = core_graph(
        "inner",
        [core_input("in", 3), Module("again", "shared", target="a")],
        [Call("in", "in"), Call("again", "again", [_out("in")])],
        [_out("in")],
        _out("again"),
    )
    modules = [
        core_input("x", 3),
        _dense("a", 3),
        inner,
        Module("p", op="core:parameter", params={"value": "p/value"}),
        Module("sum", op="core:binary", attrs={"function": "add"}),
        Module("steps", op="core:sequential", modules=[_dense("one", 2), Module("relu", op="core:relu")]),
    ]
    calls = [
        Call("x", "x"),
        Call("a", "a", [_out("x")]),
        Call("a:1", "a", [_out("a")]),
        Call("inner", "inner", [_out("a:1")]),
        Call("p", "p"),
        Call("sum", "sum", [_out("inner"), _out("p")]),
        Call("steps", "steps", [_out("sum")]),
    ]
    variables = {
        "a/kernel": _draw(3, 3),
        "a/bias": _draw(3),
        "p/value": _draw(3),
        "one/kernel": _draw(3, 2),
        "one/bias": _draw(2),
    }
    root = core_graph("model", modules, calls, [_out("x")], {"y": _out("steps")})
    model = Model(config=Config(root), weights=tools.weights_of(variables))
    function, x = _function(model), _draw(4, 3)
    wanted = evaluate(model, [x])
    assert tools.difference(function.apply(function.params, x)["y"], wanted["y"]) <= 1e-5
    y = x
    for _ in range(3):
        y = y @ variables["a/kernel"] + variables["a/bias"]
    y = np.maximum((y + variables["p/value"]) @ variables["one/kernel"] + variables["one/bias"], 0)
    assert tools.difference(function.apply(function.params, x)["y"], y) <= 1e-5


@pytest.mark.clause("JX-4@52f12d")
def test_inputs_in_every_form(tools: SimpleNamespace) -> None:
    """Inputs are taken one by one, as a list and by name, and refused in another number."""
    modules = [core_input("x", 3), core_input("y", 3), Module("sub", op="core:sub")]
    calls = [Call("x", "x"), Call("y", "y"), Call("sub", "sub", [_out("x"), _out("y")])]
    root = core_graph("model", modules, calls, [_out("x"), _out("y")], [_out("sub")])
    function = _function(Model(config=Config(root), weights=tools.weights_of({})))
    x, y = _draw(2, 3), _draw(2, 3)
    forms = [function.apply({}, x, y), function.apply({}, [x, y]), function.apply({}, {"y": y, "x": x})]
    assert all(np.array_equal(form[0], x - y) for form in forms)
    for wrong in ((x,), (x, y, x), ({"x": x},)):
        with pytest.raises(UsageError, match="jax-inputs"):
            function.apply({}, *wrong)
    classifier = _function(_classifier(tools))
    with pytest.raises(TransferError, match="jax-variables"):
        classifier.apply({}, x)


@pytest.mark.clause("JX-4@52f12d")
def test_masks_are_carried(tools: SimpleNamespace) -> None:
    """A mask made by an embedding reaches the recurrent op behind an op that keeps it, and the loss of a sequence."""
    modules = [
        core_input("ids", 5, dtype="int32"),
        Module(
            "emb",
            op="core:embedding",
            attrs={"input_dim": 6, "output_dim": 3, "mask_zero": True},
            params={"embeddings": "emb/embeddings"},
        ),
        Module("act", op="core:activation", attrs={"function": "tanh"}),
        Module(
            "lstm",
            op="core:lstm",
            attrs={"units": 2, "return_sequences": True},
            params={role: f"lstm/{role}" for role in ("kernel", "recurrent_kernel", "bias")},
        ),
    ]
    calls = [
        Call("ids", "ids"),
        Call("emb", "emb", [_out("ids")]),
        Call("act", "act", [_out("emb")]),
        Call("lstm", "lstm", [_out("act")]),
    ]
    variables = {
        "emb/embeddings": _draw(6, 3),
        "lstm/kernel": _draw(3, 8),
        "lstm/recurrent_kernel": _draw(2, 8),
        "lstm/bias": _draw(8),
    }
    root = core_graph("model", modules, calls, [_out("ids")], _out("lstm"))
    loss = ObjectValue("core:losses.mean_squared_error", {})
    model = Model(config=Config(root), weights=tools.weights_of(variables), training=Training(loss=loss))
    function, ids = _function(model), np.array([[1, 2, 0, 4, 0], [0, 3, 3, 5, 1]], "int32")
    assert tools.difference(function.apply(function.params, ids), evaluate(model, [ids])) <= 1e-5
    outcome = function.trace(function.params, ids)
    assert np.array_equal(outcome.masks[0], ids != 0)

    from etui.bridges.jax.losses import loss_of

    target = _draw(2, 5, 2)
    values = np.mean((np.asarray(outcome.outputs) - target) ** 2, axis=-1)
    found = loss_of(model)(outcome.outputs, target, mask=outcome.masks)
    assert tools.difference(found, np.sum(values * (ids != 0)) / np.sum(ids != 0)) <= 1e-6


@pytest.mark.clause("JX-11@904068")
@pytest.mark.parametrize("reduction", ["mean", "sum", "none", "mean_with_sample_weight"])
@pytest.mark.parametrize("case", ["steps", "square", "column", "masked", "ignored", "binary", "ctc"])
def test_weights_of_samples_are_those_of_their_steps(tools: SimpleNamespace, case: str, reduction: str) -> None:
    """Weights and masks of fewer axes than the values, steps with an axis of size 1, and zeros among labels."""
    from etui.bridges.jax.losses import loss_of
    from etui.core.losses import loss

    three, some = np.array([1.0, 2.0, 4.0]), np.array([True, False, True])
    square = np.arange(36.0).reshape(3, 3, 4) / 9
    name, config, y, p, weight, mask = {
        "steps": ("huber", {}, np.zeros((3, 2, 4)), square[:, :2], three, None),
        "square": ("huber", {}, np.zeros((3, 3, 4)), square, three, None),
        "column": ("huber", {}, np.zeros((3, 4)), square[0], three[:, np.newaxis], None),
        "masked": ("huber", {}, np.zeros((3, 3, 4)), square, np.ones((3, 3)), some),
        "ignored": (
            "sparse_categorical_crossentropy",
            {"ignore_class": 1},
            np.array([[0, 1], [1, 0], [2, 2]]),
            square[:, :2, :3] + 0.5,
            None,
            some,
        ),
        "binary": ("auto_crossentropy", {}, np.eye(3), np.arange(9.0).reshape(3, 3, 1) / 10 + 0.05, None, None),
        "ctc": ("ctc", {}, np.array([[1, 0, 2], [0, 3, 1], [2, 2, 0]]), np.sin(square) * 2, None, None),
    }[case]
    told = config | ({} if reduction == "mean" else {"reduction": reduction})
    value = ObjectValue(f"core:losses.{name}", told)
    p = p.astype(np.float32)
    found = loss_of(Model(training=Training(loss=value)))(p, y, weight, None if mask is None else [mask])
    wanted = loss(value, y, p, weight, mask)
    assert np.shape(found) == np.shape(wanted)
    assert tools.difference(found, wanted) <= 1e-5


@pytest.mark.clause("JX-4@52f12d")
def test_a_call_may_name_its_mode(tools: SimpleNamespace) -> None:
    """A call with `training` false does not train in a pass that does, and the other way round."""
    x = _draw(4, 3)
    still = _function(tools.one_op("dropout", {"rate": 0.5}, [x], kwargs={"training": False}))
    assert np.array_equal(still.apply({}, x, training=True)[0], x)
    always = _function(tools.one_op("dropout", {"rate": 0.5}, [x], kwargs={"training": True}))
    assert not np.array_equal(always.apply({}, x, rng=jax.random.key(0)), x)


@pytest.mark.clause("JX-7@578e7e")
def test_regularizers_and_constraints(tools: SimpleNamespace) -> None:
    """`regularization` sums those of variables and, for inputs, of outputs by sample; `constrain` is pure."""
    function, x = _function(_classifier(tools)), _draw(6, 3)
    weights = 0.1 * np.sum(np.square(function.params["a/kernel"]))
    assert tools.difference(function.regularization(function.params), weights) <= 1e-6
    outputs = np.asarray(function.apply(function.params, x))
    wanted = weights + 0.02 * np.sum(np.abs(outputs)) / 6
    assert tools.difference(function.regularization(function.params, x), wanted) <= 1e-6
    gradient = jax.jit(jax.grad(function.regularization))(function.params)
    assert tools.difference(gradient["a/kernel"], 0.2 * function.params["a/kernel"]) <= 1e-6
    constrained = jax.jit(function.constrain)(function.params)
    norms = np.sqrt(np.sum(np.square(constrained["b/kernel"]), axis=0))
    assert np.all(norms <= 0.5 + 1e-6)
    assert np.array_equal(constrained["a/kernel"], function.params["a/kernel"])


@pytest.mark.clause("JX-8@e1f3d1")
def test_wide_numbers_are_cast_openly(tools: SimpleNamespace) -> None:
    """Without 64 bits in JAX the report names each variable that was cast; with them float64 is computed in float64."""
    x = RNG.normal(size=(4, 3))
    model = tools.one_op("dense", {"units": 2}, [x], {"kernel": RNG.normal(size=(3, 2)), "bias": RNG.normal(size=2)})
    assert not jax.config.jax_enable_x64
    report = Report()
    narrow = _function(model, report=report)
    casts = [entry for entry in report.entries if entry.status == "cast"]
    assert [entry.subject for entry in casts] == ["op/kernel", "op/bias"]
    assert all(entry.detail == "float64 to float32: jax_enable_x64 is off" for entry in casts)
    assert narrow.apply(narrow.params, x).dtype == jnp.float32
    with jax.enable_x64(True):
        wide = _function(model)
        found = wide.apply(wide.params, x)
        assert found.dtype == jnp.float64
        assert tools.difference(found, evaluate(model, [x])) <= 1e-15


@pytest.mark.clause("JX-9@fc5590")
def test_precision_is_the_modules(tools: SimpleNamespace) -> None:
    """A module computes in its compute dtype and one without in float32 at least; `dtype` is for all modules."""
    x = _draw(8, 16)
    half = {"variable_dtype": "float32", "compute_dtype": "bfloat16"}
    modules = [core_input("x", 16), _dense("a", 16, precision=half), _dense("b", 4)]
    calls = [Call("x", "x"), Call("a", "a", [_out("x")]), Call("b", "b", [_out("a")])]
    variables = {"a/kernel": _draw(16, 16), "a/bias": _draw(16), "b/kernel": _draw(16, 4), "b/bias": _draw(4)}
    root = core_graph("model", modules, calls, [_out("x")], [_out("a"), _out("b")])
    model = Model(config=Config(root), weights=tools.weights_of(variables))
    function = _function(model)
    first, second = function.apply(function.params, x)
    assert (first.dtype, second.dtype) == (jnp.bfloat16, jnp.float32)
    exact = x @ variables["a/kernel"] + variables["a/bias"]
    assert 1e-4 < tools.difference(first, exact) < 0.02
    report = Report()
    low = _function(model, dtype="float16", report=report)
    assert {value.dtype.name for value in low.params.values()} == {"float16"}
    assert {value.dtype.name for value in low.apply(low.params, x)} == {"float16"}
    assert report.counts()["variable"] == {"cast": 4}


@pytest.mark.clause("JX-10@ef9c81")
def test_what_jax_cannot_run_is_refused(tools: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another op than the core's, strings and a model without config or weights are refused with a code and a place."""
    from etui.bridges.jax import functions

    monkeypatch.setattr(functions, "is_core_config", lambda _config: True)
    x = _draw(2, 3)
    model = tools.one_op("dense", {"units": 2}, [x], {"kernel": _draw(3, 2), "bias": _draw(2)})
    assert model.config is not None
    model.config.find("op").op = "keras:Lambda"
    with pytest.raises(TransferError, match="keras:Lambda") as caught:
        _function(model)
    assert (caught.value.code, caught.value.where) == ("jax-op", "op")
    ids = np.array([[1]], "int32")
    lookups: list[dict[str, Any]] = [{"vocabulary": ["a"]}, {"vocabulary": [1], "oov_token": "x", "invert": True}]
    for attrs in lookups:
        with pytest.raises(TransferError, match="jax-op"):
            _function(tools.one_op("lookup", attrs, [ids]))
    bad = ObjectValue("custom:pkg>Norm", {})
    dense = {"units": 2}
    wrong: list[dict[str, Any]] = [
        {**dense, "activation": bad},
        {**dense, "regularizers": {"kernel": bad}},
        {**dense, "constraints": {"kernel": bad}},
        {"use_bias": False},
    ]
    for attrs in wrong:
        with pytest.raises(TransferError, match="jax-op"):
            _function(tools.one_op("dense", attrs, [x], {"kernel": _draw(3, 2)}))
    for broken in (Model(config=model.config), Model(weights=model.weights)):
        with pytest.raises(TransferError, match="jax-parts"):
            _function(broken)
    words = tools.one_op("identity", {}, [x], {}, variables={"op/words": np.array(["a", "b"], object)})
    with pytest.raises(TransferError, match="jax-variables"):
        _function(words)


@pytest.mark.library
def test_a_file_becomes_a_function(tools: SimpleNamespace, tmp_path: Any) -> None:
    """`to_function` takes an artifact on disk; its arrays stay when the file is gone."""
    model, x = _classifier(tools), _draw(4, 3)
    path = tmp_path / "model.etui"
    etui.save(model, path)
    function = _function(str(path))
    path.unlink()
    assert tools.difference(function.apply(function.params, x), evaluate(model, [x])) <= 1e-5


@pytest.mark.clause("JX-4@52f12d")
def test_a_stateful_module_goes_on(tools: SimpleNamespace) -> None:
    """A stateful recurrent module begins where the pass before ended, if its state is handed on."""
    params = {"kernel": _draw(3, 8), "recurrent_kernel": _draw(2, 8), "bias": _draw(8)}
    x = _draw(2, 6, 3)
    whole = _function(tools.one_op("lstm", {"units": 2}, [x], params))
    parts = _function(tools.one_op("lstm", {"units": 2, "stateful": True}, [x], params))
    state = parts.trace(parts.params, x[:, :4]).state
    assert set(state) == {"op/state_h", "op/state_c"}
    found = parts.apply(parts.params, x[:, 4:], state=state)
    assert tools.difference(found, whole.apply(whole.params, x)) <= 1e-5


@pytest.mark.clause("JX-5@fc6d80")
def test_time_distributed_trains_step_by_step(tools: SimpleNamespace) -> None:
    """Each time step moves the statistics of the module inside, one after the other, as the evaluator does."""
    norm = Module(
        "layer",
        op="core:batch_norm",
        params={role: f"op/layer/{role}" for role in ("gamma", "beta", "moving_mean", "moving_variance")},
    )
    x = _draw(5, 3, 4)
    variables = {f"op/layer/{role}": np.abs(_draw(4)) + 0.5 for role in norm.params}
    model = tools.one_op("time_distributed", {}, [x], modules=[norm], variables=variables)
    function = _function(model)
    outputs, state = function.apply(function.params, x, training=True)
    wanted, updates = evaluate(model, [x], training=True)
    assert tools.difference(outputs, wanted) <= 1e-5
    for path, value in updates.items():
        assert tools.difference(state[path], value) <= 1e-5
    assert len(updates) == 2


@pytest.mark.clause("CV-13@18074f")
@pytest.mark.parametrize("kind", ["chain", "graph"])
@pytest.mark.parametrize(("given", "expected"), [(None, 3.0), (OutputRef("m", 0), 1.0), ([OutputRef("m", 0)], 1.0)])
def test_a_module_of_modules_takes_the_mask_of_its_call(kind: str, given: Any, expected: float) -> None:
    """A chain and a graph hand on the mask of their call, and with null that of their input."""
    x, mask = np.array([[[0.0], [2.0], [4.0]]], "float32"), np.array([[True, True, False]])
    function = _function(remasked(kind, given))
    assert np.asarray(function.apply({}, x, mask)).tolist() == [[expected]]
