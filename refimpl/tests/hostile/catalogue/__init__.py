"""Every hostile file that the facts tell of, as data: what it is, how it is made, and what it must be refused with.

A module for each format has the list `CASES`.
"""

from importlib import import_module

from catalogue.case import Case
from catalogue.facts import LINES

__all__ = ["LINES", "MODULES", "Case", "cases"]

MODULES = (
    "hdf5",
    "keras_config",
    "keras_legacy",
    "keras_weights",
    "zip",
    "safetensors",
    "json_msgpack",
    "declared",
    "tensorflow",
    "saved_model",
    "tfjs",
    "series",
)


def cases(module: str) -> list[Case]:
    """The cases of a module."""
    found: list[Case] = import_module(f"catalogue.{module}").CASES
    return found
