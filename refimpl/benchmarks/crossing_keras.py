"""Architectures of `keras.applications` as PyTorch modules and JAX functions, and back in Keras.

Each is built in Keras at random weights, saved as a `.keras` file, and read by `etui.torch.to_module` or
`etui.jax.to_function`, which need no Keras. What was made is saved again and loaded in Keras, where the predictions
have to be those of the first model bit for bit.

Differences are relative to the largest prediction. Each prediction is also compared with Keras' own in float64 on the
same weights: that tells whose rounding a difference in float32 is, and both in float64 that nothing else is in it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import architectures
import numpy as np
import numpy.typing as npt

import etui
from etui.errors import TransferError

Array = npt.NDArray[Any]

BOUND = 1e-5
"""The largest relative difference in float32 with which a prediction counts as the same."""
EXACT = 1e-12
"""The largest one in float64."""
LIMIT = 1e-4
"""No rounding in float32 excuses more than this."""
SPREAD = 0.01
"""How much of the largest prediction the predictions for two images have to differ by; less would prove nothing."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """An architecture in another framework and back.

    Attributes:
        name: of the architecture.
        target: the framework.
        refusal: why it does not cross, or an empty string.
        difference: between the predictions of both in float32.
        rounding: of Keras, its distance from itself in float64, and of the target, its distance from the same.
        exact: between the predictions of both in float64.
        back: whether the model that came back predicts as the first one, bit for bit.
    """

    name: str
    target: str
    refusal: str = ""
    difference: float = float("nan")
    rounding: tuple[float, float] = (float("nan"), float("nan"))
    exact: float = float("nan")
    back: bool = False

    @property
    def verdict(self) -> str:
        """What the figures mean: `refused`, `same`, `rounding` or `DIFFERS`."""
        if self.refusal:
            return "refused"
        if not (self.exact <= EXACT and self.back):
            return "DIFFERS"
        if self.difference <= BOUND:
            return "same"
        return "rounding" if self.difference <= LIMIT else "DIFFERS"


def in_torch(path: Path, x: Array, again: Path) -> tuple[Array, Array]:
    """The predictions of the torch module in float32 and in float64; the module is saved as `again`."""
    import torch

    module = etui.torch.to_module(path)
    etui.torch.save(module, None, again)
    with torch.no_grad():
        found = module(torch.from_numpy(x)).numpy()
        return found, module.double()(torch.from_numpy(x).double()).numpy()


def in_jax(path: Path, x: Array, again: Path) -> tuple[Array, Array]:
    """The predictions of the JAX function in float32 and in float64; the function is saved as `again`."""
    import jax

    function = etui.jax.to_function(path)
    etui.jax.save(function, function.params, function.state, None, again)
    found = np.asarray(jax.jit(function.apply)(function.params, x))
    with jax.enable_x64(True):
        wide = etui.jax.to_function(path, dtype="float64")
        return found, np.asarray(jax.jit(wide.apply)(wide.params, x.astype("float64")))


TARGETS: dict[str, Callable[[Path, Array, Path], tuple[Array, Array]]] = {"torch": in_torch, "jax": in_jax}


def bias_beside_width() -> float:
    """What Keras is off at a convolution with the channels first and as many channels as columns, relatively.

    On TensorFlow, Keras adds a bias along the axis whose size it has, and looks at the last one first. The convolution
    has no input but zeros, so that the bias is all of the result.
    """
    import keras

    layer = keras.layers.Conv2D(4, 1, data_format="channels_first", bias_initializer="random_normal")
    found = np.asarray(layer(np.zeros((1, 2, 4, 4), "float32")))
    wanted = np.asarray(layer.bias)[None, :, None, None]
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def crossings(name: str, targets: Sequence[str] = tuple(TARGETS)) -> Iterator[Crossing]:
    """An architecture in each of the frameworks, and back.

    Args:
        name: of the architecture.
        targets: keys of `TARGETS`.
    """
    model = architectures.build(name)
    x = architectures.images(name)
    expected = np.asarray(model(x, training=False))
    wide = np.asarray(architectures.exact(name, model)(x.astype("float64"), training=False))
    largest = np.abs(wide).max()
    if np.abs(wide[0] - wide[1]).max() < SPREAD * largest:
        largest = float("nan")  # the predictions hardly depend on the image: no difference is one to be believed

    def apart(one: Array, two: Array) -> float:
        return float(np.abs(one.astype("float64") - two).max() / largest)

    with tempfile.TemporaryDirectory() as folder:
        path, again = Path(folder) / "model.keras", Path(folder) / "again.etui"
        model.save(path)
        for target in targets:
            try:
                found, exact = TARGETS[target](path, x, again)
            except TransferError as refusal:
                yield Crossing(name, target, f"{refusal.where}: {refusal.found}")
                continue
            back = np.asarray(etui.keras.load(again)(x, training=False))
            yield Crossing(
                name,
                target,
                "",
                apart(found, expected),
                (apart(expected, wide), apart(found, wide)),
                apart(exact, wide),
                np.array_equal(back, expected),
            )
