"""How the ops and activations are written down and found.

An op is a function of its inputs, in the order of the vocabulary, whose keywords are its variables by role, all of its
attributes (defaults filled in, activations as functions) and the arguments of the call, as in `etui.core.ops.registry`;
tensors are `Value`. An activation is a function of the tensor, whose keywords are its parameters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from etui.bridges.onnx.value import Value
from etui.core.parameters import activation_in
from etui.core.registry import Registry, function_itself

Activation = Callable[[Value], Value]
Mask = Any
"""A tensor of booleans, `None`, or a list of these where the op takes a list."""
Child = Callable[..., tuple[Any, Mask]]
"""A child module of a wrapper: called with its inputs, ``mask=``, ``training=`` and the arguments of a call."""

_FAMILIES = (
    "activation",
    "arithmetic",
    "attention",
    "convolution",
    "linear",
    "merging",
    "normalization",
    "pooling",
    "preprocessing",
    "random",
    "recurrent",
    "resizing",
    "shaping",
)


@dataclass(frozen=True, slots=True)
class Definition:
    """How ONNX computes one op.

    Attributes:
        function: adds its nodes.
        masked: it takes ``mask=`` and returns the pair of output and mask.
        wraps: it takes ``modules=``, its child modules by name as `Child`.
        limits: what of the op a program cannot say, in words, or empty; most of it is refused with ``onnx-op`` or
            ``onnx-shape``.
    """

    function: Callable[..., Any]
    masked: bool = False
    wraps: bool = False
    limits: str = ""


_OPS = Registry("etui.bridges.onnx.ops", _FAMILIES, Definition)
_ACTIVATIONS = Registry("etui.bridges.onnx.ops", _FAMILIES, function_itself)

op = _OPS.write
"""Write down the decorated function as what computes the op ``core:<name>``; its kind as `Definition` has it."""
activation = _ACTIVATIONS.write
"""Write down the decorated function as what computes the activation ``core:activations.<name>``."""


def definitions() -> Mapping[str, Definition]:
    """What computes each op, by the name without its namespace."""
    return _OPS.entries


def activations() -> Mapping[str, Callable[..., Value]]:
    """What computes each activation, by name."""
    return _ACTIVATIONS.entries


def activation_function(value: Any) -> Activation:
    """The function that the value of an attribute of the type `activation` stands for.

    Raises:
        TransferError: ``onnx-op``, it is no activation of the vocabulary.
    """
    return activation_in(activations(), value, "onnx-op")
