"""Optimizers of Keras in the terms of the vocabulary and back (SPEC.md, annex L.2)."""

from __future__ import annotations

from etui.bridges.keras.core.optimizer_lift import lift_optimizer
from etui.bridges.keras.core.optimizer_lower import lower_optimizer

__all__ = ["lift_optimizer", "lower_optimizer"]
