"""What goes with a live model beside its weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.frameworks

Holds = Callable[[str], None]


@pytest.mark.clause("KL-5@426279", "KL-11@751ab3")
def test_optimizers_of_every_kind(holds_once: Holds) -> None:
    """Models with each kind of optimizer go on training bit for bit."""
    holds_once("optimizers_of_every_kind")


@pytest.mark.clause("KL-7@926f14", "KL-11@751ab3")
def test_dropout_goes_on(holds: Holds) -> None:
    """The random streams of dropout and noise go on where they were."""
    holds("dropout_goes_on")


@pytest.mark.clause("KL-7@926f14")
def test_streams_out_of_reach_are_reported(holds: Holds) -> None:
    """Streams that TensorFlow keeps to itself are named in the reports of save and load."""
    holds("streams_out_of_reach_are_reported")


@pytest.mark.clause("KL-8@28b7c8")
def test_adapters_stay_apart(holds: Holds) -> None:
    """A low-rank adapter stays apart from its kernel and goes on training."""
    holds("adapters_stay_apart")


@pytest.mark.clause("KL-1@4f7c15", "KL-11@751ab3")
def test_quantized_layers(holds: Holds) -> None:
    """Quantized layers come back with their integers and predict the same."""
    holds("quantized_layers")


@pytest.mark.clause("KL-11@751ab3")
def test_policies(holds: Holds) -> None:
    """Models of other precisions go on training bit for bit."""
    holds("policies")


@pytest.mark.clause("KL-11@751ab3")
def test_loss_scaling(holds: Holds) -> None:
    """A wrapped optimizer comes back with its scale."""
    holds("loss_scaling")


@pytest.mark.clause("KL-1@4f7c15", "KL-12@0cb11d")
def test_layers_of_many_kinds(holds_once: Holds) -> None:
    """Recurrent, attention, convolution and normalization layers are restored, each variable once."""
    holds_once("layers_of_many_kinds")


@pytest.mark.clause("KL-1@4f7c15")
def test_lookups_and_their_files(holds: Holds) -> None:
    """Vocabularies and their weights come back."""
    holds("lookups_and_their_files")


@pytest.mark.clause("KL-13@69ef50")
def test_normalization_is_ready(holds: Holds) -> None:
    """What a layer derives from its variables is made after a load of weights."""
    holds("normalization_is_ready")


@pytest.mark.clause("KL-2@df506c", "KL-11@751ab3")
def test_subclassed_whole(holds: Holds) -> None:
    """A subclassed model with a config comes back whole, lists of layers and a nested model included."""
    holds("subclassed_whole")


@pytest.mark.clause("KL-2@df506c", "KL-13@69ef50")
def test_subclassed_from_a_file_of_the_framework(holds_once: Holds) -> None:
    """A file of the framework, which has other names for the layers of an author's class, goes into such a model."""
    holds_once("subclassed_from_a_file_of_the_framework")


@pytest.mark.clause("KL-12@0cb11d", "KL-13@69ef50", "KL-19@c6a8c0")
def test_every_format_of_the_framework(holds_once: Holds) -> None:
    """Weights, and whole models with their optimizers, load from every format that the framework writes."""
    holds_once("every_format_of_the_framework")


@pytest.mark.clause("KL-10@bf9d68")
def test_subclassed_without_config(holds_once: Holds) -> None:
    """A subclassed model without a config is saved by object path and restored into a live one."""
    holds_once("subclassed_without_config")


@pytest.mark.clause("KL-9@a828e4")
def test_chosen_parts(holds_once: Holds) -> None:
    """Each choice of parts gives its profile, and a load says what it left out."""
    holds_once("chosen_parts")


@pytest.mark.clause("KL-13@69ef50")
def test_keras_files_as_well(holds_once: Holds) -> None:
    """Files of Keras load as live models, and a saved live model converts to a file that Keras loads."""
    holds_once("keras_files_as_well")
