"""Losses of `training.json` as functions of torch, and torch's own as the vocabulary has them (SPEC.md, annex M.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from etui.bridges.torch.losses_rules import LOSSES, automatic, counting, same_rank
from etui.canonical.values import ObjectValue
from etui.containers.training import Training
from etui.core.vocabulary import filled, objects
from etui.errors import error, shown
from etui.report import Report
from etui.transfer import EXACT, NOT_TRANSFERABLE, Transfer

Tensor = Any
_CLASS = "core:losses."


class CoreLoss:
    """A loss of the core vocabulary, called as torch calls losses: prediction first, then target.

    The order is torch's, `loss(prediction, target)`; Keras has the target first.

    Attributes:
        value: its `$object`.
        name: of the loss, without its namespace.
        values: every parameter.
        weight: what its result is multiplied by.
    """

    def __init__(self, value: ObjectValue, weight: float = 1.0) -> None:
        """Make a loss.

        Raises:
            TransferError: ``torch-loss``, a loss that is none of the vocabulary.
        """
        self.name = value.class_name.removeprefix(_CLASS)
        known = objects("losses").get(self.name)
        if known is None or not value.class_name.startswith(_CLASS):
            raise error("torch-loss", found=shown(value.class_name))
        self.value = value
        self.weight = weight
        self.values = filled(known, value.config if isinstance(value.config, dict) else {})

    def __call__(
        self, prediction: Tensor, target: Tensor, sample_weight: Tensor | None = None, mask: Tensor | None = None
    ) -> Tensor:
        """The loss of a batch.

        Args:
            prediction: what the module gives.
            target: what it should give.
            sample_weight: of each sample, or of each step.
            mask: the samples or steps that count; a mean is over those.

        Returns:
            A scalar, or one value for each sample where the reduction is ``none``.
        """
        # In the loss's own dtype, or that of the prediction where it is finer.
        dtype = torch.promote_types(prediction.dtype, getattr(torch, self.values["dtype"]))
        prediction, target = prediction.to(dtype), target.to(prediction.device).to(dtype)
        name, values = self.name, self.values
        if name == "auto_crossentropy":
            name = automatic(target, prediction)
            values = filled(objects("losses")[name], {**values, "from_logits": False})
        target, prediction = same_rank(target, prediction)
        found = LOSSES[name](target, prediction, values)
        where = counting(name, target, found, values)
        if where is not None:
            mask = where if mask is None else torch.logical_and(*_level(mask, where))
        weights = _weights(sample_weight, mask, values["reduction"], dtype)
        return _reduced(found, weights, values["reduction"]) * self.weight

    def __repr__(self) -> str:
        return f"CoreLoss({self.name})"


def _weights(sample_weight: Tensor | None, mask: Tensor | None, reduction: str, dtype: Any) -> Tensor | None:
    """Weights of samples; a mask is one, so that a mean is over what it leaves."""
    if mask is None:
        return None if sample_weight is None else sample_weight.to(dtype)
    kept = mask.to(dtype)
    if reduction == "mean":
        number = kept.sum()
        kept = kept * torch.where(number > 0, mask.numel() / number.clamp(min=1.0), torch.zeros_like(number))
    if sample_weight is None:
        return kept
    kept, sample_weight = _level(kept, sample_weight.to(dtype))
    return kept * sample_weight


def _level(one: Tensor, two: Tensor) -> tuple[Tensor, Tensor]:
    """Two weights of samples with equal numbers of axes; the first of these are those that both have."""
    rank = max(one.ndim, two.ndim)
    one, two = (x.reshape(tuple(x.shape) + (1,) * (rank - x.ndim)) for x in (one, two))
    return one, two


def _spread(weights: Tensor, found: Tensor) -> Tensor:
    """Weights of samples as those of all their values (CT-4); a single value of all samples is that of each weight."""
    while weights.ndim > found.ndim > 0 and weights.shape[-1] == 1:
        weights = weights[..., 0]
    return _level(weights, found)[0].expand_as(found) if found.ndim else weights


def _reduced(found: Tensor, weights: Tensor | None, reduction: str) -> Tensor:
    if weights is not None:
        weights = weights.to(found.device)
        found = found * _spread(weights, found)
    if reduction == "none" or found.ndim == 0:
        return found
    if reduction == "sum":
        return found.sum()
    if reduction == "mean_with_sample_weight" and weights is not None:
        total = weights.sum()
        return torch.where(total != 0, found.sum() / total.where(total != 0, torch.ones_like(total)), 0.0 * total)
    return found.mean()


class CoreLosses:
    """The loss of a model with several outputs: the weighted sum of the losses of its outputs.

    Attributes:
        losses: output name or position -> loss; `None` for an output without.
    """

    def __init__(self, losses: Mapping[Any, CoreLoss | None]) -> None:
        self.losses = dict(losses)

    def __call__(self, prediction: Any, target: Any, sample_weight: Any = None) -> Tensor:
        """The loss of a batch.

        Args:
            prediction: what the module gives, a list or a map of outputs.
            target: the same for the targets.
            sample_weight: the same for weights, or one tensor for all outputs.
        """
        total: Tensor = 0.0
        for key, loss in self.losses.items():
            if loss is not None:
                weight = sample_weight
                if isinstance(sample_weight, list | tuple | Mapping):
                    weight = sample_weight[key]
                total = total + loss(prediction[key], target[key], weight)
        return total


def make_loss(training: Training | None, report: Report) -> CoreLoss | CoreLosses | None:
    """The loss function of a training document, or `None` where it has none that torch can compute.

    Args:
        training: of the model.
        report: gets an entry for the loss; one that is none of the vocabulary is not transferable.
    """
    if training is None or training.loss is None:
        return None
    found, weights = training.loss, training.loss_weights
    if not isinstance(found, Mapping | list | tuple):
        return _loss(found, weights[0] if isinstance(weights, list | tuple) and weights else weights, report)
    items = found if isinstance(found, Mapping) else dict(enumerate(found))
    factors = weights if isinstance(weights, Mapping) else dict(enumerate(weights or ()))
    return CoreLosses({key: _loss(value, factors.get(key), report) for key, value in items.items()})


def _loss(value: Any, weight: Any, report: Report) -> CoreLoss | None:
    if value is None:
        return None
    if isinstance(value, ObjectValue) and value.class_name.removeprefix(_CLASS) in {*LOSSES, "auto_crossentropy"}:
        report.add("training", value.class_name, "restored", "called with the prediction first", Transfer(EXACT))
        return CoreLoss(value, float(weight) if isinstance(weight, int | float) else 1.0)
    name = value.class_name if isinstance(value, ObjectValue) else shown(value)
    report.add("training", name, "not-transferable", "no loss of the vocabulary", Transfer(NOT_TRANSFERABLE))
    return None


def read_loss(loss: Any, report: Report) -> tuple[Any, Any]:
    """A loss function as `training.json` has it: loss and weights of losses, `None` where there is none.

    Args:
        loss: a `CoreLoss` or `CoreLosses`, or one of `torch.nn` that has an equal in the vocabulary.
        report: gets an entry: another one is not transferable.
    """
    kind = type(loss).__name__
    weights: Any = None
    if isinstance(loss, CoreLoss):
        found: Any = loss.value
        weights = None if loss.weight == 1.0 else loss.weight
    elif isinstance(loss, CoreLosses):
        named = all(isinstance(key, str) for key in loss.losses)
        values = {key: None if one is None else one.value for key, one in loss.losses.items()}
        factors = {key: 1.0 if one is None else one.weight for key, one in loss.losses.items()}
        found = values if named else list(values.values())
        weights = factors if named else list(factors.values())
    else:
        found = _of_torch(loss, kind)
    if found is None:
        detail = "no loss of the vocabulary computes the same"
        report.add("training", kind, "not-transferable", detail, Transfer(NOT_TRANSFERABLE))
    else:
        report.add("training", "loss", "restored", kind, Transfer(EXACT))
    return found, weights


def _of_torch(loss: Any, kind: str) -> ObjectValue | None:
    """A loss of torch without weights of classes; means over batches and elements are the same numbers."""
    if getattr(loss, "weight", None) is not None or getattr(loss, "reduction", "") != "mean":
        return None
    if kind == "CrossEntropyLoss" and not loss.label_smoothing:
        ignored = {} if loss.ignore_index < 0 else {"ignore_class": loss.ignore_index}
        return ObjectValue(_CLASS + "sparse_categorical_crossentropy", {"from_logits": True, **ignored})
    if kind == "BCEWithLogitsLoss" and loss.pos_weight is None:
        return ObjectValue(_CLASS + "binary_crossentropy", {"from_logits": True})
    if kind == "HuberLoss":
        return ObjectValue(_CLASS + "huber", {"delta": float(loss.delta)} if loss.delta != 1.0 else {})
    names = {"MSELoss": "mean_squared_error", "L1Loss": "mean_absolute_error"}
    return ObjectValue(_CLASS + names[kind], {}) if kind in names else None
