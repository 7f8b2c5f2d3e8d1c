"""The fuzz targets, over their seeds and a few mutations, without atheris: what fuzzing found stays mended."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from etui.errors import error
from etui_conformance.oracle.errors import Refusal
from fuzz import run
from fuzz.kit import MESSAGE, Finding, PropertyError, Tally, Target, agree, chosen, examine, is_harmless, joined, parted
from fuzz.mutation import mutated
from fuzz.targets import TARGETS

SEEDS = 16
# Whole models take longer: what a bridge reads is saved and verified.
SLOW = frozenset({"keras", "keras-h5", "keras-json", "yaml", "tfjs", "saved-model", "hdf5"})
MUTATIONS = {name: 40 if name in SLOW else 200 for name in TARGETS}


@pytest.mark.clause("E-2@310409")
@pytest.mark.parametrize("name", TARGETS)
def test_a_parser_takes_or_refuses_whatever_it_gets(name: str) -> None:
    """Every parser takes its seeds and their mutations, or refuses them with a code, and keeps its properties."""
    target, tally, rng = TARGETS[name], Tally(), Random(name)
    seeds = chosen(target.seeds(), SEEDS, target.largest)
    inputs = [*seeds]
    while len(inputs) < len(seeds) + MUTATIONS[name]:
        inputs.append(mutated(rng.choice(seeds), target.shape, rng, largest=target.largest, own=target.own))

    findings = {finding.key: finding.text for data in inputs if (finding := examine(target, data, tally))}

    assert findings == {}
    assert len(seeds) == SEEDS
    assert tally.taken + tally.refused == SEEDS + MUTATIONS[name]
    assert tally.taken > 0
    assert tally.refused > 0


def judged(call: Callable[[bytes], None]) -> Finding | None:
    return examine(Target("case", call, list), b"input", Tally())


@pytest.mark.library
def test_what_is_neither_taken_nor_refused_is_a_finding() -> None:
    """A finding is another exception, endless recursion, a broken property, and an error of the caller's."""

    def endless(data: bytes) -> None:
        endless(data)

    def wrong(_: bytes) -> None:
        raise ValueError("no code")

    def broken(_: bytes) -> None:
        raise PropertyError("a property")

    def misused(_: bytes) -> None:
        raise error("writer-misuse")

    found = [judged(call) for call in (endless, wrong, broken, misused)]

    kinds = [finding.key.split(" in ")[0] for finding in found if finding]
    assert kinds == ["RecursionError", "ValueError", "a property", "UsageError"]


@pytest.mark.library
def test_a_refusal_without_bound_or_that_cannot_be_printed_is_a_finding() -> None:
    """The message of a refusal is short, and of characters that a terminal can be sent."""

    def flood(_: bytes) -> None:
        raise error("json-syntax", found="x" * MESSAGE)

    def surrogate(_: bytes) -> None:
        raise error("json-syntax", where="\ud800")

    def sound(_: bytes) -> None:
        raise error("json-syntax")

    assert [judged(call) is not None for call in (flood, surrogate, sound)] == [True, True, False]


@pytest.mark.library
def test_two_readers_that_disagree_are_a_finding() -> None:
    """An input that one reader takes and the other refuses is a finding; two codes for one input are counted."""

    def refuse(_: bytes = b"") -> None:
        raise error("json-syntax")

    def oracle(code: str) -> Callable[[], None]:
        def call() -> None:
            raise Refusal(code, "", "")

        return call

    cases = (
        (lambda _: agree(refuse, lambda: None), "refused with json-syntax, and the oracle takes it"),
        (lambda _: agree(lambda: None, oracle("json-depth")), "taken, and the oracle refuses it with json-depth"),
    )
    for call, key in cases:
        finding = judged(call)
        assert finding is not None
        assert finding.key == key
    tally = Tally()
    target = Target("case", lambda _: agree(refuse, oracle("json-depth")), list)
    assert examine(target, b"input", tally) is None
    assert dict(tally.differences) == {"json-syntax / json-depth": 1}
    assert tally.examples == {"json-syntax / json-depth": b"input"}


@pytest.mark.library
def test_files_become_one_input_and_come_back() -> None:
    """Several files in one input are read back as they were, and any bytes at all are some files."""
    files = {"a": b"1", "b/c": b"", "ä": b"\xff" * 300}

    assert parted(joined(files)) == files
    assert parted(b"\x05ab") == {"ab": b""}
    assert [is_harmless(name) for name in ("a/b.c", "../a", "/a", "a//b", "a\0", "")] == [True, *[False] * 5]


@pytest.mark.library
@pytest.mark.parametrize("name", ["json", "msgpack", "documents", "zip"])
def test_mutations_are_the_same_each_time(name: str) -> None:
    """The same state of the generator gives the same mutations, each within its bounds."""
    target = TARGETS[name]
    seeds = chosen(target.seeds(), 8, target.largest)

    def series() -> list[bytes]:
        rng = Random(7)
        return [mutated(seeds[i % 8], target.shape, rng, largest=4096, own=target.own) for i in range(64)]

    first = series()
    assert first == series()
    assert len(set(first)) > 32
    assert max(map(len, first)) <= 4096


@pytest.mark.library
def test_a_finding_can_be_run_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The program runs a file against the target that its folder names, and says what becomes of it."""
    (tmp_path / "json").mkdir()
    path = tmp_path / "json" / "input"

    for data, said in ((b"{}", "taken"), (b"{", "refused with json-syntax")):
        path.write_bytes(data)
        assert run.main(["--replay", str(path)]) == 0
        assert capsys.readouterr().out.strip() == said
    path.write_text(json.dumps({}), encoding="utf-8")
    assert run.main(["--replay", str(path), "--target", "zip"]) == 0
    assert capsys.readouterr().out.startswith("refused with zip-")
