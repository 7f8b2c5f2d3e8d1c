"""Losses, metrics and schedules of Keras as objects of the vocabulary and back (SPEC.md, annex L.2).

What Keras wrote is kept beside the object where the object alone does not give it again, and comes back as long as the
object means what it meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from etui.bridges.keras.core.training_classes import (
    DTYPE,
    METRIC,
    NAME,
    REDUCTION,
    SCHEDULE,
    SCHEDULE_TITLES,
    WRAPPED_METRICS,
    Kind,
)
from etui.bridges.keras.dialects.same import is_same
from etui.canonical.values import ObjectValue
from etui.core.attribute_types import fits
from etui.core.vocabulary import Attr, filled, objects

_ORIGINAL = "original"
_REDUCTIONS = {"sum_over_batch_size": "mean", "auto": "mean", "mean": "mean", "sum": "sum", "none": "none"} | {
    "mean_with_sample_weight": "mean_with_sample_weight"
}
_AUTO = {"auto_accuracy": "accuracy", "auto_crossentropy": "crossentropy"}
_POLICIES = ("keras:DTypePolicy", "keras:dtype_policies.DTypePolicy")
# Counts of steps, which Keras has as integers and the vocabulary as numbers.
_COUNTS = frozenset({"decay_steps", "first_decay_steps", "warmup_steps", "boundaries"})
_NONE = object()


def lift_object(kind: Kind, value: Any) -> ObjectValue | None:
    """An object of Keras in the terms of the vocabulary, or `None` if the vocabulary does not have it.

    Args:
        kind: what it is.
        value: an object, a function by its name, or a string.
    """
    found = _lifted(kind, value)
    if found is None or is_same(_lowered(kind, found), value):
        return found
    return ObjectValue(found.class_name, found.config, found.shared, {"keras": {_ORIGINAL: value}})


def lower_object(kind: Kind, value: Any) -> Any:
    """An object of the vocabulary as Keras writes it; other objects stay as they are."""
    if not isinstance(value, ObjectValue) or not value.class_name.startswith(f"core:{kind.core}."):
        return value
    plain = _lowered(kind, value)
    original = value.residue.get("keras", {}).get(_ORIGINAL, _NONE)
    if original is _NONE:
        return plain
    lifted = _lifted(kind, original)
    return original if lifted is not None and is_same(_lowered(kind, lifted), plain) else plain


def _lifted(kind: Kind, value: Any) -> ObjectValue | None:
    if isinstance(value, str):
        return _named(kind, kind.strings.get(value), value)
    if not isinstance(value, ObjectValue):
        return None
    prefix = f"keras:{kind.package}."
    name = value.class_name.rpartition(".")[2]
    if value.config is None:
        name = value.class_name.removeprefix("custom:").rpartition(".")[2]
        known = value.class_name.startswith(("custom:", "keras:losses.", "keras:metrics."))
        return _named(kind, kind.functions.get(name), name) if known else None
    if not isinstance(value.config, dict):
        return None
    if name == kind.wrapper and value.class_name.startswith("keras:"):
        return _unwrapped(kind, value)
    twin = kind.by_keras(name)
    if twin is None or not value.class_name.startswith(prefix):
        return None
    config = _config(kind, twin.core, value.config, {"fn"} if kind.wrapper else set())
    return None if config is None else ObjectValue(f"core:{kind.core}.{twin.core}", config, value.shared)


def _named(kind: Kind, core: str | None, name: str) -> ObjectValue | None:
    """What a string or a function stands for; a metric then has its name."""
    if core is None or any(attr.required for attr in objects(kind.core)[core].values()):
        return None
    twin = kind.by_core(core)
    named = kind is METRIC and name != (twin.title if twin else _AUTO.get(core))
    return ObjectValue(f"core:{kind.core}.{core}", {NAME: name} if named else {})


def _unwrapped(kind: Kind, value: ObjectValue) -> ObjectValue | None:
    """A function of Keras in a wrapper, with its arguments."""
    function = value.config.get("fn")
    name = function.class_name if isinstance(function, ObjectValue) and function.config is None else function
    known = name.removeprefix("custom:").rpartition(".")[2] if isinstance(name, str) else ""
    core = kind.functions.get(known)
    config = None if core is None else _config(kind, core, value.config, {"fn"})
    return None if config is None else ObjectValue(f"core:{kind.core}.{core}", config, value.shared)


def _config(kind: Kind, core: str, given: Mapping[str, Any], passed: set[str]) -> dict[str, Any] | None:
    """Parameters in the terms of the vocabulary, without those that have their default."""
    attrs, config = objects(kind.core)[core], {}
    twin = kind.by_core(core)
    for key, item in given.items():
        if key in passed or (key == NAME and kind is SCHEDULE):
            continue
        if key == NAME and item in (None, twin.title if twin else None):
            continue
        if key not in attrs:
            return None
        value = _REDUCTIONS.get("none" if item is None else item, _NONE) if key == REDUCTION else _fit(attrs[key], item)
        if value is _NONE:
            return None
        if attrs[key].required or not is_same(value, attrs[key].default):
            config[key] = value
    return config if all(key in config for key, attr in attrs.items() if attr.required) else None


def _fit(attr: Attr, item: Any) -> Any:
    """A parameter as the vocabulary has it, or `_NONE` where it does not."""
    if item is None:
        return None if attr.nullable or attr.type.endswith("_or_null") or attr.default is None else _NONE
    if attr.name == DTYPE:
        policy = isinstance(item, ObjectValue) and item.class_name in _POLICIES and isinstance(item.config, dict)
        item = item.config.get("name") if policy else item
        return item if fits(attr, item) else _NONE
    if attr.choices:
        folded = {choice.lower(): choice for choice in attr.choices}
        return folded.get(item.lower(), _NONE) if isinstance(item, str) else _NONE
    if isinstance(item, ObjectValue) and item.class_name == "keras:__tensor__":
        item = item.config
    if isinstance(item, np.ndarray):
        item = item.tolist()
    if isinstance(item, list | tuple):
        return _fit_list(attr, list(item))
    if attr.type == "boolean":
        return item if isinstance(item, bool) else _NONE
    if attr.type == "string":
        return item if isinstance(item, str) else _NONE
    if isinstance(item, bool) or not isinstance(item, int | float):
        return _NONE
    if attr.type in ("integer", "axis", "axis_or_null"):
        return item if isinstance(item, int) else _NONE
    return float(item)


def _fit_list(attr: Attr, items: list[Any]) -> Any:
    if not all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
        return _NONE
    if attr.type in ("integers", "axis", "axis_or_null"):
        return items if all(isinstance(item, int) for item in items) else _NONE
    return (
        [float(item) for item in items] if attr.type in ("number_list", "number_list_or_null", "thresholds") else _NONE
    )


def _lowered(kind: Kind, value: ObjectValue) -> Any:
    """The object as Keras would write it if it had never seen another form."""
    name = value.class_name.rpartition(".")[2]
    attrs = filled(objects(kind.core)[name], value.config or {})
    if name in _AUTO:
        return "acc" if attrs[NAME] == "acc" else _AUTO[name]
    twin = kind.by_core(name)
    config: dict[str, Any] = {}
    if kind is not SCHEDULE:
        title = attrs[NAME] or (twin.title if twin else name)
        config[NAME] = title
        config |= {DTYPE: attrs[DTYPE]} if kind is METRIC or attrs[DTYPE] != "float32" else {}
    if twin is None:
        return _wrapped(kind, name, config, attrs)
    if REDUCTION in attrs:
        config[REDUCTION] = "sum_over_batch_size" if attrs[REDUCTION] == "mean" else attrs[REDUCTION]
    config |= {key: _own(kind, key, attrs[key]) for key in twin.keys}
    defaults = objects(kind.core)[name]
    config |= {key: attrs[key] for key in twin.hidden if not is_same(attrs[key], defaults[key].default)}
    if name == "auc" and attrs["thresholds"] is not None:
        config["num_thresholds"] = len(attrs["thresholds"]) + 2
    if kind is SCHEDULE:
        config[NAME] = SCHEDULE_TITLES.get(twin.keras, twin.keras)
    return ObjectValue(f"keras:{kind.package}.{twin.keras}", config, value.shared)


def _own(kind: Kind, key: str, item: Any) -> Any:
    if kind is SCHEDULE and key in _COUNTS:
        return [_whole(one) for one in item] if isinstance(item, list) else _whole(item)
    return item


def _whole(number: float) -> float:
    return int(number) if float(number).is_integer() else number


def _wrapped(kind: Kind, name: str, config: dict[str, Any], attrs: Mapping[str, Any]) -> ObjectValue:
    """A function of `keras.losses` as a metric."""
    function = ObjectValue(f"keras:losses.{name}", None)
    arguments = {key: attrs[key] for key in WRAPPED_METRICS[name]}
    return ObjectValue(f"keras:{kind.package}.{kind.wrapper}", config | {"fn": function} | arguments)
