"""SavedModels that TensorFlow, tf_keras and Keras 3 write, and their verdict on what Etui made of them.

    python saved_model_oracle.py build FOLDER     every case below FOLDER/made, FOLDER/build.json, FOLDER/answers.npz
    python saved_model_oracle.py judge FOLDER     FOLDER/verdict.json, from FOLDER/converted.json and what it names

`build.json` is {case: {"kind": ..., "tensors": {key: [dtype, sha256 of the bytes]}, "losses": [...]}}.
`verdict.json` is {case: {check: "" or what differs}}.
"""

from __future__ import annotations

import hashlib
import json
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras

X = np.random.RandomState(0).rand(8, 4).astype("float32")
Y = np.random.RandomState(1).rand(8, 2).astype("float32")
IDS = np.random.RandomState(2).randint(0, 10, (8, 5)).astype("int32")
TEXT = np.array([["x z"], ["yy q"]])
STEPS = 3
CASES: dict[str, tuple[str, Callable[[Path], Any]]] = {}
L = tf_keras.layers


def case(kind: str) -> Callable[[Callable[[Path], Any]], Callable[[Path], Any]]:
    """Register a maker: it saves to the path, and returns the live model of a case of Keras with its inputs."""

    def add(make: Callable[[Path], Any]) -> Callable[[Path], Any]:
        CASES[make.__name__] = (kind, make)
        return make

    return add


@tf_keras.utils.register_keras_serializable("etui")
class Scaled(tf_keras.layers.Layer):  # type: ignore[misc]
    """A layer of an author: variables in a list, layers in a list and a map, one variable that is not trained."""

    def build(self, shape: Any) -> None:
        self.a = self.add_weight("a", (shape[-1],), initializer="ones")
        self.ws = [self.add_weight("w0", (2,)), self.add_weight("w1", (2,), trainable=False)]
        self.inner = [L.Dense(4), L.Dense(2)]
        self.z = self.add_weight("z", ())
        self.named = {"q": L.Dense(2)}

    def call(self, x: Any) -> Any:
        x = self.inner[1](self.inner[0](x * self.a))
        return self.named["q"](x) + self.ws[0] + self.ws[1] + self.z

    def get_config(self) -> dict[str, Any]:
        return dict(super().get_config())


@tf_keras.utils.register_keras_serializable("etui")
class Stacked(tf_keras.Model):  # type: ignore[misc]
    """A subclassed model."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first = L.Dense(3, activation="relu")
        self.rest = [L.Dense(2), L.Dense(2)]

    def call(self, x: Any) -> Any:
        x = self.first(x)
        for layer in self.rest:
            x = layer(x)
        return x


def trained(model: Any, optimizer: Any, x: Any = X, y: Any = Y) -> Any:
    model.compile(optimizer, "mse", metrics=["mae"])
    model.train_on_batch(x, y)
    model.train_on_batch(x, y)
    return model


@case("keras")
def mlp(path: Path) -> Any:
    """Dense layers, traced: the one whose served output NumPy knows."""
    model = trained(
        tf_keras.Sequential([L.Dense(3, "relu", input_shape=(4,), name="one"), L.Dense(2, name="two")], "mlp"),
        tf_keras.optimizers.Adam(0.01),
    )
    model.save(path)
    return model, X


@case("keras")
def normalized(path: Path) -> Any:
    """Batch normalization and a frozen layer, not traced."""
    frozen = L.Dense(3, name="frozen", trainable=False)
    model = trained(
        tf_keras.Sequential([L.InputLayer((4,)), frozen, L.BatchNormalization(), L.Dropout(0.0), L.Dense(2)]),
        tf_keras.optimizers.AdamW(0.01, use_ema=True),
    )
    model.save(path, save_traces=False)
    return model, X


@case("keras")
def legacy_adam(path: Path) -> Any:
    """An optimizer of before TensorFlow 2.11, whose slots hang on its variables."""
    model = trained(
        tf_keras.Sequential([L.Dense(3, input_shape=(4,)), L.BatchNormalization(), L.Dense(2)]),
        tf_keras.optimizers.legacy.Adam(0.01, amsgrad=True),
    )
    model.save(path)
    return model, X


@case("keras")
def legacy_rmsprop(path: Path) -> Any:
    """The same with three kinds of slots."""
    model = trained(
        tf_keras.Sequential([L.Dense(2, input_shape=(4,))]),
        tf_keras.optimizers.legacy.RMSprop(0.01, momentum=0.5, centered=True),
    )
    model.save(path, save_traces=False)
    return model, X


@case("keras")
def recurrent(path: Path) -> Any:
    """Layers that hold layers and cells."""
    i = tf_keras.Input((5,), dtype="int32")
    h = L.Embedding(10, 4, mask_zero=True)(i)
    h = L.Bidirectional(L.LSTM(3, return_sequences=True))(h)
    h = L.RNN([L.LSTMCell(2), L.GRUCell(3)], return_sequences=True)(h)
    h = L.TimeDistributed(L.Dense(2))(h)
    model = trained(tf_keras.Model(i, L.GRU(2)(h)), tf_keras.optimizers.SGD(0.1, momentum=0.9), IDS)
    model.save(path, save_traces=False)
    return model, IDS


@case("keras")
def branched(path: Path) -> Any:
    """A shared layer, a nested model, operations, two outputs."""
    i = tf_keras.Input((4,), name="i")
    shared = L.Dense(3, kernel_regularizer="l2", name="shared")
    inner = tf_keras.Sequential([L.Dense(3), L.LayerNormalization()], name="inner")
    h = inner(shared(i)) + shared(i) * 2.0
    h = tf.nn.relu(h)
    model = tf_keras.Model(i, [L.Dense(2, name="o")(h), L.Dense(2, name="p")(h)])
    model.compile(tf_keras.optimizers.Adamax(0.01), {"o": "mse", "p": "mae"}, loss_weights={"o": 1.0, "p": 0.5})
    model.train_on_batch(X, [Y, Y])
    model.save(path)
    return model, X


@case("keras")
def convolutional(path: Path) -> Any:
    """Convolutions of three kinds, and attention."""
    i = tf_keras.Input((4, 4, 2))
    h = L.Conv2D(3, 2, padding="same")(i)
    h = L.SeparableConv2D(4, 2)(L.DepthwiseConv2D(2)(h))
    h = L.Reshape((4, 4))(L.PReLU()(h))
    h = L.MultiHeadAttention(2, 3)(h, h)
    model = tf_keras.Model(i, L.Dense(2)(L.GlobalAveragePooling1D()(h)))
    x = np.random.RandomState(3).rand(8, 4, 4, 2).astype("float32")
    trained(model, "rmsprop", x).save(path, save_traces=False)
    return model, x


@case("keras")
def authored(path: Path) -> Any:
    """A layer of an author in a Functional model."""
    i = tf_keras.Input((4,))
    model = trained(tf_keras.Model(i, Scaled(name="scaled")(i)), tf_keras.optimizers.SGD(0.1, momentum=0.9))
    model.save(path)
    return model, X


@case("keras")
def subclassed(path: Path) -> Any:
    """A subclassed model: its calls are in its code and in the graphs."""
    model = trained(Stacked(), "rmsprop")
    model.save(path)
    return model, X


@case("keras")
def text(path: Path) -> Any:
    """A vocabulary that is in the graph."""
    vectorize = L.TextVectorization(max_tokens=8, output_sequence_length=3, vocabulary=["x", "yy", "z"])
    model = tf_keras.Sequential(
        [tf_keras.Input((1,), dtype="string"), vectorize, L.Embedding(9, 2), L.Flatten(), L.Dense(1)]
    )
    model.save(path)
    return model, TEXT


@case("keras")
def adapted(path: Path) -> Any:
    """Vocabularies that were learned, of integers, from a file, and with weights."""
    words = path.parent / "words.txt"
    words.write_text("x\nyy\n")
    learned = L.TextVectorization(max_tokens=8, output_sequence_length=3)
    learned.adapt(["x z x", "yy q"])
    i = tf_keras.Input((1,), dtype="string")
    lookup = L.StringLookup(vocabulary=str(words))
    weighted = L.StringLookup(vocabulary=["x", "yy"], output_mode="tf_idf", idf_weights=[1.0, 2.0])
    numbers = L.IntegerLookup(vocabulary=[3, 2])(learned(i))
    model = tf_keras.Model(i, [numbers, lookup(i), weighted(i)])
    model.save(path)
    return model, TEXT


@case("keras")
def mixed(path: Path) -> Any:
    """Mixed precision with a loss scaler, whose scale is so large at first that a few steps are skipped."""
    tf_keras.utils.set_random_seed(1)  # with other weights other steps are skipped, or none
    policy = tf_keras.mixed_precision.Policy("mixed_float16")
    layers = [L.Dense(3, input_shape=(4,), dtype=policy), L.Dense(2, dtype="float32")]
    optimizer = tf_keras.mixed_precision.LossScaleOptimizer(tf_keras.optimizers.Adam(0.01), initial_scale=2.0**18)
    model = trained(tf_keras.Sequential(layers), optimizer)
    model.save(path, save_traces=False)
    return model, X


@case("keras")
def of_2_4(path: Path) -> Any:
    """The form of TensorFlow 2.4, whose objects hold their metadata."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tf_keras.protobuf import saved_metadata_pb2

    model = trained(tf_keras.Sequential([L.Dense(3, input_shape=(4,)), L.Dense(2)]), "adam")
    model.save(path)
    graph, metadata = saved_model_pb2.SavedModel(), saved_metadata_pb2.SavedMetadata()
    graph.ParseFromString((path / "saved_model.pb").read_bytes())
    metadata.ParseFromString((path / "keras_metadata.pb").read_bytes())
    for node in metadata.nodes:
        graph.meta_graphs[0].object_graph_def.nodes[node.node_id].user_object.metadata = node.metadata
    (path / "saved_model.pb").write_bytes(graph.SerializeToString())
    (path / "keras_metadata.pb").unlink()
    return model, X


@case("plain")
def keras_saved_by_tensorflow(path: Path) -> Any:
    """`tf.saved_model.save` of a Keras model without the metadata of Keras."""
    model = tf_keras.Sequential([L.Dense(3, input_shape=(4,)), L.Dense(2)])
    tf.saved_model.save(model, str(path))
    (path / "keras_metadata.pb").unlink(missing_ok=True)


@case("plain")
def keras_3_export(path: Path) -> Any:
    """What Keras 3 exports: variables twice, no topology."""
    import keras

    keras.utils.set_random_seed(1)  # or else no unit of it may be active on the fixed input
    layers = [keras.Input((4,)), keras.layers.Dense(3, "relu", name="one"), keras.layers.Dense(2, name="two")]
    keras.Sequential(layers, name="mlp").export(str(path), verbose=False)


@case("plain")
def keras_3_normalized(path: Path) -> Any:
    """The same with state that is not trained."""
    import keras

    i = keras.Input((4,))
    h = keras.layers.BatchNormalization()(keras.layers.Dense(3)(i))
    keras.Model(i, [h, keras.layers.Dense(2)(h)]).export(str(path), verbose=False)


@case("archive")
def keras_3_branched(path: Path) -> Any:
    """A `.keras` file of Keras 3 whose branches are of unequal depth, so that tf_keras lists its layers otherwise."""
    import keras

    i = keras.Input((4,), name="i")
    long = keras.layers.Dense(3, name="long_1")(i)
    short = keras.layers.Dense(3, name="short")(i)
    long = keras.layers.Dense(3, name="long_2")(long)
    inner = keras.Sequential([keras.layers.Dense(3, "relu"), keras.layers.LayerNormalization()], name="inner")
    late = keras.layers.Dense(3, name="late")(keras.layers.Add()([short, inner(long)]))
    model = keras.Model(i, keras.layers.Dense(2, name="out")(late))
    return saved_by_keras_3(model, path)


@case("archive")
def keras_3_sequential(path: Path) -> Any:
    """The same of a Sequential model with convolutions and normalization."""
    import keras

    layers = [
        *(keras.Input((4,)), keras.layers.Reshape((2, 2, 1)), keras.layers.Conv2D(3, 2, padding="same")),
        *(keras.layers.BatchNormalization(), keras.layers.Flatten(), keras.layers.Dense(2)),
    ]
    return saved_by_keras_3(keras.Sequential(layers), path)


def saved_by_keras_3(model: Any, path: Path) -> Any:
    import keras

    model.compile(keras.optimizers.Adam(0.01), "mse")
    model.train_on_batch(X, Y)
    model.train_on_batch(X, Y)
    made = path.with_suffix(".keras")
    model.save(made)
    made.rename(path)
    return model, X


@case("plain")
def module(path: Path) -> Any:
    """Variables in maps and lists, bfloat16, a table that is read from an asset, two signatures."""
    vocabulary = path.parent / "words.txt"
    vocabulary.write_text("a\nb\nc\n")

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.w = tf.Variable(np.arange(8, dtype="float32").reshape(4, 2), name="w")
            self.parts = {"scale": tf.Variable(3.0), "list": [tf.Variable(tf.ones(2, tf.bfloat16), trainable=False)]}
            self.words = tf.Variable(["één", ""], name="words", trainable=False)
            index = tf.lookup.TextFileIndex
            initializer = tf.lookup.TextFileInitializer(
                str(vocabulary), tf.string, index.WHOLE_LINE, tf.int64, index.LINE_NUMBER
            )
            self.table = tf.lookup.StaticVocabularyTable(initializer, 1)

        @tf.function(input_signature=[tf.TensorSpec((None, 4))])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            return {"y": x @ self.w * self.parts["scale"] + tf.cast(self.parts["list"][0], tf.float32)}

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])  # type: ignore[untyped-decorator]
        def look(self, t: Any) -> Any:
            return {"ids": self.table.lookup(t)}

    made = Module()
    tf.saved_model.save(made, str(path), signatures={"serving_default": made.__call__, "look": made.look})


@case("plain")
def stateful_table(path: Path) -> Any:
    """A table whose keys and values are in the bundle."""

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.v = tf.Variable([1.0, 2.0])
            self.table = tf.lookup.experimental.MutableHashTable(tf.string, tf.float32, -1.0)
            self.table.insert(tf.constant(["a", "bb"]), tf.constant([1.0, 2.0]))

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)])  # type: ignore[untyped-decorator]
        def look(self, t: Any) -> Any:
            return {"found": self.table.lookup(t) * self.v[1]}

    made = Module()
    tf.saved_model.save(made, str(path), signatures={"serving_default": made.look})


@case("plain")
def calls_python(path: Path) -> Any:
    """A graph that would run Python: nothing may run it here but TensorFlow itself, which has not the function."""

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.v = tf.Variable([1.0, 2.0])

        @tf.function(input_signature=[tf.TensorSpec((2,))])  # type: ignore[untyped-decorator]
        def run(self, x: Any) -> Any:
            y = tf.py_function(lambda value: value, [x], tf.float32)
            return {"y": tf.ensure_shape(y, (2,)) + self.v}

    made = Module()
    tf.saved_model.save(made, str(path), signatures={"other": made.run})


@case("plain")
def tensorflow_1(path: Path) -> Any:
    """Variables by name, no objects."""
    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, (None, 4), name="x")
        w = v1.get_variable("scope/w", initializer=np.ones((4, 2), "float32"), use_resource=False)
        y = tf.matmul(x, w)
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(path), {"x": x}, {"y": y})


def tensors_of(folder: Path) -> dict[str, list[str]]:
    """Every tensor of a bundle as TensorFlow reads it: dtype and a hash of its bytes."""
    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    found = {}
    for key, dtype in reader.get_variable_to_dtype_map().items():
        value = np.asarray(reader.get_tensor(key))
        data = b"\0".join(value.reshape(-1).tolist()) if value.dtype == object else value.tobytes()
        found[key] = [dtype.name, hashlib.sha256(data).hexdigest()]
    return found


def served(folder: Path) -> dict[str, Any]:
    """The output of every signature on a fixed input."""
    loaded = tf.saved_model.load(str(folder))
    found = {}
    for name, signature in sorted(loaded.signatures.items()):
        if name != "other":
            outputs = signature(**{key: fixed(spec) for key, spec in signature.structured_input_signature[1].items()})
            found.update({f"{name}/{key}": np.asarray(value) for key, value in outputs.items()})
    return found


def fixed(spec: Any) -> Any:
    if spec.dtype == tf.string:
        return tf.constant(TEXT if spec.shape.rank == 2 else np.array(["a", "bb", "?"]))
    shape = [3 if size is None else size for size in spec.shape]
    return tf.constant(np.random.RandomState(5).rand(*shape), spec.dtype)


def flat(value: Any) -> list[Any]:
    return [np.asarray(item) for item in tf.nest.flatten(value)]


def build(folder: Path) -> None:
    facts: dict[str, Any] = {}
    answers: dict[str, Any] = {}
    for name, (kind, make) in CASES.items():
        path = folder / "made" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        live = make(path)
        facts[name] = {"kind": kind, "tensors": {}, "losses": []}
        if kind != "archive":
            facts[name]["tensors"] = tensors_of(path)
            answers.update({f"{name}/serve/{key}": value for key, value in served(path).items()})
        if live is not None:
            model, x = live
            answers.update({f"{name}/predict/{at}": value for at, value in enumerate(flat(model(x)))})
            if model.optimizer is not None:
                y = [Y, Y] if len(flat(model(x))) > 1 else Y
                losses = [model.train_on_batch(x, y) for _ in range(STEPS)]
                facts[name]["losses"] = [float(np.ravel(loss)[0]) for loss in losses]
    np.savez(folder / "answers.npz", **answers)
    (folder / "build.json").write_text(json.dumps(facts))


INPUTS: dict[str, Any] = {"recurrent": IDS, "text": TEXT, "adapted": TEXT}


def inputs_of(name: str) -> Any:
    if name == "convolutional":
        return np.random.RandomState(3).rand(8, 4, 4, 2).astype("float32")
    return INPUTS.get(name, X)


class Judge:
    """What the frameworks say to the folders that Etui wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts = json.loads((folder / "build.json").read_text())
        self.answers = np.load(folder / "answers.npz")

    def expected(self, prefix: str) -> dict[str, Any]:
        return {key[len(prefix) :]: self.answers[key] for key in self.answers.files if key.startswith(prefix)}

    def serve(self, name: str, path: str) -> str:
        found, expected = served(Path(path)), self.expected(f"{name}/serve/")
        if found.keys() != expected.keys():
            return f"signatures {sorted(found)}, not {sorted(expected)}"
        return differing(found, expected)

    def predict(self, name: str, path: str) -> str:
        model = tf_keras.models.load_model(path, compile=False)
        outputs = {str(at): value for at, value in enumerate(flat(model(inputs_of(name))))}
        expected = self.expected(f"{name}/predict/")
        if self.facts[name]["kind"] == "archive":
            # Keras 3 has no other operations than tf_keras, and may order them otherwise.
            return "" if np.allclose(outputs["0"], expected["0"], rtol=1e-5, atol=1e-7) else "0 differs"
        return differing(outputs, expected)

    def resume(self, name: str, path: str) -> str:
        """The losses of the next three steps."""
        model = tf_keras.models.load_model(path)
        x = inputs_of(name)
        y = [Y, Y] if len(flat(model(x))) > 1 else Y
        found = [float(np.ravel(model.train_on_batch(x, y))[0]) for _ in range(STEPS)]
        losses = self.facts[name]["losses"]
        # Another Keras computes the same updates in another order of operations.
        equal = np.allclose(found, losses, rtol=1e-5) if self.facts[name]["kind"] == "archive" else found == losses
        return "" if equal and losses else f"{found}, not {losses}"

    def tensors(self, name: str, path: str) -> str:
        found, expected = tensors_of(Path(path)), self.facts[name]["tensors"]
        wrong = sorted(key for key in found.keys() | expected.keys() if found.get(key) != expected.get(key))
        return f"tensors {wrong}" if wrong else ""

    def halved(self, name: str, path: str) -> str:
        """The served output over changed weights, against NumPy's."""
        x = np.asarray(fixed(tf.TensorSpec((None, 4))))
        found = served(Path(path))
        if name == "module":
            w = np.arange(8, dtype="float32").reshape(4, 2) / 2
            expected = {"serving_default/y": x @ w * np.float32(3) + 1}
        else:
            reader = tf.train.load_checkpoint(str(self.folder / "made" / name / "variables" / "variables"))
            keys = (
                [f"variables/{at}" for at in range(4)]
                if name == "keras_3_export"
                else [f"layer_with_weights-{at}/{part}" for at in (0, 1) for part in ("kernel", "bias")]
            )
            k, b, m, c = (reader.get_tensor(f"{key}/.ATTRIBUTES/VARIABLE_VALUE") for key in keys)
            output = np.maximum(x @ (k / 2) + b, 0) @ m + c
            expected = dict.fromkeys(found, output)
        close = {key: np.allclose(found[key], expected[key], rtol=1e-5, atol=1e-6) for key in expected if key in found}
        wrong = [key for key in close if not close[key]]
        unchanged = [key for key in expected if np.allclose(expected[key], self.answers[f"{name}/serve/{key}"])]
        return f"{wrong} differ, {unchanged} are as before" if wrong or unchanged else ""


def differing(found: dict[str, Any], expected: dict[str, Any]) -> str:
    wrong = [key for key in expected if key not in found or not np.array_equal(found[key], expected[key])]
    return f"{wrong} differ" if wrong else ""


def judge(folder: Path) -> None:
    judging = Judge(folder)
    jobs = json.loads((folder / "converted.json").read_text())
    verdict: dict[str, dict[str, str]] = {}
    for name, ways in jobs.items():
        for way, result in ways.items():
            for check in result["checks"]:
                try:
                    said = getattr(judging, check)(name, result["path"])
                except Exception:
                    said = traceback.format_exc(limit=-3)
                verdict.setdefault(name, {})[f"{way}: {check}"] = said
    (folder / "verdict.json").write_text(json.dumps(verdict, indent=1))


if __name__ == "__main__":
    {"build": build, "judge": judge}[sys.argv[1]](Path(sys.argv[2]))
