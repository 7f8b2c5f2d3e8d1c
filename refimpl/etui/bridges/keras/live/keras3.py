"""Keras 3 behind the face of `live_framework`, on each of its backends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

import keras
import numpy as np
from keras.src.backend.common.global_state import get_global_attribute, set_global_attribute
from keras.src.saving.keras_saveable import KerasSaveable
from keras.src.saving.saving_lib import _name_key, _walk_saveable, get_attr_skipset
from keras.src.saving.serialization_lib import ObjectSharingScope

from etui.bridges.keras.live.framework import Framework
from etui.bridges.keras.patches import Json
from etui.containers.pieces import Array
from etui.containers.tensors import Tensor
from etui.errors import error

_PLAIN = frozenset({"bool", "int8", "int16", "int32", "int64", "uint8", "float16", "float32", "float64"})
_MOST_GUESSES = 6  # outputs whose targets are guessed: each may be of the shape of the output, or of class numbers

# Losses that stand for different ones, as the targets are.
_BY_TARGET = ("crossentropy", "ce")

# Of classes that tell their attributes as Python does; modules of torch do not.
_DIR: Any = object.__dir__

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

    def children(self, thing: Any, known: dict[Any, list[str]]) -> Iterator[tuple[str, Any]]:
        """See `Framework`. What Keras' own walk gives, which lists and sorts every name of every object anew."""
        kind, sort = type(thing), thing._obj_type()  # noqa: SLF001  as `_walk_saveable` does
        # Keras 3.15 looks for what it left out here the time before under another name than it keeps it, so that it
        # makes a layer for each layer to see what every layer has.
        kept = f"saving_attr_skiplist_{sort}"
        if get_global_attribute(kept) is None:
            set_global_attribute(kept, get_attr_skipset(sort))
        if kind.__dir__ is not _DIR:
            yield from _walk_saveable(thing)
            return
        form = (kind, *vars(thing))
        if form not in known:
            skipped = get_attr_skipset(sort)
            listed = (name for name in dir(thing) if not name.startswith("__") and name not in skipped)
            known[form] = sorted(listed, key=_name_key)
        if sort in ("Sequential", "Functional"):
            yield "layers", thing.layers
        for name in known[form]:
            try:
                child = getattr(thing, name)
            except Exception:  # noqa: BLE001, S112  Keras passes over a property that cannot be had
                continue
            yield name, child

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
        found: Array = keras.ops.convert_to_numpy(_of_this_process(variable))
        return found

    @property
    def constant(self) -> bool:
        """See `Framework`. JAX does not write to an array, nor give its memory away while somebody looks at it."""
        return bool(keras.backend.backend() == "jax")

    def in_place(self, variable: Any) -> Array | None:
        """See `Framework`."""
        value = _of_this_process(variable)
        backend = keras.backend.backend()
        if backend == "torch":
            # numpy has no dtype for some of torch's.
            plain = value.device.type == "cpu" and self.dtype(variable) in _PLAIN
            return np.asarray(value.detach().resolve_conj().resolve_neg()) if plain else None
        if backend == "tensorflow":
            return np.asarray(value.value() if hasattr(value, "read_value") else value)
        return np.asarray(value) if backend == "jax" else None

    def look(self, variable: Any, tensor: Tensor) -> None:
        """See `Framework`: of a variable on several devices, what those of this process have."""
        spread = _spread(variable)
        if spread is None:
            super().look(variable, tensor)
            return
        for box in spread.sharding.addressable_devices_indices_map(tensor.shape).values():
            tensor.read(box or ())

    def take(self, variable: Any, tensor: Tensor) -> None:
        """See `Framework`: a variable on several devices stays so, and each process reads what its own are to have."""
        if _spread(variable) is None:
            super().take(variable, tensor)
        else:
            variable.assign(self.handed(variable, tensor))

    def handed(self, variable: Any, tensor: Tensor) -> Any:
        """See `Framework`: for a variable on several devices, an array that is spread as it is."""
        spread = _spread(variable)
        if spread is None:
            return super().handed(variable, tensor)
        from etui.bridges.jax.placing import placed_like

        return placed_like(tensor, spread, spread.dtype)

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
        # A Sequential has no `output` before it is called.
        given = outputs[0] if isinstance(model, keras.Sequential) else model.output
        predicted = keras.tree.map_structure(lambda one: keras.KerasTensor(one.shape, one.dtype), given)
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


def _of_this_process(variable: Any) -> Any:
    """The value of a variable, or a value itself.

    Raises:
        TransferError: ``jax-leaf``, an array of JAX of which other processes hold parts.
    """
    value = variable.value if isinstance(variable, keras.Variable) else variable
    if getattr(value, "is_fully_addressable", True) or value.is_fully_replicated:
        return value
    found, hint = "an array that other processes hold parts of", "Save the model with `etui.jax.save_distributed`."
    raise error("jax-leaf", where=str(getattr(variable, "path", "")), found=found, hint=hint)


def _spread(variable: Any) -> Any:
    """The array of a variable that lies on several devices, as under a distribution on JAX; else `None`."""
    if keras.backend.backend() != "jax" or not isinstance(variable, keras.Variable):
        return None
    sharding = getattr(variable.value, "sharding", None)
    return None if sharding is None or len(sharding.device_set) < 2 else variable.value


FRAMEWORK = Keras3()
