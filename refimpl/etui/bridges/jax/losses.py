"""The losses that a model is trained with, as one pure function (SPEC.md, annexes K.1 and N.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array

from etui.bridges.jax.loss_values import LOSSES
from etui.canonical.values import ObjectValue, OutputRef
from etui.core.vocabulary import object_attrs
from etui.errors import error, shown
from etui.model import Model

LossFunction = Callable[..., Array]
_CLASS = "core:losses."
_AUTO = "auto_crossentropy"
_COMMON = ("reduction", "name", "dtype")


def loss_of(model: Model) -> LossFunction:
    """The compiled loss of a core model.

    The function takes predictions and targets in the nesting of the model's outputs, `sample_weight` (for all outputs,
    or in their nesting) and `mask` (the masks of the flattened predictions, as `Outcome` has them), and gives the sum
    over the outputs of their losses, each times its weight. What regularizers add, it does not have.

    Raises:
        TransferError: ``jax-parts``, the model was not compiled with a loss; ``jax-op``, a loss that is not core.
    """
    training = model.training
    if training is None or training.loss is None:
        raise error("jax-parts", where="training.json", found="a model without a loss")
    names = _output_names(model)
    losses = [None if one is None else _Loss(one) for one in _flat(training.loss, names)]
    weights = _flat(training.loss_weights, names) if training.loss_weights is not None else [None] * len(losses)
    if len(weights) != len(losses):
        raise error("jax-op", where="loss_weights", found=f"{len(weights)} weights of {len(losses)} losses")

    def loss(prediction: Any, target: Any, sample_weight: Any = None, mask: Any = None) -> Array:
        predictions, targets = _flat(prediction, names), _flat(target, names)
        count = len(predictions)
        own = losses * count if len(losses) == 1 and count > 1 else losses
        factors = weights * count if len(weights) == 1 and count > 1 else weights
        targets = _aligned(targets, own)
        spread = (
            _flat(sample_weight, names) if isinstance(sample_weight, list | tuple | dict) else [sample_weight] * count
        )
        masks = list(mask) if isinstance(mask, list | tuple) else [mask] * count
        if not len(own) == count == len(targets) == len(spread) == len(masks):
            found = f"{count} predictions, {len(targets)} targets and {len(own)} losses"
            raise error("jax-inputs", where="loss", found=found)
        total: Array = jnp.zeros((), jnp.float32)
        for function, factor, *given in zip(own, factors, predictions, targets, spread, masks, strict=True):
            if function is not None:
                value = function(*given)
                total = total + (value if factor is None else value * factor)
        return total

    return loss


def _aligned(targets: list[Any], losses: list[Any]) -> list[Any]:
    """Targets for all outputs; those without a loss may be left out."""
    if len(targets) == len(losses) or len(targets) != sum(loss is not None for loss in losses):
        return targets
    rest = iter(targets)
    return [None if loss is None else next(rest) for loss in losses]


def _output_names(model: Model) -> list[str]:
    """The names of the modules that give the outputs of the graph, in the flattened order."""
    graph = None if model.config is None else model.config.model.graph
    if graph is None:
        return []
    modules = {call.id: call.module for call in graph.calls}
    return [modules[leaf.call] for leaf in _flat(graph.outputs, []) if isinstance(leaf, OutputRef)]


def _flat(value: Any, names: list[str]) -> list[Any]:
    """The leaves of a nesting; a map by the names of the outputs in their order, another by its keys."""
    if isinstance(value, Mapping):
        keys = names if names and set(value) <= set(names) else sorted(value)
        return [leaf for key in keys for leaf in _flat(value.get(key), [])]
    if isinstance(value, list | tuple):
        return [leaf for item in value for leaf in _flat(item, [])]
    return [value]


class _Loss:
    """One loss, with its parameters and its reduction."""

    def __init__(self, value: Any) -> None:
        known = isinstance(value, ObjectValue) and value.class_name.startswith(_CLASS)
        name = value.class_name.removeprefix(_CLASS) if known else ""
        if name != _AUTO and name not in LOSSES:
            found = value.class_name if isinstance(value, ObjectValue) else value
            hint = "Compute it in your own training step."
            raise error("jax-op", where="training.json", found=f"the loss {shown(found)}", hint=hint)
        attrs = object_attrs(value)
        self.name = name
        self.reduction = attrs["reduction"]
        self.dtype = attrs["dtype"]
        self.parameters = {key: item for key, item in attrs.items() if key not in _COMMON}

    def __call__(self, prediction: Any, target: Any, sample_weight: Any, mask: Any) -> Array:
        """The loss of a batch; computed in the predictions' dtype, or the loss' own where that is wider."""
        p = jnp.asarray(prediction)
        dtype = jax.dtypes.canonicalize_dtype(jnp.promote_types(p.dtype, self.dtype))
        y, given = jnp.asarray(target).astype(dtype), p.astype(dtype)
        y, p = same_rank(y, given)
        name, parameters = self.name, self.parameters
        if name == _AUTO:
            # Also where the predictions lose this axis.
            kind = "binary" if given.shape[-1] == 1 else _kind(y, p)
            name, parameters = f"{kind}_crossentropy", {}
        values = LOSSES[name](y, p, **parameters)
        kept = None if mask is None else jnp.asarray(mask).astype(bool)
        own = _own_mask(name, parameters, y, values)
        if own is not None:
            kept = own if kept is None else jnp.logical_and(*_level(kept, own))
        return reduced(values, self.reduction, sample_weight, kept)


def _own_mask(name: str, parameters: Mapping[str, Any], y: Array, values: Array) -> Array | None:
    """Which values count, where the loss itself leaves some out."""
    if name == "circle":
        return values > 0
    if name == "sparse_categorical_crossentropy" and parameters.get("ignore_class") is not None:
        return y.reshape(values.shape) != parameters["ignore_class"]
    return None


def _kind(y: Array, p: Array) -> str:
    """What a classification is by its shapes."""
    if p.shape[-1] == 1:
        return "binary"
    return "sparse_categorical" if y.ndim < p.ndim or y.shape[-1] == 1 else "categorical"


def same_rank(one: Array, two: Array) -> tuple[Array, Array]:
    """Two arrays whose numbers of axes differ by a last one of size 1, with equal numbers of axes."""
    if one.ndim == two.ndim + 1 and one.shape[-1] == 1:
        return (one, two[..., None]) if two.ndim == 1 else (one[..., 0], two)
    if two.ndim == one.ndim + 1 and two.shape[-1] == 1:
        return (one[..., None], two) if one.ndim == 1 else (one, two[..., 0])
    return one, two


def _level(one: Array, two: Array) -> tuple[Array, Array]:
    """Two weights of samples with equal numbers of axes; the first of these are those that both have."""
    rank = max(one.ndim, two.ndim)
    return one.reshape(one.shape + (1,) * (rank - one.ndim)), two.reshape(two.shape + (1,) * (rank - two.ndim))


def _spread(weight: Array, values: Array) -> Array:
    """Weights of samples as those of all their values (CT-4); a single value of all samples is that of each weight."""
    while weight.ndim > values.ndim > 0 and weight.shape[-1] == 1:
        weight = weight[..., 0]
    return jnp.broadcast_to(_level(weight, values)[0], values.shape) if values.ndim else weight


def reduced(values: Array, reduction: str, sample_weight: Any, mask: Array | None) -> Array:
    """One number of many: their weighted sum, over their number for a mean; all of them for `none`.

    For a mean, a mask weighs what counts as much as all; `mean_with_sample_weight` divides by the sum of the weights.
    """
    weight = None if sample_weight is None else jnp.asarray(sample_weight).astype(values.dtype)
    if mask is not None:
        factor = mask.astype(values.dtype)
        if reduction == "mean":
            factor = factor * _over(jnp.asarray(factor.size, values.dtype), jnp.sum(factor))
        if weight is None:
            weight = factor
        else:
            factor, weight = _level(factor, weight)
            weight = weight * factor
    if weight is not None:
        values = values * _spread(weight, values)
    if reduction == "none" or values.shape in ((), (0,)):
        return values
    total = jnp.sum(values)
    if reduction == "sum":
        return total
    if reduction == "mean_with_sample_weight" and weight is not None:
        return _over(total, jnp.sum(weight))
    return total / values.size


def _over(one: Array, two: Array) -> Array:
    """A quotient that is 0 where its divisor is."""
    return jnp.where(two == 0, 0, one / jnp.where(two == 0, 1, two))
