"""The page of the benchmark: the prose is written here once, and every figure comes from the record."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import speed_plots
from speed_candidates import AXES, COPIED, DIGEST, OPEN, SAVE
from speed_figures import LIMIT, PACKED, SAFETENSORS, Figures, Spread, Task, number, time_text
from speed_targets import Verdict, verdicts

INTRODUCTION = """\
# How fast Etui is

This page is a measurement: `make bench` makes all of it anew, and no figure is written by hand.
It ran on {cpu}, {cores} cores, {memory} of memory, {system}, files on {file_system}; Python {python}.
{sittings}

## How it was measured

All candidates store the same float32 arrays.
A round lets each of them do all its tasks in turn, and each round begins with another candidate.
{rounds} rounds are counted after one that warms up; where one round of a candidate takes longer than {quarter} s, it
counts as well.
A figure is the median; beside it are the least and the largest.
A ratio is taken within each round, so that what slows the whole machine down cancels out.
Apart from Etui, safetensors and the limit, a candidate leaves after its third round once it has used {budget} s in a
case; the long tables say how many rounds each had.
The frameworks run in processes of their own, torch, TensorFlow with Keras, and Orbax apart; one works at a time.

- **The limit**, called *{limit}*, is what the same bytes take by plain system calls, in the same round:
  one write for each array; one read for each array into new memory; one map of the file with a view for each array;
  SHA-256 with {threads} threads.
- **A save makes a new file.** What was there is deleted before the clock starts.
  A save *over* a file differs: Etui then keeps the old one until the new one is whole.
- **The page cache is warm, and nothing waits for the device**, but where it says *flushed*.
  For Etui that is `os.fsync` made to do nothing; the others do not flush, and where it says so an `fsync` of the file
  follows their save.
- **Digests are on.** *Digests off* puts a hasher in the place of SHA-256 that hashes nothing (the packed form still has
  CRC-32, which a ZIP archive demands), and *unchecked* is `verify=False`.
  Of the other formats, TensorFlow's checkpoint has the CRC-32C of its tensors, and the archives of np.savez, `.keras`
  and torch.save have CRC-32; the rest have nothing to check.
- **A copied load** ends with every array in memory of its own, a **mapped** one with arrays that are views of the file,
  of which no page is touched. **Open** lists the names. **Load one** opens, and copies one tensor into memory.
- **Extra memory** is how far the peak of the resident size grows in a fresh process, less the arrays that a load gives.
  Pages of a mapped file count as well, though the system can take them back; *own* is the part that is no file's.
"""
_SCALE = """\
The ratios of each case to the limit; where an axis has no limit, to safetensors.
In brackets are the least and the largest. Of what the ratios are to, the time is shown.
"""
_CONVERSIONS = """
Etui reads each format's file and writes a packed etui, or the other way round.
Beside it is the format's own framework, which loads the same file into a live model, or saves the live model.
Where a format has no config, Etui takes it from a `.keras` file, and the framework fills a model that is there.
TensorFlow.js is left out, for no Python framework reads or writes it here; a JSON config has no tensors.
"""
_CURVES: dict[str, dict[str, tuple[str, ...]]] = {
    "tensors": {SAVE: ("",), OPEN: ("",), COPIED: ("", "unchecked")},
    "bytes": {SAVE: ("", "digests off"), COPIED: ("", "unchecked")},
}
_MARKS = {"met": "met", "missed": "**missed**", "not measured": "not measured"}


def write(record: dict[str, Any], page: Path) -> None:
    """Write the page, and beside it a folder with its pictures.

    Args:
        record: as `speed.py` writes it.
        page: path of the Markdown file.
    """
    figures = Figures(record)
    pictures = speed_plots.draw(figures, page.with_suffix("")) if speed_plots.available() else []
    page.write_text(text(record, [(f"{page.stem}/{name}", what) for name, what in pictures]), encoding="utf-8")


def text(record: dict[str, Any], pictures: Sequence[tuple[str, str]]) -> str:
    """The page.

    Args:
        record: as `speed.py` writes it.
        pictures: path and description of each, the case's name being that of the file.
    """
    figures = Figures(record)
    machine = record["machine"]
    shown = {Path(path).stem: f"\n![{what}]({path})\n" for path, what in pictures}
    introduction = INTRODUCTION.format(
        **machine,
        sittings=_sittings(record["cases"]),
        rounds=_range([case["repeats"] for case in record["cases"]]),
        budget=_range([case["budget"] for case in record["cases"]]),
        quarter=_range([case["budget"] / 4 for case in record["cases"]]),
        limit=LIMIT,
    )
    parts = [introduction, *_targets(verdicts(figures)), "\n## The formats\n\n", _SCALE]
    for case in record["cases"]:
        if case["kind"] == "formats":
            parts += [f"\n### {_title(case)}\n", shown.get(case["name"], ""), *_ratios(figures, case)]
    parts += _memory(figures)
    parts += _foreign(figures, shown)
    parts += _growth(figures, shown)
    parts += _left_out(record)
    parts += _all_rows(figures)
    parts += [
        "\n## Versions\n\n",
        ", ".join(f"{name} {version}" for name, version in machine["packages"].items()),
        ".\n",
    ]
    if not pictures:
        parts.append("\nThe pictures are left out: matplotlib is not installed.\n")
    return "".join(parts)


def _range(values: Sequence[float]) -> str:
    """One number, or the least and the largest."""
    least, most = min(values), max(values)
    return f"{least:g}" if least == most else f"{least:g} to {most:g}"


def _sittings(cases: Sequence[dict[str, Any]]) -> str:
    """When the cases were measured, and how busy the machine was at the start of each."""
    dates = sorted(case["date"] for case in cases)
    when = f"at {dates[0]}" if dates[0] == dates[-1] else f"between {dates[0]} and {dates[-1]}"
    minutes = sum(case["minutes"] for case in cases)
    loads = _range([case["load"] for case in cases])
    return (
        f"The cases began {when} (UTC) and took {minutes:.0f} minutes together.\n"
        f"The load average at the start of a case, which should be small, was {loads}."
    )


def _title(case: dict[str, Any]) -> str:
    return f"{case['title'][0].upper()}{case['title'][1:]}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown; all columns but the first are aligned to the right."""
    lines = [columns, ["---", *("---:" for _ in columns[1:])], *rows]
    return "\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _targets(found: Sequence[Verdict]) -> Iterator[str]:
    count = {name: sum(one.verdict == name for one in found) for name in _MARKS}
    yield "\n## Targets\n\n"
    yield f"{count['met']} are met, {count['missed']} are missed, and {count['not measured']} were not measured.\n"
    yield table(
        ["target", "where", "at most", "measured", "verdict"],
        [
            [
                one.target.text,
                one.target.case,
                number(one.target.limit, one.target.unit),
                "–" if one.measured is None else number(one.measured, one.target.unit),
                _MARKS[one.verdict],
            ]
            for one in found
        ],
    )
    missed = [one for one in found if one.verdict == "missed"]
    if missed:
        yield "\nThe missed ones:\n\n"
        yield from (f"- {one.target.text} ({one.target.case}): {one.reason}.\n" for one in missed)


def _spread(found: Spread | None) -> str:
    return f"{found.median:.2f} ({found.least:.2f}–{found.most:.2f})" if found else ""


def _ratios(figures: Figures, case: dict[str, Any]) -> Iterator[str]:
    """A line for each candidate and variant, a column for each axis, over the seconds of what the ratios are to."""
    if case["skipped"]:
        yield f"\nLeft out here: {case['skipped']}.\n"
        return
    name = case["name"]
    tasks = figures.tasks(name)
    axes = [axis for axis in AXES if axis != DIGEST and any(task.axis == axis for task in tasks)]
    bases = {axis: speed_plots.base_of(figures, name, axis) for axis in axes}
    rows = []
    for line in dict.fromkeys(speed_plots.label(task) for task in tasks):
        cells = [line]
        for axis in axes:
            task = next((one for one in tasks if one.axis == axis and speed_plots.label(one) == line), None)
            cells.append(_cell(figures, name, task, bases[axis]))
        if any(cells[1:]):
            rows.append(cells)
    yield table(["", *axes], rows)


def _cell(figures: Figures, case: str, task: Task | None, base: Task | None) -> str:
    row = figures.row(case, task) if task else None
    if task is None or row is None:
        return ""
    if row["error"]:
        return "failed"
    if task == base:
        return f"**{time_text(figures.median(case, task))}**"
    return _spread(figures.against(case, task, [base])) if base else time_text(figures.median(case, task))


def _memory(figures: Figures) -> Iterator[str]:
    for case in figures.record["cases"]:
        if case["kind"] != "formats":
            continue
        rows = []
        for task in figures.tasks(case["name"]):
            peak, own = figures.peak(case["name"], task), figures.own(case["name"], task)
            if peak is not None and own is not None:
                share = peak * 1e6 / case["bytes"]
                rows.append([speed_plots.label(task), task.axis, f"{peak:.0f}", f"{own:.0f}", f"{share:.2f}"])
        if rows:
            yield f"\n### Extra memory, {case['title']}\n"
            yield table(["", "task", "MB", "own MB", "of the payload"], rows)


def _foreign(figures: Figures, shown: dict[str, str]) -> Iterator[str]:
    """Conversions and reads, beside what the format's own framework takes for the same file."""
    for case in figures.record["cases"]:
        if case["kind"] not in {"convert", "checkpoints"}:
            continue
        yield f"\n## {'Conversions' if case['kind'] == 'convert' else 'Reading'}: {case['title']}\n"
        if case["skipped"]:
            yield f"\nLeft out here: {case['skipped']}.\n"
            continue
        name = case["name"]
        tasks = figures.tasks(name)
        if not tasks:
            yield "\nNot measured: the reasons are below.\n"
            continue
        if case["kind"] == "convert":
            yield _CONVERSIONS
        yield shown.get(name, "")
        rows = []
        for task in tasks:
            other = next((one for one in tasks if one.axis == task.axis and one != task), None)
            if task.candidate != "Etui":
                continue
            rows.append(
                [
                    task.axis,
                    _cell(figures, name, task, None),
                    f"{other.candidate}: {_cell(figures, name, other, None)}" if other else "",
                    _spread(figures.against(name, task, [other])) if other else "",
                    _megabytes(figures.peak(name, task)),
                    _megabytes(figures.peak(name, other)) if other else "",
                ]
            )
        yield table(["task", "Etui", "the framework", "ratio", "extra MB", "the framework's"], rows)


def _megabytes(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"


def _growth(figures: Figures, shown: dict[str, str]) -> Iterator[str]:
    curves = (("tensors", "tensors", "The cost of a tensor"), ("bytes", "MiB", "The cost of a byte"))
    for name, unit, title in curves:
        cases = [case for case in figures.record["cases"] if case["name"].startswith(f"{name}/")]
        if not cases:
            continue
        yield f"\n## {title}\n\nThe largest points have fewer rounds, none of which warms up.\n"
        yield shown.get(name, "")
        tasks = [
            Task(candidate, axis, variant)
            for axis, variants in _CURVES[name].items()
            for candidate in (LIMIT, PACKED, SAFETENSORS)
            for variant in variants
        ]
        columns = [case["name"].partition("/")[2] for case in cases if not case["skipped"]]
        rows = []
        for task in tasks:
            points = dict(figures.curve(name, task))
            if points:
                cells = [_each(name, int(size), points[int(size)]) if int(size) in points else "" for size in columns]
                rows.append([f"{task.axis}: {speed_plots.label(task)}", *cells])
        yield table([unit, *(f"{int(size):,}" for size in columns)], rows)
        yield from (f"\n{_title(case)} is left out: {case['skipped']}.\n" for case in cases if case["skipped"])


def _each(curve: str, size: int, seconds: float) -> str:
    """The cost of a tensor, or the rate of bytes."""
    return time_text(seconds / size) if curve == "tensors" else f"{size * 1024**2 / seconds / 1e9:.2f} GB/s"


def _left_out(record: dict[str, Any]) -> Iterator[str]:
    """Candidates that did not take part, and tasks that failed, each with why."""
    lines = []
    for case in record["cases"]:
        if case["kind"] == "growth" and not any(row["error"] for row in case["rows"]):
            continue
        reasons: dict[str, list[str]] = {}
        for name, reason in case["left_out"].items():
            reasons.setdefault(reason, []).append(name)
        for row in case["rows"]:
            if row["error"]:
                reasons.setdefault(row["error"], []).append(f"{row['candidate']} ({row['axis']})")
        lines += [f"- {case['title']}: {', '.join(names)}: {reason}.\n" for reason, names in reasons.items()]
    if lines:
        yield "\n## What was left out or failed\n\n"
        yield from lines


def _all_rows(figures: Figures) -> Iterator[str]:
    yield "\n## Every figure\n\nWall time of all rounds, and the median of the processors' time.\n"
    for case in figures.record["cases"]:
        rows = []
        for task in figures.tasks(case["name"]):
            seconds, cpu = figures.seconds(case["name"], task), figures.cpu(case["name"], task)
            if seconds and cpu is not None:
                times = [time_text(value) for value in (seconds.median, seconds.least, seconds.most, cpu)]
                rows.append(
                    [f"{task.axis}: {speed_plots.label(task)}", str(figures.rounds(case["name"], task)), *times]
                )
        if rows:
            yield f"\n<details><summary>{_title(case)}</summary>\n"
            yield table(["", "rounds", "median", "least", "largest", "processors"], rows)
            yield "\n</details>\n"
