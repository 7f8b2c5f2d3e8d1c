"""Checkpoints while a model trains, and going on from them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.frameworks

Holds = Callable[[str], None]


@pytest.mark.clause("KL-23@0fe22c")
def test_every_five_epochs(holds_once: Holds) -> None:
    """A checkpoint every five epochs is written by batches, under the epoch's name."""
    holds_once("every_five_epochs")


@pytest.mark.clause("KL-23@0fe22c")
def test_every_epoch_and_names(holds_once: Holds) -> None:
    """Names have epochs and metrics; a field without a quantity, and odd arguments, are refused."""
    holds_once("every_epoch_and_names")


@pytest.mark.clause("KL-23@0fe22c")
def test_the_best_only(holds_once: Holds) -> None:
    """Only better models are saved, by mode, metric or name, and the best value is kept."""
    holds_once("the_best_only")


@pytest.mark.clause("KL-11@751ab3", "KL-23@0fe22c")
def test_resume_with_the_same_first_loss(holds: Holds) -> None:
    """A resumed run has the losses of the run that was never stopped."""
    holds("resume_with_the_same_first_loss")


@pytest.mark.clause("KL-19@c6a8c0", "KL-23@0fe22c")
def test_resume_into_a_live_model(holds_once: Holds) -> None:
    """A checkpoint without config resumes into a live model."""
    holds_once("resume_into_a_live_model")


@pytest.mark.clause("KL-24@34ebf1")
def test_the_latest_is_found_by_its_content(holds_once: Holds) -> None:
    """The latest checkpoint is that with the most epochs, and a half one is passed over."""
    holds_once("the_latest_is_found_by_its_content")


@pytest.mark.clause("KL-23@0fe22c")
def test_within_an_epoch(holds: Holds) -> None:
    """A checkpoint within an epoch has the state at its batch, on every backend."""
    holds("within_an_epoch")


@pytest.mark.clause("AS-1@b18083", "AS-3@54b233", "AS-4@5b9d47")
def test_a_series_beside_the_training(holds: Holds) -> None:
    """Steps that are written while `fit` goes on have the state of their batch, on every backend."""
    holds("a_series_beside_the_training")


@pytest.mark.clause("AS-1@b18083", "KL-11@751ab3", "KL-19@c6a8c0")
def test_a_series_resumes_within_an_epoch(holds: Holds) -> None:
    """A run that was asked to stop goes on in the middle of its epoch, with the weights of one that never stopped."""
    holds("a_series_resumes_within_an_epoch")


@pytest.mark.library
def test_a_request_that_comes_while_a_batch_ends(holds_once: Holds) -> None:
    """A signal at any moment of the hook stops the training at a step that is saved."""
    holds_once("a_request_that_comes_while_a_batch_ends")


@pytest.mark.library
def test_a_series_of_another_run_and_odd_arguments(holds_once: Holds) -> None:
    """A run does not mix its steps with those of another; a callback counts on; what cannot be meant is refused."""
    holds_once("a_series_of_another_run_and_odd_arguments")


@pytest.mark.clause("AS-5@a51511")
def test_an_error_of_a_series_reaches_fit(holds_once: Holds) -> None:
    """A step that could not be written in the background ends the training with its error."""
    holds_once("an_error_of_a_series_reaches_fit")


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_captured_as_it_is_saved(holds: Holds) -> None:
    """A captured model saved in the background while it trains has the identity of one saved in the foreground."""
    holds("captured_as_it_is_saved")


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_a_moment_is_that_of_the_call(holds: Holds) -> None:
    """A live model that is described after the call is saved as it was then, whatever was changed of it since."""
    holds("a_moment_is_that_of_the_call")


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_values_of_the_caller_are_copied(holds_once: Holds) -> None:
    """Counters and values of the caller's are those of the call, though they are written later."""
    holds_once("values_of_the_caller_are_copied")


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_merged_adapters_are_not_copied(holds: Holds) -> None:
    """A moment of a model with low-rank adapters holds no copy of what the framework merges them into."""
    holds("merged_adapters_are_not_copied")


@pytest.mark.clause("AS-1@b18083", "AS-4@5b9d47")
def test_every_save_is_that_of_a_moment(holds: Holds) -> None:
    """Whatever a scenario saves has the same identity when half of it is done after the model has become another."""
    holds("every_save_is_that_of_a_moment")


@pytest.mark.library
def test_the_walk_is_that_of_the_framework(holds: Holds) -> None:
    """The objects of a model are met as the framework's own saver meets them, also where a class tells of more."""
    holds("the_walk_is_that_of_the_framework")
