"""The differential fuzzer finds what differs, and two implementations do not differ where they once did."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from etui.testing import npm
from fuzz.differential import JAVASCRIPT, REFERENCE, Record, fuzz, replay
from fuzz.differential_cases import FAMILIES, Case, mutation, seeds
from fuzz.differential_judging import CODES, Tally, examine
from fuzz.differential_pair import Difference, Pair

TRUSTING = f"'{sys.executable}' -m etui_conformance.adapters.safetensors_json"
PACKAGE = Path(__file__).parents[1] / "js"
CASES = 60


@contextmanager
def pair_of(one: str, other: str, folder: Path) -> Iterator[Pair]:
    """Two adapters, which end with the block."""
    pair = Pair({"one": one, "other": other}, folder.resolve())
    try:
        yield pair
    finally:
        pair.close()


def differences(pair: Pair, case: Case) -> list[Difference]:
    """What two adapters do not agree about, but for codes that E-3 leaves to them."""
    found = examine(pair, case, Random(1), Tally())
    return [each for each in found if not each.key.startswith(CODES)]


@pytest.mark.library
def test_a_reader_that_trusts_what_it_reads_is_found_out(tmp_path: Path) -> None:
    """An invalid artifact that one of two takes is a finding, is kept, and is the same when it is run again."""
    with pair_of(REFERENCE, TRUSTING, tmp_path) as pair:
        cases = [case for case in seeds(valid=False)["packed"] if case.size < 3000][:40]
        found = [(case, each) for case in cases for each in differences(pair, case)]
        keys = {each.key for _, each in found}
        assert any(key.startswith("decode: one ") and key.endswith(", other ok") for key in keys)

        record = Record(tmp_path / "findings")
        for case, each in found:
            record.keep(case, each)
        assert record.found.keys() == keys
        for key, path in record.found.items():
            assert json.loads(path.read_text())["key"] == key
        assert replay(pair, next(iter(record.found.values()))) == 1


@pytest.mark.library
def test_an_implementation_does_not_differ_from_itself(tmp_path: Path) -> None:
    """Valid cases of every family are taken, and give the same twice."""
    with pair_of(REFERENCE, REFERENCE, tmp_path) as pair:
        for family, cases in seeds(valid=True).items():
            tally = Tally()
            assert [each for case in cases[:5] for each in examine(pair, case, Random(1), tally)] == []
            assert tally.cases == 5, family


@pytest.mark.library
@pytest.mark.parametrize("family", FAMILIES)
def test_mutations_are_near_and_repeatable(family: str) -> None:
    """The same seed gives the same mutation of a case, which a finding's file keeps; most are others than the case."""
    cases = seeds(valid=True)[family]
    assert len(cases) >= 30
    changed = 0
    for number in range(60):
        case = Random(number).choice(cases)
        one, other = (mutation(case, Random(number)) for _ in range(2))
        assert one == other
        assert Case.of_json(json.loads(json.dumps(one.as_json()))) == one
        changed += one.files != case.files
    assert changed > 40


@pytest.mark.node
@pytest.mark.clause("E-2@310409")
@pytest.mark.parametrize("family", [family for family in FAMILIES if family != "core"])
def test_the_reference_and_javascript_agree_about_mutations(family: str, tmp_path: Path) -> None:
    """Both take the same inputs and refuse the same ones, neither fails, and what they write is the same."""
    npm.built(PACKAGE)
    with pair_of(REFERENCE, JAVASCRIPT, tmp_path) as pair:
        record = Record(tmp_path / "findings")
        tally = fuzz(pair, [family], 20, record, cases=CASES)
    assert {key: path.read_text()[:3000] for key, path in record.found.items()} == {}
    assert tally.cases == CASES
    assert tally.taken > 0
