"""Ask two implementations the same, and find where they differ: `python refimpl/fuzz/differential.py`.

    python refimpl/fuzz/differential.py --seconds 600
    python refimpl/fuzz/differential.py --family series --seed 7
    python refimpl/fuzz/differential.py --replay out/fuzz/differential/0123456789ab.json

Both are adapters of the conformance protocol (SPEC.md, annex P), each in a process of its own; by default the reference
and the one in JavaScript, which `npm run build` makes. Each golden vector, and what mutations make of them, is validated,
decoded and written again by both. A finding is

- an answer of one that the other refuses, or a `fault`, a crash, a hang;
- another identity, another content, other bytes that are written;
- more than 5 seconds of processor time or 512 MiB of memory for a case (on Linux).

Where both refuse, with other codes, an input may have several faults (E-3): such pairs are counted, with an example of
each in `out/fuzz/differential/codes`. The exit code is 1 if there is a finding.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

from etui_conformance.checks.exchange import same, same_tensor
from etui_conformance.protocol import wire
from etui_conformance.protocol.failures import Limits, Patience
from etui_conformance.protocol.process import ProcessSession, split_command
from etui_conformance.protocol.session import AdapterFailure, Reply, Session
from fuzz.differential_cases import Case, load, mutation, seeds

ROOT = Path(__file__).resolve().parents[2]
REFERENCE: Final = f"'{sys.executable}' -m etui_conformance.adapters.reference"
JAVASCRIPT: Final = f"node '{ROOT / 'refimpl' / 'js' / 'dist' / 'adapter' / 'adapter.js'}'"
FAMILIES: Final = ("packed", "parts", "document", "series")

_SECONDS: Final = 5.0
_MEBIBYTES: Final = 512
_DEADLINE: Final = 30.0
_FAILURES: Final = 10_000
_PROGRESS_SECONDS: Final = 20.0
_SHOWN: Final = 300
_VALID: Final = 0.8
_NUMBERS: Final = re.compile(r"\d+|0x[0-9a-f]+|'[^']*'|\"[^\"]*\"")
_TEXTS: Final = ("config", "training", "weights", "optimizer", "state", "metadata", "profile")


@dataclass(frozen=True, slots=True)
class Difference:
    """What two implementations do not agree about.

    Attributes:
        key: the same for cases that show the same, as far as can be told.
        text: what each of them said.
    """

    key: str
    text: str


@dataclass(slots=True)
class Tally:
    """What became of the cases.

    Attributes:
        cases, taken: how many there were, and how many of them both validated.
        codes: pairs of codes with which both refuse a case, with how many.
    """

    cases: int = 0
    taken: int = 0
    codes: Counter[str] = field(default_factory=Counter)


class Pair:
    """Two adapters, in processes of their own.

    Args:
        commands: name -> what starts the adapter.
        folder: for what goes between them and us.
    """

    def __init__(self, commands: Mapping[str, str], folder: Path) -> None:
        self.folder = folder
        # A failure is a finding and no reason to stop.
        patience = Patience(Limits(deadline=_DEADLINE, hangs=_FAILURES, restarts=_FAILURES))
        self.sessions: dict[str, Session] = {
            name: ProcessSession(split_command(command), folder, patience) for name, command in commands.items()
        }

    def close(self) -> None:
        """End both."""
        for session in self.sessions.values():
            session.close()

    def ask(self, op: str, fields: Mapping[str, Any]) -> tuple[dict[str, Reply], Difference | None]:
        """The replies of both by name; a difference instead of them where one failed, or took too much."""
        replies = {}
        for name, session in self.sessions.items():
            before = _used()
            try:
                reply = session.ask(op, **{key: value[name] if key == "path" else value for key, value in fields.items()})
            except AdapterFailure as failure:
                return {}, Difference(f"{name}: {op}: {_general(str(failure))}", str(failure))
            if reply.result == "fault":
                message = str(reply.fields.get("message"))
                return {}, Difference(f"{name}: {op}: fault {_general(_last_line(message))}", message)
            for process, (seconds, kibibytes) in _used().items():
                had = before.get(process, (0.0, kibibytes))
                if seconds - had[0] > _SECONDS:
                    return {}, Difference(f"{name}: {op}: slow", f"{seconds - had[0]:.1f} s of processor time")
                if kibibytes - had[1] > _MEBIBYTES * 1024:
                    return {}, Difference(f"{name}: {op}: memory", f"{(kibibytes - had[1]) // 1024} MiB more")
            replies[name] = reply
        return replies, None


def _general(text: str) -> str:
    """A text without what differs from case to case."""
    return _NUMBERS.sub("…", text)[:200]


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]


def _used() -> dict[int, tuple[float, int]]:
    """The processor time, in seconds, and the peak of memory, in KiB, of each child; nothing but on Linux."""
    found = {}
    for listed in Path("/proc/self/task").glob("*/children"):
        for number in map(int, listed.read_text().split()):
            try:
                fields = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
                peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{number}/status").read_text())
            except OSError:
                continue
            ticks = int(fields[11]) + int(fields[12])
            found[number] = (ticks / os.sysconf("SC_CLK_TCK"), int(peak[1]) if peak else 0)
    return found


def examine(pair: Pair, case: Case, rng: Random, tally: Tally) -> Iterator[Difference]:
    """Ask both about a case, in every way; give what they do not agree about."""
    tally.cases += 1
    folder = Path(tempfile.mkdtemp(prefix="case-", dir=pair.folder))
    try:
        yield from _examine(pair, case, folder, rng, tally)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _examine(pair: Pair, case: Case, folder: Path, rng: Random, tally: Tally) -> Iterator[Difference]:
    fields = _asked(case, folder)
    replies, fault = pair.ask("validate", fields)
    yield from _judged("validate", replies, fault, tally)
    if replies and all(reply.result == "ok" for reply in replies.values()):
        tally.taken += 1
    if case.kind == "document":
        return
    replies, fault = pair.ask("decode", fields | {"want": "all"})
    yield from _judged("decode", replies, fault, None)
    boxes = _boxes(replies, rng)
    if boxes:
        replies, fault = pair.ask("decode", fields | {"want": "documents", "read": boxes})
        yield from _judged("read", replies, fault, None)
    form = rng.choice(("packed", "directory"))
    paths = {name: str(folder / f"written-{name}") for name in pair.sessions}
    replies, fault = pair.ask("transcode", fields | {"form": form, "path": paths})
    yield from _judged("transcode", replies, fault, None)
    if replies and all(reply.result == "ok" for reply in replies.values()):
        one, other = (_written(Path(path)) for path in paths.values())
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                said = [data[:_SHOWN] if (data := each.get(name)) is not None else None for each in (one, other)]
                yield Difference(f"transcode: other bytes of {_role(name)}", f"{name}\n{said[0]!r}\n{said[1]!r}")


def _role(name: str) -> str:
    return name.partition("/")[0] if name else "the archive"


def _asked(case: Case, folder: Path) -> dict[str, Any]:
    if case.kind == "document":
        return {"document": case.document, "data": wire.bytes_to_wire(case.files[""], folder)}
    if case.kind == "packed":
        return {"artifact": wire.packed_artifact(case.files[""], folder, by_file=case.size % 2 == 0)}
    if case.kind == "series":
        return {"artifact": wire.series_artifact(case.files, case.step or 0, folder)}
    return {"artifact": wire.directory_artifact(case.files, folder)}


def _boxes(replies: Mapping[str, Reply], rng: Random) -> list[dict[str, Any]]:
    """Boxes of a few tensors that both have."""
    asked = []
    for reply in replies.values():
        tensors = reply.fields.get("content", {}).get("tensors", {}) if reply.result == "ok" else {}
        every = [(part, name, each["shape"]) for part, names in tensors.items() for name, each in names.items()]
        for part, name, shape in rng.sample(every, min(2, len(every))):
            ends = [sorted(rng.randrange(size + 1) for _ in range(2)) for size in shape]
            asked.append({"part": part, "name": name, "box": rng.choice((ends, ends, None))})
        break
    return asked


def _written(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {each.relative_to(path).as_posix(): each.read_bytes() for each in path.rglob("*") if each.is_file()}


def _judged(op: str, replies: Mapping[str, Reply], fault: Difference | None, tally: Tally | None) -> Iterator[Difference]:
    """What is not the same in two replies; pairs of codes are counted where there is a tally."""
    if fault is not None:
        yield fault
        return
    said = {name: reply.code if reply.result == "reject" else reply.result for name, reply in replies.items()}
    (one, ours), (other, theirs) = replies.items()
    if op != "validate" and "zip-crc" in said.values():
        return  # E-4: whether a member is verified before a full verification is left to the reader
    if ours.result != theirs.result:
        places = "\n".join(f"{name}: {json.dumps(dict(reply.fields))[:1000]}" for name, reply in replies.items())
        yield Difference(f"{op}: {one} {said[one]}, {other} {said[other]}", places)
    elif ours.result == "reject":
        if ours.refusal != theirs.refusal and tally is not None:
            tally.codes[f"{said[one]} / {said[other]}"] += 1
            places = f"{ours.fields.get('at')!r} / {theirs.fields.get('at')!r}"
            yield Difference(f"codes: {said[one]} / {said[other]}", places)
    else:
        yield from _unequal(op, ours.fields, theirs.fields)


def _unequal(op: str, ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[Difference]:
    for name in ("identity", "profile"):
        if ours.get(name) != theirs.get(name):
            yield Difference(f"{op}: another {name}", f"{ours.get(name)!r} / {theirs.get(name)!r}")
    ours_read, theirs_read = ([wire.tensor_from_wire(each) for each in one.get("read", [])] for one in (ours, theirs))
    if len(ours_read) != len(theirs_read) or not all(map(same_tensor, ours_read, theirs_read)):
        yield Difference(f"{op}: another box", f"{ours_read!r:.500} / {theirs_read!r:.500}")
    if "content" not in ours and "content" not in theirs:
        return
    one, other = (wire.content_from_wire(each.get("content")) for each in (ours, theirs))
    for name in (*_TEXTS, "parts"):
        if not same(one.get(name), other.get(name)):
            yield Difference(f"{op}: another {name}", f"{one.get(name)!r:.900}\n{other.get(name)!r:.900}")
    for part in ("weights", "optimizer", "state"):
        mine, yours = (each.get("tensors", {}).get(part, {}) for each in (one, other))
        if mine.keys() != yours.keys():
            yield Difference(f"{op}: other tensors of {part}", f"{sorted(mine)} / {sorted(yours)}")
        for name in sorted(mine.keys() & yours.keys()):
            if not same_tensor(mine[name], yours[name]):
                text = f"{name!r}: {mine[name]!r:.500} / {yours[name]!r:.500}"
                yield Difference(f"{op}: another tensor of {mine[name].get('dtype')}", text)


class Record:
    """Findings as files: for each key the smallest case, with what was said of it.

    Args:
        folder: for them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, Path] = {}

    def keep(self, case: Case, difference: Difference) -> None:
        """Write a finding down, unless there is a smaller case of the same key."""
        is_code = difference.key.startswith("codes: ")
        folder = self.folder / "codes" if is_code else self.folder
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{sha256(difference.key.encode()).hexdigest()[:12]}.json"
        text = json.dumps({"key": difference.key, "text": difference.text, **case.as_json()})
        if difference.key in self.found or not path.exists() or path.stat().st_size > len(text):
            if path.exists() and path.stat().st_size <= len(text):
                return
            path.write_text(text, encoding="utf-8")
        if not is_code and difference.key not in self.found:
            self.found[difference.key] = path
            print(f"FINDING {difference.key}\n  {difference.text[:_SHOWN]}\n  --replay {path}", flush=True)


def replay(pair: Pair, path: Path) -> int:
    """Ask about the case of one finding; print what they do not agree about, and return 1 if that is something."""
    differences = list(examine(pair, load(path), Random(0), Tally()))
    for difference in differences:
        print(f"{difference.key}\n{difference.text}\n")
    if not differences:
        print("no difference")
    return int(bool(differences))


def fuzz(pair: Pair, families: list[str], seconds: float, seed: int, record: Record) -> Tally:
    """Ask about the seeds and their mutations, of all families in turn, until the time is over."""
    tally, rng = Tally(), Random(seed)
    valid, invalid = seeds(valid=True), seeds(valid=False)
    end = time.monotonic() + seconds
    shown = time.monotonic()
    while time.monotonic() < end:
        case = rng.choice((valid if rng.random() < _VALID else invalid)[rng.choice(families)])
        for _ in range(rng.choice((0, 1, 1, 1, 1, 2))):
            case = mutation(case, rng)
        for difference in examine(pair, case, rng, tally):
            record.keep(case, difference)
        if time.monotonic() - shown > _PROGRESS_SECONDS:
            shown = time.monotonic()
            print(_line(tally, record), flush=True)
    return tally


def _line(tally: Tally, record: Record) -> str:
    return (
        f"{tally.cases:,} cases, {tally.taken:,} taken by both, {sum(tally.codes.values()):,} refused with other codes, "
        f"findings {len(record.found)}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Compare as the command line says; 1 if there is a finding."""
    parser = argparse.ArgumentParser(prog="differential.py", description="Find where two implementations differ.")
    parser.add_argument("--seconds", type=float, default=600, help="how long (default: 600)")
    parser.add_argument("--family", choices=["all", *FAMILIES], default="all", help="by default, all in turn")
    parser.add_argument("--seed", type=int, default=None, help="of the mutations; by default another in each run")
    parser.add_argument("--adapter", default=JAVASCRIPT, help="what starts the other adapter")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "fuzz" / "differential", help="folder for findings")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="ask about one case, and fuzz nothing")
    options = parser.parse_args(arguments)
    seed = options.seed if options.seed is not None else Random().randrange(1 << 32)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="etui-differential-"))).resolve()
        pair = Pair({"reference": REFERENCE, "other": options.adapter}, folder)
        stack.callback(pair.close)
        if options.replay is not None:
            return replay(pair, options.replay)
        print(f"seed {seed}", flush=True)
        record = Record(options.out)
        families = list(FAMILIES) if options.family == "all" else [options.family]
        tally = fuzz(pair, families, options.seconds, seed, record)
        print(_line(tally, record))
        for pair_of_codes, count in tally.codes.most_common():
            print(f"  {count:6}  {pair_of_codes}")
        return int(bool(record.found))


if __name__ == "__main__":
    sys.exit(main())
