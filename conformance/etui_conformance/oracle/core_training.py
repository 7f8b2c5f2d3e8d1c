"""Objects and optimizers of the core vocabulary (C-9, CV-1 to CV-4, CV-30, CT-1, CO-1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from etui_conformance.oracle import core_types
from etui_conformance.oracle.errors import Refusal, pointer
from etui_conformance.oracle.schema_files import vocabulary

CORE = "core:"
TRAINING = ("losses", "metrics", "schedules")


def check_object(content: Mapping[str, Any], at: str) -> None:
    """Refuse an object of a class `core:…` that the vocabulary does not have, or whose config is another.

    Raises:
        Refusal: `op-unknown`; `core-object` of a loss, metric or schedule, and else `core-attrs` (CV-30).
    """
    if not content["class"].startswith(CORE):
        return
    kind, _, name = content["class"].removeprefix(CORE).partition(".")
    if kind not in core_types.CLASSES or name not in vocabulary()[kind]:
        raise Refusal("op-unknown", pointer(at, "class"), f"the vocabulary has no {content['class']!r}")
    code = "core-object" if kind in TRAINING else "core-attrs"
    core_types.check(content["config"], vocabulary()[kind][name].get("attrs", {}), pointer(at, "config"), code)


def check_optimizer(tree: Mapping[str, Any], at: str) -> None:
    """Refuse an optimizer of an algorithm `core:…` that is not as the vocabulary says (CO-1).

    Raises:
        Refusal: `op-unknown`, `core-optimizer`.
    """
    if not tree["algorithm"].startswith(CORE):
        return
    name = tree["algorithm"].removeprefix(CORE)
    if name not in vocabulary()["optimizers"]:
        raise Refusal("op-unknown", pointer(at, "algorithm"), f"the vocabulary has no {name!r}")
    optimizer = vocabulary()["optimizers"][name]
    specs = vocabulary()["common_hyperparameters"] | optimizer.get("hyperparameters", {})
    place = pointer(at, "hyperparameters")
    core_types.check(tree.get("hyperparameters", {}), specs, place, "core-optimizer")
    for index, group in enumerate(tree.get("groups", ())):
        # A group overrides what it has, with a default too; what it lacks is the optimizer's.
        given = group.get("hyperparameters", {})
        own = {key: {k: v for k, v in specs[key].items() if k != "default"} for key in given if key in specs}
        core_types.check(given, own, pointer(at, "groups", index), "core-optimizer")
    if optimizer.get("wraps") and "inner" not in tree:
        raise Refusal("core-optimizer", at, f"{name} wraps another optimizer, and none is there")
