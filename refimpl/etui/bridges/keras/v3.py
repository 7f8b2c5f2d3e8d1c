"""The `.keras` format, both ways: archives of Keras 3 and of tf_keras, without either of them (SPEC.md, annex B)."""

from __future__ import annotations

from etui.bridges.keras.archive import recognises
from etui.bridges.keras.read import read
from etui.bridges.keras.write import write

__all__ = ["read", "recognises", "write"]
