"""The losses of the core vocabulary in torch, one value for each sample or step (SPEC.md, annex K.1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

Tensor = Any
Loss = Callable[[Tensor, Tensor, Mapping[str, Any]], Tensor]
# What keeps logarithms and quotients finite: a constant of the vocabulary.
EPSILON = 1e-7


def same_rank(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Two tensors of which one may lack a last axis of size 1: a vector gets it, else the longer one loses it."""
    if one.ndim == other.ndim + 1 and one.shape[-1] == 1:
        return (one, other.unsqueeze(-1)) if other.ndim == 1 else (one.squeeze(-1), other)
    if other.ndim == one.ndim + 1 and other.shape[-1] == 1:
        return (one.unsqueeze(-1), other) if one.ndim == 1 else (one, other.squeeze(-1))
    return one, other


def _mean(measure: Loss) -> Loss:
    """A loss that is the mean over the last axis of a measure of each element."""
    return lambda target, output, values: measure(target, output, values).mean(-1)


def _percentage(target: Tensor, output: Tensor, _: Mapping[str, Any]) -> Tensor:
    return 100.0 * ((target - output) / target.abs().clamp(min=EPSILON)).abs()


def _logarithmic(target: Tensor, output: Tensor, _: Mapping[str, Any]) -> Tensor:
    return ((output.clamp(min=EPSILON) + 1.0).log() - (target.clamp(min=EPSILON) + 1.0).log()).square()


def _huber(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    delta, size = values["delta"], (output - target).abs()
    return torch.where(size <= delta, 0.5 * size.square(), delta * size - 0.5 * delta**2)


def _log_cosh(target: Tensor, output: Tensor, _: Mapping[str, Any]) -> Tensor:
    difference = output - target
    return difference + functional.softplus(-2.0 * difference) - math.log(2.0)


def _signs(target: Tensor) -> Tensor:
    """Labels 0 and 1 as -1 and 1; others as they are."""
    binary = ((target == 0) | (target == 1)).all()
    return torch.where(binary, 2.0 * target - 1.0, target)


def _hinge(target: Tensor, output: Tensor, _: Mapping[str, Any]) -> Tensor:
    return (1.0 - _signs(target) * output).clamp(min=0.0)


def _cosine(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    axis = values["axis"]
    return -(_unit(target, axis) * _unit(output, axis)).sum(axis)


def _unit(x: Tensor, axis: Any) -> Tensor:
    """Vectors of length 1; a zero stays one."""
    return x * x.square().sum(axis, keepdim=True).clamp(min=1e-12).rsqrt()


def _categorical_hinge(target: Tensor, output: Tensor, _: Mapping[str, Any]) -> Tensor:
    right, wrong = (target * output).sum(-1), ((1.0 - target) * output).amax(-1)
    return (wrong - right + 1.0).clamp(min=0.0)


def _divergence(target: Tensor, output: Tensor, _: Mapping[str, Any]) -> Tensor:
    target, output = target.clamp(EPSILON, 1.0), output.clamp(EPSILON, 1.0)
    return (target * (target / output).log()).sum(-1)


def _binary(target: Tensor, output: Tensor, from_logits: bool) -> Tensor:
    if from_logits:
        return -target * functional.logsigmoid(output) - (1.0 - target) * functional.logsigmoid(-output)
    output = output.clamp(EPSILON, 1.0 - EPSILON)
    return -(target * output.log() + (1.0 - target) * (1.0 - output).log())


def _binary_crossentropy(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    smoothing = values["label_smoothing"]
    target = target * (1.0 - smoothing) + 0.5 * smoothing
    return _binary(target, output, values["from_logits"]).mean(values["axis"])


def _binary_focal(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    smoothing, alpha = values["label_smoothing"], values["alpha"]
    target = target * (1.0 - smoothing) + 0.5 * smoothing
    output = output.sigmoid() if values["from_logits"] else output
    found = _binary(target, output, False)
    found = found * (1.0 - (target * output + (1.0 - target) * (1.0 - output))).pow(values["gamma"])
    if values["apply_class_balancing"]:
        found = found * (target * alpha + (1.0 - target) * (1.0 - alpha))
    return found.mean(values["axis"])


def _log_probabilities(output: Tensor, from_logits: bool, axis: int) -> Tensor:
    if from_logits:
        return output.log_softmax(axis)
    return (output / output.sum(axis, keepdim=True)).clamp(EPSILON, 1.0 - EPSILON).log()


def _smoothed(target: Tensor, smoothing: float) -> Tensor:
    return target * (1.0 - smoothing) + smoothing / target.shape[-1] if smoothing else target


def _categorical(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    target, axis = _smoothed(target, values["label_smoothing"]), values["axis"]
    return -(target * _log_probabilities(output, values["from_logits"], axis)).sum(axis)


def _categorical_focal(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    target, axis = _smoothed(target, values["label_smoothing"]), values["axis"]
    output = output.softmax(axis) if values["from_logits"] else output
    output = (output / output.sum(axis, keepdim=True)).clamp(EPSILON, 1.0 - EPSILON)
    factor = values["alpha"] * (1.0 - output).pow(values["gamma"])
    return (factor * -target * output.log()).sum(axis)


def sparse_categorical(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    """The loss of class numbers; where `ignore_class` stands it is 0, and `counting` leaves it out."""
    axis, ignored = values["axis"], values["ignore_class"]
    if target.ndim == output.ndim and target.shape[axis] == 1:
        target = target.squeeze(axis)
    target = target.long()
    valid = torch.ones_like(target, dtype=torch.bool) if ignored is None else target != ignored
    output = output.where(valid.unsqueeze(axis), torch.zeros_like(output))
    logarithms = _log_probabilities(output, values["from_logits"], axis)
    # A sum over classes of which one counts: a class number beyond them has no loss.
    chosen = (target.unsqueeze(axis) == _class_numbers(output, axis)) & valid.unsqueeze(axis)
    return -logarithms.where(chosen, torch.zeros_like(logarithms)).sum(axis)


def counting(name: str, target: Tensor, found: Tensor, values: Mapping[str, Any]) -> Tensor | None:
    """Where a loss counts, for its mean: `None` for everywhere."""
    if name == "sparse_categorical_crossentropy" and values["ignore_class"] is not None:
        return (target.long() != values["ignore_class"]).reshape(found.shape)
    return found > 0 if name == "circle" else None


def automatic(target: Tensor, output: Tensor) -> str:
    """The cross-entropy that `auto_crossentropy` stands for, by the shapes."""
    given = output.shape[-1]  # also where the prediction loses this axis
    target, output = same_rank(target, output)
    if 1 in (given, output.shape[-1]):
        return "binary_crossentropy"
    sparse = target.ndim < output.ndim or target.shape[-1] == 1
    return "sparse_categorical_crossentropy" if sparse else "categorical_crossentropy"


def _class_numbers(output: Tensor, axis: int) -> Tensor:
    shape = [1] * output.ndim
    shape[axis] = output.shape[axis]
    return torch.arange(output.shape[axis], device=output.device).reshape(shape)


def _generalized(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    probability = output.gather(-1, target.long().reshape(*output.shape[:-1], 1)).squeeze(-1)
    return (1.0 - probability.pow(values["q"])) / values["q"]


def _dice(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    axis = values["axis"]
    total = _sum(target, axis) + _sum(output, axis) + EPSILON
    return 1.0 - 2.0 * _sum(target * output, axis) / total


def _tversky(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    axis = values["axis"]
    both = _sum(target * output, axis)
    missed = _sum((1.0 - output) * target, axis) * values["alpha"]
    false = _sum(output * (1.0 - target), axis) * values["beta"]
    return 1.0 - both / (both + missed + false + EPSILON)


def _sum(x: Tensor, axis: Any) -> Tensor:
    return x.sum() if axis is None else x.sum(axis)


def _circle(target: Tensor, output: Tensor, values: Mapping[str, Any]) -> Tensor:
    labels, margin, gamma = target.long().reshape(-1), values["margin"], values["gamma"]
    distance = (1.0 - output @ output.mT).clamp(min=0.0)
    alike = labels.unsqueeze(1) == labels.unsqueeze(0)
    other = ~alike
    if values["remove_diagonal"]:
        alike = alike & ~torch.eye(len(labels), dtype=torch.bool, device=output.device)
    near = -gamma * (margin + distance).clamp(min=0.0) * (margin - distance)
    far = gamma * (1.0 + margin - distance).clamp(min=0.0) * (1.0 - margin - distance)
    nothing = torch.full_like(distance, -torch.inf)
    total = near.where(alike, nothing).logsumexp(1) + far.where(other, nothing).logsumexp(1)
    return functional.softplus(total)


def _ctc(target: Tensor, output: Tensor, _: Mapping[str, Any]) -> Tensor:
    lengths = torch.full((output.shape[0],), output.shape[1], dtype=torch.long)
    labels = target.long()
    logarithms = output.log_softmax(-1).transpose(0, 1)
    ends = (labels != 0).cumprod(-1).sum(-1)  # at the first 0
    return functional.ctc_loss(logarithms, labels, lengths, ends, blank=0, reduction="none")


LOSSES: Mapping[str, Loss] = {
    "mean_squared_error": _mean(lambda target, output, _: (target - output).square()),
    "mean_absolute_error": _mean(lambda target, output, _: (target - output).abs()),
    "mean_absolute_percentage_error": _mean(_percentage),
    "mean_squared_logarithmic_error": _mean(_logarithmic),
    "cosine_similarity": _cosine,
    "huber": _mean(_huber),
    "log_cosh": _mean(_log_cosh),
    "hinge": _mean(_hinge),
    "squared_hinge": _mean(lambda target, output, values: _hinge(target, output, values).square()),
    "categorical_hinge": _categorical_hinge,
    "kl_divergence": _divergence,
    "poisson": _mean(lambda target, output, _: output - target * (output + EPSILON).log()),
    "binary_crossentropy": _binary_crossentropy,
    "binary_focal_crossentropy": _binary_focal,
    "categorical_crossentropy": _categorical,
    "categorical_focal_crossentropy": _categorical_focal,
    "categorical_generalized_cross_entropy": _generalized,
    "dice": _dice,
    "tversky": _tversky,
    "sparse_categorical_crossentropy": sparse_categorical,
    "circle": _circle,
    "ctc": _ctc,
}
"""Losses by name: functions of target, prediction and parameters; `same_rank` comes before."""
