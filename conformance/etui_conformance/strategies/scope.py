"""What of the format an implementation claims, so that it is shown nothing else."""

from __future__ import annotations

from dataclasses import dataclass

from etui_conformance.oracle.dtypes import ENCODINGS
from etui_conformance.oracle.manifest import FEATURES

AREAS = ("weights", "config", "training", "optimizer", "state", "parts")
DTYPES = (
    "float32",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float64",
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e8m0fnu",
    "complex64",
    "complex128",
    "int4",
    "uint4",
    "string",
    "bytes",
)


@dataclass(frozen=True, slots=True)
class Scope:
    """The part of the format to draw from.

    Attributes:
        areas: documents, and `parts` for assets, programs and native documents.
        features: of chapter 18.2.
        dtypes: of chapter 2.1.
    """

    areas: frozenset[str] = frozenset(AREAS)
    features: frozenset[str] = frozenset(FEATURES)
    dtypes: frozenset[str] = frozenset(DTYPES)

    def tensor_dtypes(self) -> list[str]:
        """The dtypes whose encoding is in the scope too, in the order of `DTYPES`."""
        return [
            name
            for name in DTYPES
            if name in self.dtypes and (name not in ENCODINGS or f"encoding.{ENCODINGS[name]}" in self.features)
        ]


EVERYTHING = Scope()
