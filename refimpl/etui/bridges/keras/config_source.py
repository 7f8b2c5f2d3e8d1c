"""The config of a model of any format, for the reader of a format that has none of its own."""

from __future__ import annotations

from dataclasses import replace

from etui.bridges.keras.content import Content
from etui.bridges.keras.model_write import Writing
from etui.bridges.keras.modules import residue
from etui.containers.weights import Weights
from etui.errors import error
from etui.model import Blob, Model

# Without it a layer that adapted to its words does not work.
_VOCABULARY = "vocabulary.txt"


def config_of(model: Model) -> Content:
    """The config and the training config of a model, as Keras writes them, without arrays and groups.

    Args:
        model: one whose ops are Keras' or the author's own; its weights and its optimizer's state are not read.

    Raises:
        UsageError: ``config-source``, it has no config.
        TransferError: a code that begins with ``keras-``, Keras has no form for the config.
    """
    if model.config is None:
        raise error("config-source", found="no config")
    writing = Writing(replace(model, weights=Weights() if model.weights is None else model.weights))
    metadata = dict(residue(model.config.model).get("metadata", {}))
    # The file is closed before the config is used.
    assets = {part: Blob.of(blob.read()) for part, blob in model.assets.items() if part.endswith(_VOCABULARY)}
    return Content(writing.config(), writing.dialect, metadata=metadata, assets=assets)
