"""The record of a step: which artifact it is, the layouts of its data parts, what was measured (SPEC.md annex Q)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from etui import digest
from etui.canonical import json, values
from etui.containers.fields import Context, Json, open_document
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.objects import MOST_RECORD_BYTES, MOST_STEP, record_name
from etui.storage.part_names import role_of

DOCUMENT = "step.json"
"""What messages call a record."""

_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")


@dataclass(frozen=True, slots=True)
class Record:
    """What the record of a step says.

    Attributes:
        step: its number.
        identity: of its artifact, and the object with the manifest.
        layouts: data part -> digest of its layout.
        metrics: name -> number, NaN and infinities included.
        time: when it was saved, in UTC, to the millisecond, as a text of RFC 3339.
        extra: fields of a newer version or with `x-`.
        newer: whether it is of a newer minor version.
    """

    step: int
    identity: str
    layouts: Mapping[str, str]
    metrics: Mapping[str, float]
    time: str
    extra: Mapping[str, Json] = field(default_factory=dict)
    newer: bool = False


def encode(record: Record) -> bytes:
    """The bytes of a record, sealed.

    Raises:
        UsageError: ``series-number``, ``series-metric``.
        LimitError: ``limit-document``.
    """
    record_name(record.step)
    tree: dict[str, Json] = {
        "format": "etui-step",
        "version": "1.0",
        "step": record.step,
        "identity": record.identity,
        "time": record.time,
        **record.extra,
    }
    if record.layouts:
        tree["layouts"] = dict(record.layouts)
    if record.metrics:
        tree["metrics"] = values.to_json(check_metrics(record.metrics))
    data = json.encode(tree | {"seal": _seal(tree)})
    _check_size(data, f"steps/{record.step}.json")
    return data


def decode(data: bytes, step: int, limits: Limits = DEFAULT_LIMITS) -> Record:
    """The record in the file of a step.

    Raises:
        RejectError: ``step-form``, ``series-seal``, ``limit-document``, or the code of another clause.
    """
    where = f"steps/{step}.json"
    _check_size(data, where)
    tree = json.decode(data, where=where, limits=limits)
    required, optional = {"step", "identity", "seal", "time"}, {"layouts", "metrics"}
    context, extra = open_document(tree, DOCUMENT, limits, required, optional)
    context = Context(where, context.code, context.newer, limits)
    for name in ("seal", "identity"):
        digest.parse(tree[name], context.place(name))
    unsealed = {name: value for name, value in tree.items() if name != "seal"}
    seal = digest.of(json.encode(unsealed), tree["seal"].partition(":")[0])
    if seal != tree["seal"]:
        raise error("series-seal", where=where, found=f"{seal}, not {tree['seal']}")
    number = context.natural(tree, "step", "")
    if number != step or number > MOST_STEP:
        raise context.fail("step", f"the number {number}")
    layouts = context.filled(tree, "layouts", dict, "")
    if len(layouts) > limits.parts:
        raise error("limit-parts", where=context.place("layouts"), found=f"{len(layouts)} data parts")
    for part, layout in layouts.items():
        if role_of(part) != "data":
            raise context.fail("layouts", f"{shown(part)}, which is no data part")
        digest.parse(layout, context.place(f"layouts/{part}"))
    metrics = values.from_json(context.filled(tree, "metrics", dict, ""), context.place("metrics"), limits)
    for name, value in context.mapping(metrics, "metrics").items():
        if not name or type(value) is not float:
            raise context.fail(f"metrics/{name}", f"{shown(value)} in place of a float with a name")
    time = _read_time(context, tree["time"])
    return Record(number, tree["identity"], layouts, metrics, time, extra, context.newer)


def check_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Metrics as floats; numbers of NumPy and scalars of frameworks are taken as what they say of themselves.

    Raises:
        UsageError: ``series-metric``.
    """
    found: dict[str, float] = {}
    for name, value in metrics.items():
        if type(name) is not str or not name or any("\ud800" <= char <= "\udfff" for char in name):
            raise error("series-metric", found=f"the name {shown(name)}")
        if isinstance(value, str | bytes | bytearray):
            raise error("series-metric", where=name, found=shown(value))
        try:
            found[name] = float(value)
        except (TypeError, ValueError, OverflowError) as cause:
            raise error("series-metric", where=name, found=shown(value)) from cause
    return found


def time_text(moment: datetime) -> str:
    """A moment as a record has it: UTC, to the millisecond."""
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.removesuffix("+00:00") + "Z"


def _read_time(context: Context, text: Json) -> str:
    if not isinstance(text, str) or not _TIME.fullmatch(text):
        raise context.fail("time", f"{shown(text)} in place of a time")
    try:
        datetime.fromisoformat(text)
    except ValueError as cause:
        raise context.fail("time", f"{shown(text)}, which is no moment") from cause
    return text


def _check_size(data: bytes, where: str) -> None:
    if len(data) > MOST_RECORD_BYTES:
        raise error("limit-document", where=where, found=f"{len(data)} bytes")


def _seal(tree: dict[str, Json]) -> str:
    return digest.of(json.encode(tree))
