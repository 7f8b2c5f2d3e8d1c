"""The modules of the bridge to JAX, each imported when it is first used."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from etui.errors import error

StrPath = str | os.PathLike[str]
Names = Mapping[str, str] | Callable[[str], str | None] | None


def bridge(name: str) -> Any:
    """A module of the bridge.

    Raises:
        MissingExtraError: ``extra-jax``, ``extra-flax`` or ``extra-orbax``, what it needs is not installed.
    """
    from importlib import import_module
    from importlib.util import find_spec

    needs = {"flax": ("jax", "flax"), "orbax": ("orbax",), "distributed": ("jax",), "distributed_load": ("jax",)}.get(
        name, ("jax", "optax")
    )
    for package in needs:
        if find_spec(package) is None:
            raise error(f"extra-{package}" if package in ("flax", "orbax") else "extra-jax", found=package)
    return import_module(f"etui.bridges.jax.{name}")
