"""Activations, initializers, regularizers, constraints and policies on both sides (SPEC.md, annex L.1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etui.bridges.keras.core.rules import NotCoreError, NotKerasError
from etui.bridges.keras.dialects.modules import hard_sigmoid_of_keras_2, is_hard_sigmoid_of_keras_2
from etui.bridges.keras.dialects.same import is_among, is_same
from etui.canonical.values import ObjectValue
from etui.core.vocabulary import filled, objects
from etui.errors import shown

_SEED: dict[str, Any] = {"seed": None}
_FANS: dict[str, Any] = {**_SEED, "input_axes": None, "output_axes": None}
_POLICIES = frozenset({"keras:DTypePolicy", "keras:dtype_policies.DTypePolicy", "keras:FloatDTypePolicy"})
_DTYPES = frozenset({"float16", "float32", "float64", "bfloat16"})
_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


@dataclass(frozen=True, slots=True)
class Class:
    """A class of Keras with parameters: its name, the core name, and the parameters with Keras' defaults."""

    keras: str
    core: str
    defaults: Mapping[str, Any]


OBJECT_CLASSES: dict[str, list[Class]] = {
    "initializers": [
        Class("Zeros", "zeros", {}),
        Class("Ones", "ones", {}),
        Class("Constant", "constant", {"value": 0.0}),
        Class("RandomNormal", "random_normal", {"mean": 0.0, "stddev": 0.05} | _SEED),
        Class("RandomUniform", "random_uniform", {"minval": -0.05, "maxval": 0.05} | _SEED),
        Class("TruncatedNormal", "truncated_normal", {"mean": 0.0, "stddev": 0.05} | _SEED),
        Class(
            "VarianceScaling",
            "variance_scaling",
            {"scale": 1.0, "mode": "fan_in", "distribution": "truncated_normal"} | _FANS,
        ),
        Class("GlorotUniform", "glorot_uniform", _FANS),
        Class("GlorotNormal", "glorot_normal", _FANS),
        Class("HeUniform", "he_uniform", _FANS),
        Class("HeNormal", "he_normal", _FANS),
        Class("LecunUniform", "lecun_uniform", _FANS),
        Class("LecunNormal", "lecun_normal", _FANS),
        Class("Orthogonal", "orthogonal", {"gain": 1.0} | _SEED),
        Class("Identity", "identity", {"gain": 1.0}),
    ],
    "regularizers": [
        Class("L1", "l1", {"l1": 0.01}),
        Class("L2", "l2", {"l2": 0.01}),
        Class("L1L2", "l1_l2", {"l1": 0.0, "l2": 0.0}),
        Class("OrthogonalRegularizer", "orthogonal_regularizer", {"factor": 0.01, "mode": "rows"}),
    ],
    "constraints": [
        Class("MaxNorm", "max_norm", {"max_value": 2.0, "axis": 0}),
        Class("NonNeg", "non_neg", {}),
        Class("UnitNorm", "unit_norm", {"axis": 0}),
        Class("MinMaxNorm", "min_max_norm", {"min_value": 0.0, "max_value": 1.0, "rate": 1.0, "axis": 0}),
    ],
}
# What Keras adds to the config of initializers, with the values that mean nothing.
_BESIDE: dict[str, dict[str, tuple[Any, ...]]] = {"initializers": {"dtype": ("float32", None)}}
# Names that Keras takes for a class.
_STRINGS = {"l1l2": "l1_l2", "normal": "random_normal", "uniform": "random_uniform", "one": "ones", "zero": "zeros"}


def lift_object(kind: str, value: Any) -> ObjectValue | None:
    """An initializer, regularizer or constraint of Keras; only parameters that differ from the default are kept.

    Raises:
        NotCoreError: the vocabulary does not have it.
    """
    if value is None:
        return None
    config: Any = {}
    if isinstance(value, ObjectValue):
        name, config = value.class_name.rpartition(".")[2], value.config or {}
        known = value.class_name.startswith(f"keras:{kind}.")
    else:
        name, known = value, isinstance(value, str)
    found = next((row for row in OBJECT_CLASSES[kind] if name in (row.keras, row.core, _STRINGS.get(str(name)))), None)
    if isinstance(value, str) and found is None:
        found = next((row for row in OBJECT_CLASSES[kind] if row.core == _STRINGS.get(value)), None)
    if not known or found is None or not isinstance(config, dict):
        raise NotCoreError(f"{_title(value)}, which the vocabulary does not have among its {kind}")
    if isinstance(value, str) and found.core == "l1_l2":
        config = {"l1": 0.01, "l2": 0.01}
    kept = {}
    for key, item in config.items():
        if key not in found.defaults:
            if not is_among(item, _BESIDE.get(kind, {}).get(key, ())):
                raise NotCoreError(f"{_title(value)} with {key} = {shown(item)}")
            continue
        default = found.defaults[key]
        if not _is_plain(item, key):
            raise NotCoreError(f"{_title(value)} with {key} = {shown(item)}")
        if not is_same(item, default):
            whole = list(item) if isinstance(item, tuple) else item
            kept[key] = float(item) if isinstance(default, float) and type(item) is int else whole
    return ObjectValue(f"core:{kind}.{found.core}", kept)


def _is_plain(item: Any, key: str) -> bool:
    if key.endswith(("axis", "axes")) and isinstance(item, list | tuple):
        return all(type(axis) is int for axis in item)
    return item is None or type(item) in (bool, int, float, str)


def lower_object(kind: str, value: Any) -> Any:
    """An object of the vocabulary as one of Keras, with all of its parameters.

    Raises:
        NotKerasError: Keras does not have it.
    """
    if value is None or not isinstance(value, ObjectValue) or not value.class_name.startswith("core:"):
        return value
    name = value.class_name.removeprefix(f"core:{kind}.")
    found = next((row for row in OBJECT_CLASSES[kind] if row.core == name), None)
    config = value.config or {}
    if found is None or not config.keys() <= found.defaults.keys():
        raise NotKerasError(f"{value.class_name} with {sorted(config)}, which Keras does not have")
    whole = {key: config.get(key, default) for key, default in found.defaults.items()}
    return ObjectValue(f"keras:{kind}.{found.keras}", whole)


# What Keras' layers take where nobody says otherwise, by the role of the variable.
_DEFAULT = ObjectValue("core:initializers.glorot_uniform", {})
_DEFAULTS = {
    **dict.fromkeys(("bias", "beta", "moving_mean", "alpha"), ObjectValue("core:initializers.zeros", {})),
    **dict.fromkeys(("gamma", "moving_variance", "scale"), ObjectValue("core:initializers.ones", {})),
    "recurrent_kernel": ObjectValue("core:initializers.orthogonal", {}),
    "embeddings": ObjectValue("core:initializers.random_uniform", {}),
}


def default_initializer(role: str) -> ObjectValue:
    """The initializer of a variable that the module does not name one for (KC-6)."""
    return _DEFAULTS.get(role, _DEFAULTS["bias"] if role.endswith("_bias") else _DEFAULT)


# --- activations ------------------------------------------------------------------------------------------------------

# Keras 3.15 computes something else by this name, and a layer cannot name threshold, which takes arguments.
_OTHER_IN_KERAS = "sparsemax"
ACTIVATIONS = frozenset(objects("activations")) - {_OTHER_IN_KERAS, "threshold"}
ACTIVATION_ALIASES = {"swish": "silu", "hard_swish": "hard_silu", "softmax_v2": "softmax", "relu_6": "relu6"}
_PREFIX = "core:activations."
# Layers that may stand as the activation of another: class -> activation, Keras' key -> (parameter, Keras' default).
_LAYERS: dict[str, tuple[str, dict[str, tuple[str, Any]]]] = {
    "LeakyReLU": ("leaky_relu", {"negative_slope": ("negative_slope", 0.3)}),
    "ELU": ("elu", {"alpha": ("alpha", 1.0)}),
    "ReLU": (
        "relu",
        {
            "max_value": ("max_value", None),
            "negative_slope": ("negative_slope", 0.0),
            "threshold": ("threshold", 0.0),
        },
    ),
    "Softmax": ("softmax", {"axis": ("axis", -1)}),
}
_PARAMETERS = {name: filled(attrs, {}) for name, attrs in objects("activations").items()}
"""The parameters of each activation with their defaults, which are Keras' as well."""


def activation_of(name: str, parameters: Mapping[str, Any]) -> Any:
    """An activation of the vocabulary: its name where all parameters have their defaults."""
    defaults = _PARAMETERS.get(name, {})
    kept = {key: item for key, item in parameters.items() if key not in defaults or not is_same(item, defaults[key])}
    return ObjectValue(f"{_PREFIX}{name}", kept) if kept else name


def lift_activation(value: Any, _: Mapping[str, Any] | None = None) -> Any:
    """An activation of Keras.

    Raises:
        NotCoreError: the vocabulary does not have it.
    """
    if value is None:
        return "linear"
    if is_hard_sigmoid_of_keras_2(value):
        return activation_of("hard_sigmoid", {"slope": 0.2})
    name = value
    if isinstance(value, ObjectValue):
        package, __, name = value.class_name.rpartition(".")
        if package == "keras:layers" and name in _LAYERS and isinstance(value.config, dict):
            found, keys = _LAYERS[name]
            given = {own: value.config.get(key, default) for key, (own, default) in keys.items()}
            if any(type(item) not in (int, float, type(None)) for item in given.values()):
                raise NotCoreError(f"the activation {name} with {shown(given)}")
            whole = {key: float(item) if type(item) is int and key != "axis" else item for key, item in given.items()}
            return activation_of(found, whole)
        if package == "keras:layers" and name == "Activation" and isinstance(value.config, dict):
            return lift_activation(value.config.get("activation"))
        if package != "keras:activations" or value.config is not None:
            raise NotCoreError(f"the activation {_title(value)}")
    found = ACTIVATION_ALIASES.get(name, name)
    if found not in ACTIVATIONS:
        raise NotCoreError(f"the activation {_title(value)}")
    return found


def lower_activation(value: Any, _: Mapping[str, Any] | None = None) -> Any:
    """An activation as the value of an attribute of a Keras layer.

    Raises:
        NotKerasError: Keras has it only as an operation of its own, or not at all.
    """
    if (value.class_name.removeprefix(_PREFIX) if isinstance(value, ObjectValue) else value) == _OTHER_IN_KERAS:
        raise NotKerasError(f"the activation {_title(value)}, by whose name Keras computes another function")
    if not isinstance(value, ObjectValue):
        return value
    name, config = value.class_name.removeprefix(_PREFIX), value.config or {}
    given = _PARAMETERS.get(name, {}) | config
    if name == "hard_sigmoid" and is_same(given["slope"], 0.2):
        return hard_sigmoid_of_keras_2(None)
    for kind, (found, keys) in _LAYERS.items():
        if found == name and {own for own, _ in keys.values()} == given.keys():
            return ObjectValue(f"keras:layers.{kind}", {key: given[own] for key, (own, _) in keys.items()})
    if all(is_same(item, _PARAMETERS.get(name, {}).get(key)) for key, item in config.items()):
        return name
    raise NotKerasError(f"the activation {name} with {shown(config)} as an attribute")


def is_inline(activation: Any) -> bool:
    """Whether an activation can be the value of an attribute of a Keras layer."""
    try:
        lower_activation(activation)
    except NotKerasError:
        return False
    return True


# --- policies ---------------------------------------------------------------------------------------------------------


def lift_policy(value: Any) -> dict[str, str] | None:
    """The dtypes of a policy; `None` for float32.

    Raises:
        NotCoreError: a quantized policy, or a map of several.
    """
    name = value
    if isinstance(value, ObjectValue):
        plain = value.class_name in _POLICIES and isinstance(value.config, dict)
        name = value.config.get("name") if plain else value
    if name is None:
        return None
    if isinstance(name, str) and name in _MIXED:
        return {"variable_dtype": "float32", "compute_dtype": _MIXED[name]}
    if isinstance(name, str) and name in _DTYPES:
        return None if name == "float32" else {"variable_dtype": name, "compute_dtype": name}
    raise NotCoreError(f"the policy {_title(name)}")


def lower_policy(value: Any) -> ObjectValue:
    """The policy of these dtypes.

    Raises:
        NotKerasError: Keras has no policy that keeps variables in the one and computes in the other.
    """
    variable, compute = ("float32", "float32") if value is None else (value["variable_dtype"], value["compute_dtype"])
    name = variable
    if variable != compute:
        mixed = next((key for key, dtype in _MIXED.items() if dtype == compute), None)
        if mixed is None or variable != "float32":
            raise NotKerasError(f"variables in {variable} that are computed with in {compute}")
        name = mixed
    return ObjectValue("keras:DTypePolicy", {"name": name})


def _title(value: Any) -> str:
    return value.class_name if isinstance(value, ObjectValue) else shown(value)
