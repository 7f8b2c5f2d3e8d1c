"""Real Keras models for the `.keras` bridge. Importing this package needs Keras and registers the custom objects."""

from __future__ import annotations

from . import (  # noqa: F401  (importing a module registers its cases)
    attention,
    convolution,
    custom,
    normalization,
    operations,
    optimizers,
    precision,
    preprocessing,
    recurrent,
    topology,
    training,
)
from .registry import BACKENDS, CASES, Case, Sample, spare_tracing

__all__ = ["BACKENDS", "CASES", "Case", "Sample", "spare_tracing"]
