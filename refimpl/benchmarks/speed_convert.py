"""The candidates of conversions: Etui, which needs no framework for them, and the frameworks' own loads and saves.

Each format's file is made once, by the framework that owns it. `from` is its way into memory for the framework, and
into an etui for Etui; `to` is the way back.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from speed_candidates import READ, Candidate, Key, Loaded, Tasks
from speed_etui import without_flush
from speed_frameworks import keras_model

import etui
from etui.conversion import read


@dataclass(frozen=True, slots=True)
class Format:
    """A format of Keras.

    Attributes:
        title: for people.
        file: name of the file, the folder or what the files' names begin with.
        name: what Etui calls it.
        whole: whether it has the config; otherwise Etui takes it from the `.keras` file.
    """

    title: str
    file: str
    name: str
    whole: bool = True


KERAS_FORMATS = (
    Format(".keras", "model.keras", "keras"),
    Format(".h5", "model.h5", "keras-h5"),
    Format(".weights.h5", "model.weights.h5", "keras-weights", whole=False),
)
TF_KERAS_FORMATS = (
    Format("SavedModel", "saved", "tf-savedmodel"),
    Format("TF checkpoint", "trained", "tf-checkpoint", whole=False),
    Format(".h5 of weights", "weights.h5", "keras-h5-weights", whole=False),
)


def from_(form: Format) -> str:
    """The axis of reading a format."""
    return f"from {form.title}"


def to(form: Format) -> str:
    """The axis of writing a format."""
    return f"to {form.title}"


class KerasItself(Candidate):
    """Keras 3 on TensorFlow."""

    name = "Keras"
    family = "keras"
    needs = ("keras", "tensorflow", "h5py")
    kinds = frozenset({"convert"})
    folder = True
    in_place = frozenset({(from_(KERAS_FORMATS[2]), "")})
    formats: ClassVar[tuple[Format, ...]] = KERAS_FORMATS

    @property
    def model(self) -> Any:
        """The model."""
        if "model" not in self.payload.shared:
            import keras

            self.payload.shared["model"] = keras_model(self.payload, keras)
        return self.payload.shared["model"]

    def prepare(self) -> None:
        """A file of each format."""
        for form in self.formats:
            self.saver(form)(self.shared)

    def gives(self, key: Key) -> bool:
        """A load gives a model, unless it fills one."""
        return key[0].startswith("from ") and key not in self.in_place

    def ready(self, axis: str) -> None:
        """The model, which some loads need as well."""
        if axis.startswith("to ") or (axis, "") in self.in_place:
            self.model  # noqa: B018  made now

    def tasks(self) -> Tasks:
        """Both ways of each format."""
        found: Tasks = {}
        for form in self.formats:
            found[from_(form), ""] = self.loader(form)
            found[to(form), ""] = self.saver(form)
        return found

    def saver(self, form: Format) -> Callable[[Path], Any]:
        """Saves into a folder."""
        if form.whole:
            return lambda path: self.model.save(path / form.file)
        return lambda path: self.model.save_weights(path / form.file)

    def loader(self, form: Format) -> Callable[[Path], Any]:
        """Loads the file that was made before anything was measured."""
        import keras

        source = self.shared / form.file
        if form.whole:
            return lambda _: keras.saving.load_model(source)
        return lambda _: self.model.load_weights(source)


class TfKerasItself(KerasItself):
    """tf_keras, which is Keras 2."""

    name = "tf_keras"
    family = "tf_keras"
    needs = ("tf_keras", "tensorflow", "h5py")
    formats = TF_KERAS_FORMATS
    in_place = frozenset((from_(form), "") for form in TF_KERAS_FORMATS[1:])

    @property
    def model(self) -> Any:
        """The model."""
        if "model" not in self.payload.shared:
            import tf_keras

            self.payload.shared["model"] = keras_model(self.payload, tf_keras)
        return self.payload.shared["model"]

    def prepare(self) -> None:
        """Also the file that the configs of those come from which have none."""
        super().prepare()
        self.model.save(self.shared / "config.keras")

    def saver(self, form: Format) -> Callable[[Path], Any]:
        """Saves into a folder."""
        if form.whole:
            return lambda path: self.model.save(path / form.file, save_format="tf")
        return lambda path: self.model.save_weights(str(path / form.file))

    def loader(self, form: Format) -> Callable[[Path], Any]:
        """Loads the file that was made before anything was measured."""
        import tf_keras

        source = str(self.shared / form.file)
        if form.whole:
            return lambda _: tf_keras.models.load_model(source)
        return lambda _: self.model.load_weights(source)


class Conversion(Candidate):
    """Etui."""

    name = "Etui"
    essential = True
    needs = ("h5py", "google_crc32c")
    kinds = frozenset({"convert"})
    folder = True
    owners: ClassVar[tuple[type[KerasItself], ...]] = (KerasItself, TfKerasItself)

    def prepare(self) -> None:
        """An etui of each format's file."""
        for form, config in self.formats():
            self.convert(self.shared / form.file, self.shared / f"{form.name}.etui", "etui", config)

    def formats(self) -> list[tuple[Format, Path | None]]:
        """The formats whose framework is installed, each with where its config comes from if it has none."""
        configs = {KerasItself: "model.keras", TfKerasItself: "config.keras"}
        return [
            (form, None if form.whole else self.shared / configs[owner])
            for owner in self.owners
            if not owner.missing()
            for form in owner.formats
        ]

    def convert(self, source: Path, target: Path, name: str, config: Path | None = None) -> None:
        """Convert without waiting for the device."""
        with without_flush():
            # What a format cannot hold, such as the losses in a file of weights, its own framework drops as well.
            etui.convert(source, target, to=name, config=config, strict=False)

    def ready(self, axis: str) -> None:
        """Nothing: sources are files."""

    def tasks(self) -> Tasks:
        """Both ways of each format."""
        found: Tasks = {}
        for form, config in self.formats():
            found[from_(form), ""] = self.reader(form, config)
            found[to(form), ""] = self.writer(form)
        return found

    def reader(self, form: Format, config: Path | None) -> Callable[[Path], Any]:
        """Converts to an etui."""
        return lambda path: self.convert(self.shared / form.file, path / f"{form.name}.etui", "etui", config)

    def writer(self, form: Format) -> Callable[[Path], Any]:
        """Converts from an etui."""
        return lambda path: self.convert(self.shared / f"{form.name}.etui", path / form.file, form.name)


class TensorFlowReader(Candidate):
    """TensorFlow's own reader of checkpoints."""

    name = "TensorFlow"
    family = "keras"
    needs = ("tensorflow",)
    kinds = frozenset({"checkpoints"})

    def prepare(self) -> None:
        """A checkpoint of a list of variables."""
        import tensorflow as tf

        variables = [tf.Variable(array) for array in self.payload.arrays.values()]
        tf.train.Checkpoint(variables=variables).write(str(self.shared / "tensors"))

    def ready(self, axis: str) -> None:  # noqa: ARG002  there is one axis
        """TensorFlow."""
        import tensorflow as tf  # noqa: F401  imported before the clock starts

    def tasks(self) -> Tasks:
        """Every tensor by its key."""
        import tensorflow as tf

        def load(_: Path) -> list[Any]:
            reader = tf.train.load_checkpoint(str(self.shared / "tensors"))
            return [reader.get_tensor(key) for key in reader.get_variable_to_shape_map()]

        return {(READ, ""): load}


class EtuiReader(Candidate):
    """Etui."""

    name = "Etui"
    essential = True
    needs = ("google_crc32c",)
    kinds = frozenset({"checkpoints"})

    def tasks(self) -> Tasks:
        """Every variable, copied into memory."""
        return {(READ, ""): self.load}

    def load(self, _: Path) -> Loaded:
        """Read, and copy."""
        model, _bridge = read(self.shared / "tensors")
        return Loaded(model, [tensor.numpy().copy() for _, _, tensor in model.stored_tensors()])


CONVERSIONS: tuple[type[Candidate], ...] = (KerasItself, TfKerasItself, Conversion, TensorFlowReader, EtuiReader)
