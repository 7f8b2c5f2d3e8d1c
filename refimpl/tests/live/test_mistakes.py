"""What a user may do by mistake, and what happens to files then."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.frameworks

Holds = Callable[[str], None]


@pytest.mark.library
def test_names_of_other_formats(holds_once: Holds) -> None:
    """An artifact is not saved under a name by which Keras knows its own files."""
    holds_once("names_of_other_formats")


@pytest.mark.library
def test_arguments_of_another_kind(holds_once: Holds) -> None:
    """Counters that are none, layers in place of models and lists in place of maps are refused by their code."""
    holds_once("arguments_of_another_kind")


@pytest.mark.library
def test_a_full_disk_and_an_interrupt(holds_once: Holds) -> None:
    """A save that the disk or the user ends leaves the earlier artifact, and nothing beside it."""
    holds_once("a_full_disk_and_an_interrupt")


@pytest.mark.clause("KL-13@69ef50", "KL-14@e4243f")
def test_a_file_that_forgot_its_optimizer(holds_once: Holds) -> None:
    """Slots of an optimizer that a file's config does not name do not matter to a load of weights."""
    holds_once("a_file_that_forgot_its_optimizer")


@pytest.mark.library
def test_the_reason_of_the_framework_is_told(holds_once: Holds) -> None:
    """A config that cannot be built is refused with the framework's reason, not with the config."""
    holds_once("the_reason_of_the_framework_is_told")
