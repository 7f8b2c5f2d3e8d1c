"""Faults with names: for each clause whose breach a reader refuses, ways to break it and nothing else.

fault = all_faults()[0]
fault.clauses, fault.codes, fault.name      # ("D-2",), ("path-form",), "empty segment"
fault.cases(scope)                          # cases: a valid artifact, and the same with the fault
"""

from collections.abc import Sequence
from importlib import import_module

from etui_conformance.strategies.faults.base import Case, Fault, Given, Ways, registered

_FAMILIES = (
    "texts",
    "values",
    "digests",
    "part_names",
    "manifest",
    "versions",
    "folder",
    "archive",
    "data",
    "weights",
    "encodings",
    "config",
    "training",
    "limits",
)


def all_faults() -> Sequence[Fault]:
    """Every fault, chapter by chapter."""
    for family in _FAMILIES:
        import_module(f"{__name__}.{family}")
    return registered()


__all__ = ["Case", "Fault", "Given", "Ways", "all_faults"]
