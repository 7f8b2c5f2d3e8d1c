"""The cases of the comparison of the reference rules with the frameworks: inputs, parameters, names on both sides."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = Any
Json = dict[str, Any]
STEPS = 40
HALF = STEPS // 2

_rng = np.random.default_rng(20)
VARIABLES: dict[str, Array] = {
    "dense/kernel": _rng.normal(size=(4, 3)),
    "dense/bias": _rng.normal(size=(3,)),
    "conv/kernel": _rng.normal(size=(2, 3, 4)),
}
GRADIENTS: list[dict[str, Array]] = [
    {path: _rng.normal(size=value.shape) * 10 ** _rng.uniform(-3, 1) for path, value in VARIABLES.items()}
    for _ in range(STEPS)
]


class Case(NamedTuple):
    """An optimizer of a framework and the same one by the vocabulary.

    Attributes:
        name: of the case.
        make: the framework's class, or expression in the names of the oracle.
        arguments: of the framework's class.
        algorithm: without the namespace.
        h: hyperparameters of the vocabulary.
        rate: the learning rate, 0.01 unless a schedule gives it.
        paths: the variables.
        bound: largest difference, in parts of the motion.
    """

    name: str
    make: str
    arguments: Json
    algorithm: str
    h: Json
    rate: float = 0.01
    paths: tuple[str, ...] = tuple(VARIABLES)
    bound: float = 1e-12


# Keras computes means of float64 in float32 on JAX, so that its Adafactor and Muon are only so exact there.
SINGLE = 1e-6
_MATRIX = ("dense/kernel",)
_DENSE = ("dense/kernel", "dense/bias")

KERAS = [
    Case("sgd", "SGD", {}, "sgd", {}),
    Case("sgd_momentum", "SGD", {"momentum": 0.9}, "sgd", {"momentum": 0.9}),
    Case("sgd_nesterov", "SGD", {"momentum": 0.9, "nesterov": True}, "sgd", {"momentum": 0.9, "nesterov": True}),
    Case("adam", "Adam", {}, "adam", {}),
    Case("amsgrad", "Adam", {"amsgrad": True}, "adam", {"amsgrad": True}),
    Case("adamw", "AdamW", {"weight_decay": 0.1}, "adam", {"weight_decay": 0.1}),
    Case("rmsprop", "RMSprop", {}, "rmsprop", {}),
    Case(
        "rmsprop_centered",
        "RMSprop",
        {"momentum": 0.5, "centered": True},
        "rmsprop",
        {"momentum": 0.5, "centered": True},
    ),
    Case("adagrad", "Adagrad", {}, "adagrad", {}),
    Case("adadelta", "Adadelta", {}, "adadelta", {}),
    Case("adamax", "Adamax", {}, "adamax", {}),
    Case("nadam", "Nadam", {}, "nadam", {}),
    Case(
        "ftrl",
        "Ftrl",
        {
            "l1_regularization_strength": 0.01,
            "l2_regularization_strength": 0.02,
            "l2_shrinkage_regularization_strength": 0.03,
            "beta": 0.1,
        },
        "ftrl",
        {"l1": 0.01, "l2": 0.02, "l2_shrinkage": 0.03, "beta": 0.1},
    ),
    Case("lion", "Lion", {"weight_decay": 0.1}, "lion", {"weight_decay": 0.1}),
    Case("adafactor", "Adafactor", {}, "adafactor", {}, bound=SINGLE),
    Case("lamb", "Lamb", {}, "lamb", {}),
    Case("schedule_free", "ScheduleFreeAdamW", {"warmup_steps": 10}, "schedule_free_adamw", {"warmup_steps": 10}),
    Case(
        "muon",
        "Muon",
        {"weight_decay": 0.1, "adam_weight_decay": 0.2, "adam_lr_ratio": 0.5},
        "muon",
        {"weight_decay": 0.1, "adam_weight_decay": 0.2, "adam_rate_ratio": 0.5},
        bound=SINGLE,
    ),
    Case(
        "muon_plain",
        "Muon",
        {"nesterov": False, "rms_rate": None, "weight_decay": None, "adam_weight_decay": None},
        "muon",
        {"nesterov": False, "rms_rate": None},
        bound=SINGLE,
    ),
    Case("clip_norm", "Adam", {"clipnorm": 0.5}, "adam", {"clip_norm": 0.5}),
    Case("clip_global_norm", "SGD", {"global_clipnorm": 0.5}, "sgd", {"clip_global_norm": 0.5}),
    Case("clip_value", "SGD", {"clipvalue": 0.1}, "sgd", {"clip_value": 0.1}),
    Case(
        "accumulation",
        "Adam",
        {"gradient_accumulation_steps": 4, "clipnorm": 1.0, "weight_decay": 0.1},
        "adam",
        {"accumulation_steps": 4, "clip_norm": 1.0, "weight_decay": 0.1},
    ),
    Case(
        "average",
        "SGD",
        {"momentum": 0.9, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
        "sgd",
        {"momentum": 0.9, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    ),
    Case(
        "average_and_accumulation",
        "Adam",
        {
            "use_ema": True,
            "ema_momentum": 0.8,
            "ema_overwrite_frequency": 7,
            "gradient_accumulation_steps": 3,
            "loss_scale_factor": 8.0,
        },
        "adam",
        {"ema_momentum": 0.8, "ema_overwrite_frequency": 7, "accumulation_steps": 3, "loss_scale": 8.0},
    ),
]
_CORRECTED = {"epsilon": 1e-8, "epsilon_mode": "corrected"}
_COUPLED = {"weight_decay": 0.1, "decay_mode": "coupled"}
TORCH = [
    Case(
        "sgd_dampening",
        "SGD",
        {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.1},
        "sgd",
        {"momentum": 0.9, "momentum_form": "buffer", "dampening": 0.3, **_COUPLED},
    ),
    Case(
        "sgd_maximize",
        "SGD",
        {"momentum": 0.9, "nesterov": True, "maximize": True, "weight_decay": 0.1},
        "sgd",
        {"momentum": 0.9, "momentum_form": "buffer", "nesterov": True, "maximize": True, **_COUPLED},
    ),
    Case("adam", "Adam", {"weight_decay": 0.1}, "adam", {**_CORRECTED, **_COUPLED}),
    Case("adamw", "AdamW", {"weight_decay": 0.1}, "adam", {**_CORRECTED, "weight_decay": 0.1}),
    Case("amsgrad", "Adam", {"amsgrad": True}, "adam", {**_CORRECTED, "amsgrad": True}),
    Case(
        "rmsprop",
        "RMSprop",
        {"alpha": 0.9, "momentum": 0.5, "centered": True, "weight_decay": 0.1},
        "rmsprop",
        {
            "momentum": 0.5,
            "centered": True,
            "epsilon": 1e-8,
            "epsilon_mode": "outside",
            "momentum_form": "buffer",
            **_COUPLED,
        },
    ),
    Case(
        "adagrad",
        "Adagrad",
        {"lr_decay": 0.1},
        "adagrad",
        {"initial_accumulator": 0.0, "epsilon": 1e-10, "epsilon_mode": "outside", "rate_decay": 0.1},
    ),
    Case("adadelta", "Adadelta", {"rho": 0.9}, "adadelta", {"rho": 0.9, "epsilon": 1e-6}),
    Case("adamax", "Adamax", {}, "adamax", {"epsilon": 1e-8, "epsilon_mode": "in_max"}),
    # torch holds the product of the momenta in float32.
    Case("nadam", "NAdam", {}, "nadam", {"epsilon": 1e-8, "schedule_decay": 0.004}, bound=1e-7),
    Case("adafactor", "Adafactor", {"weight_decay": 0.0}, "adafactor", {}, paths=_DENSE),
]
_COSINE = {"class": "cosine_decay", "config": {"initial_learning_rate": 0.05, "decay_steps": 100.0}}
OPTAX = [
    Case(
        "sgd",
        "optax.sgd(0.01, momentum=0.9, nesterov=True)",
        {},
        "sgd",
        {"momentum": 0.9, "nesterov": True, "momentum_form": "buffer"},
    ),
    Case(
        "sgd_schedule",
        "optax.sgd(cosine, momentum=0.9)",
        {"schedule": _COSINE},
        "sgd",
        {"momentum": 0.9, "momentum_form": "buffer"},
    ),
    Case("adam_root", "optax.adam(0.01, eps_root=1e-6)", {}, "adam", {**_CORRECTED, "epsilon_root": 1e-6}),
    Case("amsgrad", "optax.amsgrad(0.01)", {}, "adam", {**_CORRECTED, "amsgrad": True, "amsgrad_max_of": "corrected"}),
    Case(
        "adamw_schedule",
        "optax.adamw(cosine, weight_decay=0.1)",
        {"schedule": _COSINE},
        "adam",
        {**_CORRECTED, "weight_decay": 0.1},
    ),
    Case(
        "rmsprop",
        "optax.rmsprop(0.01, momentum=0.5, centered=True, initial_scale=0.0)",
        {},
        "rmsprop",
        {"momentum": 0.5, "centered": True, "epsilon": 1e-8},
    ),
    Case(
        "rmsprop_outside",
        "optax.rmsprop(0.01, eps_in_sqrt=False, initial_scale=0.0)",
        {},
        "rmsprop",
        {"epsilon": 1e-8, "epsilon_mode": "outside"},
    ),
    Case("adagrad", "optax.adagrad(0.01)", {}, "adagrad", {}),
    Case("adadelta", "optax.adadelta(0.01, rho=0.9, eps=1e-6)", {}, "adadelta", {"rho": 0.9, "epsilon": 1e-6}),
    Case("adamax", "optax.adamax(0.01)", {}, "adamax", {"epsilon": 1e-8, "epsilon_mode": "in_max"}),
    Case("nadam", "optax.nadam(0.01)", {}, "nadam", {"epsilon": 1e-8, "schedule_base": 0.0}),
    Case("lion", "optax.lion(0.01, weight_decay=0.1)", {}, "lion", {"weight_decay": 0.1}),
    Case("lamb", "optax.lamb(0.01)", {}, "lamb", {"epsilon": 1e-6}),
    # optax raises the step to the power of the decay in float32.
    Case(
        "adafactor",
        "optax.adafactor(0.01, min_dim_size_to_factor=0)",
        {},
        "adafactor",
        {"relative_step": False},
        bound=SINGLE,
    ),
    Case(
        "clip",
        "optax.chain(optax.clip_by_global_norm(0.5), optax.adam(0.01))",
        {},
        "adam",
        {**_CORRECTED, "clip_global_norm": 0.5},
    ),
    # The running mean of MultiSteps divides in float32.
    Case(
        "accumulation",
        "optax.MultiSteps(optax.adam(cosine), 3)",
        {"schedule": _COSINE},
        "adam",
        {**_CORRECTED, "accumulation_steps": 3},
        bound=SINGLE,
    ),
]
_BIG = {"epsilon": 0.01}
# tf_keras rounds its decays to float32. A large epsilon tells apart where it stands.
ROUNDED = 2e-5


def _tf(name: str, make: str, arguments: Json, algorithm: str, h: Json) -> Case:
    return Case(name, make, arguments, algorithm, h, bound=ROUNDED)


_CLASSES = [
    ("SGD", {"momentum": 0.9, "nesterov": True}, "sgd", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"amsgrad": True, **_BIG}, "adam", {"amsgrad": True, **_BIG}),
    ("Adadelta", _BIG, "adadelta", _BIG),
    ("Adamax", _BIG, "adamax", _BIG),
    ("Ftrl", {"beta": 0.1}, "ftrl", {"beta": 0.1}),
    ("RMSprop", {"momentum": 0.5, "centered": True, **_BIG}, "rmsprop", {"momentum": 0.5, "centered": True, **_BIG}),
]
TF_KERAS = [
    *(_tf(make.lower(), make, arguments, algorithm, h) for make, arguments, algorithm, h in _CLASSES),
    *(_tf(f"legacy_{make.lower()}", make, arguments, algorithm, h) for make, arguments, algorithm, h in _CLASSES),
    _tf("sgd_plain", "SGD", {}, "sgd", {}),
    _tf("adamw", "AdamW", {"weight_decay": 0.1}, "adam", {"weight_decay": 0.1}),
    _tf("adagrad", "Adagrad", _BIG, "adagrad", _BIG),
    _tf("rmsprop_plain", "RMSprop", _BIG, "rmsprop", _BIG),
    _tf("nadam", "Nadam", _BIG, "nadam", _BIG),
    _tf(
        "average", "Adam", {"use_ema": True, "ema_momentum": 0.8}, "adam", {"ema_momentum": 0.8, "ema_start": "initial"}
    ),
    _tf("legacy_adagrad", "Adagrad", _BIG, "adagrad", {"epsilon_mode": "outside", **_BIG}),
    _tf("legacy_rmsprop_plain", "RMSprop", _BIG, "rmsprop", {"epsilon_mode": "outside", **_BIG}),
    _tf("legacy_nadam", "Nadam", _BIG, "nadam", {"schedule_decay": 0.004, **_BIG}),
    _tf("legacy_decay", "SGD", {"decay": 0.1}, "sgd", {}),
]
OPTIMIZERS = {"keras": KERAS, "tf_keras": TF_KERAS, "torch": TORCH, "optax": OPTAX}


class Rule(NamedTuple):
    """An object of Keras and the same one by the vocabulary.

    Attributes:
        name: of the case.
        kind: ``losses``, ``metrics``, ``schedules``, ``regularizers`` or ``constraints``.
        keras: the class.
        arguments: of Keras' class.
        core: the class by the vocabulary.
        config: by the vocabulary.
        data: names in `DATA` of what it is called with.
        weighted: whether sample weights make sense for it.
    """

    name: str
    kind: str
    keras: str
    arguments: Json
    core: str
    config: Json
    data: tuple[str, ...] = ()
    weighted: bool = True


def _softmax(x: Array) -> Array:
    exponents = np.exp(x)
    return np.asarray(exponents / exponents.sum(axis=-1, keepdims=True))


_logits, _classes = _rng.normal(size=(6, 4)), _rng.integers(0, 4, 6)
_embedded = _rng.normal(size=(6, 5))
DATA: dict[str, Array] = {
    "numbers": _rng.uniform(-1, 2, size=(6, 4)),
    "shares": _rng.uniform(0.01, 0.99, size=(6, 4)),
    "labels": _rng.integers(0, 2, size=(6, 4)).astype(float),
    "logits": _logits,
    "probabilities": _softmax(_logits),
    "one_hot": np.eye(4)[_classes],
    "classes": _classes,
    "column": _rng.uniform(0.01, 0.99, size=(6, 1)),
    "yes_no": _rng.integers(0, 2, size=6).astype(float),
    "groups": np.array([0, 0, 1, 1, 2, 3]),
    "pairs": np.array([0, 0, 1, 1, 2, 2]),
    "unit": _embedded / np.linalg.norm(_embedded, axis=1, keepdims=True),
    "words": np.array([[1, 2, 2], [3, 1, 0]]),
    "steps": _rng.normal(size=(2, 7, 4)),
    "frames": _rng.normal(size=(6, 3, 4)),
    "frame_targets": _rng.normal(size=(6, 3, 4)),
    "frame_classes": _rng.integers(0, 4, size=(6, 3)),
    "frame_probabilities": _softmax(_rng.normal(size=(6, 3, 4))),
    "ids": np.argsort(-_logits, axis=-1).astype(float),
    "others": _rng.integers(0, 4, 6),
    "kernel": _rng.normal(size=(5, 3)) * 2,
    "filters": _rng.normal(size=(2, 3, 4)),
    "clocks": np.arange(60.0),
}
WEIGHTS = _rng.uniform(size=6)


def weights_for(rule: Rule) -> Array:
    """Sample weights that fit the values of a loss: a column for those of a sequence."""
    return WEIGHTS[:, np.newaxis] if rule.data[-1].startswith("frame") else WEIGHTS


REDUCTIONS = {"mean": "sum_over_batch_size", "sum": "sum", "mean_with_sample_weight": "mean_with_sample_weight"} | {
    "none": "none"
}


def _both(kind: str, keras: str, core: str, *data: str, **arguments: Any) -> Rule:
    """A rule whose arguments have the same names on both sides."""
    told = "_".join(f"{key}_{value}" for key, value in arguments.items())
    name = f"{core}__{'_'.join(data)}" + (f"__{told}" if told else "")
    # These give one number for the whole batch, or take no weights of six samples.
    whole = core == "ctc" or (core in ("dice", "tversky") and "axis" not in arguments)
    return Rule(name, kind, keras, arguments, core, arguments, data, weighted=not whole)


LOSSES = [
    *(
        _both("losses", keras, core, *data)
        for keras, core in [
            ("MeanSquaredError", "mean_squared_error"),
            ("MeanAbsoluteError", "mean_absolute_error"),
            ("MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
            ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"),
            ("CosineSimilarity", "cosine_similarity"),
            ("Huber", "huber"),
            ("LogCosh", "log_cosh"),
        ]
        for data in [("numbers", "logits"), ("yes_no", "column"), ("frames", "frame_targets")]
    ),
    *(
        _both("losses", keras, core, target, "logits")
        for keras, core in [("Hinge", "hinge"), ("SquaredHinge", "squared_hinge")]
        for target in ("labels", "numbers")
    ),
    _both("losses", "CategoricalHinge", "categorical_hinge", "one_hot", "logits"),
    _both("losses", "KLDivergence", "kl_divergence", "probabilities", "shares"),
    _both("losses", "Poisson", "poisson", "labels", "shares"),
    _both("losses", "CosineSimilarity", "cosine_similarity", "frames", "frame_targets", axis=1),
    _both("losses", "Huber", "huber", "numbers", "logits", delta=0.3),
    _both("losses", "BinaryCrossentropy", "binary_crossentropy", "labels", "shares", label_smoothing=0.1),
    _both("losses", "BinaryCrossentropy", "binary_crossentropy", "labels", "logits", from_logits=True),
    _both("losses", "BinaryFocalCrossentropy", "binary_focal_crossentropy", "labels", "shares"),
    _both(
        "losses",
        "BinaryFocalCrossentropy",
        "binary_focal_crossentropy",
        "labels",
        "logits",
        from_logits=True,
        apply_class_balancing=True,
        label_smoothing=0.2,
    ),
    _both("losses", "CategoricalCrossentropy", "categorical_crossentropy", "one_hot", "shares", label_smoothing=0.1),
    _both("losses", "CategoricalCrossentropy", "categorical_crossentropy", "one_hot", "logits", from_logits=True),
    _both("losses", "CategoricalFocalCrossentropy", "categorical_focal_crossentropy", "one_hot", "shares", alpha=0.5),
    _both(
        "losses",
        "CategoricalFocalCrossentropy",
        "categorical_focal_crossentropy",
        "one_hot",
        "logits",
        from_logits=True,
    ),
    _both("losses", "SparseCategoricalCrossentropy", "sparse_categorical_crossentropy", "classes", "shares"),
    _both(
        "losses",
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        "frame_classes",
        "frames",
        from_logits=True,
    ),
    _both(
        "losses",
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        "classes",
        "logits",
        from_logits=True,
        ignore_class=2,
    ),
    _both(
        "losses",
        "CategoricalGeneralizedCrossEntropy",
        "categorical_generalized_cross_entropy",
        "classes",
        "probabilities",
        q=0.3,
    ),
    _both("losses", "Dice", "dice", "labels", "shares"),
    _both("losses", "Dice", "dice", "labels", "shares", axis=[-1]),
    _both("losses", "Tversky", "tversky", "labels", "shares", alpha=0.3, beta=0.6),
    _both("losses", "Circle", "circle", "groups", "unit"),
    _both("losses", "Circle", "circle", "pairs", "unit", gamma=10.0, margin=0.2, remove_diagonal=False),
    _both("losses", "CTC", "ctc", "words", "steps"),
]
_AT = [
    ("SensitivityAtSpecificity", "sensitivity_at_specificity", "specificity"),
    ("SpecificityAtSensitivity", "specificity_at_sensitivity", "sensitivity"),
    ("PrecisionAtRecall", "precision_at_recall", "recall"),
    ("RecallAtPrecision", "recall_at_precision", "precision"),
]
METRICS = [
    *(
        _both("metrics", keras, core, *data)
        for keras, core in [
            ("MeanSquaredError", "mean_squared_error"),
            ("RootMeanSquaredError", "root_mean_squared_error"),
            ("MeanAbsoluteError", "mean_absolute_error"),
            ("MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
            ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"),
            ("CosineSimilarity", "cosine_similarity"),
            ("LogCoshError", "log_cosh_error"),
        ]
        for data in [("numbers", "logits"), ("frames", "frame_targets")]
    ),
    _both("metrics", "Mean", "mean", "frames"),
    _both("metrics", "Sum", "sum", "frames"),
    _both("metrics", "Accuracy", "accuracy", "classes", "others"),
    _both("metrics", "BinaryAccuracy", "binary_accuracy", "labels", "shares", threshold=0.4),
    _both("metrics", "CategoricalAccuracy", "categorical_accuracy", "one_hot", "logits"),
    _both("metrics", "SparseCategoricalAccuracy", "sparse_categorical_accuracy", "frame_classes", "frames"),
    _both("metrics", "TopKCategoricalAccuracy", "top_k_categorical_accuracy", "one_hot", "shares", k=2),
    _both("metrics", "SparseTopKCategoricalAccuracy", "sparse_top_k_categorical_accuracy", "classes", "shares", k=2),
    _both(
        "metrics",
        "SparseTopKCategoricalAccuracy",
        "sparse_top_k_categorical_accuracy",
        "classes",
        "ids",
        k=2,
        from_sorted_ids=True,
    ),
    _both("metrics", "Hinge", "hinge", "labels", "logits"),
    _both("metrics", "SquaredHinge", "squared_hinge", "labels", "logits"),
    _both("metrics", "CategoricalHinge", "categorical_hinge", "one_hot", "logits"),
    _both("metrics", "KLDivergence", "kl_divergence", "probabilities", "shares"),
    _both("metrics", "Poisson", "poisson", "labels", "shares"),
    _both("metrics", "BinaryCrossentropy", "binary_crossentropy", "labels", "logits", from_logits=True),
    _both("metrics", "CategoricalCrossentropy", "categorical_crossentropy", "one_hot", "shares", label_smoothing=0.1),
    _both(
        "metrics",
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        "classes",
        "logits",
        from_logits=True,
        ignore_class=1,
    ),
    _both("metrics", "PearsonCorrelation", "pearson_correlation", "numbers", "logits"),
    _both("metrics", "ConcordanceCorrelation", "concordance_correlation", "numbers", "logits"),
    *(
        _both("metrics", "R2Score", "r2_score", "numbers", "logits", class_aggregation=how, num_regressors=number)
        for how in ("uniform_average", "variance_weighted_average", None)
        for number in (0, 2)
    ),
    *(
        _both("metrics", keras, core, "labels", "shares", thresholds=thresholds)
        for keras, core in [
            ("TruePositives", "true_positives"),
            ("FalsePositives", "false_positives"),
            ("TrueNegatives", "true_negatives"),
            ("FalseNegatives", "false_negatives"),
            ("Precision", "precision"),
            ("Recall", "recall"),
        ]
        for thresholds in (None, 0.3, [0.1, 0.7], [0.0, 0.25, 0.5, 0.75, 1.0])
    ),
    _both("metrics", "Precision", "precision", "labels", "shares", top_k=2),
    _both("metrics", "Recall", "recall", "labels", "shares", class_id=1, top_k=2),
    *(_both("metrics", keras, core, "labels", "shares", **{rate: 0.6}) for keras, core, rate in _AT),
    *(
        _both("metrics", "AUC", "auc", "labels", "shares", curve=curve, summation_method=method)
        for curve in ("ROC", "PR", "PRGAIN")
        for method in ("interpolation", "minoring", "majoring")
    ),
    _both("metrics", "AUC", "auc", "labels", "shares", thresholds=[0.7, 0.2]),
    _both("metrics", "AUC", "auc", "labels", "logits", from_logits=True, num_thresholds=30),
    _both("metrics", "AUC", "auc", "labels", "shares", multi_label=True),
    _both(
        "metrics", "AUC", "auc", "labels", "shares", multi_label=True, num_labels=4, label_weights=[1.0, 2.0, 0.5, 3.0]
    ),
    *(_both("metrics", "F1Score", "f1_score", "one_hot", "shares", average=how) for how in (None, "macro", "weighted")),
    _both("metrics", "FBetaScore", "fbeta_score", "labels", "shares", average="micro", beta=2.0, threshold=0.4),
    _both("metrics", "IoU", "iou", "classes", "others", num_classes=4, target_class_ids=[0, 2]),
    _both("metrics", "BinaryIoU", "binary_iou", "yes_no", "column"),
    _both("metrics", "MeanIoU", "mean_iou", "classes", "others", num_classes=4, ignore_class=1),
    _both("metrics", "OneHotIoU", "one_hot_iou", "one_hot", "shares", num_classes=4, target_class_ids=[1]),
    _both("metrics", "OneHotMeanIoU", "one_hot_mean_iou", "one_hot", "shares", num_classes=4),
]
_FROM = {"initial_learning_rate": 0.1}
SCHEDULES = [
    _both("schedules", "ExponentialDecay", "exponential_decay", "clocks", **_FROM, decay_steps=7.0, decay_rate=0.5),
    _both(
        "schedules",
        "ExponentialDecay",
        "exponential_decay",
        "clocks",
        **_FROM,
        decay_steps=7.0,
        decay_rate=0.5,
        staircase=True,
    ),
    _both("schedules", "InverseTimeDecay", "inverse_time_decay", "clocks", **_FROM, decay_steps=7.0, decay_rate=0.5),
    _both(
        "schedules",
        "InverseTimeDecay",
        "inverse_time_decay",
        "clocks",
        **_FROM,
        decay_steps=7.0,
        decay_rate=0.5,
        staircase=True,
    ),
    _both("schedules", "PolynomialDecay", "polynomial_decay", "clocks", **_FROM, decay_steps=20.0, power=2.0),
    _both("schedules", "PolynomialDecay", "polynomial_decay", "clocks", **_FROM, decay_steps=20.0, cycle=True),
    _both(
        "schedules",
        "PiecewiseConstantDecay",
        "piecewise_constant",
        "clocks",
        boundaries=[5.0, 20.0],
        values=[0.3, 0.2, 0.1],
    ),
    _both("schedules", "CosineDecay", "cosine_decay", "clocks", **_FROM, decay_steps=30.0, alpha=0.1),
    _both(
        "schedules",
        "CosineDecay",
        "cosine_decay",
        "clocks",
        initial_learning_rate=0.0,
        decay_steps=30.0,
        warmup_target=0.2,
        warmup_steps=10.0,
    ),
    *(
        _both(
            "schedules",
            "CosineDecayRestarts",
            "cosine_decay_restarts",
            "clocks",
            **_FROM,
            first_decay_steps=8.0,
            t_mul=longer,
            m_mul=0.7,
            alpha=0.1,
        )
        for longer in (1.0, 1.5, 2.5)
    ),
]
PARTS = [
    _both("regularizers", "L1", "l1", "kernel"),
    _both("regularizers", "L2", "l2", "filters", l2=0.3),
    _both("regularizers", "L1L2", "l1_l2", "filters", l1=0.2, l2=0.3),
    _both("regularizers", "OrthogonalRegularizer", "orthogonal_regularizer", "kernel", mode="rows"),
    _both("regularizers", "OrthogonalRegularizer", "orthogonal_regularizer", "kernel", mode="columns", factor=0.5),
    _both("constraints", "MaxNorm", "max_norm", "kernel"),
    _both("constraints", "MaxNorm", "max_norm", "filters", max_value=1.0, axis=[0, 1]),
    _both("constraints", "MinMaxNorm", "min_max_norm", "kernel", min_value=0.5, max_value=1.5, rate=0.7),
    _both("constraints", "UnitNorm", "unit_norm", "kernel", axis=1),
    _both("constraints", "NonNeg", "non_neg", "kernel"),
]
