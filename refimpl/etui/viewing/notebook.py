"""What notebooks show of models, tensors and reports: small HTML that runs nothing, in the notebook's own colours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import singledispatch
from html import escape
from itertools import islice
from typing import Any

from etui.canonical.values import ObjectValue
from etui.checkpoints.step import Step
from etui.containers.pieces import Stored
from etui.containers.tensors import Tensor
from etui.containers.variable import Variable
from etui.containers.weights import Weights
from etui.errors import EtuiError, without_secrets
from etui.model import Model
from etui.report import CHANGED, LOST, OUTSIDE, STATUSES, Report
from etui.viewing.families import short_op, summary
from etui.viewing.lettering import compact, size_text, visible
from etui.viewing.statistics import Statistics, statistics

ROWS = 30
"""Rows of a table at most; what is left out is counted."""
LOOKED_AT_BYTES = 16 * 1024 * 1024
"""A tensor is read to be shown if it is not larger than that."""

_TEXT_LENGTH = 120
_MESSAGE_LENGTH = 600
_WIDTH, _HEIGHT = 256, 56
# Greys that are seen on white and on black; letters have the notebook's colour.
_STYLE = (
    ".etui-repr{font-size:13px;line-height:1.45;max-width:900px}"
    ".etui-repr table{border-collapse:collapse;margin:4px 0;background:none;border:0}"
    ".etui-repr th,.etui-repr td{padding:2px 14px 2px 0;text-align:left;border:0;background:none;vertical-align:top;"
    "font-size:13px;color:inherit}.etui-repr tr{background:none}"
    ".etui-repr .number{text-align:right;font-variant-numeric:tabular-nums}"
    ".etui-repr thead th{border-bottom:1px solid #8886;font-weight:600}"
    ".etui-repr tbody th{font-weight:400;opacity:.7;white-space:nowrap}"
    ".etui-repr code{font-size:12px;background:none;padding:0;color:inherit;overflow-wrap:anywhere}"
    ".etui-repr .head{margin:2px 0 4px}.etui-repr .head b{margin-right:8px}"
    ".etui-repr .soft{opacity:.7}.etui-repr .tag{border:1px solid #8888;border-radius:9px;padding:0 8px;font-size:12px}"
    ".etui-repr .bad{border-color:#cb6258;color:#cb6258}.etui-repr .good{border-color:#009f71;color:#009f71}"
    ".etui-repr summary{cursor:pointer;opacity:.85;margin:2px 0}"
    ".etui-repr svg{display:block;margin:6px 0 0}.etui-repr svg rect{fill:#5086d6}"
)

Row = Sequence[str]


@singledispatch
def html_of(thing: Any) -> str:
    """The HTML of a model, weights, a variable, a tensor, a report, or a step of a series.

    Every text of a file is escaped; there is no script, no link, and nothing that is fetched.

    Raises:
        TypeError: it is none of these.
    """
    raise TypeError(f"notebooks show no {type(thing).__qualname__} of Etui")


@html_of.register
def _model(model: Model) -> str:
    name = (model.config and model.config.model.name) or "model"
    facts = [(key, value) for key, value in _facts(model) if value]
    body = [_table((), [(key, value) for key, value in facts])]
    if model.config is not None:
        modules = list(model.config.walk())[1:]
        rows = (_module_row(path, module) for path, module in modules)
        body.append(_folded(f"{len(modules):,} modules", ("module", "op", ""), rows, len(modules)))
    if model.weights is not None:
        body.append(_folded(f"{len(model.weights):,} variables", *_variables(model.weights)))
    return _framed("Model", name, model.form or "", body)


def _facts(model: Model) -> Iterator[tuple[str, str]]:
    if model.digest:
        yield "identity", f"<code>{escape(model.digest)}</code>"
    if model.manifest is not None:
        size = sum(entry.size for entry in model.manifest.parts.values())
        yield "profile", escape(f"{model.manifest.profile}, {len(model.manifest.parts)} parts, {size_text(size)}")
    if model.config is not None:
        yield "op", escape(visible(model.config.model.op))
    if model.weights is not None:
        yield "parameters", escape(_parameters(model.weights))
    for place, optimizer in model.optimizer.walk() if model.optimizer is not None else ():
        yield _plain(place), _plain(f"{optimizer.algorithm}, step {optimizer.step:,}")
    if model.training is not None and model.training.loss is not None:
        yield "loss", _plain(_value(model.training.loss))
    for what, names in (("assets", model.assets), ("programs", model.programs), ("native", model.native)):
        yield what, _plain(", ".join(names))


def _value(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, ObjectValue):
        return short_op(value.class_name)
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_value(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return str(value)


def _module_row(path: str, module: Any) -> Row:
    depth = path.count("/")
    op = short_op(module.op) if module.op else f"is {module.target}"
    return "\u2003" * depth + visible(module.name), visible(op), visible(summary(module.op, module.attrs))


def _parameters(weights: Weights) -> str:
    variables = weights.variables.values()
    count = sum(math.prod(variable.shape) for variable in variables)
    trained = sum(math.prod(variable.shape) for variable in variables if variable.trainable)
    dtypes = ", ".join(f"{number} {name}" for name, number in Counter(one.dtype for one in variables).items())
    size = size_text(sum(one.tensor.nbytes for one in variables))
    return f"{compact(count)}, {compact(trained)} of them trainable, {size} ({dtypes})"


@html_of.register
def _weights(weights: Weights) -> str:
    columns, rows, count = _variables(weights)
    return _framed("Weights", f"parameters: {_parameters(weights)}", "", [_listing(columns, rows, count)])


def _variables(weights: Weights) -> tuple[Row, Iterable[Row], int]:
    rows = (
        (visible(path), variable.dtype, _shape(variable.shape), variable.role, "" if variable.trainable else "frozen")
        for path, variable in weights.variables.items()
    )
    return ("variable", "dtype", "shape", "role", ""), rows, len(weights)


@html_of.register
def _variable(variable: Variable) -> str:
    kind = "trainable" if variable.trainable else "not trainable"
    facts = [("role", _plain(variable.role)), *_tensor_facts(variable.tensor)]
    return _framed("Variable", f"{variable.dtype} {_shape(variable.shape)}", kind, _looked_at(variable.tensor, facts))


@html_of.register
def _tensor(tensor: Tensor) -> str:
    name = f"{tensor.dtype} {_shape(tensor.shape)}"
    return _framed("Tensor", name, tensor.encoding or "", _looked_at(tensor, [*_tensor_facts(tensor)]))


def _tensor_facts(tensor: Tensor) -> Iterator[tuple[str, str]]:
    yield "elements", f"{math.prod(tensor.shape):,}, {escape(size_text(tensor.nbytes))}"
    sources = [piece.source for piece in tensor.pieces]
    if len(sources) > 1:
        yield "chunks", f"{len(sources):,}"
    elif sources and isinstance(sources[0], Stored):
        yield "digest", f"<code>{escape(sources[0].chunk.digest)}</code>"


def _looked_at(tensor: Tensor, facts: list[tuple[str, str]]) -> list[str]:
    """Facts, and what the elements are like, if reading them takes no time."""
    if tensor.nbytes > LOOKED_AT_BYTES:
        return [_table((), [*facts, ("statistics", f"not read: more than {size_text(LOOKED_AT_BYTES)}")])]
    try:
        found = statistics(tensor, values_bytes=0)
    except EtuiError as fault:
        return [_table((), facts), f'<div class="tag bad">{_plain(str(fault), _MESSAGE_LENGTH)}</div>']
    return [_table((), [*facts, *_statistics(found)]), _bars(found)]


def _statistics(found: Statistics) -> Iterator[tuple[str, str]]:
    if found.min is not None and found.max is not None:
        spread = "" if found.std is None else f" ± {found.std:.4g}"
        mean = "" if found.mean is None else f", mean {found.mean:.4g}{spread}"
        yield "range", escape(f"{found.min:.4g} to {found.max:.4g}{mean}")
    odd = [(found.nan, "NaN"), (found.inf, "infinite"), (found.zeros, "zero")]
    yield "of them", ", ".join(f"{number:,} {what}" for number, what in odd if number) or "no zero, no NaN"


def _bars(found: Statistics) -> str:
    """A histogram of bars; it says in words what it shows."""
    if len(found.histogram) < 2:
        return ""
    most, width = max(found.histogram), _WIDTH / len(found.histogram)
    bars = []
    for index, number in enumerate(found.histogram):
        height = max(1.0, _HEIGHT * number / most) if number else 0.0
        place = f'x="{index * width:g}" y="{_HEIGHT - height:.1f}" width="{width - 0.6:.1f}" height="{height:.1f}"'
        bars.append(f"<rect {place}/>" if number else "")
    label = f"histogram from {found.min:.4g} to {found.max:.4g}"
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    return f'<svg {size} role="img" aria-label="{escape(label)}">{"".join(bars)}</svg>'


@html_of.register
def _report(report: Report) -> str:
    tag = '<span class="tag good">nothing was lost</span>'
    if not report.ok:
        tag = f'<span class="tag bad">{len(report.lost):,} not carried over</span>'
    counts = [
        (visible(kind), ", ".join(f"{number:,} {status}" for status, number in found.items()))
        for kind, found in report.counts().items()
    ]
    body = [tag, _listing(("", "what became of it"), counts, len(counts))]
    for statuses, title in ((LOST, "lost"), (CHANGED, "changed"), (OUTSIDE, "left out")):
        entries = [entry for entry in report.entries if entry.status in statuses]
        if entries:
            rows = (
                (
                    visible(f"{entry.kind} {entry.subject}"),
                    entry.status,
                    visible(entry.detail or STATUSES[entry.status]),
                )
                for entry in entries
            )
            columns = ("item", "status", "why")
            body.append(_folded(f"{len(entries):,} {title}", columns, rows, len(entries), shown=statuses is LOST))
    ends = " → ".join(visible(without_secrets(end)) for end in (report.source, report.target) if end)
    return _framed("Report", ends, "", body)


@html_of.register
def _step(step: Step) -> str:
    facts = [("identity", f"<code>{escape(step.identity)}</code>"), ("saved", _plain(step.time))]
    facts += [(_plain(name), f"{number:.6g}") for name, number in step.metrics.items()]
    if step.new_bytes is not None:
        facts.append(("new bytes", escape(size_text(step.new_bytes))))
    return _framed("Step", f"{step.number:,}", "", [_table((), facts)])


def _framed(kind: str, name: str, tag: str, body: Iterable[str]) -> str:
    tagged = f' <span class="tag">{_plain(tag)}</span>' if tag else ""
    head = f'<div class="head"><b>{escape(kind)}</b>{_plain(name)}{tagged}</div>'
    return f'<div class="etui-repr"><style>{_STYLE}</style>{head}{"".join(body)}</div>'


def _table(columns: Row, rows: Iterable[tuple[str, str]]) -> str:
    """Names and values; the values are HTML already."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = "".join(f'<tr><th scope="row">{name}</th><td>{value}</td></tr>' for name, value in rows)
    return f"<table>{f'<thead><tr>{head}</tr></thead>' if head else ''}<tbody>{lines}</tbody></table>"


def _listing(columns: Row, rows: Iterable[Row], count: int) -> str:
    """A table of texts, as long as it may be."""
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in columns)
    lines = "".join(f"<tr>{''.join(f'<td>{_plain(cell)}</td>' for cell in row)}</tr>" for row in islice(rows, ROWS))
    more = f'<div class="soft">… and {count - ROWS:,} more</div>' if count > ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>{more}"


def _folded(title: str, columns: Row, rows: Iterable[Row], count: int, *, shown: bool = False) -> str:
    opened = " open" if shown else ""
    return f"<details{opened}><summary>{_plain(title)}</summary>{_listing(columns, rows, count)}</details>"


def _plain(text: str, length: int = _TEXT_LENGTH) -> str:
    """A text of a file as HTML, not too long."""
    return escape(visible(text if len(text) <= length else f"{text[: length - 1]}…"))


def _shape(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "scalar"
