"""The models and the data of the relay: digits for a convolutional network, prose for a recurrent one.

Both data sets are files that scikit-learn ships: 1,797 images of handwritten digits, and the descriptions of its data
sets, of which windows of words are to be told apart. The batches follow from the number of the step alone, so that
every runner of the relay sees what the uninterrupted run sees.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Batches = Callable[[int], tuple[np.ndarray, np.ndarray]]
WINDOW = 12
WORDS = 400
TEXTS = 14
BATCH = 64


@dataclass(frozen=True)
class Task:
    """A model and what it is trained on.

    Attributes:
        title: for people.
        build: the compiled Keras model.
        batches: inputs and targets of a step.
    """

    title: str
    build: Callable[[], Any]
    batches: Callable[[], Batches]


def _shuffled(inputs: np.ndarray, targets: np.ndarray) -> Batches:
    order = np.random.default_rng(0).permutation(len(inputs))

    def batch(step: int) -> tuple[np.ndarray, np.ndarray]:
        rows = order[np.arange(step * BATCH, (step + 1) * BATCH) % len(order)]
        return inputs[rows], targets[rows]

    return batch


def digits() -> Batches:
    """Images of shape [64, 8, 8, 1], float32 from 0 to 1, and their digits, int32."""
    from sklearn.datasets import load_digits

    data = load_digits()
    return _shuffled((data.images[..., None] / 16).astype("float32"), data.target.astype("int32"))


def prose() -> Batches:
    """Windows of 12 word numbers, int32 of shape [64, 12], 0 where a window is short, and the text they are from."""
    from importlib.resources import files

    descriptions = files("sklearn.datasets.descr").iterdir()
    texts = sorted((one for one in descriptions if one.name.endswith(".rst")), key=lambda one: one.name)
    words = [re.findall("[a-z]+", one.read_text(encoding="utf-8").lower()) for one in texts]
    known, counts = np.unique([word for text in words for word in text], return_counts=True)
    common = known[np.argsort(-counts, kind="stable")][:WORDS]
    number = {str(word): at for at, word in enumerate(common, 1)}
    windows, targets = [], []
    for target, text in enumerate(words):
        numbers = [number[word] for word in text if word in number]
        for start in range(0, len(numbers), WINDOW // 2):
            window = numbers[start : start + WINDOW]
            windows.append(window + [0] * (WINDOW - len(window)))
            targets.append(target)
    return _shuffled(np.array(windows, "int32"), np.array(targets, "int32"))


def convolutional() -> Any:
    """A network with batch normalization, trained by Adam with an exponential decay of the rate.

    All functions are smooth: where a ReLU or a maximum decides otherwise, the last bit grows from step to step.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((8, 8, 1), name="image"),
            layers.Conv2D(16, 3, padding="same", use_bias=False, name="edges"),
            layers.BatchNormalization(name="edges_norm"),
            layers.Activation("gelu", name="edges_gelu"),
            layers.AveragePooling2D(2, name="pool"),
            layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="shapes"),
            layers.BatchNormalization(name="shapes_norm"),
            layers.Activation("gelu", name="shapes_gelu"),
            layers.Flatten(name="flatten"),
            layers.Dense(10, name="digit", kernel_regularizer=keras.regularizers.L2(1e-3)),
        ],
        name="digits",
    )
    rate = keras.optimizers.schedules.ExponentialDecay(2e-3, decay_steps=20, decay_rate=0.8)
    model.compile(keras.optimizers.Adam(rate), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def recurrent() -> Any:
    """An LSTM over word embeddings with masks, trained by AdamW with clipped gradients."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    words = keras.Input((WINDOW,), dtype="int32", name="words")
    x = layers.Embedding(WORDS + 1, 24, mask_zero=True, name="embedding")(words)
    x = layers.Bidirectional(layers.LSTM(24), name="reader")(x)
    x = layers.Dense(32, activation="gelu", name="hidden")(x)
    x = layers.LayerNormalization(name="norm")(x)
    model = keras.Model(words, layers.Dense(TEXTS, name="text")(x), name="prose")
    model.compile(
        keras.optimizers.AdamW(5e-3, weight_decay=1e-2, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


TASKS = {
    "digits": Task("CNN with batch normalization, digits", convolutional, digits),
    "prose": Task("Bidirectional LSTM, prose", recurrent, prose),
}
