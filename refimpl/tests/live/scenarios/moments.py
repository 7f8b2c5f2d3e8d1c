"""Saves beside the training: what is written is what the model was when the call was made, whatever becomes of it."""

# mypy: disable-error-code="misc, union-attr, arg-type, index"
# (Frameworks are seen as Any, and an artifact of a scenario has the parts that the scenario saved.)

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import etui
from etui.bridges.keras.live.framework import require_framework
from etui.bridges.keras.live.moments import Moments
from etui.bridges.keras.live.tree import LiveTree
from etui.checkpoints import AsyncSaver
from etui.checkpoints.snapshot import Snapshots
from etui.moment import Moment

from .base import KERAS3, array, compiled, dense_model, everywhere, k, once, step

MINUTE = 60
_save = etui.keras.save


class Gate:
    """Takes steps when it is told to."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.open = threading.Semaphore(0)

    def save(self, model: etui.Model, step: int, **_: Any) -> str:
        """Write a step; the answer is its identity."""
        assert self.open.acquire(timeout=MINUTE)
        return etui.save(model, self.place / f"{step}.etui")


def train(model: Any) -> None:
    """A step of the training."""
    step(model)


def overwrite(model: Any) -> None:
    """Give every variable other elements."""
    for variable in model.weights:
        variable.assign(array(variable) + np.ones((), array(variable).dtype))


def recompile(model: Any) -> None:
    """Another optimizer, loss and metrics."""
    compiled(model, k.optimizers.SGD(0.1, momentum=0.5), "mae", metrics=["mse"])


def set_of(layer: str, name: str, value: Any) -> Callable[[Any], None]:
    """What changes an attribute of a layer."""
    return lambda model: setattr(model.get_layer(layer), name, value)


def rate(value: float) -> Callable[[Any], None]:
    """What changes the learning rate."""
    return lambda model: setattr(model.optimizer, "learning_rate", value)


# What is done to the model, and whether its next moment is described in the call, since more than numbers changed.
CHANGES: list[tuple[str, Callable[[Any], None], bool]] = [
    ("nothing", lambda _: None, False),
    ("a step", train, False),
    ("a variable", overwrite, False),
    ("the learning rate", rate(0.25), False),
    ("a flag", set_of("hidden", "trainable", False), True),
    ("the flag again", set_of("hidden", "trainable", True), True),
    ("an attribute", set_of("drop", "rate", 0.75), True),
    ("what it is compiled with", recompile, True),
    ("its slots", train, True),
    ("a hyperparameter", lambda model: setattr(model.optimizer, "momentum", 0.25), True),
    ("one more step", train, False),
]


@everywhere
def a_moment_is_that_of_the_call(place: Path) -> None:
    model = compiled(dense_model(dropout=0.3), metrics=["mae"])
    step(model)
    gate, moments = Gate(place), Moments("everything")
    written: list[str] = []
    assert isinstance(moments.of(model, "", {}, {}), etui.Model)
    with AsyncSaver(gate) as saver:
        saver.save(model, 0)
        gate.open.release()
        saver.wait()
        for number, (name, change, whole) in enumerate(CHANGES, 1):
            change(model)
            found = moments.of(model, "", {}, {})
            assert isinstance(found, Moment) != whole, name
            # The saver has learnt the structure, so that what it is given now is described by its thread.
            saver._moments = moments
            expected = _save(model, place / "foreground.etui")
            saver.save(model, number)
            # All of it changes before the thread begins.
            before = model.get_layer("drop").rate
            model.get_layer("drop").rate = 0.5
            if model.get_layer("hidden").trainable:  # else the JAX backend trains no further until it is compiled
                step(model)
            overwrite(model)
            model.optimizer.learning_rate = 0.125
            gate.open.release()
            assert saver.wait() == expected, name
            model.get_layer("drop").rate = before
            written.append(expected)
    assert len(set(written)) == len(written) == len(CHANGES) == 11


@once
def values_of_the_caller_are_copied(place: Path) -> None:
    model = compiled(dense_model())
    step(model)
    moments, snapshots = Moments("checkpoint"), Snapshots()
    user: dict[str, Any] = {"list": [1, 2], "array": np.arange(3.0), "tensor": etui.Tensor.of(np.arange(4.0))}
    moments.of(model, "", {}, {})
    expected = _save(model, place / "foreground.etui", include="checkpoint", counters={"step": 7}, user=user)
    moment = moments.of(model, "", {"step": 7}, user)
    assert isinstance(moment, Moment)
    held = snapshots.take(moment.changing())
    user["list"].append(3)
    user["array"][:] = 0
    del user["tensor"]
    assert etui.save(moment.model(held), place / "later.etui") == expected
    for include in ("model", "weights", "config"):
        some = Moments(include)
        assert [type(some.of(model, "", {}, {})) for _ in range(2)] == [etui.Model] * 2


@everywhere
def merged_adapters_are_not_copied(place: Path) -> None:
    if not KERAS3:
        return  # tf_keras has no adapters
    inputs = k.Input((4,))
    model = k.Model(inputs, k.layers.Dense(2, name="head")(k.layers.Dense(4096, name="wide")(inputs)))
    model.get_layer("wide").enable_lora(2)
    step(compiled(model))
    captured, moments, snapshots = Snapshots(), Moments("everything"), Snapshots()
    captured.take(etui.keras.capture(model))
    moments.of(model, "", {}, {})
    expected = _save(model, place / "foreground.etui")
    moment = moments.of(model, "", {}, {})
    assert isinstance(moment, Moment)
    held = snapshots.take(moment.changing())
    # Scalars of the optimizer apart, it is as much as of a model that was described at once.
    assert snapshots.nbytes - captured.nbytes < array(model.get_layer("wide").bias).nbytes
    with spoiled(moment):
        assert etui.save(moment.model(held), place / "later.etui") == expected


@everywhere
def the_walk_is_that_of_the_framework(place: Path) -> None:
    if not KERAS3:
        return  # whose own walk it is
    from keras.src.saving.saving_lib import _walk_saveable

    class Secret(k.layers.Layer):
        """A layer that tells of what no attribute holds."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = k.layers.Dense(2)

        def __dir__(self) -> list[str]:
            return [*super().__dir__(), "made"]

        @property
        def made(self) -> Any:
            """Not an attribute."""
            return [self.inner]

        @property
        def broken(self) -> Any:
            """Cannot be had."""
            raise ValueError

        def call(self, x: Any) -> Any:
            return self.inner(x)

    inputs = k.Input((6, 4))
    x = k.layers.Bidirectional(k.layers.GRU(3, return_sequences=True))(inputs)
    x = k.layers.MultiHeadAttention(2, 3)(x, x)
    x = k.Sequential([k.layers.Dense(3), k.layers.Dropout(0.5)])(x)
    model = compiled(k.Model(inputs, Secret()(x)), metrics=["mae"])
    framework = require_framework(model)
    known: dict[Any, list[str]] = {}
    things = [held.thing for held in LiveTree.of(framework, model).held]
    assert {"Secret", "GRUCell", "MultiHeadAttention", "Sequential", "Dropout", "Adam"} <= {
        type(thing).__name__ for thing in things
    }
    for thing in things:
        expected = [(name, type(child).__name__) for name, child in _walk_saveable(thing)]
        assert [(name, type(child).__name__) for name, child in framework.children(thing, known)] == expected
    # A class may change between one walk and the next.
    dense = k.layers.Dense(2)
    k.layers.Dense.late = dense
    try:
        assert dict(framework.children(dense, {}))["late"] is dense
    finally:
        del k.layers.Dense.late


@contextmanager
def watched() -> Iterator[list[str]]:
    """Whatever a scenario saves is saved once more, of a moment that is described when its model is another one.

    Yields:
        The places of those that were.
    """
    done: list[str] = []

    def save(model: Any, path: Any, **options: Any) -> str:
        identity = _save(model, path, **options)
        include = options.get("include", "everything")
        if include not in ("everything", "checkpoint") or options.get("vocabulary") or not options.get("strict", True):
            return identity
        moments, snapshots = Moments(include), Snapshots()
        told = options.get("counters") or {}, options.get("user") or {}
        moments.of(model, "", *told)
        moment = moments.of(model, "", *told)
        assert isinstance(moment, Moment)
        held = snapshots.take(moment.changing())
        with spoiled(moment):
            found = etui.save(moment.model(held), f"{path}.moment.etui", shard_size=options.get("shard_size"))
        assert found == identity, f"{path}: a moment of the model is another one"
        Path(f"{path}.moment.etui").unlink()
        done.append(str(path))
        return identity

    etui.keras.save = save
    try:
        yield done
    finally:
        etui.keras.save = _save


@contextmanager
def spoiled(moment: Any) -> Iterator[None]:
    """A block in which every variable of a moment's model has other elements."""
    framework, entries = moment.seen.framework, moment.seen._variables()
    live = {id(one): one for one in entries if framework.is_variable(one)}
    before = {key: np.array(framework.numpy(one)) for key, one in live.items()}
    for key, one in live.items():
        framework.assign(one, np.zeros_like(before[key]))
    try:
        yield
    finally:
        for key, one in live.items():
            framework.assign(one, before[key])
