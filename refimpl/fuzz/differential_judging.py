"""What two implementations are asked about a case, and what counts as a difference."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from etui_conformance.checks.base import Mismatch
from etui_conformance.checks.closeness import check_close
from etui_conformance.checks.exchange import same, same_tensor
from etui_conformance.protocol import wire
from etui_conformance.protocol.session import Reply
from fuzz.differential_cases import Case
from fuzz.differential_pair import Difference, Pair, general, last_line
from fuzz.kit import lenient_json

CODES: Final = "codes: "
"""What the key begins with of a case that both refuse, with other codes."""
_SHOWN: Final = 300
_SHARDED: Final = 0.3
_TOLERANCE: Final = {"rtol": 1e-6, "atol": 1e-9}
_CODED: Final = re.compile(r"\[[a-z0-9-]+\]|EtuiError")
_TEXTS: Final = ("config", "training", "weights", "optimizer", "state", "metadata", "profile")


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
    if case.kind == "object":
        yield from _computed(pair, case, fields)
        return
    replies, fault = pair.ask("validate", fields)
    yield from _judged("validate", replies, fault, tally)
    if replies and all(reply.result == "ok" for reply in replies.values()):
        tally.taken += 1
    if case.kind == "document":
        return
    replies, fault = pair.ask("decode", fields | {"want": "all"})
    yield from _judged("decode", replies, fault, None)
    if case.request is not None and replies and all(reply.result == "ok" for reply in replies.values()):
        yield from _computed(pair, case, fields)
    boxes = _boxes(replies, rng)
    if boxes:
        replies, fault = pair.ask("decode", fields | {"want": "documents", "read": boxes})
        yield from _judged("read", replies, fault, None)
    form: dict[str, Any] = {"form": rng.choice(("packed", "directory"))}
    if rng.random() < _SHARDED:
        form["shard_size"] = rng.choice((1, 8, 64, 1000))
    paths = {name: str(folder / f"written-{name}") for name in pair.sessions}
    replies, fault = pair.ask("transcode", fields | form | {"path": paths})
    yield from _judged("transcode", replies, fault, None)
    if replies and all(reply.result == "ok" for reply in replies.values()):
        one, other = (_written(Path(path)) for path in paths.values())
        for name in sorted(one.keys() | other.keys()):
            if one.get(name) != other.get(name):
                said = [data[:_SHOWN] if (data := each.get(name)) is not None else None for each in (one, other)]
                yield Difference(f"transcode: other bytes of {_role(name)}", f"{name}\n{said[0]!r}\n{said[1]!r}")


def _computed(pair: Pair, case: Case, fields: Mapping[str, Any]) -> Iterator[Difference]:
    """What differs in what both compute; numbers as far as float64 in another order of operations may make it."""
    further = dict(case.request or {})
    op = str(further.pop("op"))
    replies, fault = pair.ask(op, {**fields, **further})
    if fault is not None:
        yield fault
        return
    (one, ours), (other, theirs) = replies.items()
    for name, reply in replies.items():
        message = str(reply.fields.get("message"))
        # `compute` asks functions of the inside, which leave it to their callers what fits.
        if op != "compute" and reply.result == "fault" and not _CODED.search(message):
            yield Difference(f"{name}: {op}: fault {general(last_line(message))}", message)
    if ours.result != "ok" or theirs.result != "ok":
        return  # what fits together is judged by each: inputs, shapes, arguments of calls
    for name, mine, yours in _pairs(ours.fields, theirs.fields):
        said = f"{one} {mine!r:.400}\n{other} {yours!r:.400}"
        if mine is None or yours is None:
            yield Difference(f"{op}: one without {name}", said)
            continue
        try:
            check_close(name, mine, yours, _TOLERANCE, exact_dtype=op != "compute")
        except Mismatch as trouble:
            yield Difference(f"{op}: {general(str(trouble))}", f"{name}: {trouble}\n{said}")


def _pairs(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The tensors of two replies by their names, with `None` where one has none."""
    for member in ("outputs", "variables", "weights", "tensors"):
        one, other = (
            dict(enumerate(value)) if isinstance(value := each.get(member, {}), list) else value
            for each in (ours, theirs)
        )
        for name in [*one, *(name for name in other if name not in one)]:
            yield f"{member} {name}", one.get(name), other.get(name)


def _role(name: str) -> str:
    return name.partition("/")[0] if name else "the archive"


def _asked(case: Case, folder: Path) -> dict[str, Any]:
    if case.kind == "object":
        return {"object": lenient_json(case.files[""])}
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


def _judged(
    op: str, replies: Mapping[str, Reply], fault: Difference | None, tally: Tally | None
) -> Iterator[Difference]:
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
            yield Difference(f"{CODES}{said[one]} / {said[other]}", places)
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
