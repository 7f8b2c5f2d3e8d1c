"""Checkpoints that TensorFlow, tf_keras and Keras 3 wrote, and those that they restore."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.conversion import read
from etui.report import Report

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore"),  # those of the frameworks themselves
]

HERE = Path(__file__).parent


@dataclass
class Libraries:
    """The frameworks, imported once."""

    tf: Any
    tf_keras: Any
    keras: Any

    def of(self, dialect: str) -> Any:
        return self.keras if dialect == "keras" else self.tf_keras


@pytest.fixture(scope="module")
def libraries() -> Libraries:
    """Import the frameworks, with TensorFlow under Keras 3."""
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras
    import tensorflow as tf
    import tf_keras

    if keras.backend.backend() != "tensorflow":
        pytest.skip("Keras 3 runs on another backend in this process")
    return Libraries(tf, tf_keras, keras)


def plain(k: Any) -> Any:
    layers = [k.layers.Input((4,)), k.layers.Dense(3, activation="relu"), k.layers.BatchNormalization()]
    return k.Sequential([*layers, k.layers.Dense(2, use_bias=False)])


def wide(k: Any) -> Any:
    inputs = k.Input((4,))
    x = k.layers.Reshape((2, 2))(inputs)
    x = k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True))(x)
    x = k.layers.TimeDistributed(k.layers.Dense(4))(x)
    x = k.layers.MultiHeadAttention(2, 3)(x, x)
    x = k.layers.GlobalAveragePooling1D()(x)
    shared = k.layers.Dense(4, name="shared")
    return k.Model(inputs, k.layers.Dense(2, name="last")(shared(shared(x))))


def nested(k: Any) -> Any:
    inputs, inner = k.Input((4,)), k.Input((4,))
    first = k.Sequential([k.layers.Dense(4), k.layers.Dense(4)], name="first")
    second = k.Model(inner, k.layers.Dense(4)(first(inner)), name="second")
    return k.Model(inputs, k.layers.Dense(2)(second(first(inputs))))


def stacked(k: Any) -> Any:
    inputs = k.Input((4,))
    x = k.layers.RNN([k.layers.GRUCell(3), k.layers.LSTMCell(3)])(k.layers.Reshape((2, 2))(inputs))
    return k.Model(inputs, k.layers.Dense(2)(x))


def frozen(k: Any) -> Any:
    return k.Sequential([k.layers.Input((4,)), k.layers.Dense(4, trainable=False), k.layers.Dense(2)])


def images(k: Any) -> Any:
    layers = [k.layers.Reshape((2, 2, 1)), k.layers.SeparableConv2D(2, 1), k.layers.DepthwiseConv2D(2)]
    return k.Sequential([k.layers.Input((4,)), *layers, k.layers.PReLU(), k.layers.Flatten(), k.layers.Dense(2)])


def custom(k: Any) -> Any:
    @k.utils.register_keras_serializable("own")
    class Scale(k.layers.Layer):  # type: ignore[misc]
        def build(self, shape: Any) -> None:
            self.size = self.add_weight(name="size", shape=(int(shape[-1]),), initializer="ones")
            self.shift = self.add_weight(name="shift", shape=(int(shape[-1]),), initializer="zeros")

        def call(self, x: Any) -> Any:
            return x * self.size + self.shift

    return k.Sequential([k.layers.Input((4,)), k.layers.Dense(3), Scale(), k.layers.Dense(2)])


OPTIMIZERS: dict[str, Callable[[Any], Any]] = {
    "none": lambda _: None,
    "adam": lambda k: k.optimizers.Adam(0.01),
    "sgd": lambda k: k.optimizers.SGD(0.01, momentum=0.9),
    "plain sgd": lambda k: k.optimizers.SGD(0.01),
    "rmsprop": lambda k: k.optimizers.RMSprop(0.01, momentum=0.5, centered=True),
    "scheduled": lambda k: k.optimizers.AdamW(k.optimizers.schedules.ExponentialDecay(0.01, 10, 0.9), amsgrad=True),
    "loss scale": lambda k: k.optimizers.LossScaleOptimizer(k.optimizers.Adam(0.01)),
    "legacy nadam": lambda k: k.optimizers.legacy.Nadam(0.01),
    "legacy adam": lambda k: k.optimizers.legacy.Adam(0.01, amsgrad=True),
    "legacy sgd": lambda k: k.optimizers.legacy.SGD(0.01, momentum=0.9),
    "legacy rmsprop": lambda k: k.optimizers.legacy.RMSprop(0.01, momentum=0.5, centered=True),
    "legacy adagrad": lambda k: k.optimizers.legacy.Adagrad(0.01),
}
CASES: list[tuple[str, Callable[[Any], Any], str]] = [
    ("tf_keras", plain, "adam"),
    ("tf_keras", wide, "legacy rmsprop"),
    ("tf_keras", nested, "sgd"),
    ("tf_keras", stacked, "legacy adam"),
    ("tf_keras", images, "legacy sgd"),
    ("tf_keras", frozen, "scheduled"),
    ("tf_keras", plain, "legacy adagrad"),
    ("tf_keras", wide, "plain sgd"),
    ("tf_keras", custom, "adam"),
    ("tf_keras", plain, "legacy nadam"),
    ("keras", plain, "adam"),
    ("keras", plain, "loss scale"),
    ("keras", wide, "sgd"),
    ("keras", nested, "rmsprop"),
    ("keras", stacked, "adam"),
    ("keras", images, "none"),
    ("keras", frozen, "scheduled"),
    ("keras", custom, "adam"),
]
IDS = [f"{dialect}-{make.__name__}-{optimizer}" for dialect, make, optimizer in CASES]
X = np.random.default_rng(0).normal(size=(4, 4)).astype("float32")
Y = np.random.default_rng(1).normal(size=(4, 2)).astype("float32")


@dataclass
class Case:
    """A trained model in the formats of its framework, and what it does.

    Attributes:
        config: its `.keras` file.
        prefixes: its checkpoints: that of `tf.train.Checkpoint`, and for tf_keras that of `save_weights`.
    """

    dialect: str
    make: Callable[[Any], Any]
    optimizer: str
    config: Path
    prefixes: list[Path]
    predictions: bytes
    losses: list[float]


def built(libraries: Libraries, case: tuple[str, Callable[[Any], Any], str], steps: int) -> Any:
    """A model with an optimizer that has made this many steps."""
    dialect, make, name = case
    k = libraries.of(dialect)
    k.utils.set_random_seed(steps)
    model, optimizer = make(k), OPTIMIZERS[name](k)
    if optimizer is not None:
        model.compile(optimizer, "mse", run_eagerly=True)
        for _ in range(steps):
            model.train_on_batch(X, Y)
    return model


def outcome(model: Any, optimizer: str) -> tuple[bytes, list[float]]:
    """Predictions, and the losses of three steps."""
    predictions = np.asarray(model(X)).tobytes()
    return predictions, [float(model.train_on_batch(X, Y)) for _ in range(3)] if optimizer != "none" else []


def checkpoint_of(libraries: Libraries, dialect: str, model: Any) -> Any:
    """The object that saves and restores a model, as one does with its framework."""
    parts = {"model": model}
    if dialect == "tf_keras" and getattr(model, "optimizer", None) is not None:
        parts["optimizer"] = model.optimizer
    return libraries.tf.train.Checkpoint(**parts)


@pytest.fixture(scope="module")
def cases(libraries: Libraries, tmp_path_factory: pytest.TempPathFactory) -> list[Case]:
    """Every model, trained for two steps and saved."""
    found = []
    for case in CASES:
        folder = tmp_path_factory.mktemp("case")
        model = built(libraries, case, 2)
        model.save(folder / "m.keras")
        prefixes = [Path(checkpoint_of(libraries, case[0], model).save(str(folder / "c" / "ckpt")))]
        if case[0] == "tf_keras":
            model.save_weights(str(folder / "w" / "ckpt"))
            prefixes.append(folder / "w" / "ckpt")
        found.append(Case(*case, folder / "m.keras", prefixes, *outcome(model, case[2])))
    return found


@pytest.fixture(scope="module")
def others(libraries: Libraries, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Checkpoints of plain objects and of names, made as the small files here were."""
    folder = tmp_path_factory.mktemp("others")
    subprocess.run([sys.executable, HERE / "make_files.py", folder], check=True, capture_output=True)
    return [folder / "objects" / "ckpt-1", folder / "names" / "model-5", folder / "legacy" / "ckpt"]


@pytest.mark.clause("KT-12@c2a365", "KT-21@6f4dc9")
def test_every_tensor_is_read_as_tensorflow_reads_it(
    libraries: Libraries, cases: list[Case], others: list[Path], tmp_path: Path
) -> None:
    """In a process where no framework can be imported, every tensor has the bits that TensorFlow gives."""
    prefixes = [prefix for case in cases for prefix in case.prefixes] + others
    command = [sys.executable, HERE / "read_without.py", tmp_path / "found.npz", *prefixes]
    done = subprocess.run(list(map(str, command)), check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    compared = 0
    with np.load(tmp_path / "found.npz") as found:
        for number, prefix in enumerate(prefixes):
            reader = libraries.tf.train.load_checkpoint(str(prefix))
            for key, dtype in reader.get_variable_to_dtype_map().items():
                name = f"{number}:{key}" if f"{number}:{key}" in found else f"{number}@{key}"
                if dtype not in (libraries.tf.string, libraries.tf.variant):
                    assert found[name].tobytes() == reader.get_tensor(key).tobytes(), (prefix, key)
                    compared += 1
    assert len(prefixes) >= 12
    assert compared > 500


@pytest.mark.clause("KT-40@050382", "KT-42@f94b45", "KT-43@06552b")
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_a_checkpoint_with_a_config_is_the_model_of_the_keras_file(cases: list[Case], number: int) -> None:
    """Variables, flags, and slots by variable are those that the same model has in a `.keras` file."""
    case = cases[number]
    with read(case.config)[0] as expected:
        for prefix in case.prefixes:
            report = Report()
            with read(prefix, config=case.config, report=report)[0] as found:
                assert report.ok, report.lost
                assert found.weights is not None
                assert expected.weights is not None
                assert list(found.weights) == list(expected.weights)
                for path, variable in expected.weights.variables.items():
                    other = found.weights[path]
                    assert (other.dtype, other.trainable) == (variable.dtype, variable.trainable)
                    assert other.numpy().tobytes() == variable.numpy().tobytes()
                if expected.optimizer is None:
                    assert found.optimizer is None
                    continue
                one, two = (model.optimizer.optimizers["optimizer"] for model in (expected, found) if model.optimizer)
                assert two.step == 2
                assert two.algorithm == one.algorithm
                assert {name: tensor.numpy().tolist() for name, tensor in two.shared_slots.items()} == {
                    name: tensor.numpy().tolist() for name, tensor in one.shared_slots.items()
                } or "legacy" in case.optimizer
                one, two = one.inner or one, two.inner or two
                for path, slots in one.slots.items():
                    for name, tensor in slots.items():
                        assert two.slots[path][name].numpy().tobytes() == tensor.numpy().tobytes()
                if "legacy" in case.optimizer:
                    assert len(two.slots) == sum(variable.trainable for variable in found.weights.variables.values())


@pytest.mark.clause("KT-44@630d40", "KT-45@2a6131", "KT-50@5363d7", "KT-51@3d9756", "KT-52@03898e")
@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_written_checkpoints_are_restored_whole(
    libraries: Libraries, cases: list[Case], tmp_path: Path, number: int
) -> None:
    """A fresh model takes the checkpoint, nothing is left over, and predicts and trains as the source does."""
    case = cases[number]
    sources: list[tuple[Path, Path | None]] = [(prefix, case.config) for prefix in case.prefixes]
    if "legacy" not in case.optimizer and case.make is not custom:
        sources.append((case.config, None))  # it does not hold the slots of legacy optimizers, nor names of attributes
    for at, (source, config) in enumerate(sources):
        etui.convert(source, tmp_path / f"{at}.etui", config=config)
        prefix = tmp_path / str(at) / "ckpt"
        etui.convert(tmp_path / f"{at}.etui", prefix, to="tf-checkpoint", shard_size=100 if at else None)
        model = built(libraries, CASES[number], 1)
        whole = source == case.prefixes[0] or case.dialect == "keras"
        if whole:
            assert libraries.tf.train.latest_checkpoint(str(prefix.parent)) == str(prefix)
            checkpoint_of(libraries, case.dialect, model).restore(str(prefix)).assert_consumed()
        else:
            model.load_weights(str(prefix)).assert_consumed()
        assert outcome(model, case.optimizer) == (case.predictions, case.losses)


@pytest.mark.clause("KT-35@32f542", "KT-36@b47f25")
def test_checkpoints_without_a_config_are_restored(
    libraries: Libraries, cases: list[Case], others: list[Path], tmp_path: Path
) -> None:
    """Objects that are not known come back whole: models of both Keras, plain objects, and names."""
    tf = libraries.tf
    for number, case in enumerate(cases):
        prefix = tmp_path / str(number) / "ckpt"
        etui.convert(case.prefixes[0], tmp_path / "m.etui")
        etui.convert(tmp_path / "m.etui", prefix, to="tf-checkpoint")
        model = built(libraries, CASES[number], 1)
        checkpoint_of(libraries, case.dialect, model).restore(str(prefix)).assert_consumed()
        assert outcome(model, case.optimizer) == (case.predictions, case.losses)
    for number, source in enumerate(others):
        prefix = tmp_path / f"other {number}" / "ckpt"
        etui.convert(source, prefix, to="tf-checkpoint")
        assert sorted(tf.train.list_variables(str(prefix))) == sorted(tf.train.list_variables(str(source)))
    objects = tmp_path / "other 0" / "ckpt"
    step, iterator = tf.Variable(0), iter(tf.data.Dataset.range(5))
    tf.train.Checkpoint(step=step, it=iterator).restore(str(objects)).expect_partial()
    assert (int(step), int(next(iterator))) == (3, 1)


@pytest.mark.clause("KT-37@1cb0e5")
def test_a_model_of_paths_is_restored_by_tensorflow(libraries: Libraries, tmp_path: Path) -> None:
    """Weights of no framework are restored into objects after their paths."""
    tf = libraries.tf
    weights = etui.Weights()
    weights.add("enc/w", etui.Tensor.of(np.array([1.0, 2.0], np.float32)), role="w")
    weights.add("enc/b", etui.Tensor.of(np.array(5)), role="b", trainable=False)
    weights.aliases["dec/w"] = "enc/w"
    etui.save(etui.Model(weights=weights), tmp_path / "m.etui")
    etui.convert(tmp_path / "m.etui", tmp_path / "c" / "ckpt", to="tf-checkpoint")
    enc, dec = tf.Module(), tf.Module()
    enc.w, enc.b = tf.Variable([0.0, 0.0]), tf.Variable(np.array(0))
    dec.w = enc.w
    tf.train.Checkpoint(enc=enc, dec=dec).restore(tf.train.latest_checkpoint(str(tmp_path / "c"))).assert_consumed()
    assert enc.w.numpy().tolist() == [1.0, 2.0]
    assert int(enc.b) == 5


@pytest.mark.library
@pytest.mark.parametrize(("source", "target"), [("tf_keras", "keras"), ("keras", "tf_keras")])
def test_a_checkpoint_of_the_other_keras_is_restored(
    libraries: Libraries, cases: list[Case], tmp_path: Path, source: str, target: str
) -> None:
    """A model of one Keras is written as the objects of the other, which restores it whole and predicts the same."""
    met = 0
    for number, case in enumerate(cases):
        if (case.dialect, case.optimizer) == (source, "adam") and case.make is plain:
            prefix = tmp_path / str(number) / "ckpt"
            etui.convert(case.prefixes[0], tmp_path / "m.etui", config=case.config)
            etui.convert(tmp_path / "m.etui", prefix, to="tf-checkpoint", dialect=target)
            model = built(libraries, (target, case.make, case.optimizer), 1)
            if target == "keras":
                checkpoint_of(libraries, target, model).restore(str(prefix)).assert_consumed()
            else:
                model.load_weights(str(prefix)).assert_consumed()
            expected = np.frombuffer(case.predictions, np.float32)
            assert np.allclose(np.asarray(model(X)).reshape(-1), expected, rtol=1e-6, atol=1e-7)
            assert np.allclose([float(model.train_on_batch(X, Y)) for _ in range(3)], case.losses, rtol=1e-5)
            met += 1
    assert met == 1
