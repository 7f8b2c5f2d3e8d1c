"""The config node of a live model: what the framework writes, and what it forgets to write (SPEC.md, annex I)."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping
from typing import Any

from etui.bridges.keras.live.framework import Framework
from etui.bridges.keras.names import TORCH_OPTIMIZERS
from etui.bridges.keras.patches import Json
from etui.errors import EtuiError, error, shown

# Attributes that hold arguments which a class forgets in its config: class -> argument -> attribute.
_FORGOTTEN = {
    "Adam": {"adaptive_epsilon": "adaptive_epsilon"},
    "AlphaDropout": {"noise_shape": "noise_shape"},
    "Conv3DTranspose": {"dilation_rate": "dilation_rate"},
    "MaxNumBoundingBoxes": {"fill_value": "fill_value"},
    "MeanTensor": {"shape": "_shape"},
    "Softmax": {"robust_masking": "robust_masking"},
}
# Attributes of layers and their config that hold other layers.
_HELD = ("layer", "forward_layer", "backward_layer", "cell")


def model_node(framework: Framework, model: Any, *, need_config: bool = True) -> Json:
    """The node of a model, complete.

    Args:
        framework: of the model.
        model: the model.
        need_config: whether a model without a config is refused, and not given by its class and name.

    Raises:
        TransferError: ``live-config``, the model or an object in it has no config.
    """
    try:
        node = _plain_policies(json_of(framework, model))
    except EtuiError:
        if need_config:
            raise
        node = stub_node(framework, model)
        if framework.compile_arguments(model):
            node["compile_config"] = json_of(framework, model.get_compile_config())
    _complete_layers(framework, node, model)
    compiled = node.get("compile_config")
    arguments = framework.compile_arguments(model)
    optimizer = framework.optimizer(model)
    if isinstance(compiled, dict) and arguments:
        # Keras forgets the optimizer after it wrote a `.h5`; the live one has the rate that is in force.
        if optimizer is not None:
            compiled = {"optimizer": json_of(framework, optimizer)} | compiled
            compiled["optimizer"] = json_of(framework, optimizer)
            complete(framework, compiled["optimizer"], optimizer)
            compiled["optimizer"] = for_every_backend(compiled["optimizer"])
        for name in ("loss", "metrics", "weighted_metrics"):
            complete(framework, compiled.get(name), arguments.get(name))
        node["compile_config"] = compiled
    return node


def for_every_backend(node: Json) -> Json:
    """The node of an optimizer with the class that Keras exports, in place of the torch backend's own of that name.

    Keras on PyTorch makes the one of the other, and on another backend the torch backend's cannot train.
    """
    if not isinstance(node, dict):
        return node
    if str(node.get("module")).startswith(TORCH_OPTIMIZERS):
        node = node | {"module": "keras.optimizers", "registered_name": None}
    config = node.get("config")
    if isinstance(config, dict) and "inner_optimizer" in config:
        node = node | {"config": config | {"inner_optimizer": for_every_backend(config["inner_optimizer"])}}
    return node


def _complete_layers(framework: Framework, node: Json, layer: Any) -> None:
    """Add to the nodes of a layer, and of those in it, the arguments that they forget."""
    config = node.get("config") if isinstance(node, dict) else None
    if not isinstance(config, dict):
        return
    if type(layer).__name__ in _FORGOTTEN and type(layer).__module__.startswith(f"{framework.name}."):
        complete(framework, node, layer)
    for name in _HELD:
        if name in config and hasattr(layer, name):
            _complete_layers(framework, config[name], getattr(layer, name))
    listed = config.get("layers")
    known = {one.name: one for one in getattr(layer, "layers", ())} if isinstance(listed, list) else {}
    for inner in listed if isinstance(listed, list) and known else ():
        label = inner.get("config", {}).get("name") if isinstance(inner, dict) else None
        if label in known:
            _complete_layers(framework, inner, known[label])


def stub_node(framework: Framework, model: Any) -> Json:
    """The node of a model that has no config of its own: its class and name, for its variables' sake."""
    kind = type(model)
    return {
        "module": None,
        "class_name": kind.__name__,
        "config": {"name": model.name, "trainable": bool(model.trainable)},
        "registered_name": framework.api.saving.get_registered_name(kind),
    }


def _plain_policies(node: Json) -> Json:
    """Dtype policies are values: whether layers have one object or two tells nothing, and a load does not keep it."""
    if isinstance(node, list):
        return [_plain_policies(item) for item in node]
    if not isinstance(node, dict):
        return node
    policy = str(node.get("class_name", "")).endswith("DTypePolicy")
    return {key: _plain_policies(value) for key, value in node.items() if not (policy and key == "shared_object_id")}


def layer_node(framework: Framework, layer: Any) -> Json:
    """The node of a layer, or of its class alone if it has no config."""
    try:
        node = _plain_policies(json_of(framework, layer))
        _complete_layers(framework, node, layer)
    except EtuiError:
        return stub_node(framework, layer)
    return node if isinstance(node, dict) and isinstance(node.get("config"), dict) else stub_node(framework, layer)


def json_of(framework: Framework, thing: Any) -> Json:
    """The node of an object as it comes back from JSON text.

    Raises:
        TransferError: ``live-config``.
    """
    try:
        return json.loads(json.dumps(framework.serialize(thing)))
    except (NotImplementedError, TypeError, ValueError, RecursionError) as fault:
        name = getattr(thing, "name", "")
        found = f"{type(thing).__name__} {name}: {type(fault).__name__}: {shown(str(fault), 300)}"
        raise error("live-config", found=found) from fault


def complete(framework: Framework, node: Json, thing: Any) -> None:
    """Add to the nodes of losses and metrics the arguments that their objects were made with and forget.

    Args:
        framework: of the objects.
        node: a structure of nodes; is changed.
        thing: the same structure of the objects.
    """
    if isinstance(thing, dict) and isinstance(node, dict):
        for key, item in thing.items():
            complete(framework, node.get(key), item)
    elif isinstance(thing, list | tuple):
        items = node.get("config", {}).get("value", node.get("items")) if isinstance(node, dict) else node
        for inner, item in zip(items if isinstance(items, list) else [], thing, strict=False):
            complete(framework, inner, item)
    elif isinstance(node, dict) and isinstance(node.get("config"), dict):
        node["config"] |= {
            name: json_of(framework, value) for name, value in forgotten(framework, thing, node["config"]).items()
        }


def forgotten(framework: Framework, thing: Any, config: Mapping[str, Json]) -> dict[str, Any]:
    """The arguments of a loss, metric, layer or optimizer that differ from their defaults and are not in its config.

    An object that wraps a function keeps the function's arguments; a loss keeps its dtype.
    """
    parameters = inspect.signature(type(thing).__init__).parameters
    kept = dict(getattr(thing, "_fn_kwargs", {}))
    for name, attribute in _FORGOTTEN.get(type(thing).__name__, {}).items():
        kept[name] = getattr(thing, attribute, None)
    dtype = None if hasattr(thing, "get_weights") else getattr(thing, "dtype", None)
    if isinstance(dtype, str) and dtype != framework.api.backend.floatx():
        kept["dtype"] = dtype
    return {
        name: value
        for name, value in kept.items()
        if name in parameters
        and name not in config
        and value is not None
        and value is not parameters[name].default
        and not (isinstance(value, bool | int | float | str) and value == parameters[name].default)
    }
