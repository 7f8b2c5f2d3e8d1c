"""Makes the models of the demo with real Keras: trained on data that is drawn here, and saved as Keras saves them.

    KERAS_BACKEND=tensorflow python refimpl/examples/make_demo_model.py [FOLDER]

`shapes.keras` is a small convolutional classifier of drawn discs, squares and crosses, trained with AdamW and a cosine
schedule; `words.keras` tells questions from statements, with a vocabulary asset, a masked GRU and RMSprop.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

SIDE = 16


def drawn_shapes(count: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Noisy pictures [count, 16, 16, 1] of discs, squares and crosses, and their classes [count]."""
    labels = generator.integers(0, 3, count)
    centre = generator.uniform(5, SIDE - 5, (count, 2, 1, 1))
    radius = generator.uniform(2, 5, (count, 1, 1))
    y, x = np.mgrid[:SIDE, :SIDE]
    dy, dx = np.abs(y - centre[:, 0]), np.abs(x - centre[:, 1])
    disc = np.hypot(dx, dy) < radius
    square = np.maximum(dx, dy) < radius * 0.85
    cross = (np.minimum(dx, dy) < 1) & (np.maximum(dx, dy) < radius)
    pictures = np.choose(labels[:, None, None], [disc, square, cross]).astype("float32")
    return (pictures + generator.normal(0, 0.1, pictures.shape).astype("float32"))[..., None], labels


def shapes_model() -> keras.Model:
    """A trained convolutional classifier, Functional."""
    pictures, labels = drawn_shapes(512, np.random.default_rng(0))
    inputs = keras.Input((SIDE, SIDE, 1), name="picture")
    x = inputs
    for index, filters in enumerate((8, 16)):
        x = keras.layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{index}")(x)
        x = keras.layers.BatchNormalization(name=f"norm_{index}")(x)
        x = keras.layers.Activation("relu", name=f"relu_{index}")(x)
        x = keras.layers.MaxPooling2D(name=f"pool_{index}")(x)
    x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
    x = keras.layers.Dropout(0.1, seed=1, name="drop")(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="shape")(x), name="shapes")
    schedule = keras.optimizers.schedules.CosineDecay(0.01, decay_steps=200)
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.004)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pictures, labels, batch_size=32, epochs=6, verbose=0)
    return model


def words_model() -> keras.Model:
    """A trained text classifier, Sequential, whose vocabulary is an asset."""
    subjects = ("the cat", "a model", "this layer", "my file", "the weights")
    verbs = ("sleeps", "learns", "is saved", "was lost", "comes back")
    statements = [f"{subject} {verb}" for subject in subjects for verb in verbs]
    questions = [f"{word} {subject} {verb}" for word in ("why", "when") for subject in subjects for verb in verbs]
    texts = np.array(statements + questions, dtype=object).reshape(-1, 1)
    labels = np.array([0.0] * len(statements) + [1.0] * len(questions), "float32")
    lookup = keras.layers.TextVectorization(max_tokens=40, output_sequence_length=6, name="words")
    lookup.adapt(texts[:, 0])
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="string", name="text"),
            lookup,
            keras.layers.Embedding(40, 8, mask_zero=True, name="embedding"),
            keras.layers.Bidirectional(keras.layers.GRU(6), name="reader"),
            keras.layers.Dense(1, activation="sigmoid", name="is_question"),
        ],
        name="words",
    )
    model.compile(keras.optimizers.RMSprop(0.01, momentum=0.5), "binary_crossentropy", metrics=["accuracy"])
    import tensorflow as tf  # strings travel only as TensorFlow tensors

    model.fit(tf.constant(texts.tolist()), labels, batch_size=15, epochs=20, verbose=0)
    return model


def main() -> None:
    """Train and save both models."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "models"
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(0)
    for model in (shapes_model(), words_model()):
        path = folder / f"{model.name}.keras"
        model.save(path)
        accuracy = model.history.history["accuracy"][-1]
        print(f"{path.name}: {model.count_params()} parameters, accuracy {accuracy:.2f}, {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
