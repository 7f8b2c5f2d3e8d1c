"""Preprocessing layers: vocabularies as assets, adapted statistics, hashing, image augmentation, spectrograms."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers

from .registry import STRINGS, TENSORFLOW_ONLY, Sample, case, classes, fit, numbers, register

WORDS = np.array(["red", "green", "blue", "größe", "red", "red", "blue", "naïve", "日本"])
TEXTS = np.array(
    ["the cat sat on the mat", "a dog; a cat!", "größer als die Katze", "THE dog sat on the cat", "日本 cat"]
)


def _column(values: np.ndarray, rows: int = 8) -> np.ndarray:
    return np.resize(values, (rows, 1))


@case(TENSORFLOW_ONLY, STRINGS)
def string_lookup() -> Sample:
    inputs = keras.Input((1,), dtype="string")
    adapted = layers.StringLookup(num_oov_indices=2, name="adapted")
    adapted.adapt(WORDS)
    given = layers.StringLookup(vocabulary=["blue", "green", "red"], mask_token="", output_mode="multi_hot")
    code = layers.Flatten()(layers.Embedding(adapted.vocabulary_size(), 4)(adapted(inputs)))
    model = keras.Model(inputs, layers.Dense(2)(layers.Concatenate()([code, given(inputs)])))
    model.compile("adam", "mse")
    return fit(model, _column(WORDS), numbers(8, 2, seed=3))


@case(TENSORFLOW_ONLY, STRINGS)
def string_lookup_with_odd_words() -> Sample:
    words = [
        "",
        "[UNK]",
        "two words",
        "tab\there",
        'quote"',
        "comma,",
        "\\n",
        "emoji 🙂",
        "line\u2028end",
        "\u00e9",
        "e\u0301",
    ]
    lookup = layers.StringLookup(vocabulary=words[2:], output_mode="tf_idf", idf_weights=np.arange(1, 10) / 4)
    back = layers.StringLookup(vocabulary=words[2:], invert=True)
    text, ids = keras.Input((1,), dtype="string"), keras.Input((1,), dtype="int64")
    model = keras.Model([text, ids], [lookup(text), back(ids)])
    return Sample(model, [_column(np.array(words), 11), np.arange(11).reshape(11, 1)])


@case(("tensorflow", "torch"), "Keras on JAX cannot look integers up inside a model")
def integer_lookup() -> Sample:
    inputs = keras.Input((3,), dtype="int64")
    adapted = layers.IntegerLookup(max_tokens=6, num_oov_indices=2, mask_token=0, output_mode="count")
    adapted.adapt(np.array([5, 5, 9, 9, 9, -4, 2**40, 7, 7, 7, 7]))
    model = keras.Model(inputs, layers.Dense(2)(adapted(inputs)))
    model.compile("adam", "mse")
    return fit(model, np.resize(np.array([5, 9, -4, 7, 1]), (8, 3)), numbers(8, 2, seed=3))


@case(TENSORFLOW_ONLY, STRINGS)
def text_vectorization() -> Sample:
    inputs = keras.Input((1,), dtype="string", name="text")
    vectorize = layers.TextVectorization(max_tokens=20, output_sequence_length=6, name="words")
    vectorize.adapt(TEXTS)
    x = layers.Embedding(20, 4, mask_zero=True)(vectorize(inputs))
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(layers.LSTM(4)(x)))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return fit(model, _column(TEXTS), classes(2, 8, 1).astype("float32"))


@case(TENSORFLOW_ONLY, STRINGS)
def text_vectorization_modes() -> Sample:
    inputs = keras.Input((1,), dtype="string", name="text")
    weighted = layers.TextVectorization(output_mode="tf_idf", ngrams=2, pad_to_max_tokens=True, max_tokens=16)
    weighted.adapt(TEXTS)
    letters = layers.TextVectorization(split="character", output_sequence_length=5, standardize="lower")
    letters.adapt(TEXTS)
    fixed = layers.TextVectorization(vocabulary=["cat", "dog"], output_mode="multi_hot", standardize=None)
    numbered = layers.Rescaling(0.5)(letters(inputs))
    model = keras.Model(inputs, [weighted(inputs), numbered, fixed(inputs)])
    return Sample(model, _column(TEXTS, 5))


@case(TENSORFLOW_ONLY, STRINGS)
def text_model_as_submodel() -> Sample:
    vectorize = layers.TextVectorization(output_sequence_length=5)
    vectorize.adapt(TEXTS)
    encoder = keras.Sequential([keras.Input((1,), dtype="string"), vectorize, layers.Embedding(30, 4), layers.GRU(4)])
    one, two = keras.Input((1,), dtype="string", name="one"), keras.Input((1,), dtype="string", name="two")
    lookup = layers.StringLookup(vocabulary=["cat", "dog"], output_mode="one_hot")
    outer = keras.Sequential([keras.Input((1,), dtype="string"), encoder, layers.Dense(3)], name="outer")
    joined = layers.Concatenate()([outer(one), outer(two), lookup(two)])
    model = keras.Model([one, two], layers.Dense(1)(joined))
    model.compile("adam", "mse")
    return fit(model, [_column(TEXTS), _column(np.array(["cat", "dog", "cow"]))], numbers(8, 1, seed=3))


@case(TENSORFLOW_ONLY, STRINGS)
def hashing_and_crossing_of_strings() -> Sample:
    one, two = keras.Input((1,), dtype="string"), keras.Input((1,), dtype="string")
    plain = layers.Hashing(5, mask_value="", output_mode="one_hot")(one)
    salted = layers.Hashing(7, salt=[133, 137], output_mode="multi_hot")(two)
    crossed = layers.HashedCrossing(6, output_mode="one_hot")((one, two))
    model = keras.Model([one, two], layers.Dense(1)(layers.Concatenate()([plain, salted, crossed])))
    model.compile("adam", "mse")
    return fit(model, [_column(WORDS), _column(WORDS[::-1])], numbers(8, 1, seed=3))


@case()
def numeric_features() -> Sample:
    inputs, count = keras.Input((3,), name="values"), keras.Input((2,), dtype="int32", name="counts")
    adapted = layers.Normalization(axis=-1)
    adapted.adapt(numbers(32, 3, seed=8) * 5 + 2)
    given = layers.Normalization(axis=None, mean=1.5, variance=4.0)
    undo = layers.Normalization(axis=-1, mean=[0.5, 1.0, 1.5], variance=[1.0, 2.0, 3.0], invert=True)
    bins = layers.Discretization(num_bins=4, epsilon=0.05, output_mode="one_hot")
    bins.adapt(numbers(64, 1, seed=8))
    fixed = layers.Discretization(bin_boundaries=[-0.5, 0.0, 0.75], output_mode="multi_hot")
    parts = [
        adapted(inputs),
        undo(given(inputs)),
        bins(inputs[:, :1]),
        fixed(inputs),
        layers.CategoryEncoding(5, output_mode="count")(count),
        layers.CategoryEncoding(5, output_mode="multi_hot")(count),
    ]
    model = keras.Model([inputs, count], layers.Dense(1)(layers.Concatenate()(parts)))
    model.compile("adam", "mse")
    return fit(model, [numbers(8, 3), classes(5, 8, 2)], numbers(8, 1, seed=3))


def _augment(*augmentations: layers.Layer) -> Sample:
    model = keras.Sequential(
        [keras.Input((8, 8, 3)), layers.Rescaling(1 / 4, offset=0.5), *augmentations, layers.Flatten(), layers.Dense(2)]
    )
    model.compile("sgd", "mse")
    return fit(model, numbers(4, 8, 8, 3).clip(-2, 2), numbers(4, 2, seed=3))


@case()
def image_augmentation_geometry() -> Sample:
    return _augment(
        layers.RandomFlip("horizontal_and_vertical", seed=1),
        layers.RandomRotation(0.1, fill_mode="constant", seed=2),
        layers.RandomZoom((-0.2, 0.1), seed=3),
        layers.RandomTranslation(0.1, (0.1, 0.2), seed=4),
        layers.RandomCrop(7, 7, seed=5),
        layers.Resizing(8, 8, crop_to_aspect_ratio=True),
    )


@case()
def image_augmentation_colour() -> Sample:
    return _augment(
        layers.RandomBrightness(0.1, value_range=(0, 1), seed=1),
        layers.RandomContrast(0.1, value_range=(0, 1), seed=2),
        layers.RandomSaturation(0.3, value_range=(0, 1), seed=3),
        layers.RandomHue(0.1, value_range=(0, 1), seed=4),
        layers.RandomGrayscale(0.4, seed=5),
        layers.RandomErasing(0.5, scale=(0.05, 0.2), value_range=(0, 1), seed=6),
        layers.Solarization(0.1, value_range=(0, 1), seed=7),
        layers.RandomPosterization(4, value_range=(0, 1), seed=8),
    )


@case()
def image_augmentation_pipeline() -> Sample:
    flips = layers.Pipeline(
        [layers.RandomFlip("vertical", seed=3), layers.RandomContrast(0.2, value_range=(0, 1), seed=4)]
    )
    return _augment(flips, layers.RandAugment(value_range=(0, 1), num_ops=1, seed=5))


@case()
def spectrograms() -> Sample:
    wave = keras.Input((256,))
    mel = layers.MelSpectrogram(fft_length=64, sequence_stride=32, num_mel_bins=8, sampling_rate=2000, max_freq=900)
    short = layers.STFTSpectrogram(frame_length=32, frame_step=16, fft_length=32, trainable=False)
    parts = [layers.Flatten()(mel(wave)), layers.Flatten()(short(layers.Reshape((256, 1))(wave)))]
    model = keras.Model(wave, layers.Dense(1)(layers.Concatenate()(parts)))
    model.compile("sgd", "mse")
    return fit(model, numbers(4, 256), numbers(4, 1, seed=3))


register("rescaling_only", _augment)
