"""One leg of the relay: takes an etui, trains some steps in one framework, and hands an etui on.

    python relay_leg.py FRAMEWORK TASK FIRST LAST SOURCE TARGET LOSSES

FRAMEWORK is keras, torch or jax; SOURCE is `-` for the first leg, which makes the model in Keras. LOSSES gets the loss
of each step as JSON, and the report of what was taken over. Each leg is a process of its own, in which no other
framework is imported.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from relay_models import TASKS, Batches

import etui
from etui.report import Report


@dataclass(frozen=True)
class Leg:
    """What a leg is given: its task, the batches by step, its steps, and where it takes the etui from and puts it."""

    task: str
    batches: Batches
    steps: range
    source: str
    target: str
    report: Report


def in_keras(leg: Leg) -> Iterator[float]:
    """Train by `train_on_batch`."""
    model = TASKS[leg.task].build() if leg.source == "-" else etui.keras.load(leg.source, report=leg.report)
    for step in leg.steps:
        model.reset_metrics()  # or the loss would be the mean of all steps
        yield float(model.train_on_batch(*leg.batches(step)))
    etui.keras.save(model, leg.target)


def in_torch(leg: Leg) -> Iterator[float]:
    """Train by the usual loop of PyTorch."""
    import torch

    torch.backends.mkldnn.enabled = False  # crashes on some processors in a convolution's backward pass
    run = etui.torch.load(leg.source, report=leg.report)
    run.module.train()
    for step in leg.steps:
        inputs, targets = (torch.from_numpy(one) for one in leg.batches(step))
        run.optimizer.zero_grad()
        loss = run.loss(run.module(inputs), targets) + run.module.regularization_loss()
        loss.backward()
        run.optimizer.step()
        if run.scheduler is not None:
            run.scheduler.step()
        yield loss.item()
    etui.torch.save(run.module, run.optimizer, leg.target, scheduler=run.scheduler)


def in_jax(leg: Leg) -> Iterator[float]:
    """Train by a compiled step of JAX and Optax."""
    import jax
    import optax

    run = etui.jax.load(leg.source, report=leg.report)
    function = run.function

    def loss_of(params, state, inputs, targets):  # type: ignore[no-untyped-def]
        outputs, state = function.apply(params, inputs, state=state, training=True)
        return run.loss(outputs, targets) + function.regularization(params), state

    @jax.jit
    def train(params, state, opt_state, inputs, targets):  # type: ignore[no-untyped-def]
        (loss, state), gradients = jax.value_and_grad(loss_of, has_aux=True)(params, state, inputs, targets)
        updates, opt_state = run.tx.update(gradients, opt_state, params)
        return loss, optax.apply_updates(params, updates), state, opt_state

    params, state, opt_state = run.params, run.state, run.opt_state
    for step in leg.steps:
        loss, params, state, opt_state = train(params, state, opt_state, *leg.batches(step))
        yield float(loss)
    etui.jax.save(run, params, state, opt_state, leg.target)


RUNNERS = {"keras": in_keras, "torch": in_torch, "jax": in_jax}


def main() -> None:
    """Run one leg."""
    framework, task, first, last, source, target, losses = sys.argv[1:]
    report = Report(source, framework)
    leg = Leg(task, TASKS[task].batches(), range(int(first), int(last)), source, target, report)
    found = list(RUNNERS[framework](leg))
    others = {"keras": {"torch"}, "torch": {"keras", "jax", "tensorflow"}, "jax": {"keras", "torch", "tensorflow"}}
    strangers = sorted(name for name in others[framework] if name in sys.modules)
    if strangers:
        sys.exit(f"a leg in {framework} imported {', '.join(strangers)}")
    Path(losses).write_text(json.dumps({"losses": found, "report": report.as_json()}))


if __name__ == "__main__":
    main()
