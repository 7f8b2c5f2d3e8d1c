"""The candidates of the benchmark that need a framework: torch, Keras on TensorFlow, TensorFlow's own, Orbax.

Frameworks are imported when a task is first made ready, in a process that no candidate of another family shares.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from speed_candidates import COPIED, MAPPED, ONE, OPEN, SAVE, WRITING, Candidate, Tasks
from speed_cases import SLOTS, Payload

GRAPH = "its graph of objects, or of layers, takes minutes to build"


class TorchSafetensors(Candidate):
    """safetensors for torch."""

    name = "safetensors (torch)"
    family = "torch"
    needs = ("torch",)

    def ready(self, axis: str) -> None:
        """Tensors that share the arrays' memory."""
        import safetensors.torch  # noqa: F401  imported before the clock starts
        import torch

        if axis in WRITING and "tensors" not in self.payload.shared:
            arrays = self.payload.arrays
            self.payload.shared["tensors"] = {name: torch.from_numpy(array) for name, array in arrays.items()}

    def tasks(self) -> Tasks:
        """What the library offers; it checks nothing."""
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        def copied(path: Path) -> list[Any]:
            return [tensor.clone() for tensor in load_file(path).values()]

        def one(path: Path) -> Any:
            with safe_open(path, "pt") as file:
                return file.get_tensor(self.one).clone()

        def names(path: Path) -> list[str]:
            with safe_open(path, "pt") as file:
                return list(file.keys())

        return {
            (SAVE, ""): lambda path: save_file(self.payload.shared["tensors"], path),
            (COPIED, ""): copied,
            (MAPPED, ""): load_file,
            (ONE, ""): one,
            (OPEN, ""): names,
        }


class TorchSave(TorchSafetensors):
    """torch.save of state dicts."""

    name = "torch.save"

    def tasks(self) -> Tasks:
        """Save and load."""
        import torch

        def save(path: Path) -> None:
            tensors = self.payload.shared["tensors"]
            tree: dict[str, Any] = {"model": {name: tensors[name] for name in self.case.paths()}}
            if self.case.slots:
                state = {
                    index: {"step": 1, **{slot: tensors[f"{slot}/{name}"] for slot in SLOTS}}
                    for index, name in enumerate(self.case.paths())
                }
                tree["optimizer"] = {"state": state, "param_groups": [{"lr": 0.001, "params": list(state)}]}
            torch.save(tree, path)

        return {
            (SAVE, ""): save,
            (COPIED, ""): torch.load,
            (MAPPED, ""): lambda path: torch.load(path, mmap=True),
            (ONE, ""): lambda path: torch.load(path, mmap=True)["model"][self.one].clone(),
            (OPEN, ""): lambda path: list(torch.load(path, mmap=True)["model"]),
        }


def keras_model(payload: Payload, keras: Any) -> Any:
    """The Keras model of a case, with its weights and, where the case has slots, a compiled Adam with them.

    Args:
        payload: of a case with `layers`.
        keras: Keras 3 or tf_keras.
    """
    case = payload.case
    inputs = keras.Input((case.shapes[0][0],))
    if case.layers == "dense":
        outputs = inputs
        for index in range(case.tensors):
            units = case.shape(index)[1]
            outputs = keras.layers.Dense(units, use_bias=False, name=f"dense_{index}")(outputs)
    else:
        # Side by side: Keras walks a chain by recursion.
        outputs = [keras.layers.BatchNormalization(name=f"norm_{i}")(inputs) for i in range(case.tensors // 4)]
    model = keras.Model(inputs, outputs, name="model")
    for variable, array in zip(model.variables, payload.weights().values(), strict=True):
        variable.assign(array)
    if case.slots:
        model.compile("adam", keras.losses.MeanSquaredError())
        model.optimizer.build(model.trainable_variables)
        variables = model.optimizer.variables
        slots = [array for slot in SLOTS for array in payload.slot(slot).values()]
        by_shape: dict[tuple[int, ...], list[Any]] = {}
        for array in slots:
            by_shape.setdefault(array.shape, []).append(array)
        for variable in variables() if callable(variables) else variables:
            if len(variable.shape) > 1:
                variable.assign(by_shape[tuple(variable.shape)].pop())
    return model


class KerasFile(Candidate):
    """A `.keras` file."""

    name = ".keras"
    family = "keras"
    needs = ("keras", "tensorflow", "h5py")
    most = 4_000
    why = GRAPH
    folder = True

    @property
    def model(self) -> Any:
        """The model, whose arrays are dropped once its variables have them."""
        if "model" not in self.payload.shared:
            import keras

            self.payload.shared["model"] = keras_model(self.payload, keras)
            self.payload.__dict__.pop("arrays", None)
        return self.payload.shared["model"]

    @property
    def variables(self) -> list[Any]:
        """TensorFlow's variables in the model, slots included."""
        optimizer = [self.model.optimizer] if self.case.slots else []
        return [variable.value for owner in (self.model, *optimizer) for variable in owner.variables]

    def ready(self, axis: str) -> None:
        """Keras, and for a save the model."""
        import keras  # noqa: F401  imported before the clock starts

        if axis in WRITING:
            self.model  # noqa: B018  made now

    def tasks(self) -> Tasks:
        """Save and load the whole model."""
        import keras

        # The suffix tells Keras the format.
        return {
            (SAVE, ""): lambda path: self.model.save(path / "model.keras"),
            (COPIED, ""): lambda path: keras.saving.load_model(path / "model.keras"),
        }


class WeightsFile(KerasFile):
    """A `.weights.h5` file."""

    name = ".weights.h5"
    in_place = frozenset({(COPIED, "")})

    def ready(self, axis: str) -> None:
        """The model, which a load needs as well."""
        super().ready(axis)
        self.model  # noqa: B018  made now

    def tasks(self) -> Tasks:
        """Save the weights and load them into a model that is there."""
        return {
            (SAVE, ""): lambda path: self.model.save_weights(path / "model.weights.h5"),
            (COPIED, ""): lambda path: self.model.load_weights(path / "model.weights.h5"),
        }


class Checkpoint(KerasFile):
    """TensorFlow's checkpoint of the same variables."""

    name = "TF Checkpoint"

    def tasks(self) -> Tasks:
        """Save, and read by TensorFlow's own reader."""
        import tensorflow as tf

        def save(path: Path) -> None:
            tf.train.Checkpoint(variables=self.variables).write(str(path / "checkpoint"))

        def reader(path: Path) -> Any:
            return tf.train.load_checkpoint(str(path / "checkpoint"))

        def load(path: Path) -> list[Any]:
            found = reader(path)
            return [found.get_tensor(key) for key in found.get_variable_to_shape_map()]

        def key(path: Path) -> Any:
            index = self.case.tensors // 2
            return reader(path).get_tensor(f"variables/{index}/.ATTRIBUTES/VARIABLE_VALUE")

        return {
            (SAVE, ""): save,
            (COPIED, ""): load,
            (ONE, ""): key,
            (OPEN, ""): lambda path: list(reader(path).get_variable_to_shape_map()),
        }


class SavedModel(KerasFile):
    """A SavedModel of the same variables, without a function."""

    name = "SavedModel"

    def tasks(self) -> Tasks:
        """Save and load."""
        import tensorflow as tf

        def save(path: Path) -> None:
            module = tf.Module()
            module.all = self.variables
            tf.saved_model.save(module, str(path / "saved"))

        return {(SAVE, ""): save, (COPIED, ""): lambda path: tf.saved_model.load(str(path / "saved"))}


class Orbax(Candidate):
    """Orbax on JAX, one tree."""

    name = "Orbax"
    family = "orbax"
    needs = ("orbax", "jax")
    most = 4_000
    why = "a save takes more than a millisecond for each tensor"
    folder = True

    def ready(self, axis: str) -> None:
        """The tree of the arrays."""
        import orbax.checkpoint

        super().ready(axis)
        if "checkpointer" not in self.payload.shared:
            self.payload.shared["checkpointer"] = orbax.checkpoint.PyTreeCheckpointer()
        if axis in WRITING and "tree" not in self.payload.shared:
            tree: dict[str, Any] = {}
            for name, array in self.payload.arrays.items():
                *groups, leaf = name.split("/")
                node = tree
                for group in groups:
                    node = node.setdefault(group, {})
                node[leaf] = array
            self.payload.shared["tree"] = tree

    def tasks(self) -> Tasks:
        """Save and restore, each to its end."""
        shared = self.payload.shared
        return {
            (SAVE, ""): lambda path: shared["checkpointer"].save(path / "tree", shared["tree"]),
            (COPIED, ""): lambda path: shared["checkpointer"].restore(path / "tree"),
            (OPEN, ""): lambda path: shared["checkpointer"].metadata(path / "tree"),
        }


FRAMEWORKS: tuple[type[Candidate], ...] = (
    TorchSafetensors,
    TorchSave,
    Checkpoint,
    SavedModel,
    WeightsFile,
    KerasFile,
    Orbax,
)
