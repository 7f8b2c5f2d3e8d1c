"""Every core op as Keras computes it, with shapes and attributes that Hypothesis draws, against the evaluator."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from etui.core.vocabulary import ops

pytestmark = pytest.mark.frameworks

Equals = Callable[[str, str], None]
# Where Keras is asked with JAX as well: `op_harness.judging.ON_JAX` says why.
ON_JAX = (
    "conv", "conv_transpose", "depthwise_conv", "separable_conv", "max_pool", "avg_pool", "adaptive_avg_pool",
    "simple_rnn", "lstm", "gru", "bidirectional",
)  # fmt: skip
RECURRENT = ("simple_rnn", "lstm", "gru", "bidirectional", "time_distributed")
ATTENTION = ("mha", "gqa", "dot_attention", "additive_attention")
ACTIVATION = ("activation", "relu", "leaky_relu", "prelu", "elu", "softmax")
OTHERS = [op for op in ops() if op not in (*RECURRENT, *ATTENTION, *ACTIVATION)]


@pytest.mark.clause(
    "CV-100@60f51b",
    "CV-102@4a510e",
    "CV-103@11080b",
    "CV-104@425097",
    "CV-105@af5e0c",
    "CV-106@4b4a12",
    "CV-108@69e7d2",
    "CV-109@60a13c",
    "CV-110@d30c50",
)
@pytest.mark.parametrize("op", RECURRENT)
def test_recurrent_ops(equals: Equals, op: str) -> None:
    """Steps, states, masks and directions are those of Keras' layers."""
    equals("keras", op)


@pytest.mark.clause(
    "CV-120@946a3c",
    "CV-121@53b202",
    "CV-122@31c798",
    "CV-123@ffc511",
    "CV-124@5fb10c",
    "CV-125@921780",
    "CV-126@aec7d8",
    "CV-127@626b78",
)
@pytest.mark.parametrize("op", ATTENTION)
def test_attention(equals: Equals, op: str) -> None:
    """Outputs and weights are those of Keras' layers for every query that has a key."""
    equals("keras", op)


@pytest.mark.clause("CV-140@501a7f", "CV-141@e6a6d9", "CV-142@75c76e", "CV-143@7aaab1")
@pytest.mark.parametrize("op", ACTIVATION)
def test_activations(equals: Equals, op: str) -> None:
    """Activations with their parameters are those of Keras."""
    equals("keras", op)


@pytest.mark.library
@pytest.mark.parametrize("op", OTHERS)
def test_other_ops(equals: Equals, op: str) -> None:
    """What an op computes, and the mask that its output has, are those of Keras."""
    equals("keras", op)


@pytest.mark.library
@pytest.mark.parametrize("op", ON_JAX)
def test_with_jax(equals: Equals, op: str) -> None:
    """Keras with JAX computes the same, also what it lacks with TensorFlow on a CPU."""
    equals("keras_jax", op)
