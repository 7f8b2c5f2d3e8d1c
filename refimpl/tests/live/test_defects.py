"""Defects of Keras 3.15.1 and tf_keras 2.21 that users of Etui do not meet."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.frameworks

Holds = Callable[[str], None]


@pytest.mark.clause("KL-6@69361d")
def test_losses_keep_their_arguments(holds: Holds) -> None:
    """Huber's delta and CosineSimilarity's axis are kept, in losses and metrics, alone and in structures."""
    holds("losses_keep_their_arguments")


@pytest.mark.clause("KL-5@426279")
def test_the_optimizer_survives_an_h5(holds_once: Holds) -> None:
    """A save as `.h5` before does not cost the optimizer."""
    holds_once("the_optimizer_survives_an_h5")


@pytest.mark.clause("KL-7@926f14")
def test_metrics_go_on(holds: Holds) -> None:
    """Metrics have the state that they had, and go on from it."""
    holds("metrics_go_on")


@pytest.mark.clause("KL-7@926f14")
def test_metrics_of_several_outputs(holds_once: Holds) -> None:
    """So have the metrics and loss trackers of a model with several outputs."""
    holds_once("metrics_of_several_outputs")


@pytest.mark.clause("KL-3@de033e")
def test_flags_of_single_variables(holds: Holds) -> None:
    """A variable that was frozen by itself is frozen after a load."""
    holds("flags_of_single_variables")


@pytest.mark.clause("KL-13@69ef50", "KL-15@53bd3e", "KL-18@09f200")
def test_names_that_keras_counts(holds_once: Holds) -> None:
    """Other automatic names do not leave random weights: the load is refused, and works by order on request."""
    holds_once("names_that_keras_counts")


@pytest.mark.clause("KL-13@69ef50")
def test_swapped_layers(holds_once: Holds) -> None:
    """Layers of equal shape in another order get their own weights."""
    holds_once("swapped_layers")


@pytest.mark.clause("KL-5@426279", "KL-19@c6a8c0")
def test_unfrozen_after_compile(holds: Holds) -> None:
    """Slots and counters survive that a layer was unfrozen after training."""
    holds("unfrozen_after_compile")


@pytest.mark.clause("KL-5@426279", "KL-19@c6a8c0")
def test_frozen_after_training(holds_once: Holds) -> None:
    """Slots survive that a layer was frozen after training."""
    holds_once("frozen_after_training")


@pytest.mark.library
def test_a_failed_save_changes_nothing(holds_once: Holds) -> None:
    """A save that fails leaves the earlier artifact, and nothing beside it."""
    holds_once("a_failed_save_changes_nothing")


@pytest.mark.clause("KL-1@4f7c15", "KL-11@751ab3")
def test_numbers_that_a_layer_saves_itself(holds: Holds) -> None:
    """What a layer's own method saves may be numbers and lists of Python, as the framework takes them."""
    holds("numbers_that_a_layer_saves_itself")


@pytest.mark.clause("KL-21@f49dca")
def test_functions_of_the_framework(holds_once: Holds) -> None:
    """A loss or metric that is a function of the framework's own needs no one to register it."""
    holds_once("functions_of_the_framework")


@pytest.mark.clause("KL-1@4f7c15")
def test_a_save_to_hdf5_comes_first(holds_once: Holds) -> None:
    """A model that the framework saved to HDF5 before, after which tf_keras describes it otherwise, is saved alike."""
    holds_once("a_save_to_hdf5_comes_first")


@pytest.mark.clause("KL-13@69ef50", "KL-19@c6a8c0")
def test_files_of_tf_keras_in_keras(holds: Holds) -> None:
    """Files of tf_keras that Keras 3 refuses load in it with weights, slots and counters."""
    holds("files_of_tf_keras_in_keras")


@pytest.mark.clause("KL-13@69ef50")
def test_weights_files_of_the_framework(holds_once: Holds) -> None:
    """A weights file of the framework is read along the live model's config."""
    holds_once("weights_files_of_the_framework")


@pytest.mark.clause("KL-11@751ab3")
def test_exact_learning_rate(holds_once: Holds) -> None:
    """A learning rate that was set during training comes back with its every bit."""
    holds_once("exact_learning_rate")
