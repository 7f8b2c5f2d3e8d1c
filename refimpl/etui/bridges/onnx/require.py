"""The optional packages of `etui[onnx]`, imported where they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from etui.errors import error

__all__ = ["onnx_package", "runtime_package"]


def onnx_package() -> Any:
    """The package `onnx`.

    Raises:
        MissingExtraError: ``extra-onnx``.
    """
    return _imported("onnx")


def runtime_package() -> Any:
    """The package `onnxruntime`.

    Raises:
        MissingExtraError: ``extra-onnx``.
    """
    return _imported("onnxruntime")


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as fault:
        raise error("extra-onnx", found=f"{name}: {fault}") from fault
