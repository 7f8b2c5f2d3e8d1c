"""Lookup layers in checkpoints, judged by TensorFlow with tf_keras and Keras 3."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore"),  # those of the frameworks themselves
]
WORDS = ["a b c", "b c", "c"]


def integers(k: Any) -> tuple[Any, Any]:
    """A layer that adapted to integers, and inputs for it."""
    layer = k.layers.IntegerLookup()
    layer.adapt(np.array([[5], [5], [7]]))
    return layer, np.array([[5], [7], [9]], "int64")


def strings(k: Any) -> tuple[Any, Any]:
    """A layer that adapted to strings."""
    layer = k.layers.StringLookup()
    layer.adapt(np.array([[word] for word in WORDS]))
    return layer, np.array([["b c"], ["c"], ["z"]])


def given(k: Any) -> tuple[Any, Any]:
    """A layer with a vocabulary of its own."""
    return k.layers.StringLookup(vocabulary=["a", "b"]), np.array([["a"], ["b"], ["z"]])


def text(k: Any) -> tuple[Any, Any]:
    """A layer that adapted to text."""
    layer = k.layers.TextVectorization(max_tokens=10, output_sequence_length=3)
    layer.adapt(np.array(WORDS))
    return layer, np.array([["a b"], ["c"], ["z"]])


def weighted(k: Any) -> tuple[Any, Any]:
    """A layer that adapted to text and weighs it."""
    layer = k.layers.TextVectorization(output_mode="tf_idf")
    layer.adapt(np.array(WORDS))
    return layer, np.array([["a b"], ["c"], ["z"]])


CASES = [(dialect, make) for dialect in ("tf_keras", "keras") for make in (integers, strings, given, text)]
CASES.append(("tf_keras", weighted))


@pytest.mark.clause("KT-48@a1278c", "KT-54@0f0fd1")
@pytest.mark.parametrize(("dialect", "make"), CASES, ids=[f"{dialect}-{make.__name__}" for dialect, make in CASES])
def test_models_with_lookup_layers_are_restored_whole(tmp_path: Path, dialect: str, make: Any) -> None:
    """From a `.keras` file and from a checkpoint: nothing is left over on either side, and predictions are the same."""
    tf, k = pytest.importorskip("tensorflow"), pytest.importorskip(dialect)
    layer, values = make(k)
    inputs = tf.constant(values)
    enter = k.Input((1,), dtype=inputs.dtype.name)
    x = layer(enter)
    x = x if make is weighted else k.layers.Flatten()(k.layers.Embedding(10, 3)(x))
    model = k.Model(enter, k.layers.Dense(2)(x))
    expected = np.asarray(model(inputs)).tobytes()
    config = tmp_path / "m.keras"
    model.save(config)
    saved = tf.train.Checkpoint(model=model).save(str(tmp_path / "c" / "ckpt"))
    for source, of in ((config, None), (Path(saved), config)):
        prefix = tmp_path / f"of {source.name}" / "ckpt"
        etui.convert(source, prefix, to="tf-checkpoint", config=of)
        fresh = k.models.load_model(config)
        for variable in fresh.trainable_weights:
            variable.assign(variable * 0)
        if dialect == "tf_keras" and of is None:
            status = fresh.load_weights(str(prefix))
        else:
            status = tf.train.Checkpoint(model=fresh).restore(str(prefix))
        status.assert_consumed()
        status.assert_existing_objects_matched()
        assert np.asarray(fresh(inputs)).tobytes() == expected
    etui.convert(saved, tmp_path / "again.keras", to="keras", config=config, dialect=dialect)
    assert np.asarray(k.models.load_model(tmp_path / "again.keras")(inputs)).tobytes() == expected
