"""`CoreOptimizer`: every update rule of the core vocabulary as a `torch.optim.Optimizer` (SPEC.md, annex M.4).

It is for rules that no optimizer of torch states: its slots are the vocabulary's, so state passes through it unchanged.
Its `state_dict` is that of any torch optimizer: slots by parameter, hyperparameters and counters in the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch

from etui.bridges.torch.optimizers_rules import RULES, SAME, Cell, Layout, nadam_momentum
from etui.core.rules.slots import slot_shapes
from etui.core.vocabulary import filled, optimizers
from etui.errors import error, shown

Param = Any
# Of the whole optimizer; they are in its first group, for `state_dict` keeps nothing else.
COUNTERS = "counters"
ACCUMULATOR, AVERAGE = "gradient_accumulator", "average"
SCALER = "loss_scale"


class CoreOptimizer(torch.optim.Optimizer):
    """An update rule of the core vocabulary.

    A group holds `lr` and the hyperparameters by the vocabulary's names, so schedulers of torch work with it, and
    `paths`: the variable of each of its parameters. `step` with a closure works as for any optimizer of torch.

    Attributes:
        algorithm: name of the rule, without its namespace.
        layouts: parameter -> its layout, where it is not the variable's own.
        after: called after each step, for example `module.apply_constraints`.
    """

    def __init__(
        self,
        params: Iterable[Any],
        algorithm: str,
        *,
        lr: float = 1e-3,
        layouts: Mapping[Param, Layout] | None = None,
        after: Callable[[], None] | None = None,
        scaler: Mapping[str, Any] | None = None,
        **hyperparameters: Any,
    ) -> None:
        """Make an optimizer.

        Args:
            params: parameters or groups, as any optimizer of torch takes them; a group may have `paths`.
            algorithm: ``"adam"``, ``"ftrl"``, ….
            lr: the learning rate.
            layouts: parameter -> its layout.
            after: called after each step.
            scaler: of a loss scale beside the optimizer: hyperparameters and slots of the vocabulary's `loss_scale`.
            hyperparameters: as the vocabulary names them; defaults are the vocabulary's.

        Raises:
            UsageError: ``torch-optimizer``, no such rule or hyperparameter.
        """
        if algorithm not in RULES:
            raise error("torch-optimizer", found=f"the rule {shown(algorithm)}")
        known = optimizers()[algorithm].hyperparameters
        unknown = sorted(hyperparameters.keys() - known.keys() | hyperparameters.keys() & {"learning_rate"})
        if unknown:
            raise error("torch-optimizer", found=f"the hyperparameter {shown(unknown[0])} of {algorithm}")
        defaults = {key: value for key, value in filled(known, hyperparameters).items() if key != "learning_rate"}
        self.algorithm = algorithm
        self.layouts = dict(layouts or {})
        self.after = after
        super().__init__(params, {"lr": lr, "paths": None, "own_rate": False, **defaults})
        counters: dict[str, Any] = {"algorithm": algorithm, "step": 0, "micro_step": 0}
        if algorithm == "nadam":
            counters["u_product"] = 1.0
        if scaler is not None:
            values = filled(optimizers()[SCALER].hyperparameters, scaler)
            counters[SCALER] = {"dynamic_scale": values["initial_scale"], "step_counter": 0, **values}
        self.param_groups[0][COUNTERS] = counters

    @property
    def counters(self) -> dict[str, Any]:
        """`algorithm`; `step`, the updates; `micro_step`, the gradients; and other numbers of the whole optimizer."""
        found: dict[str, Any] = self.param_groups[0][COUNTERS]
        return found

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is seen as Any
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take the gradients in: every one, or every k-th where gradients are accumulated, updates the parameters."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        grads = {param: param.grad for _, param, _ in self._each() if param.grad is not None}
        if not grads:
            return loss
        dynamic = self.counters.get(SCALER, {}).get("dynamic", False)
        finite = not dynamic or all(bool(torch.isfinite(grad).all()) for grad in grads.values())
        if finite:
            self._unscale(grads)
            self._take_in(grads)
            if self.after is not None:
                self.after()
        elif self.counters[SCALER]["count_skipped"]:
            self.counters["step"] += 1
            self.counters["micro_step"] += 1
        if dynamic:
            self._adjust(finite)
        return loss

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the scale that `step` takes out of the gradients again; call `backward` on it."""
        scale = self.param_groups[0]["loss_scale"] or 1.0
        return loss * (scale * self.counters.get(SCALER, {}).get("dynamic_scale", 1.0))

    @torch.no_grad()  # type: ignore[untyped-decorator]  # torch is seen as Any
    def overwrite_with_averages(self) -> None:
        """Give each parameter its moving average, as the end of a training does; without averages, do nothing."""
        for _, param, _ in self._each():
            if AVERAGE in self.state[param]:
                param.copy_(self.state[param][AVERAGE])

    def _each(self) -> Iterable[tuple[dict[str, Any], Param, str]]:
        """Group, parameter and path of each parameter."""
        for group in self.param_groups:
            paths = group["paths"] or [""] * len(group["params"])
            for param, path in zip(group["params"], paths, strict=True):
                yield group, param, path

    def _unscale(self, grads: dict[Param, Any]) -> None:
        """Take loss scales out of the gradients, and turn them where the optimizer climbs."""
        scaler = self.counters.get(SCALER)
        for group, param, _ in self._each():
            if param in grads:
                scale = (group["loss_scale"] or 1.0) * (1.0 if scaler is None else scaler["dynamic_scale"])
                grad = grads[param] if scale == 1.0 else grads[param] / scale
                grads[param] = -grad if group["maximize"] else grad

    def _adjust(self, finite: bool) -> None:
        """Move a dynamic loss scale: up after many steps, down after gradients that were not finite."""
        scaler = self.counters[SCALER]
        scaler["step_counter"] = scaler["step_counter"] + 1 if finite else 0
        if not finite:
            scaler["dynamic_scale"] = max(scaler["dynamic_scale"] * scaler["backoff_factor"], scaler["minimum_scale"])
        elif scaler["step_counter"] >= scaler["growth_steps"]:
            scaler["step_counter"] = 0
            scaler["dynamic_scale"] *= scaler["growth_factor"]

    def _take_in(self, grads: dict[Param, Any]) -> None:
        counters = self.counters
        self._prepare()
        before = counters["step"]
        counters["micro_step"] += 1
        steps = self.param_groups[0]["accumulation_steps"]
        if steps == 1 or self._accumulate(grads, counters["micro_step"] % steps == 0, steps):
            self._update(grads)
        self._average(before)

    def _prepare(self) -> None:
        """Make the slots that are not there yet."""
        for group, param, path in self._each():
            state, shape = self.state[param], tuple(self.layouts.get(param, SAME).core_view(param).shape)
            for name, size in slot_shapes(self.algorithm, group, path, shape).items():
                if name not in state:
                    like = param if size == shape else param.new_empty(size)
                    state[name] = _beginning(self.algorithm, name, group, param, like)

    def _accumulate(self, grads: dict[Param, Any], complete: bool, steps: int) -> bool:
        """Add the gradients up; once they are complete, `grads` gets their mean and the sums begin anew."""
        for param, grad in list(grads.items()):
            total = self.state[param][ACCUMULATOR]
            if complete:
                grads[param] = (grad + total) / steps
                total.zero_()
            else:
                total.add_(grad)
        return complete

    def _update(self, grads: dict[Param, Any]) -> None:
        counters, algorithm = self.counters, self.algorithm
        self._clip(grads)
        number = counters["step"] + 1
        if algorithm == "nadam":
            counters["u_product"] *= nadam_momentum(self.param_groups[0], number)
        for group, param, path in self._each():
            if param not in grads:
                continue
            grad = grads[param].to(param.dtype)
            adam = algorithm == "muon" and (param.ndim != 2 or path in group["adam_variables"])
            decay = group["adam_weight_decay"] if adam else group["weight_decay"]
            rate = float(group["lr"])
            if decay and path not in group["decay_excluded"]:
                if group["decay_mode"] == "coupled":
                    grad = grad + param * decay
                else:
                    param.sub_(param * (decay * rate))
            layout = self.layouts.get(param, SAME)
            cell = Cell(param, grad, self.state[param], group, rate, number, layout, counters, adam)
            RULES[algorithm](cell)
        counters["step"] = number

    def _clip(self, grads: dict[Param, Any]) -> None:
        for group, param, _ in self._each():
            if param not in grads:
                continue
            if group["clip_value"] is not None:
                grads[param] = grads[param].clamp(-group["clip_value"], group["clip_value"])
            if group["clip_norm"] is not None:
                norm = torch.linalg.vector_norm(grads[param])
                grads[param] = grads[param] * _factor(norm, group["clip_norm"], group["clip_epsilon"])
        limit = self.param_groups[0]["clip_global_norm"]
        if limit is not None:
            norms = torch.stack([torch.linalg.vector_norm(grad) for grad in grads.values()])
            factor = _factor(torch.linalg.vector_norm(norms), limit, self.param_groups[0]["clip_epsilon"])
            for param, grad in grads.items():
                grads[param] = grad * factor

    def _average(self, before: int) -> None:
        """Bring the moving averages of the parameters up to date, after every gradient.

        Args:
            before: updates before this step.
        """
        for group, param, _ in self._each():
            if group["ema_momentum"] is None:
                continue
            momentum = 0.0 if before == 0 and group["ema_start"] == "first_step" else group["ema_momentum"]
            average = self.state[param][AVERAGE]
            average.mul_(momentum).add_(param * (1.0 - momentum))
            every = group["ema_overwrite_frequency"]
            if every and (before + 1) % every == 0:
                param.copy_(average)


def _beginning(algorithm: str, name: str, group: Mapping[str, Any], param: Any, like: Any) -> Any:
    """A new slot: zeros, a number, or the parameter itself."""
    copied = name == AVERAGE and group["ema_start"] == "initial"
    if copied or (algorithm == "schedule_free_adamw" and name == "momentum"):
        return param.detach().clone()
    return torch.full_like(like, group["initial_accumulator"] if name == "accumulator" else 0.0)


def _factor(norm: Any, limit: float, epsilon: float) -> Any:
    """What scales a gradient down to a norm of `limit`; 1 for one that is shorter."""
    return (limit / (norm + epsilon)).clamp(max=1.0)
