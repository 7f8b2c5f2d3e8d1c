"""What the reference library does for requests about series of checkpoints (annex Q)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from etui.canonical import json, values
from etui.checkpoints import Series, Step, layouts, records
from etui.model import Model
from etui.storage.objects import check_mark

Json = Any

DOCUMENTS = ("series", "step", "layout")


def step_of(artifact: Json) -> Step | None:
    """The step that a message names as an artifact; `None` for an artifact in another form.

    Raises:
        RejectError: its record, or the series, breaks a clause.
    """
    match artifact:
        case {"series": str(path), "step": int(number)}:
            return Series(path, create=False)[number]
    return None


def save(model: Model, request: Mapping[str, Json], shard_size: int | None) -> str:
    """Save a model as a step; its identity."""
    series = Series(request["path"])
    time = request.get("time")
    step = series.save(
        model,
        request["step"],
        metrics=values.from_json(request.get("metrics") or {}, "metrics"),
        replace=request.get("replace", False),
        shard_size=shard_size,
        time=None if time is None else datetime.fromisoformat(time),
    )
    return step.identity


def check_document(kind: str, data: bytes) -> None:
    """Read one document of annex Q; a record counts as that of the step which it names.

    Raises:
        RejectError: it breaks a clause.
    """
    if kind == "series":
        check_mark(data, kind)
    elif kind == "layout":
        layouts.decode(data)
    else:
        number = json.decode(data, where=kind).get("step")
        records.decode(data, number if type(number) is int and number >= 0 else 0)
