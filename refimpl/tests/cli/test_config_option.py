"""`etui convert --config` and `--dialect`: what a source lacks, and which Keras a target is for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import etui

pytestmark = pytest.mark.library
Run = Callable[..., Any]


def test_weights_and_a_config_are_a_whole_model(run: Run, keras_file: str) -> None:
    """The weights and the JSON of a model, written apart, give the model again."""
    assert run("convert", keras_file, "x.weights.h5").code == 0
    assert run("convert", keras_file, "x.json").code == 0
    assert run("convert", "x.weights.h5", "again.keras", "--config", "x.json").code == 0
    found = etui.diff(keras_file, "again.keras")
    assert found.tensors == 1
    assert {change.area for change in found.changes} <= {"layout", "native"}


def test_a_config_for_a_source_that_has_one_is_wrong(run: Run, keras_file: str) -> None:
    """The exit code is that of wrong usage, and nothing is written."""
    answer = run("convert", keras_file, "new.etui", "--config", keras_file)
    assert answer.code == 2
    assert "reader-misuse" in answer.err


def test_a_dialect_is_one_of_two(run: Run, keras_file: str) -> None:
    """The option takes the names of the two Keras, for formats that both have."""
    assert run("convert", keras_file, "old.json", "--dialect", "tf_keras").code == 0
    assert run("convert", "old.json", "old.etui", "--dialect", "tf_keras").code == 2
    assert run("convert", keras_file, "new.json", "--dialect", "theano").code == 2
