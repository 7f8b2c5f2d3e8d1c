"""Keras 3 behind the face of `live_framework`, on each of its backends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import keras
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.saving.saving_lib import _walk_saveable
from keras.src.saving.serialization_lib import ObjectSharingScope

from etui.bridges.keras.live.framework import Framework
from etui.bridges.keras.patches import Json
from etui.containers.tensors import Array

_MOST_GUESSES = 6  # outputs whose targets are guessed: each may be of the shape of the output, or of class numbers

# Losses that stand for different ones, as the targets are.
_BY_TARGET = ("crossentropy", "ce")

_TORCH_STREAM = (
    "without a seed, dropout of the torch backend draws from torch's global generator, which is not the model's"
)


class Keras3(Framework):
    """Keras 3."""

    name = "keras"
    dialect = "keras"
    nests = True

    @property
    def version(self) -> str:
        """Of the package."""
        return str(keras.__version__)

    @property
    def api(self) -> Any:
        """The package itself."""
        return keras

    def serialize(self, thing: Any) -> Json:
        """See `Framework`."""
        with ObjectSharingScope():
            return keras.saving.serialize_keras_object(thing)

    def deserialize(self, tree: Json, custom_objects: Mapping[str, Any], *, safe: bool) -> Any:
        """See `Framework`."""
        with ObjectSharingScope():
            return keras.saving.deserialize_keras_object(tree, custom_objects=dict(custom_objects), safe_mode=safe)

    def compile_arguments(self, model: Any) -> dict[str, Any]:
        """See `Framework`."""
        usual = type(model).compile is keras.Model.compile and getattr(model, "compiled", False)
        found = getattr(model, "_compile_config", None) if usual else None
        return dict(found.config) if found is not None else {}

    def is_saveable(self, thing: Any) -> bool:
        """See `Framework`."""
        return isinstance(thing, KerasSaveable)

    def children(self, thing: Any) -> Iterator[tuple[str, Any]]:
        """See `Framework`."""
        yield from _walk_saveable(thing)

    def own_variables(self, thing: Any) -> dict[str, Any] | None:
        """See `Framework`."""
        if isinstance(thing, keras.optimizers.Optimizer):
            return {str(at): variable for at, variable in enumerate(thing.variables)}
        if not hasattr(thing, "save_own_variables"):
            return None
        return self.computed(thing)

    def loads_itself(self, thing: Any) -> bool:
        """See `Framework`."""
        return getattr(type(thing), "load_own_variables", None) is not keras.Layer.load_own_variables

    def is_variable(self, thing: Any) -> bool:
        """See `Framework`."""
        return isinstance(thing, keras.Variable)

    def dtype(self, variable: Any) -> str:
        """See `Framework`."""
        return str(keras.backend.standardize_dtype(variable.dtype))

    def raw(self, variable: Any) -> Array:
        """See `Framework`."""
        values = variable.value if isinstance(variable, keras.Variable) else variable
        found: Array = keras.ops.convert_to_numpy(values)
        return found

    def trainable(self, model: Any) -> list[Any]:
        """See `Framework`."""
        return list(model.trainable_variables)

    def set_trainable(self, variable: Any, *, flag: bool) -> bool:
        """See `Framework`."""
        variable.trainable = flag
        return True

    def trained(self, model: Any) -> list[Any] | None:
        """See `Framework`."""
        optimizer = model.optimizer
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        listed = getattr(inner, "_trainable_variables", None)
        return list(listed) if optimizer.built and listed is not None else None

    def optimizer_variables(self, optimizer: Any) -> list[Any]:
        """See `Framework`."""
        return list(optimizer.variables)

    def rebuilt(self, optimizer: Any, variables: Sequence[Any]) -> Any:
        """See `Framework`."""
        fresh = type(optimizer).from_config(optimizer.get_config())
        fresh.build(list(variables))
        return fresh

    def set_optimizer(self, model: Any, optimizer: Any) -> None:
        """See `Framework`."""
        model.optimizer = optimizer

    def set_rate(self, optimizer: Any, rate: float) -> None:
        """See `Framework`. The rate of Keras 3 is a variable of the optimizer, so there is nothing to do."""

    def metrics(self, model: Any) -> list[Any]:
        """See `Framework`."""
        flat: dict[int, Any] = {}
        stack = list(reversed(model.metrics))
        while stack:
            metric = stack.pop()
            parts = getattr(metric, "metrics", None)
            if parts:
                stack.extend(reversed(parts))
            elif metric.variables:
                flat.setdefault(id(metric), metric)
        return list(flat.values())

    def build_metrics(self, model: Any, expected: Sequence[str]) -> bool:
        """See `Framework`."""
        if self.kinds(self.metrics(model)) == list(expected):
            return True
        outputs = getattr(model, "outputs", None)
        if not outputs or len(outputs) > _MOST_GUESSES or not hasattr(model, "compute_output_spec"):
            return False
        predicted = keras.tree.map_structure(lambda one: keras.KerasTensor(one.shape, one.dtype), model.output)
        flat = keras.tree.flatten(predicted)
        # Targets are of the shape of their output, or class numbers, for which Keras chooses other metrics.
        for shapes in product(*([one.shape, one.shape[:-1]] for one in flat)):
            targets = [keras.KerasTensor(shape, "float32") for shape in shapes]
            true = keras.tree.pack_sequence_as(predicted, targets)
            if self._build_compiled(model, true, predicted, expected):
                break
        self._build_losses(model, true, predicted, expected)
        return self.kinds(self.metrics(model)) == list(expected)

    def _build_compiled(self, model: Any, true: Any, predicted: Any, expected: Sequence[str]) -> bool:
        """Build the compiled metrics; false, and as before, if others would come of it."""
        compiled = getattr(model, "_compile_metrics", None)
        if compiled is None or compiled.built:
            return True
        before = self.kinds(self.metrics(model))
        try:
            compiled.build(true, predicted)
        except (ValueError, TypeError):
            return False
        kinds = self.kinds(compiled.metrics)
        # The loss tracker goes before them; the trackers of single losses, and other metrics, behind.
        start = 1 if before and expected[:1] == before[:1] else 0
        if list(expected[start : start + len(kinds)]) == kinds:
            return True
        compiled.built = False
        return False

    def _build_losses(self, model: Any, true: Any, predicted: Any, expected: Sequence[str]) -> None:
        """Build the losses if they track values of their own, and no target's shape decides which ones they are."""
        losses = getattr(model, "_compile_loss", None)
        if losses is None or losses.built or len(self.kinds(self.metrics(model))) >= len(expected):
            return
        given = keras.tree.flatten(self.compile_arguments(model).get("loss"))
        if not any(isinstance(one, str) and one.lower() in _BY_TARGET for one in given):
            try:
                losses.build(true, predicted)
            except (ValueError, TypeError):
                losses.built = False

    def seeds(self, layer: Any) -> dict[str, tuple[str, Any]]:
        """See `Framework`."""
        names = {id(value): name for name, value in vars(layer).items()}
        generators = getattr(layer, "_seed_generators", ())
        return {
            names.get(id(one), f"seed_generator_{at}"): ("keras:SeedGenerator", one.state)
            for at, one in enumerate(generators)
        }

    def hidden_seeds(self, layer: Any) -> dict[str, str]:
        """See `Framework`: what the torch backend drops out without a seed."""
        if keras.backend.backend() != "torch" or not (hasattr(layer, "rate") or hasattr(layer, "dropout")):
            return {}
        free = {name for name, value in vars(layer).items() if getattr(value, "_initial_seed", 0) is None}
        return {name: _TORCH_STREAM for name in self.seeds(layer) if name in free}


FRAMEWORK = Keras3()
