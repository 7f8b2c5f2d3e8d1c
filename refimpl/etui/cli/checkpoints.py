"""List, show, compare, verify, export and prune the steps of a series of checkpoints."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from etui import differences
from etui._version import SPEC_VERSION
from etui.canonical import values
from etui.cli.diff import show_difference
from etui.cli.outcome import GOOD, NO, Outcome
from etui.cli.screen import Screen, progress_bar
from etui.cli.sizes import counted, parse_size, size_text
from etui.errors import error, without_secrets

if TYPE_CHECKING:
    from etui.checkpoints import Retention, Series, Step
    from etui.checkpoints.usage import Usage

Json = Any

_BEST = "best:"
_MOST_STEPS = 50
_MOST_DIGITS = 12
_STEP_HELP = "a step's number, `latest`, or `best:METRIC[:min|max]`"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    listing = _action(actions, "list", "list the steps of a series")
    listing.add_argument("--sizes", action="store_true", help="read each step's index too, and show what it takes")

    showing = _action(actions, "show", "show a step: when, what it measured, its parts, and what it takes")
    showing.add_argument("step", metavar="STEP", help=_STEP_HELP)

    pruning = _action(actions, "prune", "remove the steps that no rule keeps, and what no step refers to")
    pruning.add_argument(
        "--keep-last", type=_count, metavar="N", help="keep the latest N steps; the latest stays always"
    )
    pruning.add_argument(
        "--keep-every", type=_count, metavar="K", help="keep the steps whose number is a multiple of K"
    )
    pruning.add_argument(
        "--keep-best",
        action="append",
        metavar="METRIC[:min|max[:N]]",
        help="keep the N best steps by a metric, by default the one with the least; may be repeated",
    )
    pruning.add_argument("--drop", type=_number, action="append", default=[], metavar="STEP", help="remove this step")
    pruning.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    pruning.add_argument(
        "--exclusive",
        action="store_true",
        help="your word that nobody writes to the series meanwhile, for a store that cannot be locked",
    )

    exporting = _action(actions, "export", "write a step as an etui of its own")
    exporting.add_argument("step", metavar="STEP", help=_STEP_HELP)
    exporting.add_argument("target", metavar="TARGET", help="the file or folder to write")
    exporting.add_argument("--form", choices=("packed", "directory"), help="by default what the target's name says")
    exporting.add_argument("--shard-size", type=parse_size, metavar="SIZE", help="bytes of data in a file at most")

    comparing = _action(actions, "diff", "compare the content of two steps, every element of every tensor")
    comparing.add_argument("a", metavar="A", help=_STEP_HELP)
    comparing.add_argument("b", metavar="B", help="another one")

    verifying = _action(actions, "verify", "check every byte of a step, or of all")
    verifying.add_argument("step", metavar="STEP", nargs="?", help=f"{_STEP_HELP}; by default every step")


def run(options: argparse.Namespace) -> Outcome:
    """Open the series, which must be there, and do what is asked."""
    from etui.checkpoints import Series

    series = Series(options.series, create=False)
    return _ACTIONS[options.action](series, options)


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=summary, description=summary, allow_abbrev=False)
    # Before the action it is an option of the command, whose value must not be lost here.
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
    parser.add_argument("series", metavar="SERIES", help="the folder of the series, or its URL")
    return parser


def _count(text: str) -> int:
    number = _number(text)
    if number == 0:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number")
    return int(text)


def _step(series: Series, text: str) -> Step:
    """The step that a text names.

    Raises:
        UsageError: it names none.
    """
    from etui.checkpoints.retention import Best

    found: Step | None = None
    if text.startswith(_BEST):
        rule = Best.parse(text.removeprefix(_BEST))
        if rule.count != 1:
            raise error("series-retention", where=text, found=f"{rule.count} steps where one is meant")
        found = series.best(rule.metric, rule.mode)
    elif text == "latest":
        found = series.latest()
    elif text.isascii() and text.isdecimal() and len(text) < 20:
        return series[int(text)]
    if found is None:
        raise error("series-step", where=series.location, found=text)
    return found


def _document(series: Series, action: str, **fields: Json) -> Json:
    return {
        "format": "etui-checkpoints",
        "version": SPEC_VERSION,
        "action": action,
        "series": without_secrets(series.location),
        **fields,
    }


def _list(series: Series, options: argparse.Namespace) -> Outcome:
    from etui.checkpoints.usage import usage

    steps = series.steps()
    taken = usage(series, steps) if options.sizes else {}
    document = _document(series, "list", steps=[_facts(step, taken.get(step.number)) for step in steps])
    return Outcome(GOOD, document, lambda screen: _show_list(screen, document))


def _facts(step: Step, taken: Usage | None) -> Json:
    """What a step says of itself, and what it takes, if that was asked for."""
    return {
        "step": step.number,
        "identity": step.identity,
        "time": step.time,
        "metrics": values.to_json(dict(step.metrics)),
        "taken": None if taken is None else {"bytes": taken.bytes, "new": taken.new, "objects": taken.objects},
    }


def _show_list(screen: Screen, document: Json) -> None:
    steps = document["steps"]
    screen.line(f"{document['series']}: {counted(len(steps), 'step')}")
    if not steps:
        return
    names = sorted({name for step in steps for name in step["metrics"]})
    sizes = [">size", ">new"] if steps[0]["taken"] else []
    rows = []
    for step in steps:
        row = [str(step["step"]), step["time"], *(_number_text(step["metrics"].get(name)) for name in names)]
        row += [size_text(step["taken"][name]) for name in ("bytes", "new")] if sizes else []
        rows.append([*row, _short(step["identity"])])
    screen.table([">step", "time", *(f">{name}" for name in names), *sizes, "identity"], rows)


def _show_step(series: Series, options: argparse.Namespace) -> Outcome:
    from etui.checkpoints.usage import usage

    step = _step(series, options.step)
    taken = usage(series, [one for one in series.steps() if one.number <= step.number]).get(step.number)
    if taken is None:
        raise error("series-step", where=series.location, found=f"step {step.number}, which was removed meanwhile")
    with step.reader() as reader:
        manifest = reader.manifest
    parts = [{"name": name, "role": entry.role, "size": entry.size} for name, entry in manifest.parts.items()]
    document = _document(series, "show", step=_facts(step, taken), profile=manifest.profile, parts=parts)
    return Outcome(GOOD, document, lambda screen: _show_facts(screen, document))


def _show_facts(screen: Screen, document: Json) -> None:
    step = document["step"]
    taken = step["taken"]
    screen.line(f"{document['series']}: step {step['step']}")
    screen.fields(
        [
            ("  identity", step["identity"]),
            ("  time", step["time"]),
            *((f"  {name}", _number_text(value)) for name, value in step["metrics"].items()),
            ("  profile", document["profile"]),
            ("  size", f"{size_text(taken['bytes'])}, {size_text(taken['new'])} of it in no earlier step"),
            ("  objects", f"{taken['objects']:,}"),
        ]
    )
    screen.table(
        ["part", "role", ">size"], [[part["name"], part["role"], size_text(part["size"])] for part in document["parts"]]
    )


def _prune(series: Series, options: argparse.Namespace) -> Outcome:
    found = series.prune(_retention(options), drop=options.drop, dry=options.dry_run, exclusive=options.exclusive)
    collected = found.collected
    document = _document(
        series,
        "prune",
        dry_run=options.dry_run,
        kept=list(found.kept),
        dropped=list(found.dropped),
        objects=collected.objects,
        bytes=collected.bytes,
        young=collected.young,
    )
    return Outcome(GOOD, document, lambda screen: _show_pruned(screen, document))


def _retention(options: argparse.Namespace) -> Retention | None:
    """The rules of the command line; without any, no step is dropped."""
    from etui.checkpoints import Retention

    if options.keep_last is None and options.keep_every is None and not options.keep_best:
        return None
    return Retention(last=options.keep_last or 1, every=options.keep_every, best=options.keep_best)


def _show_pruned(screen: Screen, document: Json) -> None:
    would = "would be " if document["dry_run"] else ""
    dropped = document["dropped"]
    screen.line(f"{document['series']}: {counted(len(dropped), 'step')} {would}removed, {len(document['kept']):,} kept")
    for number in dropped[:_MOST_STEPS]:
        screen.line(f"  {would}removed: step {number}")
    if len(dropped) > _MOST_STEPS:
        screen.line(f"  … and {len(dropped) - _MOST_STEPS:,} more; --json has all")
    objects = counted(document["objects"], "object")
    screen.line(f"  {would}removed: {objects} that no step refers to, {size_text(document['bytes'])}")
    if document["young"]:
        young = counted(document["young"], "object")
        screen.line(f"  kept: {young} that no step refers to yet, since they are too young")


def _export(series: Series, options: argparse.Namespace) -> Outcome:
    step = _step(series, options.step)
    with progress_bar("exporting") as progress:
        identity = step.export(options.target, options.form, options.shard_size, progress=progress)
    document = _document(series, "export", step=step.number, target=options.target, identity=identity)
    return Outcome(GOOD, document, lambda screen: _show_exported(screen, document))


def _show_exported(screen: Screen, document: Json) -> None:
    screen.line(f"{document['series']}, step {document['step']} -> {document['target']}")
    screen.line(f"identity: {document['identity']}")


def _diff(series: Series, options: argparse.Namespace) -> Outcome:
    first, second = _step(series, options.a), _step(series, options.b)
    with progress_bar("comparing") as progress, first.open() as one, second.open() as two:
        found = differences.diff(one, two, progress=progress)
    found.a, found.b = (f"step {step.number}" for step in (first, second))
    document = _document(series, "diff", steps=[first.number, second.number], difference=found.as_json())
    return Outcome(GOOD if found.same else NO, document, lambda screen: show_difference(screen, found))


def _verify(series: Series, options: argparse.Namespace) -> Outcome:
    from etui.checkpoints.verifying import verify_step

    with progress_bar("verifying") as progress:
        if options.step is None:
            found = list(series.verified(progress))
        else:
            step = _step(series, options.step)
            found = [(step, verify_step(step, progress))]
    document = _document(
        series,
        "verify",
        steps=[
            {
                "step": step.number,
                "identity": one.identity,
                "profile": one.profile,
                "parts": one.parts,
                "tensors": one.tensors,
                "bytes": one.bytes,
            }
            for step, one in found
        ],
    )
    return Outcome(GOOD, document, lambda screen: _show_verified(screen, document))


def _show_verified(screen: Screen, document: Json) -> None:
    steps = document["steps"]
    screen.line(f"{document['series']}: every byte of {counted(len(steps), 'step')} is as it was written")
    if steps:
        rows = [
            [
                str(one["step"]),
                str(one["parts"]),
                f"{one['tensors']:,}",
                size_text(one["bytes"]),
                _short(one["identity"]),
            ]
            for one in steps
        ]
        screen.table([">step", ">parts", ">tensors", ">size", "identity"], rows)


def _number_text(value: Json) -> str:
    """A metric for people; those that a step lacks are empty."""
    if value is None:
        return ""
    return f"{float(value['$float']) if isinstance(value, dict) else value:.6g}"


def _short(identity: str) -> str:
    """The beginning of an identity, which tells steps apart."""
    algorithm, _, digits = identity.partition(":")
    return f"{algorithm}:{digits[:_MOST_DIGITS]}…"


_ACTIONS: dict[str, Callable[[Series, argparse.Namespace], Outcome]] = {
    "list": _list,
    "show": _show_step,
    "prune": _prune,
    "export": _export,
    "diff": _diff,
    "verify": _verify,
}
