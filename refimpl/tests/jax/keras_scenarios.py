"""What Keras on JAX gives for the same numbers: run in a process of its own, prints the differences as JSON.

Each scenario builds a Keras layer and the core module that says the same, and gives the largest relative difference.
"""

from __future__ import annotations

import os

os.environ["KERAS_BACKEND"] = "jax"

import json
import traceback
from collections.abc import Callable
from importlib.util import module_from_spec, spec_from_file_location
from itertools import pairwise
from pathlib import Path
from typing import Any

import jax
import keras
import numpy as np

from etui.bridges.jax.losses import loss_of
from etui.canonical.values import ObjectValue, OutputRef
from etui.containers.config import Call, Config, Graph, Module
from etui.containers.training import Training
from etui.containers.weights import Weights
from etui.jax import to_function
from etui.model import Model

_SPEC = spec_from_file_location("jax_tools", Path(__file__).with_name("conftest.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
TOOLS = module_from_spec(_SPEC)
_SPEC.loader.exec_module(TOOLS)

RNG = np.random.default_rng(11)
Scenario = Callable[[], float]
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    SCENARIOS[function.__name__] = function
    return function


def draw(*shape: int) -> Any:
    return RNG.normal(size=shape).astype(keras.config.floatx())


def weights_of(layer: Any, roles: dict[str, str], prefix: str = "op") -> dict[str, Any]:
    """Random numbers for each variable of a layer, by the core role; `roles` maps the end of Keras' path to it."""
    found = {}
    for variable in layer.weights:
        name = next((role for end, role in roles.items() if variable.path.endswith(end)), variable.name)
        value = draw(*variable.shape)
        value = np.abs(value) + 0.5 if "variance" in name or "gamma" in name else value
        variable.assign(value)
        found[name] = value
    return found


def same_layer(layer: Any, op: str, attrs: dict[str, Any], x: Any, **options: Any) -> tuple[Any, Any]:
    """A built Keras layer and the function of the core op with the same variables."""
    roles = options.pop("roles", {})
    layer(*(x if isinstance(x, list) else [x]))
    params = weights_of(layer, roles)
    return layer, to_function(TOOLS.one_op(op, attrs, x if isinstance(x, list) else [x], params, **options))


def _norm(mask: Any, training: bool = True, **attrs: Any) -> float:
    x = draw(4, 5, 3)
    layer, function = same_layer(
        keras.layers.BatchNormalization(**attrs),
        "batch_norm",
        attrs,
        x,
        kwargs=None if mask is None else {"mask": mask},
    )
    outputs, state = function.apply(function.params, x, training=training)
    wanted = layer(x, training=training, mask=mask)
    found = [outputs, state["op/moving_mean"], state["op/moving_variance"]]
    return float(TOOLS.difference(found, [wanted, layer.moving_mean, layer.moving_variance]))


@scenario
def batch_norm_trains() -> float:
    return _norm(None, momentum=0.8)


@scenario
def batch_norm_trains_on_an_axis() -> float:
    return _norm(None, axis=1, epsilon=0.01)


@scenario
def batch_norm_trains_with_a_mask() -> float:
    return _norm(RNG.random((4, 5)) < 0.6)


@scenario
def batch_norm_in_fit() -> float:
    """One training step of Keras, by plain SGD, against gradients and statistics of the function."""
    inputs = keras.Input((6, 6, 2))
    y = keras.layers.Conv2D(4, 3, activation="relu", kernel_regularizer="l2", name="conv")(inputs)
    y = keras.layers.BatchNormalization(name="bn")(y)
    y = keras.layers.GlobalAveragePooling2D(name="pool")(y)
    y = keras.layers.Dense(3, activation="softmax", activity_regularizer=keras.regularizers.L1(0.01), name="out")(y)
    model = keras.Model(inputs, y)
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", jit_compile=False)
    norm = ("gamma", "beta", "moving_mean", "moving_variance")
    modules = [
        Module("x", op="core:input", attrs={"shape": [None, 6, 6, 2], "dtype": "float32"}),
        Module(
            "conv",
            op="core:conv",
            attrs={
                "filters": 4,
                "kernel_size": [3, 3],
                "activation": "relu",
                "regularizers": {"kernel": ObjectValue("core:regularizers.l2", {})},
            },
            params={"kernel": "conv/kernel", "bias": "conv/bias"},
        ),
        Module("bn", op="core:batch_norm", params={role: f"bn/{role}" for role in norm}),
        Module("pool", op="core:global_avg_pool"),
        Module(
            "out",
            op="core:dense",
            attrs={
                "units": 3,
                "activation": "softmax",
                "activity_regularizer": ObjectValue("core:regularizers.l1", {"l1": 0.01}),
            },
            params={"kernel": "out/kernel", "bias": "out/bias"},
        ),
    ]
    names = [module.name for module in modules]
    calls = [Call("x", "x")]
    calls += [Call(name, name, [OutputRef(before, 0)]) for before, name in pairwise(names)]
    root = Module(
        "m", "graph", "core:graph", modules=modules, graph=Graph([OutputRef("x", 0)], OutputRef("out", 0), calls)
    )
    held = {variable.path: np.array(variable) for variable in model.weights}
    loss = ObjectValue("core:losses.sparse_categorical_crossentropy", {})
    core = Model(config=Config(root), weights=TOOLS.weights_of(held), training=Training(loss=loss))
    function, compute = to_function(core), loss_of(core)
    x, target = draw(8, 6, 6, 2), RNG.integers(0, 3, 8)

    def update(params: Any, state: Any) -> Any:
        def total(params: Any) -> Any:
            outcome = function.trace(params, x, state=state, training=True)
            return compute(outcome.outputs, target) + outcome.penalty + function.regularization(params), outcome.state

        (value, new), gradients = jax.value_and_grad(total, has_aux=True)(params)
        return value, {path: params[path] - 0.1 * gradients[path] for path in params}, new

    step = jax.jit(update)
    params, state, worst = function.params, function.state, 0.0
    for _ in range(5):
        value, params, state = step(params, state)
        wanted = model.train_on_batch(x, target)
        worst = max(worst, abs(float(value) - float(wanted)) / abs(float(wanted)))
    found = {**params, **state}
    return float(max(worst, *(TOOLS.difference(found[v.path], v) for v in model.weights)))


def _rnn(layer: Any, op: str, mask: bool = False, **attrs: Any) -> float:
    x = draw(3, 6, 4)
    kept = RNG.random((3, 6)) < 0.6 if mask else None
    outputs = None if not attrs.get("return_state") else (3 if op == "lstm" else 2)
    built, function = same_layer(
        layer(5, **{("return_sequences" if key == "sequences" else key): value for key, value in attrs.items()}),
        op,
        {"units": 5, **attrs},
        x,
        kwargs={} if kept is None else {"mask": kept},
        outputs=outputs,
    )
    wanted = built(x, mask=kept)
    return float(TOOLS.difference(function.apply(function.params, x), wanted))


@scenario
def lstm() -> float:
    return _rnn(keras.layers.LSTM, "lstm", mask=True, return_sequences=True, return_state=True)


@scenario
def gru() -> float:
    return _rnn(keras.layers.GRU, "gru", mask=True, go_backwards=True, return_sequences=True)


@scenario
def gru_reset_before() -> float:
    return _rnn(keras.layers.GRU, "gru", reset_after=False)


@scenario
def simple_rnn() -> float:
    return _rnn(keras.layers.SimpleRNN, "simple_rnn", mask=True)


def _attention(keras_mask: bool, **call: Any) -> float:
    query, value = draw(2, 5, 6), draw(2, 7, 6)
    layer = keras.layers.MultiHeadAttention(3, 4)
    layer(query, value)
    params: dict[str, Any] = {}
    for child, role in ((layer.query_dense, "query"), (layer.key_dense, "key"), (layer.value_dense, "value")):
        params |= {f"{role}_{variable.name}": draw(*variable.shape) for variable in child.weights}
    params |= {f"output_{variable.name}": draw(*variable.shape) for variable in layer.output_dense.weights}
    children = {
        "query": layer.query_dense,
        "key": layer.key_dense,
        "value": layer.value_dense,
        "output": layer.output_dense,
    }
    for name, array in params.items():
        getattr(children[name.split("_")[0]], name.split("_")[1]).assign(array)
    if keras_mask:
        call["attention_mask"] = RNG.random((2, 5, 7)) < 0.7
    model = TOOLS.one_op(
        "mha",
        {"num_heads": 3, "key_dim": 4},
        [query, value],
        params,
        kwargs=call,
        outputs=2 if call.get("return_attention_scores") else None,
    )
    function = to_function(model)
    return float(TOOLS.difference(function.apply(function.params, query, value), layer(query, value, **call)))


@scenario
def attention() -> float:
    return _attention(True)


@scenario
def attention_causal_with_scores() -> float:
    return _attention(True, use_causal_mask=True, return_attention_scores=True)


@scenario
def attention_regularizers_count_each_projection() -> float:
    query = draw(2, 5, 6)
    layer = keras.layers.MultiHeadAttention(2, 3, activity_regularizer=keras.regularizers.L2(0.1))
    layer(query, query)
    params: dict[str, Any] = {}
    for child, role in (
        (layer.query_dense, "query"),
        (layer.key_dense, "key"),
        (layer.value_dense, "value"),
        (layer.output_dense, "output"),
    ):
        for variable in child.weights:
            value = draw(*variable.shape)
            variable.assign(value)
            params[f"{role}_{variable.name}"] = value
    regularizer = ObjectValue("core:regularizers.l2", {"l2": 0.1})
    attrs = {"num_heads": 2, "key_dim": 3, "activity_regularizer": regularizer}
    function = to_function(TOOLS.one_op("mha", attrs, [query, query], params))
    layer(query, query)
    wanted = sum(float(loss) for loss in layer.losses)
    return float(TOOLS.difference(function.regularization(function.params, query, query), wanted))


def _loss(name: str, class_name: str, target: Any, prediction: Any, **config: Any) -> float:
    """A loss, its gradient and its reductions, with and without weights."""
    worst = 0.0
    for reduction, core in (
        ("sum_over_batch_size", "mean"),
        ("sum", "sum"),
        ("mean_with_sample_weight", "mean_with_sample_weight"),
    ):
        keras_loss = getattr(keras.losses, class_name)(reduction=reduction, **config)
        lists = {key: list(item) if isinstance(item, tuple) else item for key, item in config.items()}
        value = ObjectValue(f"core:losses.{name}", {"reduction": core, **lists})
        graph = Graph([OutputRef("x", 0)], OutputRef("x", 0), [Call("x", "x")])
        root = Module(
            "m",
            "graph",
            "core:graph",
            modules=[Module("x", op="core:input", attrs={"shape": [None], "dtype": "float32"})],
            graph=graph,
        )
        function = loss_of(Model(config=Config(root), weights=Weights(), training=Training(loss=value)))
        values = np.asarray(getattr(keras.losses, class_name)(reduction=None, **config)(target, prediction))
        weights = [None] if values.ndim == 0 else [None, np.abs(draw(*values.shape))]
        for weight in weights:

            def total(p: Any, weight: Any = weight, function: Any = function) -> Any:
                return function(p, target, weight)

            def wanted(p: Any, weight: Any = weight, keras_loss: Any = keras_loss) -> Any:
                return keras_loss(target, p, sample_weight=weight)

            worst = max(worst, TOOLS.difference(total(prediction), wanted(prediction)))
            if weight is None and core == "mean":
                worst = max(worst, TOOLS.difference(jax.grad(total)(prediction), jax.grad(wanted)(prediction)))
    return worst


def _softmax(x: Any) -> Any:
    e = np.exp(x)
    return (e / e.sum(-1, keepdims=True)).astype(x.dtype)


REGRESSION = {
    "mean_squared_error": "MeanSquaredError",
    "mean_absolute_error": "MeanAbsoluteError",
    "mean_absolute_percentage_error": "MeanAbsolutePercentageError",
    "mean_squared_logarithmic_error": "MeanSquaredLogarithmicError",
    "cosine_similarity": "CosineSimilarity",
    "huber": "Huber",
    "log_cosh": "LogCosh",
}


@scenario
def losses_of_regression() -> float:
    return max(_loss(name, kind, np.abs(draw(5, 3)), np.abs(draw(5, 3)) + 0.1) for name, kind in REGRESSION.items())


@scenario
def losses_of_margins() -> float:
    signs = np.where(draw(6, 3) > 0, 1.0, -1.0).astype("float32")
    found = [
        _loss("hinge", "Hinge", signs, draw(6, 3)),
        _loss("squared_hinge", "SquaredHinge", (signs + 1) / 2, draw(6, 3)),
    ]
    one_hot = np.eye(3, dtype="float32")[RNG.integers(0, 3, 6)]
    return max(*found, _loss("categorical_hinge", "CategoricalHinge", one_hot, draw(6, 3)))


@scenario
def losses_of_two_classes() -> float:
    labels, p = RNG.integers(0, 2, (6, 2)).astype("float32"), 1 / (1 + np.exp(-draw(6, 2)))
    logits = draw(6, 2)
    return max(
        _loss("binary_crossentropy", "BinaryCrossentropy", labels, p),
        _loss("binary_crossentropy", "BinaryCrossentropy", labels, logits, from_logits=True, label_smoothing=0.1),
        _loss("binary_focal_crossentropy", "BinaryFocalCrossentropy", labels, p, apply_class_balancing=True, gamma=1.5),
        _loss("binary_focal_crossentropy", "BinaryFocalCrossentropy", labels, logits, from_logits=True),
    )


@scenario
def losses_of_many_classes() -> float:
    classes = RNG.integers(0, 4, 7)
    one_hot, logits = np.eye(4, dtype="float32")[classes], draw(7, 4)
    p, maps = _softmax(logits), RNG.integers(0, 4, (2, 3)).astype("float32")
    return max(
        _loss("categorical_crossentropy", "CategoricalCrossentropy", one_hot, p, label_smoothing=0.1),
        _loss("categorical_crossentropy", "CategoricalCrossentropy", one_hot, logits, from_logits=True),
        _loss("categorical_focal_crossentropy", "CategoricalFocalCrossentropy", one_hot, p),
        _loss("categorical_focal_crossentropy", "CategoricalFocalCrossentropy", one_hot, logits, from_logits=True),
        _loss("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", classes, p),
        _loss("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", classes[:, None], p),
        _loss("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy", classes, logits, from_logits=True),
        _loss(
            "sparse_categorical_crossentropy",
            "SparseCategoricalCrossentropy",
            maps,
            _softmax(draw(2, 3, 4)),
            ignore_class=1,
        ),
        _loss("categorical_generalized_cross_entropy", "CategoricalGeneralizedCrossEntropy", classes, p, q=0.6),
        _loss("kl_divergence", "KLDivergence", _softmax(draw(7, 4)), p),
        _loss("poisson", "Poisson", np.abs(draw(7, 4)), np.abs(draw(7, 4))),
    )


@scenario
def losses_of_regions() -> float:
    labels, p = RNG.integers(0, 2, (3, 4, 2)).astype("float32"), 1 / (1 + np.exp(-draw(3, 4, 2)))
    return max(
        _loss("dice", "Dice", labels, p),
        _loss("dice", "Dice", labels, p, axis=(1, 2)),
        _loss("tversky", "Tversky", labels, p, alpha=0.3, beta=0.6),
    )


@scenario
def losses_of_embeddings() -> float:
    x = draw(8, 3)
    x = x / np.linalg.norm(x, axis=-1, keepdims=True)
    return _loss("circle", "Circle", np.array([0, 1, 2, 0, 1, 2, 0, 1]), x, gamma=4.0)


@scenario
def losses_of_sequences() -> float:
    labels = np.array([[1, 2, 2], [3, 1, 0]], "int32")
    return _loss("ctc", "CTC", labels, draw(2, 8, 5))


@scenario
def losses_of_several_outputs() -> float:
    """A loss for each output, by name, with weights, one output without a loss."""
    x = keras.Input((3,))
    outputs = [keras.layers.Dense(2, name=name)(x) for name in ("a", "b", "c")]
    model = keras.Model(x, outputs)
    model.compile("sgd", loss={"a": "mse", "b": None, "c": "mae"}, loss_weights={"a": 0.5, "b": 1.0, "c": 2.0})
    data, targets = draw(4, 3), [draw(4, 2) for _ in range(3)]
    wanted = model.evaluate(data, targets, verbose=0, return_dict=True)["loss"]
    mse, mae = (ObjectValue(f"core:losses.mean_{kind}_error", {}) for kind in ("squared", "absolute"))
    modules = [Module("x", op="core:input", attrs={"shape": [None, 3], "dtype": "float32"})]
    modules += [
        Module(name, op="core:dense", attrs={"units": 2}, params={"kernel": f"{name}/kernel", "bias": f"{name}/bias"})
        for name in ("a", "b", "c")
    ]
    calls = [Call("x", "x"), *(Call(name, name, [OutputRef("x", 0)]) for name in ("a", "b", "c"))]
    graph = Graph([OutputRef("x", 0)], [OutputRef(name, 0) for name in ("a", "b", "c")], calls)
    root = Module("m", "graph", "core:graph", modules=modules, graph=graph)
    training = Training(loss={"a": mse, "b": None, "c": mae}, loss_weights={"a": 0.5, "b": 1.0, "c": 2.0})
    held = {variable.path: np.array(variable) for variable in model.weights}
    core = Model(config=Config(root), weights=TOOLS.weights_of(held), training=training)
    function = to_function(core)
    found = loss_of(core)(function.apply(function.params, data), targets)
    return float(TOOLS.difference(found, wanted))


def _regularizer(name: str, value: Any, core: ObjectValue) -> float:
    x = draw(2, 6)
    layer = keras.layers.Dense(4, kernel_regularizer=value)
    built, function = same_layer(layer, "dense", {"units": 4, "regularizers": {"kernel": core}}, x)
    return float(TOOLS.difference(function.regularization(function.params), float(built.losses[0])))


@scenario
def regularizers() -> float:
    r = keras.regularizers
    return max(
        _regularizer("l1", r.L1(0.1), ObjectValue("core:regularizers.l1", {"l1": 0.1})),
        _regularizer("l1_l2", r.L1L2(0.1, 0.2), ObjectValue("core:regularizers.l1_l2", {"l1": 0.1, "l2": 0.2})),
        _regularizer(
            "orthogonal",
            r.OrthogonalRegularizer(0.1, "columns"),
            ObjectValue("core:regularizers.orthogonal_regularizer", {"factor": 0.1, "mode": "columns"}),
        ),
    )


@scenario
def constraints() -> float:
    c, worst = keras.constraints, 0.0
    for value, name, config in (
        (c.MaxNorm(0.5), "max_norm", {"max_value": 0.5}),
        (c.MinMaxNorm(0.2, 0.6, 0.7), "min_max_norm", {"min_value": 0.2, "max_value": 0.6, "rate": 0.7}),
        (c.UnitNorm(1), "unit_norm", {"axis": 1}),
        (c.NonNeg(), "non_neg", {}),
    ):
        x, kernel = draw(2, 6), draw(6, 4)
        attrs = {
            "units": 4,
            "use_bias": False,
            "constraints": {"kernel": ObjectValue(f"core:constraints.{name}", config)},
        }
        function = to_function(TOOLS.one_op("dense", attrs, [x], {"kernel": kernel}))
        worst = max(worst, TOOLS.difference(function.constrain(function.params)["op/kernel"], value(kernel)))
    return worst


@scenario
def mixed_precision() -> float:
    """A layer of Keras' mixed policy gives bfloat16, bit for bit."""
    x = draw(4, 6)
    worst = 0.0
    precision = {"variable_dtype": "float32", "compute_dtype": "bfloat16"}
    for layer, op, attrs in (
        (keras.layers.Dense(3, dtype="mixed_bfloat16"), "dense", {"units": 3}),
        (keras.layers.BatchNormalization(dtype="mixed_bfloat16"), "batch_norm", {}),
        (keras.layers.LayerNormalization(dtype="mixed_bfloat16"), "layer_norm", {}),
    ):
        built, function = same_layer(layer, op, {**attrs, "precision": precision}, x)
        found, wanted = function.apply(function.params, x), built(x)
        assert found.dtype == wanted.dtype == "bfloat16"
        worst = max(worst, TOOLS.difference(found.astype("float32"), wanted.astype("float32")))
    return worst


if __name__ == "__main__":
    keras.utils.set_random_seed(1)
    results: dict[str, float | str] = {}
    for name, function in SCENARIOS.items():
        try:
            results[name] = float(function())
        except Exception:  # the others still tell something
            results[name] = traceback.format_exc()
    print(json.dumps(results))  # noqa: T201  what the test reads
