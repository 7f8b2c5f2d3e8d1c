"""Ops that draw numbers (SPEC.md J.11): the identity unless they train, which a program does not."""

from __future__ import annotations

from typing import Any

from etui.bridges.onnx.ops.registry import op
from etui.bridges.onnx.value import Value
from etui.errors import error

LIMITS = "a call in training draws numbers"


def refuse_drawing(training: bool, rate: float) -> None:
    """Refuse what would draw numbers, whose stream no program has.

    Raises:
        TransferError: ``onnx-op``.
    """
    if training and rate > 0:
        raise error("onnx-op", found="a call in training of an op that draws numbers")


@op("dropout", limits=LIMITS)
@op("spatial_dropout", limits=LIMITS)
@op("gaussian_dropout", limits=LIMITS)
@op("alpha_dropout", limits=LIMITS)
def dropout(x: Value, *, rate: float, training: bool, **_: Any) -> Value:
    """The input."""
    refuse_drawing(training, rate)
    return x


@op("gaussian_noise", limits=LIMITS)
def gaussian_noise(x: Value, *, stddev: float, training: bool, **_: Any) -> Value:
    """The input."""
    refuse_drawing(training, stddev)
    return x


@op("activity_regularization")
def activity_regularization(x: Value, **_: Any) -> Value:
    """The input; its loss is none of a program's outputs."""
    return x
