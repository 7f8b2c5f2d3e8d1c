"""Weights as variables where no layer says what they are: the paths are their names (SPEC.md, annexes H.5 and H.6)."""

from __future__ import annotations

from etui import paths
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights


def path_of(name: str) -> str:
    """The path of the variable for a weight's name: its segments, escaped."""
    return "/".join(paths.escape_segment(segment) for segment in name.split("/"))


def name_of(path: str) -> str:
    """The weight's name for the path of a variable; undoes `path_of`."""
    return "/".join(paths.unescape_segment(segment) for segment in path.split("/"))


def tensors_of(weights: Weights) -> dict[str, Tensor]:
    """The tensors by the names of the weights, those of aliases last."""
    return {name_of(path): weights[path].tensor for path in [*weights.variables, *weights.aliases]}
