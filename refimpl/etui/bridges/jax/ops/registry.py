"""How the ops and activations of the JAX bridge are written down and found.

An op is a function of its inputs, in the order of the vocabulary, whose keywords are its attributes (defaults filled
in, activations as functions), its variables by role and the arguments of the call; a variable takes the place of an
attribute of its name, and ``attrs`` holds the attributes alone. Every op is given ``training``, ``trainable``, ``rng``
(a key, or `None`) and ``where`` (the place of the call) too, and swallows what it does not need with ``**_``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from jax import Array as Array  # noqa: PLC0414  the ops take it from here

from etui.core.parameters import activation_in
from etui.core.registry import Registry, function_itself

Mask = Any
"""A boolean array, `None`, or a list of these where the op takes a list."""
Activation = Callable[[Array], Array]

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
    "randomness",
    "recurrent",
    "shaping",
)


@dataclass(frozen=True, slots=True)
class Definition:
    """One op in JAX.

    Attributes:
        function: computes the op.
        masked: it takes ``mask=`` (of its input, or the list of them where it has several inputs or a list) and returns
            the pair of output and mask; those of other ops follow from the vocabulary's rules `keep` and `drop`.
        updates: it returns the pair of output and the new values of variables by role.
        wraps: it takes ``modules=``, its child modules by name, each a `Child` of the graph's module.
        penalises: it takes ``penalise=``, to which it hands each tensor that an activity regularizer sees, as Keras
            counts them: of `mha` the projections, of `gqa` the outputs as well.
        precise: it casts variables (``"params"``), or inputs as well (``"all"``), by itself, given ``compute=``.
    """

    function: Callable[..., Any]
    masked: bool = False
    updates: bool = False
    wraps: bool = False
    penalises: bool = False
    precise: str = ""


_OPS = Registry("etui.bridges.jax.ops", _FAMILIES, Definition)
_ACTIVATIONS = Registry("etui.bridges.jax.ops", _FAMILIES, function_itself)

op = _OPS.write
"""Write down the decorated function as the op ``core:<name>``; its kind as `Definition` has it."""
activation = _ACTIVATIONS.write
"""Write down the decorated function as the activation ``core:activations.<name>``."""


def definitions() -> Mapping[str, Definition]:
    """All ops, by the name without its namespace."""
    return _OPS.entries


def activations() -> Mapping[str, Callable[..., Array]]:
    """All activations, by name."""
    return _ACTIVATIONS.entries


def activation_function(value: Any, where: str = "") -> Activation:
    """The function that the value of an attribute of the type `activation` stands for.

    Args:
        value: the name of an activation, or a `$object` of a class ``core:activations.<name>``.
        where: the module, for messages.

    Raises:
        TransferError: ``jax-op``, it is no activation of the vocabulary.
    """
    return activation_in(activations(), value, "jax-op", where)
