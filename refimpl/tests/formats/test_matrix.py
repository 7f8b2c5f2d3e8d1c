"""Every file that Keras and tf_keras write, taken to Etui and on to every format, and judged by the frameworks."""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from etui.bridges import bridges

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "formats-matrix.md"
sys.path.insert(0, str(HERE))
matrix: Any = import_module("matrix")  # tests are imported by path, so that a neighbour is found by name only

pytestmark = [pytest.mark.frameworks, pytest.mark.library, pytest.mark.node]

MODELS = 40
OF_EACH_FORMAT = 10
# The whole takes the frameworks too long for every run: one in so many files of each format is converted, and of what
# is written of them one in so many is judged, each cell once at least. `matrix.py` does all of it.
FILES, SHARE = 9, 7


@dataclass(frozen=True)
class Journey:
    """What came of the corpus.

    Attributes:
        indexes: framework -> case -> what `make_corpus.py` wrote of it.
        failed: framework -> the cases that could not be built.
        table: (source, target) -> `matrix.Cell`.
        known: the exceptions, and which of them were met.
    """

    indexes: dict[str, dict[str, Any]]
    failed: dict[str, dict[str, str]]
    table: dict[tuple[str, str], Any]
    known: Any


@pytest.fixture(scope="session")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Journey:
    """The corpus, built, converted, and a share of it judged; the session makes it once."""
    folder = tmp_path_factory.mktemp("formats")
    known = matrix.Known()
    table = matrix.cells(matrix.travel(folder, FILES, SHARE), known)
    indexes, failed = (
        {name: json.loads((folder / name / f"{part}.json").read_text()) for name in matrix.FRAMEWORKS}
        for part in ("index", "failed")
    )
    return Journey(indexes, failed, table, known)


def test_the_corpus_is_large_and_in_every_format(journey: Journey) -> None:
    """Each framework builds its models without a failure, and at least ten files of each format that it writes."""
    assert all(not failed for failed in journey.failed.values())
    assert sum(len(index) for index in journey.indexes.values()) >= 2 * MODELS
    for framework, index in journey.indexes.items():
        files = Counter(label for case in index.values() for label in case["files"])
        assert set(files) >= {"keras", "keras-h5", "keras-weights", "keras-json", "tf-checkpoint"}, framework
        assert min(files.values()) >= OF_EACH_FORMAT, files


def test_every_format_was_read_and_written(journey: Journey) -> None:
    """Each bridge to a format of Keras is a source of the matrix, or written in it, or both."""
    sources = {source.partition(": ")[2].partition(",")[0] for source, _ in journey.table}
    targets = {target.partition(" for ")[0].partition(",")[0] for _, target in journey.table}
    names = {bridge.name for bridge in bridges() if bridge.holds_keras}
    assert names <= targets
    assert sources <= names
    assert all(cell.total for cell in journey.table.values())


def test_no_conversion_differs_unless_it_is_named(journey: Journey) -> None:
    """Values, predictions, optimizer states and next losses are the framework's own, but for named exceptions."""
    wrong = {
        f"{source} -> {target}, {case}": text
        for (source, target), cell in journey.table.items()
        for case, text in cell.wrong
    }
    assert wrong == {}
    assert sum(cell.passed for cell in journey.table.values()) > 250


def test_no_exception_is_idle(journey: Journey) -> None:
    """Each named exception still happens."""
    assert journey.known.unseen() == []


def test_the_page_is_about_the_same_formats(journey: Journey) -> None:
    """The page of the docs has a row for each source, a column for each target, and the exceptions."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [[part.strip() for part in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    assert rows[0][1:] == list(dict.fromkeys(target for _, target in journey.table))
    assert [row[0] for row in rows[1:]] == list(dict.fromkeys(source for source, _ in journey.table))
    assert [line for line in lines if line.startswith("- ")] == list(journey.known.described())
    assert not any("wrong" in cell for row in rows for cell in row)
