"""The update rules of the core vocabulary in torch, one function for each (SPEC.md, annex K.5).

A rule changes a parameter and its slots in place. Slots that have the variable's shape lie in the parameter's own
layout; averages over an axis, of Adafactor, lie in the layout of the core variable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

Tensor = Any
# Keeps the norm by which Muon divides from being zero; a constant of the rule, not a hyperparameter.
_MUON_NORM_FLOOR = 1e-7


class Layout(Protocol):
    """How a parameter lies beside the core variable that it is; a `binding.Binding` is one."""

    def torch_view(self, tensor: Tensor) -> Tensor:
        """A tensor of the core variable's layout in the parameter's."""

    def core_view(self, tensor: Tensor) -> Tensor:
        """A tensor of the parameter's layout in the core variable's."""


class SameLayout:
    """A parameter that lies as its variable does."""

    def torch_view(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        return tensor

    def core_view(self, tensor: Tensor) -> Tensor:
        """The tensor itself."""
        return tensor


SAME = SameLayout()


@dataclass(slots=True)
class Cell:
    """One parameter in one update.

    Attributes:
        param: the parameter, changed in place.
        grad: its gradient, after all that comes before the rule.
        state: slot name -> tensor, changed in place.
        values: the hyperparameters by name.
        rate: the learning rate.
        step: number of this update, from 1.
        layout: of the parameter.
        shared: numbers of the optimizer as a whole.
        adam: whether Muon leaves the parameter to Adam.
    """

    param: Tensor
    grad: Tensor
    state: dict[str, Tensor]
    values: Mapping[str, Any]
    rate: float
    step: int
    layout: Layout = SAME
    shared: Mapping[str, Any] | None = None
    adam: bool = False

    def slot(self, name: str) -> Tensor:
        """A slot of the parameter."""
        return self.state[name]

    def move(self, update: Tensor) -> None:
        """Take an update in the core variable's layout away from the parameter."""
        self.param.sub_(self.layout.torch_view(update))


def moments(cell: Cell, beta_1: float, beta_2: float) -> tuple[Tensor, Tensor]:
    """The moving averages of gradient and squared gradient, brought up to date."""
    average, square = cell.slot("momentum"), cell.slot("velocity")
    average.add_((cell.grad - average) * (1.0 - beta_1))
    square.add_((cell.grad.square() - square) * (1.0 - beta_2))
    return average, square


def sgd(cell: Cell) -> None:
    """Gradient descent, with momentum as a velocity or as a buffer."""
    values, grad = cell.values, cell.grad
    momentum = values["momentum"]
    if not momentum:
        cell.param.sub_(grad * cell.rate)
        return
    if values["momentum_form"] == "velocity":
        velocity = cell.slot("momentum")
        velocity.mul_(momentum).sub_(grad * cell.rate)
        cell.param.add_(velocity * momentum - grad * cell.rate if values["nesterov"] else velocity)
        return
    # The first gradient is taken whole, whatever the dampening.
    share = 1.0 if cell.step == 1 else 1.0 - values["dampening"]
    buffer = cell.slot("momentum")
    buffer.mul_(momentum).add_(grad * share)
    cell.param.sub_((grad + buffer * momentum if values["nesterov"] else buffer) * cell.rate)


def adam(cell: Cell) -> None:
    """Adam and, with `amsgrad`, AMSGrad, in both forms of epsilon."""
    values = cell.values
    average, square = moments(cell, values["beta_1"], values["beta_2"])
    first, second = 1.0 - values["beta_1"] ** cell.step, 1.0 - values["beta_2"] ** cell.step
    corrected = values["amsgrad"] and values["amsgrad_max_of"] == "corrected"
    if values["amsgrad"]:
        highest = cell.slot("velocity_hat")
        torch.maximum(highest, square / second if corrected else square, out=highest)
        square = highest
    if values["epsilon_mode"] == "uncorrected":
        scale = cell.rate / first if corrected else cell.rate * math.sqrt(second) / first
        cell.param.sub_(average * scale / (square.sqrt() + values["epsilon"]))
        return
    square = square if corrected else square / second
    cell.param.sub_(average / first * cell.rate / ((square + values["epsilon_root"]).sqrt() + values["epsilon"]))


def rmsprop(cell: Cell) -> None:
    """RMSprop, plain or centered, with epsilon below the root or outside of it."""
    values, grad, rho = cell.values, cell.grad, cell.values["rho"]
    square = cell.slot("velocity")
    square.mul_(rho).add_(grad.square() * (1.0 - rho))
    if values["centered"]:
        average = cell.slot("average_gradient")
        average.mul_(rho).add_(grad * (1.0 - rho))
        square = square - average.square()
    update = grad / _root(square, values)
    if not values["momentum"]:
        cell.param.sub_(update * cell.rate)
        return
    buffer = cell.slot("momentum")
    velocity = values["momentum_form"] == "velocity"
    buffer.mul_(values["momentum"]).add_(update * cell.rate if velocity else update)
    cell.param.sub_(buffer if velocity else buffer * cell.rate)


def _root(square: Tensor, values: Mapping[str, Any]) -> Tensor:
    epsilon = values["epsilon"]
    return (square + epsilon).sqrt() if values["epsilon_mode"] == "inside" else square.sqrt() + epsilon


def adagrad(cell: Cell) -> None:
    """Adagrad; the rate may fall with the number of updates."""
    values = cell.values
    total = cell.slot("accumulator")
    total.add_(cell.grad.square())
    rate = cell.rate / (1.0 + (cell.step - 1) * values["rate_decay"])
    cell.param.sub_(cell.grad * rate / _root(total, values))


def adadelta(cell: Cell) -> None:
    """Adadelta."""
    rho, epsilon = cell.values["rho"], cell.values["epsilon"]
    gradients, deltas = cell.slot("accumulated_grad"), cell.slot("accumulated_delta_var")
    gradients.mul_(rho).add_(cell.grad.square() * (1.0 - rho))
    delta = (deltas + epsilon).sqrt() * cell.grad / (gradients + epsilon).sqrt()
    deltas.mul_(rho).add_(delta.square() * (1.0 - rho))
    cell.param.sub_(delta * cell.rate)


def adamax(cell: Cell) -> None:
    """Adamax, with epsilon added to the maximum or within it."""
    values = cell.values
    average, norm = cell.slot("momentum"), cell.slot("norm")
    average.add_((cell.grad - average) * (1.0 - values["beta_1"]))
    size = cell.grad.abs()
    within = values["epsilon_mode"] == "in_max"
    torch.maximum(norm * values["beta_2"], size + values["epsilon"] if within else size, out=norm)
    first = 1.0 - values["beta_1"] ** cell.step
    cell.param.sub_(average * cell.rate / ((norm if within else norm + values["epsilon"]) * first))


def nadam_momentum(values: Mapping[str, Any], step: int) -> float:
    """The momentum of NAdam's update number `step`."""
    base, decay = values["schedule_base"], values["schedule_decay"]
    return float(values["beta_1"] * (1.0 - 0.5 * base ** (step * decay)))


def nadam(cell: Cell) -> None:
    """Adam with Nesterov momentum; the product of the momenta is one number for all parameters."""
    values = cell.values
    average, square = moments(cell, values["beta_1"], values["beta_2"])
    now, following = nadam_momentum(values, cell.step), nadam_momentum(values, cell.step + 1)
    product = float((cell.shared or {})["u_product"])
    hat = average * (following / (1.0 - product * following)) + cell.grad * ((1.0 - now) / (1.0 - product))
    second = 1.0 - values["beta_2"] ** cell.step
    if values["epsilon_mode"] == "uncorrected":
        cell.param.sub_(hat * (cell.rate * math.sqrt(second)) / (square.sqrt() + values["epsilon"]))
    else:
        cell.param.sub_(hat * cell.rate / ((square / second).sqrt() + values["epsilon"]))


def ftrl(cell: Cell) -> None:
    """Follow the regularized leader."""
    values, grad, param = cell.values, cell.grad, cell.param
    total, linear = cell.slot("accumulator"), cell.slot("linear")
    power, rate = -values["learning_rate_power"], cell.rate
    new = total + grad.square()
    shrunk = grad + param * (2.0 * values["l2_shrinkage"])
    linear.add_(shrunk - (new.pow(power) - total.pow(power)) / rate * param)
    quadratic = new.pow(power) / rate + 2.0 * (values["l2"] + values["beta"] / (2.0 * rate))
    param.copy_((linear.clamp(-values["l1"], values["l1"]) - linear) / quadratic)
    total.copy_(new)


def lion(cell: Cell) -> None:
    """Lion: the sign of a mixture of momentum and gradient."""
    beta_1, beta_2 = cell.values["beta_1"], cell.values["beta_2"]
    average = cell.slot("momentum")
    cell.param.sub_(torch.sign(average * beta_1 + cell.grad * (1.0 - beta_1)) * cell.rate)
    average.mul_(beta_2).add_(cell.grad * (1.0 - beta_2))


def lamb(cell: Cell) -> None:
    """Adam's update, scaled to the norm of the parameter."""
    values = cell.values
    average, square = moments(cell, values["beta_1"], values["beta_2"])
    first, second = 1.0 - values["beta_1"] ** cell.step, 1.0 - values["beta_2"] ** cell.step
    update = (average / first) / ((square / second).sqrt() + values["epsilon"])
    size, length = cell.param.square().sum().sqrt(), update.square().sum().sqrt()
    ratio = torch.where((size > 0) & (length > 0), size / length, torch.ones_like(size))
    cell.param.sub_(update * ratio * cell.rate)


def adafactor(cell: Cell) -> None:
    """Adafactor: squares of gradients are averaged over each of the last two axes of the core variable."""
    values = cell.values
    grad, param = cell.layout.core_view(cell.grad), cell.layout.core_view(cell.param)
    square = grad.square() + values["epsilon_1"]
    keep = 1.0 - float(cell.step) ** values["beta_2_decay"]
    full = cell.slot("v")
    if grad.ndim > 1:
        rows, columns = cell.slot("r"), cell.slot("c")
        rows.mul_(keep).add_(square.mean(-1) * (1.0 - keep))
        columns.mul_(keep).add_(square.mean(-2) * (1.0 - keep))
        estimate = (rows / rows.mean(-1, keepdim=True)).unsqueeze(-1) * columns.unsqueeze(-2)
        full.copy_(cell.layout.torch_view(estimate))
    else:
        full.mul_(keep).add_(cell.layout.torch_view(square) * (1.0 - keep))
        estimate = cell.layout.core_view(full)
    update = grad / estimate.sqrt()
    rate = min(cell.rate, 1.0 / math.sqrt(cell.step)) if values["relative_step"] else cell.rate
    scale = max(values["epsilon_2"], float(_rms(param))) * rate
    cell.move(update * (scale / max(1.0, float(_rms(update)) / values["clip_threshold"])))


def _rms(values: Tensor) -> Tensor:
    return values.square().mean().sqrt()


def muon(cell: Cell) -> None:
    """Muon for matrices: momentum, made orthogonal; Adam for what is left to it."""
    values = cell.values
    if cell.adam:
        _muon_adam(cell)
        return
    momentum = cell.slot("momentum")
    momentum.add_(cell.grad + momentum * (values["momentum"] - 1.0))
    direction = cell.grad + momentum * values["momentum"] if values["nesterov"] else momentum
    matrix = cell.layout.core_view(direction)
    update = _orthogonal(matrix, values["ns_coefficients"], values["ns_steps"])
    size = 1.0 if values["rms_rate"] is None else math.sqrt(max(matrix.shape)) * values["rms_rate"]
    cell.move(update * (cell.rate * size))


def _muon_adam(cell: Cell) -> None:
    values = cell.values
    average, square = moments(cell, values["adam_beta_1"], values["adam_beta_2"])
    first, second = 1.0 - values["adam_beta_1"] ** cell.step, 1.0 - values["adam_beta_2"] ** cell.step
    rate = cell.rate * values["adam_rate_ratio"] * math.sqrt(second) / first
    cell.param.sub_(average * rate / (square.sqrt() + values["epsilon"]))


def _orthogonal(matrix: Tensor, coefficients: list[float], steps: int) -> Tensor:
    """An approximation of the nearest orthogonal matrix, by the quintic Newton-Schulz iteration."""
    first, third, fifth = coefficients
    tall = matrix.shape[-2] > matrix.shape[-1]
    x = matrix.mT if tall else matrix
    x = x / (torch.linalg.matrix_norm(x, keepdim=True) + _MUON_NORM_FLOOR)
    for _ in range(steps):
        square = x @ x.mT
        x = x * first + (square * third + square @ square * fifth) @ x
    return x.mT if tall else x


def schedule_free_adamw(cell: Cell) -> None:
    """Schedule-free AdamW: the parameter is where gradients are taken, the slot `momentum` the iterate."""
    values, beta, warmup = cell.values, cell.values["beta_1"], cell.values["warmup_steps"]
    rate = cell.rate * min(cell.step / warmup, 1.0) if warmup else cell.rate
    iterate, square = cell.slot("momentum"), cell.slot("velocity")
    square.add_((cell.grad.square() - square) * (1.0 - values["beta_2"]))
    average = (cell.param - iterate * (1.0 - beta)) / beta
    second = 1.0 - values["beta_2"] ** cell.step
    iterate.sub_(cell.grad * rate / ((square / second).sqrt() + values["epsilon"]))
    average = average * (1.0 - 1.0 / cell.step) + iterate / cell.step
    cell.param.copy_(iterate * (1.0 - beta) + average * beta)


RULES: Mapping[str, Callable[[Cell], None]] = {
    "sgd": sgd,
    "adam": adam,
    "rmsprop": rmsprop,
    "adagrad": adagrad,
    "adadelta": adadelta,
    "adamax": adamax,
    "nadam": nadam,
    "ftrl": ftrl,
    "lion": lion,
    "lamb": lamb,
    "adafactor": adafactor,
    "muon": muon,
    "schedule_free_adamw": schedule_free_adamw,
}
"""Every rule by the name that it has in the vocabulary."""
