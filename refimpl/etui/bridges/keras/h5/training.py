"""`training_config` of a legacy HDF5 file and the arrays of its optimizer, in both directions (SPEC.md, annex C)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from etui.bridges.keras.content import Renamed, Stored
from etui.bridges.keras.lift import dialect_of, lift_object
from etui.bridges.keras.optimizer_table import WRAPPERS, class_named
from etui.bridges.keras.patches import Json
from etui.bridges.keras.values import is_function, is_object
from etui.errors import error, shown

OPTIMIZER_CONFIG = "optimizer_config"
_PACKAGES = {"loss": "losses", "metrics": "metrics", "weighted_metrics": "metrics"}
# What readers of every version look up without asking whether it is there.
_NEEDED = ("loss", "metrics", "weighted_metrics", "loss_weights")
_FUNCTIONS = {
    "bce": "binary_crossentropy",
    "kld": "kl_divergence",
    "mae": "mean_absolute_error",
    "mape": "mean_absolute_percentage_error",
    "mse": "mean_squared_error",
    "msle": "mean_squared_logarithmic_error",
}
_LEGACY = "keras.optimizers.legacy"
_INTEGERS = ("int32", "int64")
# Optimizers of Keras 1 and 2 that stored no iteration.
_WITHOUT_ITERATION = ("RMSprop", "Adagrad", "Adadelta")
_RATES = ("learning_rate", "current_learning_rate")


def read_compiled(training: Mapping[str, Json], version: str | None, where: str) -> dict[str, Json]:
    """The `compile_config` that a training config stands for.

    Args:
        training: the parsed document.
        version: of the file.
        where: the document, for messages.

    Raises:
        InvalidError: ``keras-config``, there is no optimizer in it.
    """
    node = training.get(OPTIMIZER_CONFIG)
    if node is None or not is_object(node):
        raise error("keras-config", where=where, found=f"the optimizer {shown(node)}")
    compiled = {"optimizer": lift_object(_spelled(node), "optimizers", version, where=where)}
    for key, item in training.items():
        if key != OPTIMIZER_CONFIG:
            compiled[key] = lift_object(item, _PACKAGES[key], version, where=where) if key in _PACKAGES else item
    return compiled


def _spelled(node: Mapping[str, Json]) -> dict[str, Json]:
    """The rate of Keras 1 and 2 has another name since."""
    config = node["config"]
    name = class_named(node["class_name"], "tf_keras")
    fields = dict(node) if name is None else dict(node, class_name=name)
    if isinstance(config, dict) and "lr" in config and "learning_rate" not in config:
        config = {"learning_rate" if key == "lr" else key: item for key, item in config.items()}
    return fields | {"config": config}


def written_training(compiled: Mapping[str, Json], dialect: str) -> dict[str, Json] | None:
    """The training config for a `compile_config`, or `None` if there is no optimizer in it, which readers ask for.

    Args:
        compiled: the compile config.
        dialect: ``keras`` or ``tf_keras``.
    """
    node = compiled.get("optimizer")
    named = class_named(node, dialect)
    if named is not None:
        node = {"class_name": named, "config": {}}
    if node is None or not is_object(node):
        return None
    found: dict[str, Json] = {key: None for key in _NEEDED if key not in compiled}
    for key, item in compiled.items():
        if key != "optimizer":
            found[key] = _short(item) if key in _PACKAGES else item
    if dialect == "keras" and "loss" in found:
        found["loss"] = spelled_out(found["loss"])
    return found | {OPTIMIZER_CONFIG: _optimizer(node, dialect)}


def spelled_out(loss: Json) -> Json:
    """Losses by the whole names of their functions, which Keras 3 finds; it does not find short ones such as `mse`."""
    if isinstance(loss, list):
        return [spelled_out(one) for one in loss]
    if isinstance(loss, dict):
        return loss if is_object(loss) else {key: spelled_out(one) for key, one in loss.items()}
    return (
        _FUNCTIONS.get(loss.lower(), loss) if isinstance(loss, str) and loss in (loss.lower(), loss.upper()) else loss
    )


def _optimizer(node: Mapping[str, Json], dialect: str) -> dict[str, Json]:
    """tf_keras tells its newer optimizers from the older ones by the package under which they are registered."""
    found = _short(node)
    newer = node.get("module") == "keras.optimizers" and node["class_name"] not in WRAPPERS
    if dialect == "tf_keras" and newer and found["config"]:
        found["class_name"] = f"Custom>{node['class_name']}"
    return dict(found)


def _short(item: Json) -> Any:
    """Losses and metrics by one word; a function is its name."""
    if isinstance(item, list):
        return [_short(one) for one in item]
    if not isinstance(item, dict):
        return item
    if not is_object(item):
        return {key: _short(one) for key, one in item.items()}
    if is_function(item):
        return item["config"]
    name = item["class_name"]
    registered = item.get("registered_name")
    if item.get("module") is None and isinstance(registered, str) and registered:
        name = registered
    return {"class_name": name, "config": item["config"]}


def layout_of(arrays: Mapping[str, Stored], node: Json, version: str | None) -> dict[str, Stored]:
    """The arrays of an optimizer by their names in the layout.

    Args:
        arrays: by their names in the file, in stored order.
        node: the optimizer in `compile_config`.
        version: of the file.
    """
    listed = list(arrays.values())
    name = node["class_name"] if is_object(node) else ""
    if dialect_of(version) == "tf_keras":
        listed = _without_rate(list(arrays), listed)
        if is_object(node) and node.get("module") == _LEGACY:
            listed = _as_later(name, node["config"], listed)
        # A wrapper of tf_keras has the tensors of the optimizer in it as its own.
        groups = ("optimizer/vars", "optimizer/inner_optimizer/vars") if name in WRAPPERS else ("optimizer/vars",)
        return {key: array for group in groups for key, array in _numbered(group, listed).items()}
    found = _numbered("optimizer/vars", listed)
    if name in WRAPPERS:
        found |= _numbered("optimizer/inner_optimizer/vars", listed[_inner_start(listed) :])
    return found


def _numbered(group: str, listed: Sequence[Stored]) -> dict[str, Stored]:
    return {
        f"{group}/{at}": Renamed(f"{group}/{at}", array.dtype, array.shape, array.read)
        for at, array in enumerate(listed)
    }


def _without_rate(names: Sequence[str], listed: list[Stored]) -> list[Stored]:
    """The optimizers of TensorFlow 2.11 stored the rate as well, which the config holds too."""
    second = names[1].removesuffix(":0").rpartition("/")[2] if len(names) > 1 else ""
    return [listed[0], *listed[2:]] if second in _RATES and listed[1].shape == () else listed


def _inner_start(listed: Sequence[Stored]) -> int:
    """Where the arrays of the wrapped optimizer begin: behind the wrapper's step counter and scale."""
    for at, array in enumerate(listed[1:], 1):
        if array.shape == () and array.dtype in _INTEGERS:
            return at + 2
    return len(listed)


def _as_later(name: str, config: Json, listed: list[Stored]) -> list[Stored]:
    """What the optimizers of Keras 1 and early Keras 2 stored, as those of TensorFlow 2 do."""
    if not listed:
        return listed
    first = listed[0]
    if first.shape == () and first.dtype.startswith("float"):
        listed = [Renamed(first.path, "int64", (), lambda: np.asarray(first.read()).astype(np.int64)), *listed[1:]]
    elif name in _WITHOUT_ITERATION and not (first.shape == () and first.dtype in _INTEGERS):
        listed = [Renamed("", "int64", (), lambda: np.zeros((), np.int64)), *listed]
    slots = listed[1:]
    third = len(slots) // 3
    placeholders = slots[2 * third :]
    amsgrad = isinstance(config, dict) and config.get("amsgrad")
    if name == "Adam" and not amsgrad and third and all(array.shape == (1,) for array in placeholders):
        same = [array.shape for array in slots[:third]] == [array.shape for array in slots[third : 2 * third]]
        if len(slots) == 3 * third and same and not all(array.shape == (1,) for array in slots):
            listed = listed[: 1 + 2 * third]
    return listed
