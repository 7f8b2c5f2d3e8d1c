"""Every core op as the PyTorch bridge computes it, with shapes and attributes that Hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etui.core.vocabulary import ops

pytestmark = pytest.mark.frameworks


@pytest.mark.library
@pytest.mark.parametrize("op", list(ops()))
def test_ops(equals: Callable[[str, str], None], op: str) -> None:
    """The module of a model of the op gives what the evaluator gives."""
    equals("torch", op)
