"""What the tests of faults share: the artifact that they are made in, and the check of a refusal."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import etui
from etui.error_codes import ERROR_CODES
from etui.errors import RejectError
from etui.limits import DEFAULT_LIMITS, Limits
from etui.testing.hostile import Edit, Parts, parts_of, refusal, tampered
from etui.testing.samples import everything


@pytest.fixture(scope="session")
def base() -> Parts:
    """The parts of an artifact without a fault, which holds everything that an artifact can hold."""
    return parts_of(everything())


@pytest.fixture
def refused(base: Parts) -> Callable[..., None]:
    """The check that an edit of a part makes a reader of every byte refuse the artifact with a code."""

    def check(part: str, edit: Edit, code: str, limits: Limits = DEFAULT_LIMITS) -> None:
        parts = tampered(base, part, edit)
        assert parts != base
        failure = refusal(lambda: etui.verify(parts, limits=limits))
        assert isinstance(failure, RejectError)
        assert failure.code == code, str(failure)
        assert failure.error_class == ERROR_CODES[code].error_class
        assert failure.where
        assert failure.found
        assert failure.hint

    return check
