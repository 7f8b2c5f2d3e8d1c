"""Every core op as the JAX bridge computes it, with shapes and attributes that Hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etui.core.vocabulary import ops

pytestmark = pytest.mark.frameworks


@pytest.mark.library
@pytest.mark.parametrize("op", list(ops()))
def test_ops(equals: Callable[[str, str], None], op: str) -> None:
    """The function of a model of the op gives what the evaluator gives."""
    equals("jax", op)
