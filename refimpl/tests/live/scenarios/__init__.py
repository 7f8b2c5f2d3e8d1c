"""What live models go through in a process of their framework; a scenario raises if something is not as it must be."""

from __future__ import annotations

from importlib import import_module
from typing import Any

MODULES = ("accounting", "checkpoints", "defects", "guide", "mistakes", "moments", "safety", "states", "transfer")


def all_scenarios(*, once: bool) -> dict[str, Any]:
    """Every scenario by its name, with or without those that hold whatever the backend."""
    for name in MODULES:
        import_module(f"scenarios.{name}")
    base = import_module("scenarios.base")
    return {name: found for name, found in base.SCENARIOS.items() if once or name in base.EVERYWHERE}
