"""What a file cannot have a load do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytestmark = pytest.mark.frameworks

Holds = Callable[[str], None]


@pytest.mark.clause("KL-20@9ca300")
def test_lambdas_are_not_run(holds_once: Holds) -> None:
    """A lambda is refused and named; the rest of the file loads and converts."""
    holds_once("lambdas_are_not_run")


@pytest.mark.clause("KL-22@7410d0")
def test_nothing_is_imported(holds_once: Holds) -> None:
    """A module that a config names is not imported."""
    holds_once("nothing_is_imported")


@pytest.mark.clause("KL-20@9ca300")
def test_only_parts_of_models(holds_once: Holds) -> None:
    """A function of the framework that is no part of a model, and code in an unusual place, are refused."""
    holds_once("only_parts_of_models")


@pytest.mark.clause("KL-20@9ca300")
def test_no_file_is_opened(holds: Holds) -> None:
    """A vocabulary given as a path is refused."""
    holds("no_file_is_opened")


@pytest.mark.clause("KL-21@f49dca")
def test_missing_classes_are_named(holds_once: Holds) -> None:
    """A missing class is named with its package and users; the rest stays readable and convertible."""
    holds_once("missing_classes_are_named")


@pytest.mark.clause("KL-20@9ca300", "E-2@310409")
def test_changed_configs_are_refused_with_a_code(holds_once: Holds) -> None:
    """A config with any value replaced by another gives a model, or an error with a code, and nothing else."""
    holds_once("changed_configs_are_refused_with_a_code")


@pytest.mark.library
def test_a_config_that_cannot_be_built(holds_once: Holds) -> None:
    """What the framework refuses is told in its own words; a file without a config is refused."""
    holds_once("a_config_that_cannot_be_built")
