"""Models written in torch, in Keras, in JAX, in the module that Etui builds, and back in a new module of their author.

Each model of `torch_models` is traced to its core graph and saved. The way back is a whole circle: the etui is loaded
in Keras, saved by Keras, and loaded into a new module whose tensors were all zero.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch_models

import etui
from etui.errors import EtuiError
from etui.report import Report

BOUND = 1e-5
"""The largest relative difference in float32 with which outputs count as the same."""


@dataclass(frozen=True, slots=True)
class Crossing:
    """A model of torch in a framework, or back in torch.

    Attributes:
        name: of the model.
        target: the framework, or `back`.
        refusal: why it does not cross, or an empty string.
        difference: of the outputs, relative to the largest.
        note: the formula by which variables were changed on the way back; without one, all tensors have the same bits.
    """

    name: str
    target: str
    refusal: str = ""
    difference: float = float("nan")
    note: str = ""

    @property
    def verdict(self) -> str:
        """What it means: `refused`, `same` or `DIFFERS`."""
        if self.refusal:
            return "refused"
        return "same" if self.difference <= BOUND else "DIFFERS"


def leaves(value: Any) -> list[Any]:
    """The arrays of a nested result."""
    if isinstance(value, list | tuple):
        return [leaf for one in value for leaf in leaves(one)]
    return [value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)]


def in_keras(path: Path, example: list[torch.Tensor]) -> Any:
    """Predictions of the Keras model."""
    arrays = [one.numpy() for one in example]
    return _keras(path)(arrays if len(arrays) > 1 else arrays[0], training=False)


def _keras(path: Path) -> Any:
    # Batch statistics that Keras would go on with otherwise are not exact in training, and exact in predictions.
    return etui.keras.load(path, strict=False)


def in_jax(path: Path, example: list[torch.Tensor]) -> Any:
    """Outputs of the function of JAX."""
    function = etui.jax.to_function(path)
    return function.apply(function.params, *(one.numpy() for one in example))


def in_torch(path: Path, example: list[torch.Tensor]) -> Any:
    """Outputs of the torch module that Etui builds."""
    return etui.torch.to_module(path).eval()(*example)


TARGETS: dict[str, Callable[[Path, list[torch.Tensor]], Any]] = {"keras": in_keras, "jax": in_jax, "torch": in_torch}


def crossings(name: str, targets: Sequence[str] = tuple(TARGETS)) -> Iterator[Crossing]:
    """A model in each of the frameworks, and back in torch if Keras is one of them.

    Args:
        name: of the model.
        targets: keys of `TARGETS`.
    """
    module, example = torch_models.made(name)
    wanted = leaves(module(*example))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.etui"
        try:
            etui.torch.save(module, None, path, example=tuple(example))
        except EtuiError as fault:
            yield from (Crossing(name, target, str(fault)) for target in targets)
            return
        for target in targets:
            try:
                yield Crossing(name, target, "", apart(wanted, leaves(TARGETS[target](path, example))))
            except EtuiError as fault:
                yield Crossing(name, target, str(fault))
        if "keras" in targets:
            yield back(name, module, example, path)


def back(name: str, module: Any, example: list[torch.Tensor], path: Path) -> Crossing:
    """The model from Keras in a new module.

    Args:
        name: of the model.
        module: the first one.
        example: its inputs.
        path: of its etui.
    """
    other, _ = torch_models.made(name)
    for tensor in other.state_dict().values():
        tensor.zero_()
    report = Report()
    try:
        etui.keras.save(_keras(path), path)
        etui.torch.load_into(other, None, path, example=tuple(example), report=report)
    except EtuiError as fault:
        return Crossing(name, "back", str(fault))
    found = other.state_dict()
    changed = [key for key, tensor in module.state_dict().items() if not _same(key, tensor, found[key])]
    formulas = sorted({one.transfer.formula for one in report.entries if one.transfer and one.transfer.formula})
    note = "; ".join(formulas) if changed else ""
    if bool(changed) != bool(note):
        return Crossing(name, "back")  # a change that no formula tells has no figure, and differs
    return Crossing(name, "back", "", apart(leaves(module(*example)), leaves(other(*example))), note)


def _same(name: str, one: torch.Tensor, two: torch.Tensor) -> bool:
    # A count of batches is not read where the momentum is constant, and no file of Keras has one.
    return name.endswith("num_batches_tracked") or torch.equal(one, two)


def apart(wanted: list[Any], found: list[Any]) -> float:
    """The largest difference, relative to the largest of each output; infinite where there are other outputs."""
    if [one.shape for one in wanted] != [one.shape for one in found]:
        return float("inf")
    pairs = zip(wanted, found, strict=True)
    return max(float(np.abs(one - other).max() / np.abs(one).max()) for one, other in pairs)
