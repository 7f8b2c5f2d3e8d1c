"""One process of a program that trains a Keras model spread over devices, saves it and loads it under other layouts.

python keras_program.py SCENARIO FOLDER RANK PROCESSES PORT
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

os.environ["KERAS_BACKEND"] = "jax"

import keras
import numpy as np

if __name__ == "__main__" and int(sys.argv[4]) > 1:
    keras.distribution.initialize(f"127.0.0.1:{sys.argv[5]}", int(sys.argv[4]), int(sys.argv[3]))

import jax

import etui
from etui.bridges.keras.live import framework
from etui.containers.tensors import Tensor

X = np.random.default_rng(0).normal(size=(16, 8)).astype(np.float32)
Y = np.random.default_rng(1).normal(size=(16, 4)).astype(np.float32)


def parallel(rows: int, columns: int, axes: dict[str, tuple[str | None, ...]]) -> keras.distribution.ModelParallel:
    """Variables cut along axes of a mesh."""
    devices = keras.distribution.list_devices("cpu")
    mesh = keras.distribution.DeviceMesh((rows, columns), ["batch", "model"], devices)
    layouts = keras.distribution.LayoutMap(mesh)
    for name, cut in axes.items():
        layouts[name] = cut
    return keras.distribution.ModelParallel(layout_map=layouts, batch_dim_name="batch")


def layout(name: str) -> Any:
    """A distribution by the name of its layout."""
    if name == "columns":
        return parallel(1, 4, {".*kernel": (None, "model"), ".*first/bias": ("model",)})
    if name == "rows":
        return parallel(2, 2, {".*first/kernel": ("model", None), ".*second/kernel": ("batch", "model")})
    if name == "replicated":
        return keras.distribution.DataParallel(devices=keras.distribution.list_devices("cpu"), auto_shard_dataset=False)
    return None


def made() -> keras.Model:
    """A model with all kinds of state: slots, moving averages, a random stream, metrics."""
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [
            keras.Input((8,)),
            keras.layers.Dense(12, "tanh", name="first"),
            keras.layers.BatchNormalization(name="norm"),
            keras.layers.Dropout(0.25, seed=5, name="drop"),
            keras.layers.Dense(4, name="second"),
        ],
        name="spread",
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def elements(variable: Any) -> np.ndarray[Any, Any]:
    """The elements of a variable that are on devices of this process, zero elsewhere."""
    whole = np.zeros(variable.shape, variable.value.dtype)
    for shard in variable.value.addressable_shards:
        whole[shard.index] = np.asarray(shard.data)
    return whole


def state(model: keras.Model) -> dict[str, Any]:
    """Every variable of a model and of its optimizer."""
    everything = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
    return {f"{at} {variable.path.removeprefix('spread/')}": variable for at, variable in enumerate(everything)}


def equal(model: keras.Model, other: keras.Model) -> dict[str, bool]:
    """Which variables have the same elements, as far as this process has them of both."""
    ours, theirs = state(model), state(other)
    found = {"count": len(ours) == len(theirs)}
    for (name, variable), counterpart in zip(ours.items(), theirs.values(), strict=False):
        one, two = elements(variable), elements(counterpart)
        if jax.process_count() > 1:
            seen = np.zeros(variable.shape, bool)
            for shard in counterpart.value.addressable_shards:
                seen[shard.index] = True
            mine = np.zeros(variable.shape, bool)
            for shard in variable.value.addressable_shards:
                mine[shard.index] = True
            one, two = one[seen & mine], two[seen & mine]
        found[name] = one.tobytes() == two.tobytes()
    return found


def spread(model: keras.Model) -> dict[str, str]:
    """How the variables with more than one box are spread."""
    return {
        name: str(variable.value.sharding.spec)
        for name, variable in state(model).items()
        if not variable.value.sharding.is_fully_replicated
    }


def layouts(folder: Path, rank: int, seen: dict[str, Any]) -> None:
    """A model trained under one layout, loaded under others."""
    keras.distribution.set_distribution(layout("columns"))
    model = made()
    model.fit(X, Y, epochs=2, batch_size=8, verbose=0)
    largest: list[int] = []
    numpy = framework.Framework.numpy

    def watched(self: Any, variable: Any) -> Any:
        found = numpy(self, variable)
        largest.append(found.size)
        return found

    framework.Framework.numpy = watched  # type: ignore[method-assign]
    report = etui.Report()
    seen["identity"] = etui.jax.save_distributed(model, folder / "model", counters={"epoch": 2}, report=report)
    framework.Framework.numpy = numpy  # type: ignore[method-assign]
    seen["lost"] = [str(entry) for entry in report.lost]
    seen["largest"], seen["spread"] = max(largest), spread(model)
    with etui.open(folder / "model") as stored:
        assert stored.weights is not None
        seen["chunks"] = {path: len(one.tensor.pieces) for path, one in stored.weights.variables.items()}
    read: list[tuple[int, ...]] = []
    tensor_numpy = Tensor.numpy

    def whole(self: Any, **options: Any) -> Any:
        read.append(self.shape)
        return tensor_numpy(self, **options)

    for name in ("rows", "replicated", "none"):
        keras.distribution.set_distribution(layout(name))
        Tensor.numpy = whole  # type: ignore[method-assign]
        other = etui.keras.load(folder / "model")
        Tensor.numpy = tensor_numpy  # type: ignore[method-assign]
        seen[f"whole {name}"] = len([shape for shape in read if shape == (8, 12)])
        read.clear()
        seen[name] = equal(model, other)
        seen[f"spread {name}"] = spread(other)
        fresh = made()
        etui.keras.load_weights(fresh, folder / "model", optimizer=True, state=True)
        seen[f"weights {name}"] = equal(model, fresh)
        seen[f"loss {name}"] = other.fit(X, Y, epochs=1, batch_size=8, verbose=0, shuffle=False).history["loss"][0]
    keras.distribution.set_distribution(layout("columns"))
    seen["loss"] = model.fit(X, Y, epochs=1, batch_size=8, verbose=0, shuffle=False).history["loss"][0]


def processes(folder: Path, rank: int, seen: dict[str, Any]) -> None:
    """A model over the devices of two processes, saved together and loaded under another layout."""
    keras.distribution.set_distribution(layout("columns"))
    model = made()
    model.train_on_batch(X, Y)
    seen["identity"] = etui.jax.save_distributed(model, folder / "processes")
    try:
        etui.keras.save(model, folder / f"alone-{rank}")
    except etui.EtuiError as fault:
        seen["alone"] = [fault.code, str(fault)]
    keras.distribution.set_distribution(layout("rows"))
    other = etui.keras.load(folder / "processes")
    seen["equal"], seen["spread"] = equal(model, other), spread(other)


SCENARIOS = {one.__name__: one for one in (layouts, processes)}

if __name__ == "__main__":
    scenario, folder, rank = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    seen: dict[str, Any] = {}
    SCENARIOS[scenario](folder, rank, seen)
    (folder / f"{scenario}-{rank}.json").write_text(json.dumps(seen))
    until = time.monotonic() + 30
    awaited = [folder / f"{scenario}-{other}.json" for other in range(int(sys.argv[4]))]
    while time.monotonic() < until and not all(path.exists() for path in awaited):
        time.sleep(0.05)
    sys.stdout.flush()
    os._exit(0)
