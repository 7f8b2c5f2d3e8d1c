"""What a file says of training, for Python readers and for TensorFlow.js (SPEC.md, annex H.3 and H.4).

`modelTopology.training_config` is Keras' own, and TensorFlow.js passes over it; `trainingConfig` beside the topology is
what TensorFlow.js compiles a model with.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.h5.training import OPTIMIZER_CONFIG, read_compiled
from etui.bridges.keras.names import snake_case
from etui.bridges.keras.values import is_object
from etui.bridges.tfjs import vocabulary
from etui.bridges.tfjs.document import TOPOLOGY
from etui.errors import error, shown

Json = Any

OWN = "trainingConfig"
# What TensorFlow.js does not write, and Keras asks for.
_ABSENT = ("loss_weights", "weighted_metrics", "run_eagerly", "steps_per_execution", "jit_compile")
# Class and settings of each optimizer in TensorFlow.js with those of Keras.
_OPTIMIZERS: dict[str, tuple[str, dict[str, str]]] = {
    "SGD": ("SGD", {}),
    "Momentum": ("SGD", {"momentum": "momentum", "useNesterov": "nesterov"}),
    "Adagrad": ("Adagrad", {"initialAccumulatorValue": "initial_accumulator_value"}),
    "Adadelta": ("Adadelta", {"rho": "rho", "epsilon": "epsilon"}),
    "Adam": ("Adam", {"beta1": "beta_1", "beta2": "beta_2", "epsilon": "epsilon"}),
    "Adamax": ("Adamax", {"beta1": "beta_1", "beta2": "beta_2", "epsilon": "epsilon"}),
    "RMSProp": (
        "RMSprop",
        {"decay": "rho", "momentum": "momentum", "epsilon": "epsilon", "centered": "centered"},
    ),
}
_EPSILON = 1e-7  # the one of Adagrad in TensorFlow.js, which takes no other
# A metric that is a function, as Keras writes it down.
_WRAPPED = "MeanMetricWrapper"
# Settings of Keras' optimizers that change the update and that TensorFlow.js has no word for, with the value that
# switches them off.
_OFF: dict[str, tuple[Json, ...]] = {
    "weight_decay": (None, 0, False),
    "clipnorm": (None,),
    "global_clipnorm": (None,),
    "clipvalue": (None,),
    "use_ema": (False, None),
    "amsgrad": (False, None),
    "decay": (0, None),
}


def read_compile_config(document: Mapping[str, Json], version: str, where: str) -> dict[str, Json] | None:
    """The `compile_config` of a `.keras` file for what a document says of training; `None` if it says nothing.

    Raises:
        InvalidError: ``tfjs-form``; ``keras-config``, no optimizer.
    """
    keras, own = document[TOPOLOGY].get("training_config"), document.get(OWN)
    config = keras if keras is not None else own
    if config is None:
        return None
    if not isinstance(config, dict):
        raise error("tfjs-form", where=where, found=f"a training config {shown(config)}")
    if keras is None and is_object(config.get(OPTIMIZER_CONFIG)):
        config = {**dict.fromkeys(_ABSENT), **config, OPTIMIZER_CONFIG: _of_keras(config[OPTIMIZER_CONFIG])}
    return read_compiled(config, version, where)


def _of_keras(optimizer: Mapping[str, Json]) -> dict[str, Json]:
    """An optimizer of TensorFlow.js in Keras' words."""
    config = optimizer["config"] if isinstance(optimizer["config"], dict) else {}
    kind, words = _OPTIMIZERS.get(optimizer["class_name"], (optimizer["class_name"], {}))
    words = {"learningRate": "learning_rate", **words}
    renamed = {words.get(key, key): value for key, value in config.items()}
    return {"class_name": kind, "config": {**renamed, "is_legacy_optimizer": False}}


def own_training(compiled: Mapping[str, Json]) -> tuple[dict[str, Json] | None, str]:
    """The `trainingConfig` that TensorFlow.js compiles with, or `None` and why it cannot."""
    for name in ("loss_weights", "weighted_metrics"):
        if compiled.get(name):
            return None, f"TensorFlow.js has no {name}"
    try:
        optimizer = _optimizer(compiled.get("optimizer"))
        loss = _each(compiled.get("loss"), _loss)
        metrics = _each(compiled.get("metrics") or [], _metric)
    except _NotUnderstoodError as reason:
        return None, f"TensorFlow.js has no {reason}"
    if loss is None:
        return None, "no loss"
    return {"loss": loss, "metrics": metrics, "optimizer_config": optimizer}, ""


class _NotUnderstoodError(Exception):
    """Something that TensorFlow.js has no word for."""


def _optimizer(node: Json) -> dict[str, Json]:
    if isinstance(node, str):
        node = {
            "class_name": {name.lower(): name for name, _ in _OPTIMIZERS.values()}.get(node.lower(), node),
            "config": {},
        }
    if not is_object(node) or not isinstance(node["config"], dict):
        raise _NotUnderstoodError("optimizer of this form")
    config = node["config"]
    kind = node["class_name"].rpartition(">")[2]
    own = "Momentum" if kind == "SGD" and config.get("momentum") else kind
    own = "RMSProp" if own == "RMSprop" else own
    if own not in _OPTIMIZERS:
        raise _NotUnderstoodError(f"optimizer {kind}")
    for key, off in _OFF.items():
        if key in config and config[key] not in off:
            raise _NotUnderstoodError(f"{key} of an optimizer")
    if own == "Adagrad" and config.get("epsilon") not in (None, _EPSILON):
        raise _NotUnderstoodError("epsilon of Adagrad")
    rate = config.get("learning_rate", config.get("lr"))
    if not isinstance(rate, int | float):
        raise _NotUnderstoodError("schedule, or no learning rate")
    words = _OPTIMIZERS[own][1]
    found = {ours: config[theirs] for ours, theirs in words.items() if config.get(theirs) is not None}
    return {"class_name": own, "config": {"learningRate": rate} | found}


def _each(value: Json, name_of: Any) -> Json:
    """A name, or a list or map of names; a list of lists of one name each is a list."""
    if isinstance(value, list):
        items = [item[0] if isinstance(item, list) and len(item) == 1 else item for item in value]
        return [name_of(item) for item in items]
    if isinstance(value, dict) and not is_object(value):
        return {key: _each(item, name_of) for key, item in value.items()}
    return None if value is None else name_of(value)


def _loss(value: Json) -> str:
    name = value
    if is_object(value):
        config = value["config"] if isinstance(value["config"], dict) else {}
        if config.get("reduction") not in ("auto", "sum_over_batch_size", None):
            raise _NotUnderstoodError(f"reduction {config['reduction']}")
        if config.get("from_logits") or config.get("label_smoothing") or config.get("axis") not in (None, -1):
            raise _NotUnderstoodError("loss with these settings")
        name = value["class_name"]
    text = snake_case(name) if isinstance(name, str) else ""
    found = vocabulary.SAME_LOSS.get(text, text)
    if found not in vocabulary.LOSSES:
        raise _NotUnderstoodError(f"loss {name}")
    return found


def _metric(value: Json) -> str:
    names = [value]
    if is_object(value):
        config = value["config"] if isinstance(value["config"], dict) else {}
        names = [config.get("fn"), config.get("name")] if value["class_name"] == _WRAPPED else [value["class_name"]]
    for name in names:
        text = snake_case(name) if isinstance(name, str) else ""
        found = vocabulary.SAME_METRIC.get(text, text)
        if found in vocabulary.METRICS:
            return found
    raise _NotUnderstoodError(f"metric {names[0]}")
