"""What compile() takes: losses, metrics, weights of them as lists and dicts, and the flags of the training loop."""

from __future__ import annotations

from functools import partial

import keras
from keras import layers, losses, metrics

from .registry import Sample, case, classes, fit, numbers, one_hot, register


def _two_outputs() -> keras.Model:
    inputs = keras.Input((6,))
    hidden = layers.Dense(5, activation="relu")(inputs)
    kind = layers.Dense(3, activation="softmax", name="kind")(hidden)
    return keras.Model(inputs, {"kind": kind, "size": layers.Dense(1, name="size")(hidden)})


@case()
def compiled_with_dicts() -> Sample:
    model = _two_outputs()
    model.compile(
        keras.optimizers.Adam(0.01),
        loss={"kind": losses.CategoricalCrossentropy(label_smoothing=0.1), "size": losses.Huber(delta=1.0)},
        loss_weights={"kind": 0.7, "size": 1.3},
        metrics={"kind": ["accuracy", metrics.TopKCategoricalAccuracy(2, name="top2")], "size": "mae"},
        weighted_metrics={"size": [metrics.RootMeanSquaredError()]},
    )
    y = {"kind": one_hot(3, 8), "size": numbers(8, 1, seed=3)}
    weight = {"kind": abs(numbers(8, seed=6)), "size": abs(numbers(8, seed=7))}
    return fit(model, numbers(8, 6), y, sample_weight=weight)


@case()
def compiled_with_lists() -> Sample:
    inputs = keras.Input((6,))
    model = keras.Model(inputs, [layers.Dense(2)(inputs), layers.Dense(1)(inputs), layers.Dense(3)(inputs)])
    model.compile(
        "nadam",
        [losses.LogCosh(), "mae", None],
        loss_weights=[0.5, 2, 1],
        metrics=[["mae", "mse"], metrics.MeanSquaredError(name="error"), []],
    )
    return fit(model, numbers(8, 6), [numbers(8, 2, seed=3), numbers(8, 1, seed=4), numbers(8, 3, seed=5)])


def _with_flags(**flags: object) -> Sample:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(2)])
    model.compile("adam", "mse", **flags)
    return fit(model, numbers(8, 6), numbers(8, 2, seed=3))


register("compiled_eagerly", lambda: _with_flags(run_eagerly=True, jit_compile=False, auto_scale_loss=False))
register(
    "compiled_with_several_steps",
    lambda: _with_flags(steps_per_execution=3),
    ("tensorflow", "jax"),
    "torch takes one step per execution",
)
register(
    "compiled_just_in_time",
    lambda: _with_flags(jit_compile=True),
    ("tensorflow", "jax"),
    "Keras does not compile for torch",
)


@case()
def loss_added_by_layer() -> Sample:
    inputs = keras.Input((6,))
    x = layers.ActivityRegularization(l2=0.1)(layers.Dense(4, activity_regularizer=keras.regularizers.L1(0.02))(inputs))
    model = keras.Model(inputs, layers.Dense(1)(x))
    model.compile("adam", losses.MeanSquaredError(reduction="sum", name="own_loss"))
    return fit(model, numbers(8, 6), numbers(8, 1, seed=3))


REGRESSION = {
    "cosine": partial(losses.CosineSimilarity, axis=-1),
    "huber": partial(losses.Huber, delta=0.5),
    "log_cosh": losses.LogCosh,
    "mae": losses.MeanAbsoluteError,
    "mape": losses.MeanAbsolutePercentageError,
    "msle": losses.MeanSquaredLogarithmicError,
    "poisson": losses.Poisson,
    "hinge": losses.Hinge,
    "squared_hinge": losses.SquaredHinge,
}
PROBABILITY = {
    "binary": partial(losses.BinaryCrossentropy, label_smoothing=0.05),
    "binary_focal": partial(losses.BinaryFocalCrossentropy, apply_class_balancing=True, gamma=1.5),
    "categorical_focal": partial(losses.CategoricalFocalCrossentropy, alpha=0.3),
    "categorical_hinge": losses.CategoricalHinge,
    "dice": losses.Dice,
    "tversky": partial(losses.Tversky, alpha=0.3, beta=0.7),
    "kl": losses.KLDivergence,
}


@case()
def losses_of_every_kind() -> Sample:
    inputs = keras.Input((6,))
    outputs = {name: layers.Dense(3, activation="softplus", name=name)(inputs) for name in REGRESSION}
    outputs |= {name: layers.Dense(3, activation="softmax", name=name)(inputs) for name in PROBABILITY}
    model = keras.Model(inputs, outputs)
    model.compile("sgd", {name: make() for name, make in (REGRESSION | PROBABILITY).items()})
    y = {name: abs(numbers(8, 3, seed=i)) for i, name in enumerate(REGRESSION)}
    return fit(model, numbers(8, 6), y | {name: one_hot(3, 8) for name in PROBABILITY})


def _metrics(kinds: list[metrics.Metric], labels: object, units: int, activation: str) -> Sample:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(units, activation=activation)])
    model.compile("sgd", "mse", metrics=kinds)
    return fit(model, numbers(8, 6), labels)


@case()
def metrics_for_classes() -> Sample:
    kinds = [
        metrics.AUC(num_thresholds=20, curve="PR"),
        metrics.BinaryAccuracy(threshold=0.4),
        metrics.CategoricalAccuracy(),
        metrics.F1Score(average="macro"),
        metrics.FBetaScore(beta=0.5, threshold=0.3),
        metrics.Precision(thresholds=[0.2, 0.6], class_id=1),
        metrics.Recall(top_k=2),
        metrics.PrecisionAtRecall(0.5, num_thresholds=10),
        metrics.SensitivityAtSpecificity(0.5, num_thresholds=10),
        metrics.OneHotMeanIoU(num_classes=3),
        metrics.TruePositives(),
        metrics.FalseNegatives(thresholds=0.3),
        metrics.KLDivergence(),
        metrics.CategoricalHinge(),
    ]
    return _metrics(kinds, one_hot(3, 8), 3, "softmax")


@case()
def metrics_for_numbers() -> Sample:
    kinds = [
        metrics.MeanSquaredError(),
        metrics.RootMeanSquaredError(name="rmse"),
        metrics.R2Score(class_aggregation="variance_weighted_average"),
        metrics.CosineSimilarity(axis=-1),
        metrics.PearsonCorrelation(),
        metrics.ConcordanceCorrelation(),
        metrics.LogCoshError(),
        metrics.MeanMetricWrapper(keras.losses.mean_absolute_error, name="wrapped"),
    ]
    return _metrics(kinds, numbers(8, 2, seed=3), 2, "linear")


def _by_function(loss: object) -> Sample:
    model = keras.Sequential([keras.Input((6,)), layers.Dense(4, activation=keras.activations.softmax)])
    model.compile(keras.optimizers.get("adamax"), loss, metrics=[keras.metrics.sparse_categorical_accuracy, "acc"])
    return fit(model, numbers(8, 6), classes(4, 8))


register("loss_as_function", lambda: _by_function(keras.losses.sparse_categorical_crossentropy))
register("loss_generalized", lambda: _by_function(losses.CategoricalGeneralizedCrossEntropy(q=0.6)))
register("loss_as_object", lambda: _by_function(losses.SparseCategoricalCrossentropy(ignore_class=2)))
