"""The groups of the weights file that hold no variables, and the attributes of all (SPEC.md, annex B.4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from etui.bridges.keras.layout import VARS, places, vars_attributes
from etui.bridges.keras.modules import join, residue
from etui.bridges.keras.patches import Json, difference, patched
from etui.containers.config import Config


def expected_groups(
    config: Config, dialect: str, datasets: Iterable[str], others: dict[str, dict[str, str]]
) -> dict[str, Json]:
    """The groups that follow from the neutral model, each with its attributes.

    Args:
        config: the neutral config.
        dialect: ``keras`` or ``tf_keras``.
        datasets: paths of all datasets.
        others: groups of optimizers and metrics with their attributes.
    """
    found: dict[str, Json] = {"": {}}
    for place in places(config):
        attrs = vars_attributes(place, dialect)
        if attrs is not None:
            found[join(place.group, VARS)] = attrs
    found.update(others)
    for path in [*found, *datasets]:
        parent = path
        while parent:
            parent = parent.rpartition("/")[0]
            found.setdefault(parent, {})
    return found


def odd_groups(expected: dict[str, Json], actual: Mapping[str, Mapping[str, str]]) -> dict[str, Json]:
    """What distinguishes the file's groups from the expected ones."""
    return difference(expected, {path: dict(attrs) for path, attrs in actual.items()})


def written_groups(config: Config, expected: dict[str, Json]) -> dict[str, dict[str, str]]:
    """The groups to write."""
    return patched(expected, residue(config.model).get("groups", {}))
