"""The neutral training document and optimizer to `compile_config` (SPEC.md, annex B.5)."""

from __future__ import annotations

from typing import Any

from etui.bridges.keras.patches import Json, patched, reordered
from etui.bridges.keras.training_read import FIELDS, frame_of_training
from etui.bridges.keras.values import ValueWriter
from etui.containers.training import Training


def write_compile_config(training: Training, optimizer: Json | None, values: ValueWriter) -> dict[str, Json]:
    """The compile config of a model.

    Args:
        training: the neutral document.
        optimizer: the node of the optimizer, or `None`.
        values: the writer of values.

    Raises:
        TransferError: ``keras-value``.
    """
    facts: dict[str, Any] = training.residue.get("keras", {})
    fields = patched(frame_of_training(training), facts)
    for name in FIELDS:
        if getattr(training, name):
            fields[name] = values.json(getattr(training, name), name)
    compiled = fields if optimizer is None or "optimizer" in fields else {"optimizer": optimizer} | fields
    return dict(reordered(compiled, facts.get("order", [])))
