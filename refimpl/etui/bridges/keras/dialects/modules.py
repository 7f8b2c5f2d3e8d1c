"""Modules in the terms of the other Keras: class, attributes, children (SPEC.md, annex E)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from etui.bridges.keras.config_write import chain
from etui.bridges.keras.dialects.graph import has_hard_sigmoid, split_hard_sigmoid
from etui.bridges.keras.dialects.layers import ASKED, MADE, ONLY_NEW, ONLY_OLD, OWN_DTYPE, RENAMED, class_of_layer
from etui.bridges.keras.dialects.same import is_same, is_set
from etui.bridges.keras.dialects.values import HARD_SIGMOID, HARD_SIGMOID_OLD, TITLES, Values
from etui.bridges.keras.modules import is_input, is_model, is_sequential, join, keras_name, residue
from etui.bridges.keras.names import FreeNames
from etui.canonical.values import ModuleRef, ObjectValue, references
from etui.containers.config import Module
from etui.containers.weights import Weights

_ACTIVATIONS = ("activation", "recurrent_activation")
_SHAPE = "batch_input_shape"
_GATED = frozenset({"GRU", "GRUCell"})
# Facts of Keras' own about a built-in module that hold on both sides.
_FACTS = ("shared", "layer_name", "unnamed", "group", "made_by_call", "vars_name")
# Facts about any module that do not.
_OWN_FACTS = frozenset(
    {"dialect", "metadata", "uncompiled", "groups", "inbound_nodes", "ends", "tensors", "compile_config", "order"}
)
_FUNCTION_KEYS = ("function_type", "module", "output_shape_type", "output_shape_module")
_CODE = ("code", "defaults", "closure")
_LAMBDA = "keras:__lambda__"
# Classes of the inside of either Keras, at the same place and with the same attributes: the layers of ConvNeXt.
_IN_BOTH = frozenset({"src.applications.convnext.LayerScale", "src.applications.convnext.StochasticDepth"})
_FUSED_AXES = 4
# The summary of a Discretization: values, and how much of the data each stands for.
_SUMMARY_AXES = _SUMMARY_ROWS = 2
_SOURCE = {"keras": "tf_keras", "tf_keras": "keras"}
_FORWARD, _BACKWARD = "forward_layer", "backward_layer"


@dataclass(frozen=True, slots=True)
class Modules:
    """Translates single modules.

    Attributes:
        values: translates values.
        weights: the model's variables, which tell what a config leaves open.
    """

    values: Values
    weights: Weights

    def is_left_out(self, parent: Module, child: Module) -> bool:
        """Whether a child stands for a group of the source's file without variables, which the target makes anew."""
        if child.attrs or child.graph is not None or child.target is not None or child.build is not None:
            return False
        if parent.op.startswith("custom:") or any(below.params for _, below in child.walk()):
            return False
        called = parent.graph is not None and any(call.module == child.name for call in parent.graph.calls)
        held = (item for item in references(parent.attrs) if isinstance(item, ModuleRef))
        return not called and all(item.path.rpartition("/")[2] != child.name for item in held)

    def translate(self, found: Module, path: str, children: list[Module]) -> Module:
        """A module in the target's terms; its calls are not translated yet.

        Args:
            found: the module; it stays as it is.
            path: of the module.
            children: its children, translated.
        """
        module = replace(found, attrs=dict(found.attrs), modules=children, residue=dict(found.residue))
        if found.graph is not None:
            module.graph = replace(found.graph, calls=list(found.graph.calls))
        name = class_of_layer(found.op)
        self._facts(module, name)
        if name is None:
            self._own_class(module, path)
        elif found.attrs or is_model(found):
            self._built_in(module, name, path, found.build)
            if module.op != found.op or not is_same(module.attrs, found.attrs):
                self.values.report.add("module", path or found.name, "translated", _title(name, self.values))
        self._made(module, name)
        if is_model(module):
            self._give_input(found, module)
            self._split(module, path)
        elif self.values.target == "tf_keras":
            for child in filter(has_hard_sigmoid, children):
                detail = (
                    "the activation is Keras 3's hard sigmoid, which Keras 2 can only put behind a layer of a model"
                )
                self.values.lost("module", join(path, child.name), detail)
        return module

    def _facts(self, module: Module, name: str | None) -> None:
        facts = residue(module)
        kept = {key: value for key, value in facts.items() if key not in _OWN_FACTS}
        if name is not None:
            kept = {key: value for key, value in kept.items() if key in _FACTS}
            if not (is_sequential(module) and module.graph is None):
                module.build = None
        module.residue = {key: value for key, value in module.residue.items() if key != "keras"}
        if kept:
            module.residue["keras"] = kept

    def _own_class(self, module: Module, path: str) -> None:
        """A class of the author's: what it holds is translated, and what its config means stays its own."""
        framework, _, name = module.op.partition(":")
        if framework in ("keras", "tf_keras") and name in _IN_BOTH:
            module.op = f"{self.values.target}:{name}"
        elif framework in ("keras", "tf_keras"):
            detail = (
                f"{name} is a class of the inside of {TITLES[_SOURCE[self.values.target]]}, not known to be elsewhere"
            )
            self.values.lost("module", path or module.name, detail)
        for key, value in module.attrs.items():
            module.attrs[key] = self.values.value(value, "module", path)

    def _built_in(self, module: Module, name: str, path: str, build: Any) -> None:
        values, attrs = self.values, module.attrs
        reason = (ONLY_OLD if values.target == "keras" else ONLY_NEW).get(name)
        if reason is not None:
            values.lost("module", path or module.name, f"{name} has no equal: {reason}")
        if values.target == "keras":
            self._before_keras(module, name, path, build)
        policy = attrs.pop("dtype", None)
        found = values.attributes(name, attrs, "module", path)
        module.attrs = {} if policy is None else {"dtype": self._policy(name, policy, path)}
        module.attrs |= found
        if module.attrs.get("dtype") is None:
            module.attrs.pop("dtype", None)
        if values.target == "tf_keras":
            module.attrs |= ASKED.get(name, {})
            if name == "Discretization" and module.attrs.get("bin_boundaries") is not None:
                module.attrs["num_bins"] = None  # it is how many Keras 3 found; Keras 2 takes either of them
        else:
            renamed = RENAMED.get(name, name)
            module.op = f"keras:{renamed}"
        for key in _ACTIVATIONS:
            if key in module.attrs:
                module.attrs[key] = self._activation(module, key, path)
        if name == "Lambda":
            self._lambda(module)
        if name == "Bidirectional" and values.target == "keras":
            _second_direction(module, path)

    def _before_keras(self, module: Module, name: str, path: str, build: Any) -> None:
        """Attributes of Keras 2 that are not only named otherwise."""
        attrs = module.attrs
        axis = attrs.get("axis")
        if name in ("BatchNormalization", "SyncBatchNormalization") and isinstance(axis, list | tuple):
            if len(axis) == 1:
                attrs["axis"] = axis[0]
            else:
                self.values.lost("module", path, "Keras 3 normalizes along one axis, and not along several")
        if name == "SyncBatchNormalization":
            attrs["synchronized"] = True
        if name == "Discretization" and attrs.get("bin_boundaries") is None:
            attrs["bin_boundaries"] = self._boundaries(module)
        if name == "BatchNormalization" and is_set(attrs.get("renorm")):
            self.values.lost("module", path, "Keras 3 keeps other averages for renormalization")
        if name == "BatchNormalization" and _is_fused(attrs, build):
            detail = "with four axes Keras 2 takes the variance of a sample for its average, Keras 3 that of the batch"
            self.values.report.add("module", path or module.name, "translated", detail)
        if name in _GATED and "reset_after" not in attrs:
            # Files of Keras before 2.1.4 do not tell; the bias does, which has one row more with `reset_after`.
            attrs["reset_after"] = self._has_two_biases(module)
        for key, value in attrs.items():
            if key.endswith("_regularizer") and is_same(value, "l1_l2"):
                attrs[key] = ObjectValue("keras:regularizers.L1L2", {"l1": 0.01, "l2": 0.01})

    def _boundaries(self, module: Module) -> list[float] | None:
        """The boundaries that Keras 2 finds anew in the summary of the data at each start, and Keras 3 does not.

        They are the quantiles at every n-th of the weight, as `get_bin_boundaries` of both has them.
        """
        path, bins = next(iter(module.params.values()), ""), module.attrs.get("num_bins")
        summary = self.weights.variables.get(self.weights.resolve(path)) if path else None
        if summary is None or type(bins) is not int or bins < 1 or len(summary.shape) != _SUMMARY_AXES:
            return None
        data = summary.numpy()
        if (
            len(data) != _SUMMARY_ROWS
            or data.dtype != np.float32
            or not np.isfinite(data).all()
            or not data[1].sum() > 0
        ):
            return None
        ends, weights = data
        if len(ends) >= bins:
            covered = weights.cumsum()
            step = 1.0 / bins
            ends = np.interp(step + np.arange(0.0, 1.0, step), covered / covered[-1], ends).astype("float32")
        return [float(end) for end in ends[:-1]]

    def _has_two_biases(self, module: Module) -> bool:
        for _, below in module.walk():
            path = below.params.get("bias")
            if path is not None and self.weights.resolve(path) in self.weights.variables:
                return len(self.weights[path].shape) > 1
        return False

    def _policy(self, name: str, policy: Any, path: str) -> Any:
        if name == "InputLayer":
            return self.values.policy(policy, "module", path) if isinstance(policy, ObjectValue) else policy
        if name in OWN_DTYPE and (self.values.target == "tf_keras" or name == "TextVectorization"):
            return None
        return self.values.policy(policy, "module", path)

    def _activation(self, module: Module, key: str, path: str) -> Any:
        value = module.attrs[key]
        hard = is_same(value, HARD_SIGMOID) or _is_function(value, HARD_SIGMOID)
        if self.values.target == "keras":
            return hard_sigmoid_of_keras_2(module.attrs.get("dtype")) if hard else value
        if is_hard_sigmoid_of_keras_2(value):
            return HARD_SIGMOID
        if hard and not has_hard_sigmoid(module):
            detail = f"the {key} is Keras 3's hard sigmoid, which Keras 2 can only put behind a layer"
            self.values.lost("module", path, detail)
        if isinstance(value, str):
            return self.values.named(value, "activations", "module", path)
        return value

    def _lambda(self, module: Module) -> None:
        """The code of a lambda, which stays data, in the form that the target writes."""
        attrs = module.attrs
        for key in ("function", "output_shape"):
            value, kind = attrs.get(key), attrs.get(f"{key}_type")
            if self.values.target == "keras":
                attrs[key] = _function_object(value, kind)
            elif isinstance(value, ObjectValue) and value.class_name == _LAMBDA and isinstance(value.config, dict):
                attrs[key] = tuple(value.config.get(part) for part in _CODE)
                attrs[f"{key}_type"] = "lambda"
            elif isinstance(value, ObjectValue) and value.config is None:
                attrs[key], attrs[f"{key}_type"] = value.class_name.rpartition(":")[2], "function"
            elif key == "output_shape":
                attrs["output_shape_type"] = "raw"
        if self.values.target == "keras":
            for key in _FUNCTION_KEYS:
                attrs.pop(key, None)
            if attrs.get("output_shape") is None:
                attrs.pop("output_shape", None)
        else:
            attrs |= {"module": attrs.get("module", "builtins"), "output_shape_module": None}

    def _made(self, module: Module, name: str | None) -> None:
        """The groups of layers that the layer makes by itself."""
        groups = MADE.get(name or "", {})
        for child in module.modules:
            if child.name in groups:
                facts = {key: value for key, value in residue(child).items() if key != "group"}
                if self.values.target == "tf_keras":
                    facts["group"] = groups[child.name]
                child.residue = {key: value for key, value in child.residue.items() if key != "keras"}
                if facts:
                    child.residue["keras"] = facts

    def _split(self, module: Module, path: str) -> None:
        """Put the hard sigmoid of Keras 3 behind the layers that have it."""
        if self.values.target == "tf_keras":
            for name in split_hard_sigmoid(module):
                detail = "the hard sigmoid of Keras 3 is two layers of their own behind it"
                self.values.report.add("module", join(path, name), "translated", detail)

    def _give_input(self, found: Module, module: Module) -> None:
        """Give a Sequential model the input that its first layer tells, as Keras 2 does when it loads it.

        Args:
            found: the model in the terms of the source.
            module: the translated one; it is changed.
        """
        first = next(iter(found.modules), None)
        if module.graph is not None or not is_sequential(module) or first is None or is_input(first.op):
            return
        shape = first.attrs.get(_SHAPE)
        if self.values.target != "keras" or not isinstance(shape, list | tuple):
            return
        name = FreeNames(child.name for child in module.modules).take(f"{first.name}_input")
        policy = first.attrs.get("dtype", "float32")
        dtype = policy if isinstance(policy, str) and not policy.startswith("mixed_") else "float32"
        attrs = {"batch_shape": shape, "dtype": dtype, "sparse": False, "ragged": False}
        module.modules = [Module(name, "layer", "keras:InputLayer", attrs), *module.modules]
        module.kind, module.graph, module.build = "graph", chain(module), None
        self.values.report.add("module", name, "translated", "the input that the first layer tells of")


def hard_sigmoid_of_keras_2(policy: Any) -> ObjectValue:
    """Keras 2's hard sigmoid, clip(0.2 x + 0.5, 0, 1), as an activation of Keras 3: it has another of that name."""
    common = {"trainable": True} | ({} if policy is None else {"dtype": policy})
    scale, offset = HARD_SIGMOID_OLD
    scaled = {"name": "scaled", **common, "scale": scale, "offset": offset}
    clipped = {"name": "clipped", **common, "max_value": 1.0, "negative_slope": 0.0, "threshold": 0.0}
    layers = [ObjectValue("keras:layers.Rescaling", scaled), ObjectValue("keras:layers.ReLU", clipped)]
    return ObjectValue("keras:Sequential", {"name": "hard_sigmoid_of_keras_2", **common, "layers": layers})


def is_hard_sigmoid_of_keras_2(value: Any) -> bool:
    """Whether an activation of Keras 3 is what `hard_sigmoid_of_keras_2` makes."""
    if not isinstance(value, ObjectValue) or value.class_name != "keras:Sequential":
        return False
    layers = value.config.get("layers") if isinstance(value.config, dict) else None
    if not isinstance(layers, list) or [_class(item) for item in layers] != [
        "keras:layers.Rescaling",
        "keras:layers.ReLU",
    ]:
        return False
    scaled, clipped = (item.config for item in layers)
    if not isinstance(scaled, dict) or not isinstance(clipped, dict):
        return False
    plain = not is_set(clipped.get("negative_slope")) and not is_set(clipped.get("threshold"))
    numbers = (clipped.get("max_value"), scaled.get("scale"), scaled.get("offset"))
    return plain and all(map(is_same, numbers, (1.0, *HARD_SIGMOID_OLD)))


def _second_direction(module: Module, path: str) -> None:
    """Write down the layer of the other direction where the first one goes backwards: Keras 3 makes both alike."""
    forward = next((child for child in module.modules if child.name == _FORWARD), None)
    if forward is None or not is_set(forward.attrs.get("go_backwards")) or module.attrs.get(_BACKWARD) is not None:
        return
    backward = next((child for child in module.modules if child.name == _BACKWARD), None)
    if backward is None:
        backward = Module(_BACKWARD, "layer", forward.op)
        module.modules.append(backward)
    backward.op = forward.op
    backward.attrs = forward.attrs | {"name": f"backward_{keras_name(forward)}", "go_backwards": False}
    module.attrs[_BACKWARD] = ModuleRef(join(path, _BACKWARD))


def _is_fused(attrs: Mapping[str, Any], build: Any) -> bool:
    """Whether Keras 2 normalizes by the fused operation, as far as the shape that the layer was built for tells."""
    shape = build.get("input_shape") if isinstance(build, dict) else None
    return isinstance(shape, list | tuple) and len(shape) == _FUSED_AXES and attrs.get("fused") is not False


def _class(value: Any) -> str | None:
    return value.class_name if isinstance(value, ObjectValue) else None


def _is_function(value: Any, name: str) -> bool:
    return isinstance(value, ObjectValue) and value.class_name == f"keras:activations.{name}"


def _function_object(value: Any, kind: Any) -> Any:
    """A function as Keras 3 writes it: code as an object, and a named one by its name."""
    if isinstance(value, list | tuple) and is_same(kind, "lambda") and len(value) == len(_CODE):
        return ObjectValue(_LAMBDA, dict(zip(_CODE, value, strict=True)))
    if isinstance(value, str) and is_same(kind, "function"):
        return ObjectValue(f"custom:{value}", None)
    return value


def _title(name: str, values: Values) -> str:
    return f"{name} in the terms of {TITLES[values.target]}"
