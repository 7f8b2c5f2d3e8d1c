"""Vocabularies in formats that have no place for files."""

from __future__ import annotations

from pathlib import Path

import pytest

import etui
from etui.bridges.keras.vocabulary import with_vocabularies
from etui.containers.config import Config, Module
from etui.model import Blob, Model
from etui.report import Report

pytestmark = pytest.mark.clause("K-65@c1befe")

WORDS = Path(__file__).parents[2] / "examples" / "models" / "words.keras"
FILE = "assets/words/vocabulary.txt"


def lookup(op: str, data: bytes, **attrs: object) -> tuple[Model, Report]:
    """A model that holds a lookup layer with an asset, after the translation, and its report."""
    root = Module("net", "opaque", "custom:Net", modules=[Module("words", "layer", op, attrs=dict(attrs))])
    report = Report()
    return with_vocabularies(Model(config=Config(root), assets={FILE: Blob.of(data)}), report), report


@pytest.mark.parametrize(
    ("op", "data", "terms"),
    [
        ("keras:StringLookup", b"alpha\nbeta\n\ngamma", ["alpha", "beta", "", "gamma"]),
        ("keras:IntegerLookup", b"7\n-3", [7, -3]),
        ("keras:TextVectorization", "straße".encode(), ["straße"]),
    ],
)
def test_a_vocabulary_becomes_an_attribute(op: str, data: bytes, terms: list[object]) -> None:
    """Each line of the file is a term of the layer's attribute, and the asset is accounted for."""
    model, report = lookup(op, data, vocabulary=None)
    assert model.config is not None
    assert model.config.find("words").attrs["vocabulary"] == terms
    assert model.assets == {}
    assert [(entry.subject, entry.status) for entry in report.entries] == [(FILE, "translated")]


@pytest.mark.parametrize(
    ("op", "data", "attrs"),
    [
        ("keras:StringLookup", b"a", {"vocabulary": ["b"]}),
        ("keras:StringLookup", b"a", {"output_mode": "tf_idf"}),
        ("keras:IntegerLookup", b"seven", {}),
        ("keras:StringLookup", b"\xff", {}),
        ("keras:Dense", b"a", {}),
        ("custom:StringLookup", b"a", {}),
    ],
)
def test_other_files_stay_assets(op: str, data: bytes, attrs: dict[str, object]) -> None:
    """A vocabulary beside one, terms whose weights are elsewhere, a file of no terms, and other layers' files stay."""
    model, report = lookup(op, data, **attrs)
    assert set(model.assets) == {FILE}
    assert report.entries == []


@pytest.mark.parametrize("name", ["words.h5", "words.json"])
def test_files_without_assets_carry_vocabularies(tmp_path: Path, name: str) -> None:
    """A trained TextVectorization goes to legacy HDF5 and to JSON with its terms, and nothing is lost."""
    report = etui.convert(WORDS, tmp_path / name)
    assert report.ok
    assert set(report.counts()["asset"]) == {"translated"}
    etui.convert(tmp_path / name, tmp_path / "back.etui")
    etui.convert(WORDS, tmp_path / "source.etui")
    with etui.open(tmp_path / "back.etui") as model, etui.open(tmp_path / "source.etui") as source:
        assert model.config is not None
        terms = next(m.attrs for _, m in model.config.walk() if m.op == "keras:TextVectorization")["vocabulary"]
        data = next(iter(source.assets.values())).read()
    assert terms == data.decode().split("\n")
    assert len(terms) > 3
