"""The losses, metrics and schedules of Keras, and those of the vocabulary (SPEC.md, annex L.2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# What every loss, metric and schedule of Keras is told about itself.
NAME, DTYPE, REDUCTION = "name", "dtype", "reduction"


@dataclass(frozen=True, slots=True)
class Twin:
    """A class of Keras and the class of the vocabulary with the same meaning.

    Attributes:
        keras: name of the class, without its package.
        core: name of the other, without its kind.
        keys: what its config tells beside name, dtype and reduction, in the names of the vocabulary.
        hidden: parameters that the constructor takes and the config tells only if they differ from the default.
        title: the name that an instance has where none is given.
        function: the function of Keras that computes it, or empty.
    """

    keras: str
    core: str
    keys: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    title: str = ""
    function: str = ""


_LOGITS = ("from_logits", "label_smoothing", "axis")
_FOCAL = ("alpha", "gamma")


def _loss(keras: str, core: str, keys: tuple[str, ...] = (), hidden: tuple[str, ...] = (), title: str = "") -> Twin:
    return Twin(keras, core, keys, hidden, title or core, core)


LOSSES = [
    _loss("MeanSquaredError", "mean_squared_error"),
    _loss("MeanAbsoluteError", "mean_absolute_error"),
    _loss("MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
    _loss("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"),
    _loss("CosineSimilarity", "cosine_similarity", hidden=("axis",)),
    _loss("Huber", "huber", hidden=("delta",), title="huber_loss"),
    _loss("LogCosh", "log_cosh"),
    _loss("Hinge", "hinge"),
    _loss("SquaredHinge", "squared_hinge"),
    _loss("CategoricalHinge", "categorical_hinge"),
    _loss("KLDivergence", "kl_divergence"),
    _loss("Poisson", "poisson"),
    _loss("BinaryCrossentropy", "binary_crossentropy", _LOGITS),
    _loss("BinaryFocalCrossentropy", "binary_focal_crossentropy", (*_LOGITS, "apply_class_balancing", *_FOCAL)),
    _loss("CategoricalCrossentropy", "categorical_crossentropy", _LOGITS),
    _loss("CategoricalFocalCrossentropy", "categorical_focal_crossentropy", (*_LOGITS, *_FOCAL)),
    _loss(
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        ("from_logits", "ignore_class"),
        hidden=("axis",),
    ),
    _loss("CategoricalGeneralizedCrossEntropy", "categorical_generalized_cross_entropy", ("q",)),
    _loss("Dice", "dice", ("axis",)),
    _loss("Tversky", "tversky", ("alpha", "beta", "axis")),
    _loss("Circle", "circle", ("gamma", "margin", "remove_diagonal")),
    _loss("CTC", "ctc"),
]
_HITS, _TOP = ("thresholds",), ("thresholds", "top_k", "class_id")
_IOU = ("ignore_class", "axis")
METRICS = [
    Twin("Mean", "mean", title="mean"),
    Twin("Sum", "sum", title="sum"),
    Twin("Accuracy", "accuracy", title="accuracy"),
    Twin("BinaryAccuracy", "binary_accuracy", ("threshold",), title="binary_accuracy", function="binary_accuracy"),
    Twin("CategoricalAccuracy", "categorical_accuracy", title="categorical_accuracy", function="categorical_accuracy"),
    Twin(
        "SparseCategoricalAccuracy",
        "sparse_categorical_accuracy",
        title="sparse_categorical_accuracy",
        function="sparse_categorical_accuracy",
    ),
    Twin(
        "TopKCategoricalAccuracy",
        "top_k_categorical_accuracy",
        ("k",),
        title="top_k_categorical_accuracy",
        function="top_k_categorical_accuracy",
    ),
    Twin(
        "SparseTopKCategoricalAccuracy",
        "sparse_top_k_categorical_accuracy",
        ("k",),
        ("from_sorted_ids",),
        "sparse_top_k_categorical_accuracy",
        "sparse_top_k_categorical_accuracy",
    ),
    *(
        Twin(keras, core, title=core, function=core)
        for keras, core in [
            ("MeanSquaredError", "mean_squared_error"),
            ("MeanAbsoluteError", "mean_absolute_error"),
            ("MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
            ("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"),
            ("Hinge", "hinge"),
            ("SquaredHinge", "squared_hinge"),
            ("CategoricalHinge", "categorical_hinge"),
            ("KLDivergence", "kl_divergence"),
            ("Poisson", "poisson"),
        ]
    ),
    Twin("RootMeanSquaredError", "root_mean_squared_error", title="root_mean_squared_error"),
    # The function of this name is the loss, which has the other sign.
    Twin("CosineSimilarity", "cosine_similarity", hidden=("axis",), title="cosine_similarity"),
    Twin("LogCoshError", "log_cosh_error", title="logcosh", function="log_cosh"),
    Twin(
        "BinaryCrossentropy",
        "binary_crossentropy",
        ("from_logits", "label_smoothing"),
        title="binary_crossentropy",
        function="binary_crossentropy",
    ),
    Twin(
        "CategoricalCrossentropy",
        "categorical_crossentropy",
        _LOGITS,
        title="categorical_crossentropy",
        function="categorical_crossentropy",
    ),
    Twin(
        "SparseCategoricalCrossentropy",
        "sparse_categorical_crossentropy",
        ("from_logits", "ignore_class", "axis"),
        title="sparse_categorical_crossentropy",
        function="sparse_categorical_crossentropy",
    ),
    Twin(
        "PearsonCorrelation",
        "pearson_correlation",
        ("axis",),
        title="pearson_correlation",
        function="pearson_correlation",
    ),
    Twin(
        "ConcordanceCorrelation",
        "concordance_correlation",
        ("axis",),
        title="concordance_correlation",
        function="concordance_correlation",
    ),
    Twin("R2Score", "r2_score", ("class_aggregation", "num_regressors"), title="r2_score"),
    Twin("TruePositives", "true_positives", _HITS, title="true_positives"),
    Twin("FalsePositives", "false_positives", _HITS, title="false_positives"),
    Twin("TrueNegatives", "true_negatives", _HITS, title="true_negatives"),
    Twin("FalseNegatives", "false_negatives", _HITS, title="false_negatives"),
    Twin("Precision", "precision", _TOP, title="precision"),
    Twin("Recall", "recall", _TOP, title="recall"),
    *(
        Twin(keras, core, ("num_thresholds", rate, "class_id"), title=core)
        for keras, core, rate in [
            ("SensitivityAtSpecificity", "sensitivity_at_specificity", "specificity"),
            ("SpecificityAtSensitivity", "specificity_at_sensitivity", "sensitivity"),
            ("PrecisionAtRecall", "precision_at_recall", "recall"),
            ("RecallAtPrecision", "recall_at_precision", "precision"),
        ]
    ),
    Twin(
        "AUC",
        "auc",
        ("num_thresholds", "curve", "summation_method", "multi_label", "num_labels", "label_weights", "from_logits"),
        ("thresholds",),
        "auc",
    ),
    Twin("F1Score", "f1_score", ("average", "threshold"), title="f1_score"),
    Twin("FBetaScore", "fbeta_score", ("average", "beta", "threshold"), title="fbeta_score"),
    Twin("IoU", "iou", ("num_classes", "target_class_ids", "sparse_y_true", "sparse_y_pred", *_IOU), title="io_u"),
    Twin("BinaryIoU", "binary_iou", ("target_class_ids", "threshold"), title="binary_io_u"),
    Twin("MeanIoU", "mean_iou", ("num_classes", "sparse_y_true", "sparse_y_pred", *_IOU), title="mean_io_u"),
    Twin("OneHotIoU", "one_hot_iou", ("num_classes", "target_class_ids", "sparse_y_pred", *_IOU), title="one_hot_io_u"),
    Twin("OneHotMeanIoU", "one_hot_mean_iou", ("num_classes", "sparse_y_pred", *_IOU), title="one_hot_mean_io_u"),
]
_RATE = "initial_learning_rate"
SCHEDULES = [
    Twin("ExponentialDecay", "exponential_decay", (_RATE, "decay_steps", "decay_rate", "staircase")),
    Twin("InverseTimeDecay", "inverse_time_decay", (_RATE, "decay_steps", "decay_rate", "staircase")),
    Twin("PolynomialDecay", "polynomial_decay", (_RATE, "decay_steps", "end_learning_rate", "power", "cycle")),
    Twin("PiecewiseConstantDecay", "piecewise_constant", ("boundaries", "values")),
    Twin("CosineDecay", "cosine_decay", (_RATE, "decay_steps", "alpha", "warmup_target", "warmup_steps")),
    Twin("CosineDecayRestarts", "cosine_decay_restarts", (_RATE, "first_decay_steps", "t_mul", "m_mul", "alpha")),
]
# Names that Keras gives its schedules, where they are not those of the classes.
SCHEDULE_TITLES = {"PiecewiseConstantDecay": "PiecewiseConstant", "CosineDecayRestarts": "SGDRDecay"}
# Functions of `keras.losses` that only a wrapper makes a metric of.
WRAPPED_METRICS = {
    "huber": ("delta",),
    "binary_focal_crossentropy": ("from_logits", "label_smoothing", "axis", "apply_class_balancing", "alpha", "gamma"),
    "categorical_focal_crossentropy": ("from_logits", "label_smoothing", "axis", "alpha", "gamma"),
}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of objects.

    Attributes:
        core: as the vocabulary calls it.
        package: the package of Keras.
        wrapper: the class that makes an object of a function, or empty.
        twins: the classes.
        strings: what a string stands for: a core name.
        functions: what a function by its name stands for: a core name.
    """

    core: str
    package: str
    wrapper: str
    twins: list[Twin]
    strings: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)

    def by_keras(self, name: str) -> Twin | None:
        """The row of a class of Keras."""
        return next((twin for twin in self.twins if twin.keras == name), None)

    def by_core(self, name: str) -> Twin | None:
        """The row of a class of the vocabulary."""
        return next((twin for twin in self.twins if twin.core == name), None)


_SHORT = {
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "msle": "mean_squared_logarithmic_error",
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
}
_SHORT |= {key.upper(): name for key, name in _SHORT.items()} | {"kullback_leibler_divergence": "kl_divergence"}


def _named(twins: list[Twin]) -> dict[str, str]:
    return {twin.keras: twin.core for twin in twins} | {twin.core: twin.core for twin in twins}


_LOSS_FUNCTIONS = {twin.function: twin.core for twin in LOSSES} | {"logcosh": "log_cosh", "huber_loss": "huber"}
_METRIC_FUNCTIONS = {twin.function: twin.core for twin in METRICS if twin.function}
_METRIC_FUNCTIONS |= {name: name for name in WRAPPED_METRICS} | {"logcosh": "log_cosh_error"}

# What Keras looks up by the shapes of targets and predictions.
_CROSSENTROPY = dict.fromkeys(("crossentropy", "ce"), "auto_crossentropy")
_AUTO = _CROSSENTROPY | dict.fromkeys(("accuracy", "acc", "Accuracy", "ACC"), "auto_accuracy")

LOSS = Kind(
    "losses",
    "losses",
    "LossFunctionWrapper",
    LOSSES,
    _named(LOSSES) | _SHORT | _LOSS_FUNCTIONS | _CROSSENTROPY,
    _LOSS_FUNCTIONS | _SHORT,
)
METRIC = Kind(
    "metrics",
    "metrics",
    "MeanMetricWrapper",
    METRICS,
    _named(METRICS) | _SHORT | _METRIC_FUNCTIONS | _AUTO,
    _METRIC_FUNCTIONS | _SHORT,
)
SCHEDULE = Kind("schedules", "optimizers.schedules", "", SCHEDULES)
