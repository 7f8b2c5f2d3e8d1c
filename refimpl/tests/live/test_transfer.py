"""What is known of live models alone, on its way into files of the framework and back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.frameworks

Holds = Callable[[str], None]


@pytest.mark.clause("KL-27@8ad49b")
def test_adapters_are_merged(holds: Holds) -> None:
    """A trained low-rank adapter is added to what it adapts in files of Keras, as Keras adds it."""
    holds("adapters_are_merged")


@pytest.mark.clause("KL-27@8ad49b")
def test_an_adapter_of_a_quantized_kernel_is_refused(holds_once: Holds) -> None:
    """An adapter of a quantized kernel is not merged, and nothing is written."""
    holds_once("an_adapter_of_a_quantized_kernel_is_refused")


@pytest.mark.clause("KL-26@63bb9b")
def test_the_best_value_stays_out_of_files_of_the_framework(holds_once: Holds) -> None:
    """A checkpoint of the best model converts to a file of Keras, and resumes with its best value."""
    holds_once("the_best_value_stays_out_of_files_of_the_framework")


@pytest.mark.clause("KL-6@69361d")
def test_arguments_that_layers_forget(holds_once: Holds) -> None:
    """Arguments that layers and optimizers leave out of their configs are kept."""
    holds_once("arguments_that_layers_forget")


@pytest.mark.clause("KL-5@426279", "KL-11@751ab3", "KL-19@c6a8c0")
def test_optimizers_of_before(holds_once: Holds) -> None:
    """The older optimizers of tf_keras have their slots after a load, and the same next losses."""
    holds_once("optimizers_of_before")


@pytest.mark.clause("KL-5@426279", "KL-19@c6a8c0")
def test_an_optimizer_of_before_and_frozen_layers(holds_once: Holds) -> None:
    """An older optimizer keeps the slots of layers that were frozen since."""
    holds_once("an_optimizer_of_before_and_frozen_layers")


@pytest.mark.clause("KL-25@62c76b")
def test_configs_that_ask_for_memory(holds: Holds) -> None:
    """A config that asks for variables of a size which no file stores is refused before they are made."""
    holds("configs_that_ask_for_memory")


@pytest.mark.clause("KN-24@2c6ee1")
def test_names_that_keras_3_refuses(holds_once: Holds) -> None:
    """Variables, their flags and their slots find a layer whose name Keras 3 does not take."""
    holds_once("names_that_keras_3_refuses")
