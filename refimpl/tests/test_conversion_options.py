"""What a conversion hands to the bridges: a config for a source without one, a dialect, and names that begin files."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import etui
from etui import bridges, conversion
from etui.bridges import Bridge
from etui.report import Report
from etui.testing.samples import everything

pytestmark = pytest.mark.library
SUFFIX = ".index"


class Numbered(ModuleType):
    """A bridge to a format of which each model is files with names that begin alike; it remembers what it was given."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.given: dict[str, Any] = {}

    def recognises(self, path: Path) -> bool:
        return path.with_name(path.name + SUFFIX).is_file()

    def read(self, _path: Path, _report: Report, **options: Any) -> etui.Model:
        self.given = options
        weights = etui.Weights()
        weights.add("kernel", etui.Tensor.of([1.0]), role="kernel")
        return etui.Model(weights=weights)

    def write(self, _model: etui.Model, target: Any, _report: Report, **options: Any) -> None:
        self.given = options
        Path(f"{target}{SUFFIX}").write_bytes(b"")


@pytest.fixture
def numbered(monkeypatch: pytest.MonkeyPatch) -> Numbered:
    """The format `numbered`, which takes a config and a dialect, among the known ones."""
    module = Numbered("etui_numbered")
    monkeypatch.setitem(sys.modules, "etui_numbered", module)
    options = frozenset({"dialect"})
    bridge = Bridge(
        "numbered", "Numbered", "etui_numbered", (), "weights", "weights", options=options, takes_config=True
    )
    monkeypatch.setattr(bridges, "_BRIDGES", (*bridges.bridges(), bridge))
    return module


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """What the name of a file begins with; nothing is at the path itself."""
    (tmp_path / f"model{SUFFIX}").write_bytes(b"")
    return tmp_path / "model"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """An artifact with the config of a Dense layer and no weights."""
    dense = etui.Module("dense", op="keras:Dense", attrs={"units": 1}, params={"kernel": "dense/kernel"})
    root = etui.Module("small", op="keras:Sequential", modules=[dense])
    etui.save(etui.Model(config=etui.Config(root)), tmp_path / "config.etui")
    return tmp_path / "config.etui"


def test_a_source_may_be_what_the_names_of_its_files_begin_with(numbered: Numbered, prefix: Path) -> None:
    """A path at which nothing is goes to the bridge that recognises files whose names begin with it."""
    found = bridges.recognise(prefix)
    assert found is not None
    assert found.name == "numbered"
    etui.convert(prefix, prefix.with_name("target.etui"))
    assert etui.verify(prefix.with_name("target.etui")).identity


def test_a_path_that_begins_no_file_is_not_there(numbered: Numbered, tmp_path: Path) -> None:
    """A source that is not there, and that no bridge recognises, is the system's refusal as before."""
    with pytest.raises(etui.StorageError) as caught:
        etui.convert(tmp_path / "absent", tmp_path / "target.etui")
    assert caught.value.code == "storage-failed"
    assert not (tmp_path / "target.etui").exists()


def test_a_config_is_handed_to_a_reader_that_takes_one(
    numbered: Numbered, prefix: Path, config: Path, tmp_path: Path
) -> None:
    """The reader gets the config of the file as a Keras config and its dialect, without arrays."""
    etui.convert(prefix, tmp_path / "target.etui", config=config)
    content = numbered.given["config"]
    assert content.dialect == "keras"
    assert content.tree["class_name"] == "Sequential"
    assert [layer["class_name"] for layer in content.tree["config"]["layers"]] == ["Dense"]
    assert not content.datasets
    with conversion.read(prefix)[0]:
        assert "config" not in numbered.given


def test_a_config_that_the_source_has_no_use_for_is_refused(config: Path, tmp_path: Path) -> None:
    """A format that holds its own config takes none beside it."""
    with pytest.raises(etui.UsageError) as caught:
        etui.convert(config, tmp_path / "target.etui", config=config)
    assert caught.value.code == "reader-misuse"
    assert not (tmp_path / "target.etui").exists()


def test_a_file_without_a_config_gives_none(numbered: Numbered, prefix: Path, tmp_path: Path) -> None:
    """A file of weights alone cannot be the file that the config is taken from."""
    with pytest.raises(etui.UsageError) as caught:
        etui.convert(prefix, tmp_path / "target.etui", config=prefix)
    assert caught.value.code == "config-source"


def test_a_dialect_goes_to_a_writer_that_has_one(numbered: Numbered, config: Path, tmp_path: Path) -> None:
    """The writer gets the dialect that was asked for, and none if none was."""
    etui.convert(config, tmp_path / "one", to="numbered", dialect="tf_keras")
    assert numbered.given["dialect"] == "tf_keras"
    etui.convert(config, tmp_path / "two", to="numbered")
    assert "dialect" not in numbered.given


@pytest.mark.parametrize(("to", "dialect"), [("etui", "keras"), ("numbered", "theano")])
def test_a_dialect_that_the_target_does_not_have_is_refused(
    numbered: Numbered, config: Path, tmp_path: Path, to: str, dialect: str
) -> None:
    """A target without dialects, and a dialect that is none, are wrong calls."""
    with pytest.raises(etui.UsageError) as caught:
        etui.convert(config, tmp_path / "target.etui", to=to, dialect=dialect)
    assert caught.value.code == "writer-misuse"
    assert list(tmp_path.glob("target*")) == []


def test_a_config_that_is_not_of_keras_is_refused(numbered: Numbered, prefix: Path, tmp_path: Path) -> None:
    """A config that has no form in Keras is refused as a conversion to Keras would be."""
    etui.save(everything(), tmp_path / "foreign.etui")
    with pytest.raises(etui.TransferError) as caught:
        etui.convert(prefix, tmp_path / "target.etui", config=tmp_path / "foreign.etui")
    assert caught.value.code == "keras-value"
