"""The targets of the benchmark, each with its figure in a record, its limit, and the reason where it is missed.

A reason is made of measured parts, so that it is as true as the figures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from speed_candidates import COPIED, DIGEST, MAPPED, ONE, OPEN, READ, SAVE, THREADS, VERIFY
from speed_convert import KERAS_FORMATS, TF_KERAS_FORMATS, from_
from speed_figures import DIRECTORY, LIMIT, PACKED, SAFETENSORS, Figures, Task, time_text

CASES = ("big", "many", "small", "optimizer")
FLAT = 1.5
_MAPPED_MB, _SAVED_MB, _CONVERTED_MB = 8, 64, 128


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be reached.

    Attributes:
        text: what, for people.
        case: where; for curves their name.
        limit: at most this.
        unit: ``x`` for a ratio, else what is put behind the number.
        figure: what was measured, or `None`.
        reason: why it is more than the limit.
    """

    text: str
    case: str
    limit: float
    unit: str
    figure: Callable[[Figures], float | None]
    reason: Callable[[Figures], str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A target and what became of it.

    Attributes:
        target: which.
        measured: the figure, or `None`.
        verdict: ``met``, ``missed`` or ``not measured``.
        reason: of one that is missed.
    """

    target: Target
    measured: float | None
    verdict: str
    reason: str


def verdicts(figures: Figures) -> list[Verdict]:
    """Every target with its verdict."""
    found = []
    for target in all_targets():
        measured = target.figure(figures)
        if measured is None:
            found.append(Verdict(target, None, "not measured", ""))
        elif measured <= target.limit:
            found.append(Verdict(target, measured, "met", ""))
        else:
            found.append(Verdict(target, measured, "missed", target.reason(figures)))
    return found


def all_targets() -> Iterator[Target]:
    """The targets, in the order of the page."""
    for case in CASES:
        yield from _saves(case)
    yield from _loads()
    yield from _memory()
    yield from _foreign()
    yield from _growth()


def _ratio(
    case: str, task: Task, others: Sequence[Task], join: Callable[[Sequence[float]], float] = max
) -> Callable[[Figures], float | None]:
    def figure(figures: Figures) -> float | None:
        found = figures.against(case, task, others, join)
        return found.median if found else None

    return figure


def _more(case: str, task: Task, other: Task) -> Callable[[Figures], str]:
    """How much more it takes, in all and for each tensor."""

    def reason(figures: Figures) -> str:
        own, limit = figures.median(case, task), figures.median(case, other)
        beside = f"{time_text(own)} against {time_text(limit)}"
        if own <= limit:
            return f"{beside} by their medians, and more in most rounds"
        each = (own - limit) / figures.cases[case]["tensors"]
        return f"{beside}: {time_text(own - limit)} more in all, {time_text(each)} for each tensor"

    return reason


def _saves(case: str) -> Iterator[Target]:
    packed, undigested = Task(PACKED, SAVE), Task(PACKED, SAVE, "digests off")
    write, hashing, safetensors = Task(LIMIT, SAVE), Task(LIMIT, DIGEST), Task(SAFETENSORS, SAVE)
    yield Target(
        "save with digests off, to the plain write",
        case,
        1.15,
        "x",
        _ratio(case, undigested, [write]),
        _more(case, undigested, write),
    )

    def digested(figures: Figures) -> str:
        return (
            f"{time_text(figures.median(case, packed))}; the write alone takes {time_text(figures.median(case, write))}"
            f", SHA-256 alone {time_text(figures.median(case, hashing))}, safetensors "
            f"{time_text(figures.median(case, safetensors))} and a save without digests "
            f"{time_text(figures.median(case, undigested))}"
        )

    yield Target(
        f"save, to the slower of the plain write and SHA-256 with {THREADS} threads",
        case,
        1.0,
        "x",
        _ratio(case, packed, [write, hashing]),
        digested,
    )
    yield Target(
        "save, to safetensors and the digest's own time",
        case,
        1.0,
        "x",
        _ratio(case, packed, [safetensors, hashing], sum),
        digested,
    )
    yield Target(
        "save with digests off, to safetensors",
        case,
        1.0,
        "x",
        _ratio(case, undigested, [safetensors]),
        _more(case, undigested, safetensors),
    )
    directory = Task(DIRECTORY, SAVE)
    yield Target(
        "save of the packed form, to the directory form",
        case,
        1.1,
        "x",
        _ratio(case, packed, [directory]),
        _more(case, packed, directory),
    )


def _loads() -> Iterator[Target]:
    opened, official = Task(PACKED, OPEN), Task(SAFETENSORS, OPEN)
    yield Target(
        "open, to safetensors", "small", 1.0, "x", _ratio("small", opened, [official]), _more("small", opened, official)
    )
    yield Target(
        "open",
        "big",
        3.0,
        " ms",
        lambda figures: figures.median("big", opened) * 1000 or None,
        lambda figures: f"{time_text(figures.median('big', opened) / figures.cases['big']['tensors'])} for each tensor",
    )
    mapped, views = Task(PACKED, MAPPED, "unchecked"), Task(LIMIT, MAPPED)
    yield Target(
        "mapped load of everything, no page touched, to the map alone",
        "big",
        1.2,
        "x",
        _ratio("big", mapped, [views]),
        lambda figures: (
            f"the map alone knows no names and checks nothing; of {time_text(figures.median('big', mapped))}, opening "
            f"with its documents' digests is {time_text(figures.median('big', opened))}"
        ),
    )
    for name, variant in (("copied load", ""), ("copied load with checks off", "unchecked")):
        yield _copied(name, variant)
    for case in ("big", "many"):
        for name, variant in (("load of one tensor", ""), ("load of one tensor with checks off", "unchecked")):
            yield _one(case, name, variant)
    for case in CASES:
        yield _verified(case)


def _verified(case: str) -> Target:
    verified, whole, each = Task(PACKED, VERIFY), Task(LIMIT, VERIFY), Task(LIMIT, DIGEST)

    def reason(figures: Figures) -> str:
        alone = f"SHA-256 of the file {time_text(figures.median(case, whole))}, and of the arrays one by one "
        alone += time_text(figures.median(case, each))
        cost = figures.median(case, verified) / figures.cases[case]["tensors"]
        return f"{time_text(figures.median(case, verified))}, {time_text(cost)} for each tensor; {alone}"

    text = f"verify, to SHA-256 of the file, or of the arrays one by one, with {THREADS} threads"
    return Target(text, case, 1.1, "x", _ratio(case, verified, [whole, each]), reason)


def _copied(name: str, variant: str) -> Target:
    task, limit = Task(PACKED, COPIED, variant), Task(LIMIT, COPIED)

    def reason(figures: Figures) -> str:
        hashing = figures.against("big", Task(LIMIT, VERIFY), [limit])
        unchecked = figures.against("big", Task(PACKED, COPIED, "unchecked"), [limit])
        if variant or hashing is None or unchecked is None:
            return _more("big", task, limit)(figures)
        return (
            f"every byte is hashed, and SHA-256 alone with {THREADS} threads takes {hashing.median:.2f} x the read; "
            f"with checks off it is {unchecked.median:.2f} x"
        )

    return Target(f"{name}, to the plain read", "big", 1.2, "x", _ratio("big", task, [limit]), reason)


def _one(case: str, name: str, variant: str) -> Target:
    task, official = Task(PACKED, ONE, variant), Task(SAFETENSORS, ONE)

    def reason(figures: Figures) -> str:
        whole = figures.median(case, Task(LIMIT, VERIFY, "1 thread")) / figures.cases[case]["tensors"]
        parts = f"opening takes {time_text(figures.median(case, Task(PACKED, OPEN)))} of "
        parts += f"{time_text(figures.median(case, task))}, and safetensors {time_text(figures.median(case, official))}"
        return parts if variant else f"{parts}; SHA-256 of a tensor alone takes {time_text(whole)}"

    return Target(f"{name}, to safetensors", case, 1.0, "x", _ratio(case, task, [official]), reason)


def _memory() -> Iterator[Target]:
    for form in (PACKED, DIRECTORY):
        yield _peak(f"extra memory of a save, {form}", "big", Task(form, SAVE), _SAVED_MB)
    yield _peak("extra memory of a mapped load", "big", Task(PACKED, MAPPED, "unchecked"), _MAPPED_MB)
    for source in (*KERAS_FORMATS, *TF_KERAS_FORMATS):
        text = f"extra memory of {source.title} to Etui, over the largest tensor"
        yield _peak(text, "convert", Task("Etui", from_(source)), _CONVERTED_MB, over_largest=True)


def _peak(text: str, case: str, task: Task, limit: float, *, over_largest: bool = False) -> Target:
    def figure(figures: Figures) -> float | None:
        peak = figures.peak(case, task)
        if peak is None:
            return None
        largest: int = figures.cases[case]["largest"]
        return max(0.0, peak - over_largest * largest / 1e6)

    def reason(figures: Figures) -> str:
        return f"{figures.own(case, task) or 0:.0f} MB of it are no file's; the rest are mapped pages of the file"

    return Target(text, case, limit, " MB", figure, reason)


def _foreign() -> Iterator[Target]:
    etui, keras = Task("Etui", from_(KERAS_FORMATS[0])), Task("Keras", from_(KERAS_FORMATS[0]))
    yield Target(
        "`.keras` to Etui, to Keras' own load of the file",
        "convert",
        1.0,
        "x",
        _ratio("convert", etui, [keras]),
        _more("convert", etui, keras),
    )
    own, official = Task("Etui", READ), Task("TensorFlow", READ)
    for case in ("keys", "keys-big"):
        yield Target(
            "read of a TensorFlow checkpoint, to TensorFlow's own reader",
            case,
            1.3,
            "x",
            _ratio(case, own, [official]),
            _more(case, own, official),
        )


def _growth() -> Iterator[Target]:
    for axis, variant in ((SAVE, ""), (OPEN, ""), (COPIED, "unchecked")):
        yield _per_tensor(Task(PACKED, axis, variant))
    for axis, variant in ((SAVE, ""), (SAVE, "digests off"), (COPIED, "unchecked")):
        yield _per_byte(Task(PACKED, axis, variant))


def _per_tensor(task: Task) -> Target:
    def costs(figures: Figures) -> list[tuple[int, float]]:
        return [(size, seconds / size) for size, seconds in figures.curve("tensors", task)]

    def reason(figures: Figures) -> str:
        own = ", ".join(f"{time_text(cost)} at {size:,}" for size, cost in costs(figures))
        others = []
        for name in (LIMIT, SAFETENSORS):
            rise = _rise([(size, seconds / size) for size, seconds in figures.curve("tensors", Task(name, task.axis))])
            if rise is not None:
                others.append(f"that of {name} rises {rise:.2f} x")
        return "; ".join([own, *others])

    text = f"{task.axis}: the cost of a tensor, from the second size to the largest"
    return Target(text, "tensors", FLAT, "x", lambda figures: _rise(costs(figures)), reason)


def _per_byte(task: Task) -> Target:
    def costs(figures: Figures) -> list[tuple[int, float]]:
        limit = dict(figures.curve("bytes", Task(LIMIT, task.axis)))
        return [(size, time / limit[size]) for size, time in figures.curve("bytes", task) if size in limit]

    def reason(figures: Figures) -> str:
        return ", ".join(f"{cost:.2f} x at {size:,} MiB" for size, cost in costs(figures))

    name = f"{task.axis}, {task.variant}" if task.variant else task.axis
    text = f"{name}: the ratio to the bytes alone, from the second size to the largest"
    return Target(text, "bytes", FLAT, "x", lambda figures: _rise(costs(figures)), reason)


def _rise(points: list[tuple[int, float]]) -> float | None:
    """The largest cost after the first point, which has what is spent once, to that of the second."""
    costs = [cost for _, cost in points[1:]]
    return max(costs) / costs[0] if len(costs) > 1 else None
