"""The two frameworks behind one face: saving a model in every format, loading each, and what there is to see of it.

Importing this module imports nothing of either; `side(name)` does.
"""

# The settings below count only before TensorFlow is imported, and both frameworks are seen as Any.
from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

SEED = 20260
KERAS_TESTS = Path(__file__).parent.parent / "keras"
SHARD_BYTES = 2600


def side(name: str) -> Side:
    """The framework of that name, with one thread, so that sums are made in one order."""
    for variable in ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        os.environ[variable] = "1"
    os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "TF_ENABLE_ONEDNN_OPTS": "0", "KERAS_BACKEND": "tensorflow"}
    warnings.simplefilter("ignore")
    sys.path.insert(0, str(KERAS_TESTS))
    return {"keras": Keras, "tf_keras": TfKeras}[name]()


@dataclass(frozen=True)
class Format:
    """A format that a framework writes: its label, the file, how it is written, and what of the training it keeps."""

    label: str
    path: Path
    save: Callable[[Path], Any]
    training: str = "all"


class Side:
    """What is the same for both frameworks."""

    name = ""
    clearing: ClassVar[dict[str, bool]] = {}

    def __init__(self) -> None:
        self.keras: Any = import_module(self.name)
        self.tf: Any = import_module("tensorflow")
        self.tf.get_logger().setLevel("ERROR")
        self.keras.utils.disable_interactive_logging()

    def cases(self) -> dict[str, Callable[[], Any]]:
        """The models of this framework by name; importing them registers their classes."""
        raise AssertionError("each side has its own")

    def formats(self, model: Any, base: Path, heavy: bool) -> Iterator[Format]:  # noqa: ARG002
        """The formats in which this framework can write a model; heavy ones cost seconds."""
        raise AssertionError("each side has its own")

    def fresh(self) -> None:
        """Forget earlier models, and start every random number anew."""
        self.keras.backend.clear_session(**self.clearing)
        self.seed()

    def seed(self) -> None:
        self.keras.utils.set_random_seed(SEED)

    def load_weights(self, model: Any, bridge: str, path: str, *, training: bool) -> None:  # noqa: ARG002
        """Fill a model from a file of weights; a checkpoint with the training leaves nothing unbound."""
        raise AssertionError("each side has its own")

    def bound(self, status: Any, *, training: bool) -> None:
        """Demand that all of a checkpoint was used and every variable found, unless it holds no training on purpose.

        Then values that were not restored show, because they were scrambled.
        """
        if training:
            status.assert_existing_objects_matched()
            status.assert_consumed()
        else:
            status.expect_partial()

    def load(self, path: str) -> Any:
        """A whole model, compiled as its file says."""
        return self.keras.models.load_model(path)

    def from_json(self, text: str, original: Any) -> Any:
        """A model made of its config, with the values and the training of the original, which must fit."""
        model = self.keras.models.model_from_json(text)
        if not model.built:
            model.build(original.input_shape)
        model.set_weights(original.get_weights())
        for layer in model.layers:
            if type(layer).__name__ == "Normalization":  # it computes with what it makes of its weights
                layer.finalize_state()
        return model

    def batch(self, value: Any) -> Any:
        """Texts as the tensors that TensorFlow wants; everything else as it is."""
        if isinstance(value, dict):
            return {key: self.batch(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.batch(item) for item in value]
        is_text = isinstance(value, np.ndarray) and value.dtype.kind in "OU"
        return self.tf.constant(value.tolist(), dtype="string") if is_text else value

    def weights(self, model: Any) -> list[tuple[str, bool, Any]]:
        """Each weight once: the names of the layers that lead to it, whether it is trained, and its value."""
        trained = {id(variable) for variable in model.trainable_weights}
        nameable = bool(getattr(model, "_is_graph_network", False)) or type(model).__name__ == "Sequential"
        rows = self._by_layer(model, "") if nameable or self._functional(model) else (("", v) for v in model.weights)
        # tf_keras counts a vocabulary among the weights; it is no variable.
        return [(where, id(row) in trained, self.value(row)) for where, row in rows if hasattr(row, "assign")]

    def _functional(self, model: Any) -> bool:
        return type(model).__name__ in {"Functional", "Model"} and bool(model.layers)

    def _by_layer(self, model: Any, outer: str) -> Iterator[tuple[str, Any]]:
        seen: set[int] = set()
        for layer in model.layers:
            inner = isinstance(layer, self.keras.Model) and (self._functional(layer) or hasattr(layer, "add"))
            rows = (
                self._by_layer(layer, f"{outer}{layer.name}/")
                if inner
                else [(f"{outer}{layer.name}/", v) for v in layer.weights]
            )
            for path, variable in rows:
                if id(variable) not in seen:
                    seen.add(id(variable))
                    yield path, variable

    def optimizer(self, model: Any) -> list[Any]:  # noqa: ARG002
        """The variables of the model's optimizer, if it has one."""
        raise AssertionError("each side has its own")

    def value(self, variable: Any) -> Any:
        """A copy of the value of a variable."""
        return np.array(variable.numpy())

    def scramble(self, model: Any) -> None:
        """Make every value wrong, so that one which a weights file does not bring is seen."""
        for variable in [*filter(lambda weight: hasattr(weight, "assign"), model.weights), *self.optimizer(model)]:
            kind = str(getattr(variable.dtype, "name", variable.dtype))
            variable.assign(np.full(variable.shape, kind == "bool" or 1, self.value(variable).dtype))

    def observe(self, model: Any, data: Any, train: bool) -> dict[str, Any]:
        """Predict, and take three training steps, with random numbers that start anew."""
        x, y, w = self.batch(data["x"]), data.get("y"), data.get("w")
        seen: dict[str, Any] = {
            "weights": [value for _, _, value in self.weights(model)],
            "optimizer": [self.value(variable) for variable in self.optimizer(model)],
        }
        self.eager(model)
        self.seed()
        seen["predictions"] = self.plain(model.predict_on_batch(x))
        seen["losses"] = []
        if train and y is not None:
            self.seed()
            for _ in range(3):
                logs = model.train_on_batch(x, y, sample_weight=w, return_dict=True)
                seen["losses"].append({name: np.asarray(value, "float32") for name, value in logs.items()})
        return seen

    def eager(self, model: Any) -> None:
        """Run operation by operation: tracing a small model costs more."""
        model.run_eagerly = True

    def plain(self, value: Any) -> Any:
        """Predictions as nested lists and dicts of arrays."""
        if isinstance(value, dict):
            return {key: self.plain(item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.plain(item) for item in value]
        return np.asarray(value)

    def read(self, path: str) -> list[Any]:
        """The values of every variable of a checkpoint."""
        reader = self.tf.train.load_checkpoint(path.removesuffix(".index"))
        return [np.asarray(reader.get_tensor(name)) for name in sorted(reader.get_variable_to_shape_map())]

    def serve(self, path: str, data: Any) -> Any:
        """What the default signature of a SavedModel predicts, as a list in the order of the output names."""
        served = self.tf.saved_model.load(path)
        signature = served.signatures["serving_default"]
        leaves = self.tf.nest.flatten(self.batch(data["x"]))
        names = list(signature.structured_input_signature[1])
        found = signature(**{name: self.tf.convert_to_tensor(x) for name, x in zip(names, leaves, strict=True)})
        return [np.asarray(found[name]) for name in sorted(found)]


class Keras(Side):
    """Keras 3 on TensorFlow."""

    name = "keras"
    clearing: ClassVar[dict[str, bool]] = {"free_memory": False}  # looking for garbage costs more than a small model

    def cases(self) -> dict[str, Callable[[], Any]]:
        found: dict[str, Callable[[], Any]] = import_module("cases_keras").cases()
        return found

    def load(self, path: str) -> Any:
        # Keras 3.15 does not load the training part of its own legacy files: a loss "mse" has no class there, and the
        # optimizer knows no variables afterwards.
        return self.keras.models.load_model(path, compile=not path.endswith(".h5"))

    def eager(self, model: Any) -> None:
        import_module("corpus").spare_tracing(model)

    def optimizer(self, model: Any) -> list[Any]:
        optimizer = getattr(model, "optimizer", None)
        return list(optimizer.variables) if optimizer else []

    def value(self, variable: Any) -> Any:
        return np.array(self.keras.ops.convert_to_numpy(variable.value))

    def formats(self, model: Any, base: Path, heavy: bool) -> Iterator[Format]:
        yield Format("keras", base.with_suffix(".keras"), model.save)
        yield Format("keras-h5", base.with_suffix(".h5"), model.save)
        yield Format("keras-weights", base.with_suffix(".weights.h5"), model.save_weights)
        yield Format("keras-json", base.with_suffix(".json"), lambda path: path.write_text(model.to_json()), "none")
        sharded = base.parent / f"{base.name}-sharded" / "model.weights.json"
        size = SHARD_BYTES / 1024**3
        yield Format("keras-weights, sharded", sharded, lambda path: model.save_weights(path, max_shard_size=size))
        checkpoint = self.tf.train.Checkpoint(model=model)
        yield Format("tf-checkpoint", base.parent / f"{base.name}-ckpt" / "ckpt", checkpoint.write)
        if heavy:
            served = base.parent / f"{base.name}-export"
            yield Format("tf-savedmodel, export", served, lambda path: model.export(path, verbose=False), "none")

    def load_weights(self, model: Any, bridge: str, path: str, *, training: bool) -> None:
        """Fill a model from a file of weights."""
        if bridge == "tf-checkpoint":
            self.bound(self.tf.train.Checkpoint(model=model).restore(path.removesuffix(".index")), training=training)
        else:
            model.load_weights(path)


class TfKeras(Side):
    """tf_keras, which is Keras 2."""

    name = "tf_keras"

    def cases(self) -> dict[str, Callable[[], Any]]:
        found: dict[str, Callable[[], Any]] = import_module("cases_tf_keras").CASES
        return found

    def optimizer(self, model: Any) -> list[Any]:
        optimizer = getattr(model, "optimizer", None)
        found = []
        while optimizer:
            variables = optimizer.variables
            found += variables() if callable(variables) else variables
            optimizer = getattr(optimizer, "inner_optimizer", None)
        return list({id(variable): variable for variable in found}.values())

    def formats(self, model: Any, base: Path, heavy: bool) -> Iterator[Format]:
        old = isinstance(getattr(model, "optimizer", None), self.keras.optimizers.legacy.Optimizer)
        yield Format("keras", base.with_suffix(".keras"), model.save, "none" if old else "all")
        if self._functional(model) or hasattr(model, "add"):
            yield Format("keras-h5", base.with_suffix(".h5"), model.save)
            yield Format("keras-json", base.with_suffix(".json"), lambda path: path.write_text(model.to_json()), "none")
        yield Format("keras-h5-weights", base.parent / f"{base.name}-weights.h5", model.save_weights, "none")
        yield Format("keras-weights", base.with_suffix(".weights.h5"), model.save_weights, "none")
        prefix = base.parent / f"{base.name}-ckpt" / "ckpt"
        yield Format("tf-checkpoint", prefix, lambda path: model.save_weights(path, save_format="tf"))
        if heavy:
            traced, bare = (base.parent / f"{base.name}-{kind}" for kind in ("traced", "bare"))
            yield Format("tf-savedmodel", traced, lambda path: model.save(path, save_format="tf"))
            without = partial(model.save, save_format="tf", save_traces=False)
            yield Format("tf-savedmodel, no traces", bare, without)

    def load_weights(self, model: Any, bridge: str, path: str, *, training: bool) -> None:
        """Fill a model from a file of weights."""
        status = model.load_weights(path.removesuffix(".index"))
        if bridge == "tf-checkpoint":
            self.bound(status, training=training)
