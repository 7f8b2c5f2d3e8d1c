"""Saving whatever is a model: a neutral one, or a live one of a framework."""

from __future__ import annotations

from typing import Any

from etui.artifact import save_model
from etui.bridges.keras.live.framework import framework_of
from etui.bridges.own import in_vocabulary
from etui.errors import error, shown
from etui.model import Model
from etui.report import Report


def save(model: Any, target: Any, *, vocabulary: str | None = None, **options: Any) -> str:
    """Save a model as an artifact and give its identity.

    Args:
        model: an `etui.Model`, or a live model of Keras 3 or tf_keras.
        target: path of the file or folder; for an `etui.Model` also a file object or mapping.
        vocabulary: ``"core"`` or ``"keras"``, the terms in which a model of Keras is written; by default its own.
        options: as `etui.artifact.save_model` takes them for an `etui.Model`, and `etui.keras.save` for a live one.

    Raises:
        UsageError: ``live-model``, it is neither; ``writer-misuse``, an unknown vocabulary.
        EtuiError: as the two functions say.
    """
    if isinstance(model, Model):
        return save_model(in_vocabulary(model, vocabulary, Report()), target, **options)
    if framework_of(model) is None:
        raise error("live-model", found=shown(type(model).__qualname__), hint="Pass an etui.Model or a Keras model.")
    from etui import keras

    return keras.save(model, target, vocabulary=vocabulary, **options)
