"""Every example of the Keras guide on saving and serialization, done with Etui."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.frameworks

Holds = Callable[[str], None]


@pytest.mark.clause("KL-1@4f7c15", "KL-11@751ab3")
def test_whole_model(holds: Holds) -> None:
    """A model that is saved whole predicts and goes on training bit for bit, and every variable is accounted for."""
    holds("whole_model")


@pytest.mark.clause("KL-9@a828e4")
def test_config_only(holds_once: Holds) -> None:
    """A config alone gives a model of the same architecture with new weights, as do from_config and JSON."""
    holds_once("config_only")


@pytest.mark.clause("KL-11@751ab3", "KL-21@f49dca")
def test_custom_layer_and_function(holds: Holds) -> None:
    """A registered layer and a registered function are found by their registered names."""
    holds("custom_layer_and_function")


@pytest.mark.clause("KL-21@f49dca")
def test_custom_objects_given(holds_once: Holds) -> None:
    """Classes and functions that nobody registered are taken from custom_objects, and a missing one is named."""
    holds_once("custom_objects_given")


@pytest.mark.clause("KL-11@751ab3")
def test_clone_in_memory(holds: Holds) -> None:
    """A clone has weights, optimizer, metrics and flags of its own, and goes on as the model does."""
    holds("clone_in_memory")


@pytest.mark.clause("KL-13@69ef50")
def test_weight_transfer_in_memory(holds_once: Holds) -> None:
    """Weights go from one model to another of the same names."""
    holds_once("weight_transfer_in_memory")


@pytest.mark.clause("KL-2@df506c", "KL-13@69ef50")
def test_functional_to_subclassed(holds_once: Holds) -> None:
    """Weights of a Functional model go into a subclassed one whose attributes have the layers' names."""
    holds_once("functional_to_subclassed")


@pytest.mark.clause("KL-17@e1f8ce")
def test_stateless_layers(holds_once: Holds) -> None:
    """Layers without variables on either side do not matter."""
    holds_once("stateless_layers")


@pytest.mark.clause("KL-2@df506c", "KL-9@a828e4", "KL-10@bf9d68")
def test_checkpoint_by_attribute_names(holds_once: Holds) -> None:
    """A checkpoint of a subclassed model names variables by attributes and restores weights and optimizer."""
    holds_once("checkpoint_by_attribute_names")


@pytest.mark.clause("KL-13@69ef50", "KL-14@e4243f", "KL-16@4b82d8")
def test_transfer_learning_with_a_cut_head(holds: Holds) -> None:
    """A pretrained body goes under a new head: by layers, or by naming the head that does not match."""
    holds("transfer_learning_with_a_cut_head")


@pytest.mark.clause("KL-3@de033e", "KL-13@69ef50")
def test_nested_trainable_toggles(holds: Holds) -> None:
    """Toggling trainable within a nested model changes flags and neither paths nor order."""
    holds("nested_trainable_toggles")
