"""How the definitions of ops and activations are written down and found (SPEC.md, annex J).

An op is a function of its inputs, in the order of the vocabulary, whose keywords are its variables by role, all of its
attributes (defaults filled in, activations as functions) and the arguments of the call::

    @op("dense")
    def dense(x: Array, *, kernel: Array, bias: Array | None = None, activation: Activation, **_: Any) -> Array: ...

Every op is given ``training`` (bool) and ``rng`` (a generator, or `None`) among its keywords, and swallows what it does
not need with ``**_``. A variable that the module lacks is not passed; one whose role is the name of an attribute, too,
is passed as ``<role>_variable``. An activation is a function of the tensor, whose keywords are its parameters::

    @activation("leaky_relu")
    def leaky_relu(x: Array, *, negative_slope: float = 0.2) -> Array: ...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from etui.core.ops.floats import floating
from etui.core.parameters import activation_in
from etui.core.registry import Registry, function_itself

Array = np.ndarray[Any, Any]
Mask = Any
"""A boolean array, `None`, or a list of these where the op takes a list."""
Activation = Callable[[Array], Array]
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
    "shaping",
)


@dataclass(frozen=True, slots=True)
class Definition:
    """The definition of one op.

    Attributes:
        function: computes the op.
        masked: it takes ``mask=`` (of its input, or the list of them where it has several inputs or a list) and returns
            the pair of output and mask. The masks of other ops follow from the rules `keep` and `drop`.
        updates: it returns the pair of output and the new values of variables by role, empty where nothing changes.
        wraps: it takes ``modules=``, its child modules by name as `Child`.
    """

    function: Callable[..., Any]
    masked: bool = False
    updates: bool = False
    wraps: bool = False


_OPS = Registry("etui.core.ops", _FAMILIES, Definition)
_ACTIVATIONS = Registry("etui.core.ops", _FAMILIES, function_itself)

op = _OPS.write
"""Write down the decorated function as the definition of the op ``core:<name>``; its kind as `Definition` has it."""
activation = _ACTIVATIONS.write
"""Write down the decorated function as the definition of the activation ``core:activations.<name>``."""


def definitions() -> Mapping[str, Definition]:
    """The definitions of all ops, by the name without its namespace."""
    return _OPS.entries


def activations() -> Mapping[str, Callable[..., Array]]:
    """The definitions of all activations, by name."""
    return _ACTIVATIONS.entries


def activation_function(value: Any, where: str = "") -> Activation:
    """The function that the value of an attribute of the type `activation` stands for; it gives floats.

    Args:
        value: the name of an activation, or a `$object` of a class ``core:activations.<name>``.
        where: the place, for messages.

    Raises:
        UsageError: ``core-evaluate``, it is no activation of the vocabulary.
    """
    found = activation_in(activations(), value, "core-evaluate", where)
    return lambda x: found(floating(x))
