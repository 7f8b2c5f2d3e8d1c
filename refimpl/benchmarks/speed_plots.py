"""The pictures of the benchmark, as SVG that is readable on light and on dark pages."""

from __future__ import annotations

import io
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from speed_figures import LIMIT, PACKED, SAFETENSORS, Figures, Spread, Task, time_text

# What matplotlib is told to draw text and lines in, and what stands for it in the file: the page's own ink.
_INK, _PAPER = "#010203", "#040506"
_STYLE = """<style>
:root { --ink: #24292f; --faint: #d0d7de; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --faint: #3d444d; } }
</style>"""
_OWN, _LIMIT, _OTHER = "#2f81f7", "#8b949e", "#d29922"
_PANELS = (("save", "save"), ("load, copied", "load, copied"), ("load, mapped", "load, mapped"), ("open", "open"))


def available() -> bool:
    """Whether pictures can be drawn."""
    return find_spec("matplotlib") is not None


def draw(figures: Figures, folder: Path) -> list[tuple[str, str]]:
    """Draw every picture for which there are figures; file name and description of each."""
    pictures: list[tuple[str, str, Any]] = []
    for name in ("big", "many", "small", "optimizer"):
        if figures.tasks(name):
            text = f"Times for {figures.cases[name]['title']}, as ratios"
            pictures.append((f"{name}.svg", text, _bars(figures, name)))
    if figures.tasks("convert"):
        pictures.append(("convert.svg", "Etui's conversions against Keras' own loads and saves", _conversions(figures)))
    if figures.curve("tensors", Task(PACKED, "save")):
        pictures.append(("tensors.svg", "Cost of a tensor by the number of tensors", _per_tensor(figures)))
    if figures.curve("bytes", Task(PACKED, "save")):
        pictures.append(("bytes.svg", "Rate by the number of bytes", _per_byte(figures)))
    folder.mkdir(parents=True, exist_ok=True)
    for name, text, figure in pictures:
        (folder / name).write_text(_svg(figure, text), encoding="utf-8")
    return [(name, text) for name, text, _ in pictures]


def base_of(figures: Figures, case: str, axis: str) -> Task | None:
    """What the ratios of an axis are to: the limit, or safetensors where there is none."""
    for one in (Task(LIMIT, axis), Task(SAFETENSORS, axis)):
        if figures.seconds(case, one):
            return one
    return None


def label(task: Task) -> str:
    """The candidate with its variant."""
    return f"{task.candidate}, {task.variant}" if task.variant else task.candidate


def _new(rows: int, columns: int, size: tuple[float, float]) -> tuple[Any, Any]:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    mpl.rcParams.update(
        {
            "svg.fonttype": "none",
            "svg.hashsalt": "etui",
            "font.family": "sans-serif",
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            **{f"{part}.color": _INK for part in ("text", "xtick", "ytick")},
            **{f"axes.{part}": _INK for part in ("edgecolor", "labelcolor", "titlecolor")},
            "grid.color": _PAPER,
        }
    )
    figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")
    return figure, axes


def _svg(figure: Any, text: str) -> str:
    """The picture with the page's ink, a transparent ground, and a description."""
    import matplotlib.pyplot as plt

    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Title": text})
    plt.close(figure)
    content = stream.getvalue().replace(_INK, "var(--ink)").replace(_PAPER, "var(--faint)")
    head, mark, rest = content.partition("<defs>")
    return f"{head}{_STYLE}\n {mark}{rest}"


def _bars(figures: Figures, case: str) -> Any:
    """A panel for each axis with the ratios of all candidates, the fastest on top."""
    panels = []
    for axis, title in _PANELS:
        base = base_of(figures, case, axis)
        found = []
        for task in figures.tasks(case):
            ratio = figures.against(case, task, [base]) if base and task.axis == axis else None
            if ratio:
                found.append((label(task), ratio, _colour(task)))
        if base and found:
            name = "the limit" if base.candidate == LIMIT else base.candidate
            beside = f"{title}, x {name} ({time_text(figures.median(case, base))})"
            panels.append((beside, sorted(found, key=lambda one: -one[1].median)))
    heights = [1 + 0.19 * len(found) for _, found in panels]
    figure, axes = _new(len(panels), 1, (8, sum(heights)))
    figure.get_layout_engine().set(hspace=0.02)
    axes[0][0].get_gridspec().set_height_ratios([len(found) + 2 for _, found in panels])
    for plot, (title, found) in zip(axes[:, 0], panels, strict=True):
        _panel(plot, title, found)
    return figure


def _panel(plot: Any, title: str, found: Sequence[tuple[str, Spread, str]]) -> None:
    names = [f"{name}   {ratio.median:.2f}" for name, ratio, _ in found]
    values = [ratio.median for _, ratio, _ in found]
    spread = [[one.median - one.least for _, one, _ in found], [one.most - one.median for _, one, _ in found]]
    # Bars begin at 1, so that what is faster goes to the left and what is slower to the right.
    lengths = [value - 1 for value in values]
    colours = [colour for _, _, colour in found]
    plot.barh(names, lengths, left=1, color=colours, height=0.7)
    plot.errorbar(values, range(len(found)), xerr=spread, fmt="|", color=_INK, markersize=9, linewidth=0.9)
    plot.set_xscale("log")
    plot.set_title(title, loc="left", fontsize=9, fontweight="bold")
    plot.axvline(1, color=_INK, linewidth=0.8, linestyle=":")
    plot.set_xlim(min(0.7, min(values) * 0.7), max(2.0, max(values) * 1.5))
    plot.set_ylim(-0.6, len(found) - 0.4)
    plot.xaxis.set_major_formatter("{x:g}")
    plot.xaxis.set_minor_formatter("")


def _colour(task: Task) -> str:
    if task.candidate == LIMIT:
        return _LIMIT
    return _OWN if task.candidate.startswith("Etui") else _OTHER


def _conversions(figures: Figures) -> Any:
    """Ratios of Etui to the framework that owns each format."""
    found = []
    for task in figures.tasks("convert"):
        if task.candidate != "Etui":
            continue
        own = next((one for one in figures.tasks("convert") if one.axis == task.axis and one != task), None)
        ratio = figures.against("convert", task, [own]) if own else None
        if own and ratio:
            beside = time_text(figures.median("convert", own))
            found.append((f"{task.axis} ({own.candidate}: {beside})", ratio, _OWN))
    figure, axes = _new(1, 1, (8, 1 + 0.22 * len(found)))
    _panel(axes[0][0], "Etui, x the framework's own load or save of the same", found[::-1])
    return figure


def _lines(plot: Any, title: str, curves: Sequence[tuple[str, list[tuple[int, float]], str, str]]) -> None:
    """Lines over a logarithmic axis; their names are for `_legend`."""
    for name, points, colour, style in curves:
        if points:
            plot.plot(*zip(*points, strict=True), style, color=colour, label=name, markersize=4)
    plot.set_xscale("log")
    plot.grid(visible=True, which="major")
    plot.set_title(title, loc="left", fontsize=9, fontweight="bold")
    plot.xaxis.set_major_formatter("{x:,.0f}")


def _legend(figure: Any) -> None:
    """One legend for all plots of a figure, below them."""
    named: dict[str, Any] = {}
    for plot in figure.axes:
        named |= dict(zip(*reversed(plot.get_legend_handles_labels()), strict=True))
    figure.legend(list(named.values()), list(named), loc="outside lower center", ncols=3, frameon=False, fontsize=8)


def _per_tensor(figures: Figures) -> Any:
    """Microseconds for each tensor."""
    figure, axes = _new(1, 3, (9, 3.6))
    for plot, axis in zip(axes[0], ("save", "open", "load, copied"), strict=True):
        curves = []
        for candidate, variant, colour, style in (
            (LIMIT, "", _LIMIT, "o-"),
            (PACKED, "", _OWN, "o-"),
            (PACKED, "unchecked", _OWN, "s--"),
            (SAFETENSORS, "", _OTHER, "o-"),
        ):
            task = Task(candidate, axis, variant)
            points = [(size, 1e6 * seconds / size) for size, seconds in figures.curve("tensors", task)]
            curves.append((label(task), points, colour, style))
        _lines(plot, axis, curves)
        plot.set_ylim(bottom=0)
        plot.set_xlabel("tensors")
    axes[0][0].set_ylabel("µs for each tensor")
    _legend(figure)
    return figure


def _per_byte(figures: Figures) -> Any:
    """Gigabytes in a second."""
    figure, axes = _new(1, 2, (9, 3.8))
    for plot, axis in zip(axes[0], ("save", "load, copied"), strict=True):
        curves = []
        for candidate, variant, colour, style in (
            (LIMIT, "", _LIMIT, "o-"),
            (PACKED, "", _OWN, "o-"),
            (PACKED, "digests off" if axis == "save" else "unchecked", _OWN, "s--"),
            (SAFETENSORS, "", _OTHER, "o-"),
        ):
            task = Task(candidate, axis, variant)
            points = [(size, size * 1024**2 / seconds / 1e9) for size, seconds in figures.curve("bytes", task)]
            curves.append((label(task), points, colour, style))
        _lines(plot, axis, curves)
        plot.set_ylim(bottom=0)
        plot.set_xlabel("MiB")
    axes[0][0].set_ylabel("GB in a second")
    _legend(figure)
    return figure
