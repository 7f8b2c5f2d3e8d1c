"""Every core op as a program of ONNX computes it, with shapes and attributes that Hypothesis draws."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etui.core.vocabulary import ops

pytestmark = pytest.mark.frameworks


@pytest.mark.clause("PG-7@12686c")
@pytest.mark.parametrize("op", list(ops()))
def test_ops(equals: Callable[[str, str], None], op: str) -> None:
    """The program of a model of the op gives in onnxruntime what the evaluator gives."""
    equals("onnx", op)
