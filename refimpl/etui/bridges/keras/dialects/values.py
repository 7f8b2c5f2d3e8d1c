"""Values in the terms of the other Keras: losses, metrics, initializers, policies, schedules, functions (annex E)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from etui.bridges.keras.content import Dialect
from etui.bridges.keras.dialects.layers import EVERY, ONLY_NEW, ONLY_OLD, RENAMED, differences
from etui.bridges.keras.dialects.same import is_among, is_same
from etui.bridges.keras.names import class_of
from etui.canonical.values import ObjectValue
from etui.report import Report

TITLES = {"keras": "Keras 3", "tf_keras": "Keras 2"}
POLICY = {"keras": "keras:DTypePolicy", "tf_keras": "keras:mixed_precision.Policy"}
_POLICIES = frozenset({"keras:DTypePolicy", "keras:dtype_policies.DTypePolicy", "keras:FloatDTypePolicy"}) | {
    "keras:mixed_precision.Policy",
    "keras:mixed_precision.experimental.Policy",
}
_SUM, _AUTO = "sum_over_batch_size", "auto"
_REDUCTIONS = frozenset({"none", "sum", _SUM})

# Classes and functions that one side alone has, by package; layers are in `dialect_layers`.
ONLY_OLD_VALUES: dict[str, frozenset[str]] = {
    "constraints": frozenset({"RadialConstraint", "radial_constraint"}),
    "metrics": frozenset({"MeanRelativeError", "MeanTensor"}),
    "optimizers.schedules": frozenset(),
    "losses": frozenset(),
    "initializers": frozenset(),
    "regularizers": frozenset(),
    "activations": frozenset(),
}
ONLY_NEW_VALUES: dict[str, frozenset[str]] = {
    "activations": frozenset(
        {
            "celu",
            "glu",
            "hard_shrink",
            "hard_silu",
            "hard_swish",
            "hard_tanh",
            "log_sigmoid",
            "soft_shrink",
            "sparse_plus",
            "sparse_sigmoid",
            "sparsemax",
            "squareplus",
            "tanh_shrink",
            "threshold",
        }
    ),
    "constraints": frozenset(),
    "initializers": frozenset({"STFT", "STFTInitializer", "stft"}),
    "losses": frozenset(
        {
            "CTC",
            "CategoricalGeneralizedCrossEntropy",
            "Circle",
            "Dice",
            "Tversky",
            "categorical_generalized_cross_entropy",
            "circle",
            "ctc",
            "dice",
            "tversky",
        }
    ),
    "metrics": frozenset(
        {"ConcordanceCorrelation", "PearsonCorrelation", "concordance_correlation", "pearson_correlation"}
    ),
    "optimizers.schedules": frozenset(),
    "regularizers": frozenset(),
}
# The same thing under another name: in Keras 2 -> in Keras 3.
NAMES: dict[str, dict[str, str]] = {
    "losses": {
        "KLD": "kl_divergence",
        "MAE": "mean_absolute_error",
        "MAPE": "mean_absolute_percentage_error",
        "MSE": "mean_squared_error",
        "MSLE": "mean_squared_logarithmic_error",
        "huber_loss": "huber",
        "kld": "kl_divergence",
        "kullback_leibler_divergence": "kl_divergence",
        "logcosh": "log_cosh",
        "mae": "mean_absolute_error",
        "mape": "mean_absolute_percentage_error",
        "mse": "mean_squared_error",
        "msle": "mean_squared_logarithmic_error",
    },
    "metrics": {
        "ACC": "acc",
        "KLD": "kl_divergence",
        "MAE": "mean_absolute_error",
        "MAPE": "mean_absolute_percentage_error",
        "MSE": "mean_squared_error",
        "MSLE": "mean_squared_logarithmic_error",
        "cosine_proximity": "cosine_similarity",
        "kld": "kl_divergence",
        "kullback_leibler_divergence": "kl_divergence",
        "mae": "mean_absolute_error",
        "mape": "mean_absolute_percentage_error",
        "mse": "mean_squared_error",
        "msle": "mean_squared_logarithmic_error",
    },
    "initializers": {"IdentityInitializer": "Identity", "OrthogonalInitializer": "Orthogonal"},
}
# Strings that stay, since both sides know them.
_PLAIN = frozenset({"mae", "MAE", "mape", "MAPE", "mse", "MSE", "msle", "MSLE"})
# Metrics that Keras 2 knows by a string, and Keras 3 as functions of `keras.losses`.
_LOSS_METRICS = {
    "binary_focal_crossentropy": "binary_focal_crossentropy",
    "categorical_focal_crossentropy": "categorical_focal_crossentropy",
    "huber": "huber",
    "log_cosh": "log_cosh",
    "logcosh": "log_cosh",
}
# Functions that Keras 3 exports among its metrics, and Keras 2 among its losses alone.
_LOSS_FUNCTIONS = frozenset({"categorical_hinge", "huber"})
# Attributes of objects that one side alone has, by package or class.
_OLD_KEYS: dict[str, tuple[str, ...]] = {"losses": ("fn",), "initializers": ("dtype",)}
_NEW_KEYS: dict[str, tuple[str, ...]] = {"losses": ("dtype",), "initializers": ("input_axes", "output_axes")}
_MEAN_OF_FUNCTION = "MeanMetricWrapper"
_WRAPPERS = frozenset({"LossFunctionWrapper", _MEAN_OF_FUNCTION, "SumOverBatchSizeMetricWrapper"})
# What Keras 3 finds by name where a wrapper holds a function; another one is the author's.
_FUNCTIONS_OF_LOSSES = frozenset(
    {
        "binary_crossentropy",
        "binary_focal_crossentropy",
        "categorical_crossentropy",
        "categorical_focal_crossentropy",
        "categorical_hinge",
        "hinge",
        "huber",
        "kl_divergence",
        "log_cosh",
        "mean_absolute_error",
        "mean_absolute_percentage_error",
        "mean_squared_error",
        "mean_squared_logarithmic_error",
        "poisson",
        "sparse_categorical_crossentropy",
        "squared_hinge",
    }
)
_FUNCTIONS = {
    "losses": _FUNCTIONS_OF_LOSSES | {"cosine_similarity"},
    "metrics": _FUNCTIONS_OF_LOSSES
    | {
        "binary_accuracy",
        "categorical_accuracy",
        "sparse_categorical_accuracy",
        "sparse_top_k_categorical_accuracy",
        "top_k_categorical_accuracy",
    },
}
_COUNTS = frozenset({"BinaryIoU", "IoU", "MeanIoU", "OneHotIoU", "OneHotMeanIoU"})
HARD_SIGMOID = "hard_sigmoid"
HARD_SIGMOID_OLD = (0.2, 0.5)


@dataclass(slots=True)
class Values:
    """Translates values for one target.

    Attributes:
        target: the dialect to translate to.
        report: gets an entry for what has no equal.
        changed: places whose value was written in other terms.
    """

    target: Dialect
    report: Report
    changed: dict[str, str] = field(default_factory=dict)

    def lost(self, kind: str, subject: str, detail: str) -> None:
        """Account for something that the target has no equal of."""
        self.report.add(kind, subject, "not-transferable", detail)

    def value(self, value: Any, kind: str, where: str) -> Any:
        """A value in the target's terms.

        Args:
            value: the value.
            kind: of the report's entry.
            where: subject of the report's entry.
        """
        if isinstance(value, ObjectValue):
            return self.object(value, kind, where)
        if isinstance(value, dict):
            return {key: self.value(item, kind, where) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.value(item, kind, where) for item in value)
        return value

    def object(self, found: ObjectValue, kind: str, where: str) -> Any:
        """An object in the target's terms; objects of the author's own classes keep their identity."""
        if found.class_name in _POLICIES:
            return self.policy(found, kind, where)
        framework, _, path = found.class_name.partition(":")
        package, _, name = path.rpartition(".")
        if framework != "keras" or not package:
            config = self.value(found.config, kind, where) if framework != "keras" else found.config
            return ObjectValue(found.class_name, config, found.shared, found.residue)
        if package == "layers":
            return self._layer(found, name, kind, where)
        name = self._renamed(package, name)
        if self.target == "tf_keras" and package == "metrics" and name in _LOSS_FUNCTIONS:
            package = "losses"
        self._check(package, name, kind, where)
        if found.config is None or not isinstance(found.config, dict):
            return ObjectValue(f"keras:{package}.{name}", found.config, found.shared)
        config = self._config(package, name, found.config, kind, where)
        bare = _bare(config, name) if self.target == "keras" else None
        return bare or ObjectValue(f"keras:{package}.{name}", config, found.shared)

    def _renamed(self, package: str, name: str) -> str:
        return NAMES.get(package, {}).get(name, name) if self.target == "keras" else name

    def _check(self, package: str, name: str, kind: str, where: str) -> None:
        only = ONLY_OLD_VALUES if self.target == "keras" else ONLY_NEW_VALUES
        if name in only.get(package, ()):
            self.lost(kind, where, f"{TITLES[self.target]} has no {name}")

    def _config(self, package: str, name: str, config: Mapping[str, Any], kind: str, where: str) -> dict[str, Any]:
        gone = (_OLD_KEYS if self.target == "keras" else _NEW_KEYS).get(package, ())
        kept = {
            key: self.value(item, kind, where) for key, item in config.items() if key not in gone or name in _WRAPPERS
        }
        if package == "losses":
            self._reduction(kept, kind, where)
        if name in _WRAPPERS and isinstance(kept.get("fn"), str):
            kept["fn"] = self._function(kept["fn"], package)
        if package == "optimizers.schedules" and kept.get("name", "") is None:
            del kept["name"]
        if name in _COUNTS:
            kept.pop("dtype", None)
        if package == "metrics" and isinstance(kept.get("dtype"), ObjectValue):
            kept["dtype"] = _policy_name(kept["dtype"]) or kept["dtype"]
        if package == "initializers" and is_same(kept.get("distribution"), "normal"):
            # The name that Keras gave to truncated normal numbers before 2.2.
            kept["distribution"] = "truncated_normal"
        return kept

    def _function(self, name: str, package: str) -> Any:
        """A function by its name: Keras 3 does not look up a bare string where it stands for a function."""
        if self.target != "keras":
            return name
        if name in _LOSS_METRICS:
            return ObjectValue(f"keras:losses.{_LOSS_METRICS[name]}", None)
        renamed = self._renamed(package, name)
        known = renamed in _FUNCTIONS.get(package, ())
        return ObjectValue(f"keras:{package}.{renamed}" if known else class_of(None, name, name), None)

    def _reduction(self, config: dict[str, Any], kind: str, where: str) -> None:
        reduction = config.get("reduction", _AUTO)
        if self.target == "keras":
            if is_same(reduction, _AUTO):
                config["reduction"] = _SUM
            return
        if reduction is None:
            config["reduction"] = "none"
        elif not is_among(reduction, (*_REDUCTIONS, _AUTO)):
            self.lost(kind, where, f"Keras 2 has no reduction {reduction!r}")

    def _layer(self, found: ObjectValue, name: str, kind: str, where: str) -> ObjectValue:
        """A layer that is a value, such as the activation of another."""
        self._check_layer(name, kind, where)
        renamed = RENAMED.get(name, name) if self.target == "keras" else name
        config = self.attributes(name, found.config, kind, where) if isinstance(found.config, dict) else found.config
        return ObjectValue(f"keras:layers.{renamed}", config, found.shared)

    def _check_layer(self, name: str, kind: str, where: str) -> None:
        reason = (ONLY_OLD if self.target == "keras" else ONLY_NEW).get(name)
        if reason is not None:
            self.lost(kind, where, f"{name} has no equal: {reason}")

    def attributes(self, name: str, attrs: Mapping[str, Any], kind: str, where: str) -> dict[str, Any]:
        """The attributes of a built-in layer by the table; activations and policies are the caller's to settle."""
        source: Dialect = "tf_keras" if self.target == "keras" else "keras"
        own = differences(name)
        names = own.names_for(self.target)
        only = {**EVERY.only_in(source), **own.only_in(source)}
        kept = {}
        for key, value in attrs.items():
            if key in names:
                kept[names[key]] = self.value(value, kind, where)
            elif key not in only:
                kept[key] = self.value(value, kind, where)
            elif not _means_nothing(value, only[key]):
                self.lost(kind, where, f"{TITLES[self.target]} has no {key} for {name}, which is {_shown(value)} here")
        return kept

    def policy(self, found: Any, kind: str, where: str) -> Any:
        """A dtype policy: an object in Keras 3, and in Keras 2 a plain name unless the policy is mixed."""
        name = _policy_name(found) if isinstance(found, ObjectValue) else found
        if not isinstance(name, str):
            if isinstance(found, ObjectValue):
                self.lost(kind, where, f"{TITLES[self.target]} has no policy {found.class_name.rpartition('.')[2]}")
            return found
        if self.target == "keras":
            return ObjectValue(POLICY["keras"], {"name": name})
        return ObjectValue(POLICY["tf_keras"], {"name": name}) if name.startswith("mixed_") else name

    def named(self, value: Any, package: str, kind: str, where: str) -> Any:
        """Losses or metrics in any nesting: strings are names, objects are objects."""
        if isinstance(value, str):
            return self._string(value, package, kind, where)
        if isinstance(value, dict):
            return {key: self.named(item, package, kind, where) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(self.named(item, package, kind, where) for item in value)
        return self.value(value, kind, where)

    def _string(self, name: str, package: str, kind: str, where: str) -> Any:
        if self.target == "keras":
            if name in _PLAIN:
                return name
            if package == "metrics" and name in _LOSS_METRICS:
                return ObjectValue(f"keras:losses.{_LOSS_METRICS[name]}", None)
        renamed = self._renamed(package, name)
        self._check(package, renamed, kind, where)
        return renamed


def _bare(config: Mapping[str, Any], name: str) -> ObjectValue | None:
    """The author's function of a metric that is called like it, where the metric says nothing more.

    Keras 3 makes the same metric of the function. In the metric's config it would take the name for the function too.
    """
    function = config.get("fn")
    own = isinstance(function, ObjectValue) and function.class_name == class_of(None, str(config.get("name")), None)
    if name != _MEAN_OF_FUNCTION or not own:
        return None
    usual = {"name": config["name"], "dtype": "float32"}
    return function if all(is_same(config[key], usual.get(key)) for key in config if key != "fn") else None


def _policy_name(found: ObjectValue) -> str | None:
    """The name of a plain or mixed policy; a quantized one, or a map of several, has none."""
    if found.class_name not in _POLICIES or not isinstance(found.config, dict):
        return None
    name = found.config.get("name")
    return name if isinstance(name, str) else None


def _means_nothing(value: Any, allowed: tuple[Any, ...] | None) -> bool:
    return allowed is None or is_among(value, allowed)


def _shown(value: Any) -> str:
    return value.class_name if isinstance(value, ObjectValue) else repr(value)[:60]
