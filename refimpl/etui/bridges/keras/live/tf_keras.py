"""tf_keras behind the face of `live_framework`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from copy import copy
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras
from tf_keras.src.backend import RandomGenerator
from tf_keras.src.engine.base_layer import Layer
from tf_keras.src.saving.saving_lib import _is_keras_trackable, _walk_trackable
from tf_keras.src.saving.serialization_lib import ObjectSharingScope

from etui.bridges.keras.live.framework import Framework
from etui.bridges.keras.patches import Json
from etui.containers.pieces import Array

_MOST_GUESSES = 6  # outputs whose targets are guessed: each may be of the shape of the output, or of class numbers
_ALGORITHMS = {1: "tensorflow:random.philox", 2: "tensorflow:random.threefry"}

# The optimizers of before TensorFlow 2.11, which tf_keras saves in HDF5 files alone.
_Legacy = tf_keras.optimizers.legacy.Optimizer
_INNER = "inner_optimizer"

_OLD_STREAM = "TensorFlow keeps the state of its old random operations to itself; their streams start anew"


class TfKeras(Framework):
    """tf_keras, which is Keras 2 under the name of its own."""

    name = "tf_keras"
    dialect = "tf_keras"
    nests = False

    @property
    def version(self) -> str:
        """Of the package."""
        return str(tf_keras.__version__)

    @property
    def api(self) -> Any:
        """The package itself."""
        return tf_keras

    def serialize(self, thing: Any) -> Json:
        """See `Framework`."""
        with ObjectSharingScope():
            return tf_keras.saving.serialize_keras_object(thing)

    def deserialize(self, tree: Json, custom_objects: Mapping[str, Any], *, safe: bool) -> Any:
        """See `Framework`."""
        with ObjectSharingScope():
            return tf_keras.saving.deserialize_keras_object(tree, custom_objects=dict(custom_objects), safe_mode=safe)

    def compile_arguments(self, model: Any) -> dict[str, Any]:
        """See `Framework`."""
        usual = type(model).compile is tf_keras.Model.compile and getattr(model, "_is_compiled", False)
        found = getattr(model, "_compile_config", None) if usual else None
        return dict(found.config) if found is not None else {}

    def is_saveable(self, thing: Any) -> bool:
        """See `Framework`."""
        return isinstance(thing, _Legacy) or bool(_is_keras_trackable(thing))

    def children(self, thing: Any, known: dict[Any, list[str]]) -> Iterator[tuple[str, Any]]:  # noqa: ARG002
        """See `Framework`. An older optimizer holds nothing but the one that it wraps."""
        if not isinstance(thing, _Legacy):
            yield from _walk_trackable(thing)
        elif hasattr(thing, _INNER):
            yield _INNER, thing.inner_optimizer

    def own_variables(self, thing: Any) -> dict[str, Any] | None:
        """See `Framework`."""
        if isinstance(thing, tf_keras.optimizers.Optimizer | _Legacy):
            return {str(at): variable for at, variable in enumerate(self.optimizer_variables(thing))}
        if not hasattr(thing, "save_own_variables"):
            return None
        if getattr(type(thing), "save_own_variables", None) is Layer.save_own_variables:
            listed = [*getattr(thing, "_trainable_weights", ()), *getattr(thing, "_non_trainable_weights", ())]
            return {str(at): variable for at, variable in enumerate(listed)}
        return self.computed(thing)

    def loads_itself(self, thing: Any) -> bool:
        """See `Framework`."""
        return getattr(type(thing), "load_own_variables", None) is not Layer.load_own_variables

    def is_variable(self, thing: Any) -> bool:
        """See `Framework`."""
        return isinstance(thing, tf.Variable)

    def dtype(self, variable: Any) -> str:
        """See `Framework`."""
        return str(variable.dtype.name)

    def raw(self, variable: Any) -> Array:
        """See `Framework`."""
        found: Array = variable.numpy() if hasattr(variable, "numpy") else variable
        return found

    def in_place(self, variable: Any) -> Array | None:
        """See `Framework`."""
        return np.asarray(variable.read_value()) if isinstance(variable, tf.Variable) else None

    def trainable(self, model: Any) -> list[Any]:
        """See `Framework`."""
        return list(model.trainable_weights) if model.built else []

    def set_trainable(self, variable: Any, *, flag: bool) -> bool:
        """See `Framework`."""
        return bool(variable.trainable) is flag

    def compiled_flags(self, model: Any) -> MutableMapping[Any, bool]:
        """See `Framework`."""
        found: MutableMapping[Any, bool] = getattr(model, "_compiled_trainable_state", {})
        return found

    def trained(self, model: Any) -> list[Any] | None:
        """See `Framework`."""
        optimizer = getattr(model.optimizer, _INNER, model.optimizer)
        if isinstance(optimizer, _Legacy):
            # Slots are kept by the same key as the newer optimizers keep numbers.
            known = {variable._unique_id: variable for variable in model.weights}  # noqa: SLF001
            keyed = [known.get(key) for key in optimizer._slots]  # noqa: SLF001
            return None if not keyed or any(variable is None for variable in keyed) else keyed
        places = getattr(optimizer, "_index_dict", None)
        if not places:
            return None
        known = {variable._unique_id: variable for variable in model.weights}  # noqa: SLF001  the optimizer's own key
        listed = [known.get(key) for key, _ in sorted(places.items(), key=lambda item: item[1])]
        return None if any(variable is None for variable in listed) else listed

    def optimizer_variables(self, optimizer: Any) -> list[Any]:
        """See `Framework`."""
        if isinstance(optimizer, _Legacy):
            if hasattr(optimizer, _INNER):
                return self.optimizer_variables(optimizer.inner_optimizer)  # as a newer wrapper does
            _ = optimizer.iterations  # made, as all variables of theirs, when it is first asked for
        listed = optimizer.variables
        return list(listed() if callable(listed) else listed)

    def hidden_slots(self, optimizer: Any) -> dict[str, Any]:
        """See `Framework`: the product of Nadam, and the state of a loss scale."""
        listed = {id(one) for one in self.optimizer_variables(optimizer)}
        listed |= {id(getattr(optimizer, name, None)) for name in ("_learning_rate", "_iterations")}
        found = {name: value for name, value in vars(optimizer).items() if isinstance(value, tf.Variable)}
        scale = getattr(optimizer, "_loss_scale", None)
        parts = getattr(scale, "_weights", {}) if hasattr(scale, "_weights") else {}
        found |= {f"loss_scale/{name}": value for name, value in parts.items() if isinstance(value, tf.Variable)}
        return {name: value for name, value in found.items() if id(value) not in listed}

    def lost_slots(self, optimizer: Any) -> list[str]:
        """See `Framework`: how often Nadam was traced decides when it takes its product from the variable before."""
        return ["_u_product_counter"] if isinstance(optimizer, tf_keras.optimizers.Nadam) else []

    def rebuilt(self, optimizer: Any, variables: Sequence[Any]) -> Any:
        """See `Framework`."""
        fresh = type(optimizer).from_config(optimizer.get_config())
        if isinstance(fresh, _Legacy):
            getattr(fresh, _INNER, fresh)._create_all_weights(list(variables))  # noqa: SLF001  no other way
        else:
            fresh.build(list(variables))
        return fresh

    def set_optimizer(self, model: Any, optimizer: Any) -> None:
        """See `Framework`."""
        model.optimizer = optimizer

    def set_rate(self, optimizer: Any, rate: float) -> None:
        """See `Framework`."""
        if isinstance(getattr(optimizer, "_learning_rate", None), tf.Variable) or isinstance(optimizer, _Legacy):
            optimizer.learning_rate = rate

    def metrics(self, model: Any) -> list[Any]:
        """See `Framework`."""
        return list({id(metric): metric for metric in model.metrics if metric.variables}.values())

    def build_metrics(self, model: Any, expected: Sequence[str]) -> bool:
        """See `Framework`."""
        if self.kinds(self.metrics(model)) == list(expected):
            return True
        outputs = getattr(model, "outputs", None)
        if not outputs or len(outputs) > _MOST_GUESSES:
            return False
        if model.compiled_loss is not None and not model.compiled_loss.built:
            model.compiled_loss.build(model.output)
        flat = tf.nest.flatten(model.output)
        # Targets are of the shape of their output, or class numbers, for which tf_keras chooses other metrics.
        for shapes in product(*([one.shape, one.shape[:-1]] for one in flat)):
            targets = [tf_keras.Input(batch_shape=shape) for shape in shapes]
            if self._build_compiled(model, tf.nest.pack_sequence_as(model.output, targets), expected):
                return True
        return False

    def _build_compiled(self, model: Any, true: Any, expected: Sequence[str]) -> bool:
        """Build the compiled metrics; false, and as before, if others would come of it."""
        usual = model.compiled_metrics
        if usual is None or usual.built:
            return self.kinds(self.metrics(model)) == list(expected)
        arguments = self.compile_arguments(model)
        given = tf.nest.flatten([arguments.get("metrics"), arguments.get("weighted_metrics")])
        names = [(one, one._name) for one in given if isinstance(one, tf_keras.metrics.Metric)]  # noqa: SLF001
        model.compiled_metrics = copy(usual)
        try:
            model.compiled_metrics.build(model.output, true)
        except (ValueError, TypeError):
            model.compiled_metrics = usual
        if self.kinds(self.metrics(model)) == list(expected):
            return True
        model.compiled_metrics = usual
        for one, name in names:
            one._name = name  # noqa: SLF001  building puts the output's name before it
        return False

    def seeds(self, layer: Any) -> dict[str, tuple[str, Any]]:
        """See `Framework`."""
        found = {}
        for name, value in vars(layer).items():
            generator = getattr(value, "_generator", None)
            if isinstance(generator, tf.random.Generator):
                algorithm = _ALGORITHMS.get(int(generator.algorithm), f"tensorflow:random.{int(generator.algorithm)}")
                found[name] = (algorithm, generator.state)
        return found

    def hidden_seeds(self, layer: Any) -> dict[str, str]:
        """See `Framework`. The old random operations keep their counters inside of TensorFlow."""
        return {
            name: _OLD_STREAM
            for name, value in vars(layer).items()
            if isinstance(value, RandomGenerator) and getattr(value, "_rng_type", "") == "legacy_stateful"
        }


FRAMEWORK = TfKeras()
