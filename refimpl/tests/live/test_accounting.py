"""Loading live models accounts for everything, and changes all or nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.frameworks

Holds = Callable[[str], None]


@pytest.mark.clause("KL-12@0cb11d", "KL-14@e4243f")
def test_every_status(holds_once: Holds) -> None:
    """Restored, missing and unexpected variables are reported, and a strict load with such changes nothing."""
    holds_once("every_status")


@pytest.mark.clause("KL-12@0cb11d", "KL-14@e4243f")
def test_shapes_and_dtypes(holds_once: Holds) -> None:
    """Another shape is refused with both shapes; another float dtype is cast and reported."""
    holds_once("shapes_and_dtypes")


@pytest.mark.clause("KL-15@53bd3e")
def test_no_variable_at_all(holds_once: Holds) -> None:
    """A load in which nothing fits fails, strict or lenient, and changes nothing."""
    holds_once("no_variable_at_all")


@pytest.mark.clause("KL-13@69ef50", "KL-15@53bd3e", "KL-16@4b82d8")
def test_wrong_level_of_nesting(holds_once: Holds) -> None:
    """Weights of a nested model at the wrong level are refused with the renaming that was meant."""
    holds_once("wrong_level_of_nesting")


@pytest.mark.clause("KL-13@69ef50")
def test_renames(holds_once: Holds) -> None:
    """Renamings lead stored paths to other ones, are reported, and must be meaningful."""
    holds_once("renames")


@pytest.mark.clause("KL-16@4b82d8")
def test_unknown_layers(holds_once: Holds) -> None:
    """A layer's name that neither side has is an error that lists the layers."""
    holds_once("unknown_layers")


@pytest.mark.clause("KL-14@e4243f", "KL-16@4b82d8")
def test_mismatches_only_by_name(holds_once: Holds) -> None:
    """Each layer that does not match must be named before it is passed over."""
    holds_once("mismatches_only_by_name")


@pytest.mark.clause("KL-18@09f200")
def test_order_if_it_is_the_same(holds_once: Holds) -> None:
    """Layers are matched by order on request alone, and only where classes, roles and shapes agree."""
    holds_once("order_if_it_is_the_same")


@pytest.mark.clause("KL-4@b83e58", "KL-12@0cb11d")
def test_shared_variables(holds_once: Holds) -> None:
    """A variable of two layers is stored once with an alias, and loaded once."""
    holds_once("shared_variables")


@pytest.mark.clause("KL-14@e4243f")
def test_damage_changes_nothing(holds_once: Holds) -> None:
    """A damaged tensor is found before any variable is changed."""
    holds_once("damage_changes_nothing")


@pytest.mark.clause("KL-19@c6a8c0")
def test_optimizer_into_a_live_model(holds: Holds) -> None:
    """The state of an optimizer goes into a compiled model, and not into one without or of another kind."""
    holds("optimizer_into_a_live_model")


@pytest.mark.clause("KL-13@69ef50", "KL-19@c6a8c0")
def test_optimizer_of_renamed_layers(holds_once: Holds) -> None:
    """Slots follow their variables through a renaming."""
    holds_once("optimizer_of_renamed_layers")


@pytest.mark.library
def test_nothing_is_copied_before_it_is_written(holds_once: Holds) -> None:
    """A captured model holds no array: a variable is read when it is written."""
    holds_once("nothing_is_copied_before_it_is_written")


@pytest.mark.library
def test_not_a_model(holds_once: Holds) -> None:
    """Objects of no framework, unknown frameworks and unknown choices are refused."""
    holds_once("not_a_model")


@pytest.mark.clause("KL-9@a828e4")
def test_not_built_yet(holds_once: Holds) -> None:
    """A model without variables has a config alone, and takes no weights."""
    holds_once("not_built_yet")


@pytest.mark.clause("KL-1@4f7c15")
def test_one_model_one_file(holds_once: Holds) -> None:
    """A model gives the same bytes each time, also after a load."""
    holds_once("one_model_one_file")
