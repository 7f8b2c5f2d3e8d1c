"""The fuzz targets by name."""

from __future__ import annotations

from typing import Final

from fuzz import targets_foreign, targets_onnx, targets_own, targets_programs
from fuzz.kit import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target
    for target in (*targets_own.TARGETS, *targets_foreign.TARGETS, *targets_programs.TARGETS, *targets_onnx.TARGETS)
}
