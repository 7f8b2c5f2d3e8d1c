"""Converting between formats, and telling formats apart."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import etui
from etui import bridges, conversion
from etui.bridges import Bridge
from etui.report import Report
from etui.testing.samples import CURRENT, PROGRAM, STALE, VOCABULARY, everything

FORGETFUL = b"forgetful 1\n"


class Forgetful(ModuleType):
    """A bridge to a format of paths only: reading finds an item that no model holds, writing loses all elements."""

    def recognises(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes().startswith(FORGETFUL)

    def read(self, path: Path, report: Report, **_: Any) -> etui.Model:
        lines = path.read_bytes().removeprefix(FORGETFUL).decode().split()
        if "strange" in lines:
            report.add("variable", "strange", "unexpected", "no model has it")
        report.add("variable", "dense/kernel", "restored")
        weights = etui.Weights()
        weights.add("dense/kernel", etui.Tensor.of([1.0]), role="kernel")
        return etui.Model(weights=weights)

    def write(self, model: etui.Model, target: Any, report: Report, *, strict: bool, **_: Any) -> None:
        assert model.weights is not None
        for path in model.weights:
            report.add("variable", path, "not-transferable", "the format holds paths only")
        if strict:
            report.require_complete()
        Path(target).write_bytes(FORGETFUL + "\n".join(model.weights).encode())


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """The format `forgetful` (.forget) among the known ones."""
    monkeypatch.setitem(sys.modules, "etui_forgetful", Forgetful("etui_forgetful"))
    bridge = Bridge("forgetful", "Forgetful", "etui_forgetful", (".forget",), "paths", "paths")
    monkeypatch.setattr(bridges, "_BRIDGES", (*bridges.bridges(), bridge))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A packed artifact with everything."""
    path = tmp_path / "source.etui"
    etui.save(everything(), path)
    return path


def subjects(report: Report, kind: str, status: str | None = None) -> set[str]:
    return {entry.subject for entry in report.entries if entry.kind == kind and status in (None, entry.status)}


@pytest.mark.clause("D-5@94980c", "H-8@5fca10")
@pytest.mark.parametrize("form", ["packed", "directory"])
@pytest.mark.parametrize("shard_size", [None, 64])
def test_a_conversion_and_its_repetition_give_the_same_bytes(
    source: Path, tmp_path: Path, form: str, shard_size: int | None
) -> None:
    """Converting twice gives the same bytes in every file, and so does converting what was converted."""
    targets = [tmp_path / name for name in ("one", "two", "three")]
    for start, target in zip([source, source, targets[0]], targets, strict=True):
        etui.convert(start, target, to="etui", form=form, shard_size=shard_size)
    contents = [
        {
            path.relative_to(target).as_posix(): path.read_bytes()
            for path in [target, *target.rglob("*")]
            if path.is_file()
        }
        for target in targets
    ]
    count = len(contents[0])
    assert count == 1 if form == "packed" else count == 13 if shard_size is None else count > 15
    assert contents[0] == contents[1] == contents[2]


@pytest.mark.library
def test_the_target_s_name_chooses_the_form(source: Path, tmp_path: Path) -> None:
    """`.etui` is packed; no suffix, a final separator or an existing folder is the directory form."""
    (tmp_path / "there.v2").mkdir()
    targets = ["packed.etui", "UPPER.ETUI", "folder", f"with.dot{os.sep}", "there.v2"]
    for target in targets:
        etui.convert(source, f"{tmp_path}/{target}")
    assert [(tmp_path / target).is_dir() for target in targets] == [False, False, True, True, True]
    assert len({etui.verify(tmp_path / target).identity for target in targets}) == 1


@pytest.mark.library
def test_a_report_accounts_for_every_item(source: Path, tmp_path: Path) -> None:
    """Every variable, alias, slot, document, state, asset, program and native document has one entry."""
    report = etui.convert(source, tmp_path / "target.etui")
    model = everything()
    assert model.weights is not None
    assert subjects(report, "variable", "restored") == set(model.weights.variables)
    assert subjects(report, "variable", "aliased") == {"tied/kernel"}
    assert subjects(report, "slot", "restored") == {
        "optimizer/inner/dense/kernel/momentum",
        "optimizer/inner/dense/kernel/velocity",
        "optimizer/inner/product",
    }
    assert subjects(report, "slot", "fresh") == {"optimizer/inner/own/half", "optimizer/inner/own/chunked"}
    assert subjects(report, "optimizer") == {"optimizer", "optimizer/inner"}
    documents = {"config.json", "weights.json", "training.json", "optimizer.msgpack", "state.msgpack"}
    assert subjects(report, "document") == documents | {CURRENT, STALE}
    assert subjects(report, "document", "restored") == documents
    assert subjects(report, "state") == {
        "counters/batch",
        "counters/epoch",
        "rng/dropout/seed",
        "metrics/mae/total",
        "metrics/mae/count",
        "data/position",
        "user/best",
        "user/history",
        "user/of",
    }
    assert subjects(report, "asset") == {VOCABULARY}
    assert subjects(report, "program") == {PROGRAM}
    assert subjects(report, "metadata") == {"author", "ratio"}
    assert len({(entry.kind, entry.subject) for entry in report.entries}) == len(report.entries)
    assert (report.source, report.target, report.ok) == (str(source), str(tmp_path / "target.etui"), True)


@pytest.mark.clause("N-3@2ee5a9")
def test_a_stale_native_document_is_told(source: Path, tmp_path: Path) -> None:
    """The report says of a native document that its neutral one has changed since."""
    report = etui.convert(source, tmp_path / "target.etui")
    assert subjects(report, "document", "verbatim") == {CURRENT}
    (stale,) = [entry for entry in report.entries if entry.status == "stale"]
    assert (stale.subject, stale.detail) == (STALE, "changed since: config.json")
    assert report.ok


@pytest.mark.library
def test_native_documents_are_left_out_on_request(source: Path, tmp_path: Path) -> None:
    """With `native=False` no native document is written, and the report says so of each."""
    report = etui.convert(source, tmp_path / "target.etui", native=False)
    assert subjects(report, "document", "left-out") == {CURRENT, STALE}
    with etui.open(tmp_path / "target.etui") as model:
        assert model.native == {}
        assert etui.diff(everything(), model).same


@pytest.mark.clause("F-8@a401d8")
def test_a_conversion_onto_its_own_source_works(source: Path) -> None:
    """An artifact is rewritten in place of itself, in shards."""
    before = etui.verify(source)
    etui.convert(source, source, shard_size=64)
    after = etui.verify(source)
    assert after.parts > before.parts
    assert etui.diff(everything(), source).same


@pytest.mark.library
@pytest.mark.usefixtures("forgetful")
def test_a_strict_conversion_that_would_lose_something_leaves_the_target(source: Path, tmp_path: Path) -> None:
    """Refused for what the writer cannot hold, a conversion changes nothing and still fills the report."""
    target = tmp_path / "target.forget"
    target.write_bytes(FORGETFUL + b"before")
    report = Report()
    with pytest.raises(etui.TransferError, match="not-complete"):
        etui.convert(source, target, report=report)
    assert target.read_bytes() == FORGETFUL + b"before"
    assert subjects(report, "variable", "not-transferable") >= {"dense/kernel", "own/half"}
    assert not report.ok
    lenient = etui.convert(source, target, strict=False)
    assert not lenient.ok
    assert b"dense/kernel" in target.read_bytes()


@pytest.mark.library
@pytest.mark.usefixtures("forgetful")
def test_a_strict_conversion_refuses_what_the_reader_lost(tmp_path: Path) -> None:
    """What the reader could not carry over counts too, and a lenient conversion reports it."""
    (tmp_path / "source.forget").write_bytes(FORGETFUL + b"strange")
    with pytest.raises(etui.TransferError, match="strange"):
        etui.convert(tmp_path / "source.forget", tmp_path / "target.etui")
    assert not (tmp_path / "target.etui").exists()
    report = etui.convert(tmp_path / "source.forget", tmp_path / "target.etui", strict=False)
    assert [entry.subject for entry in report.lost] == ["strange"]
    assert subjects(report, "variable", "restored") == {"dense/kernel"}


@pytest.mark.library
@pytest.mark.usefixtures("forgetful")
def test_of_two_accounts_of_one_item_the_worse_is_kept(tmp_path: Path) -> None:
    """An item that both directions account for has one entry."""
    (tmp_path / "source.forget").write_bytes(FORGETFUL + b"dense/kernel")
    report = etui.convert(tmp_path / "source.forget", tmp_path / "target.forget", strict=False)
    assert [(entry.subject, entry.status) for entry in report.entries] == [("dense/kernel", "not-transferable")]


@pytest.mark.library
@pytest.mark.usefixtures("forgetful")
def test_a_file_of_another_format_is_not_replaced(source: Path, tmp_path: Path) -> None:
    """A target that is of another format, or a folder, stays; an empty file is nothing that could be lost."""
    for name in ("notes.forget", "notes.etui"):
        (tmp_path / name).write_bytes(b"my notes")
        with pytest.raises(etui.StorageError) as caught:
            etui.convert(source, tmp_path / name, strict=False)
        assert caught.value.code in ("target-other-format", "target-not-etui")
        assert (tmp_path / name).read_bytes() == b"my notes"
    (tmp_path / "folder").mkdir()
    with pytest.raises(etui.StorageError, match="target-other-format"):
        etui.convert(source, tmp_path / "folder", to="forgetful", strict=False)
    (tmp_path / "empty.forget").touch()
    assert etui.convert(source, tmp_path / "empty.forget", strict=False).target.endswith("empty.forget")


@pytest.mark.clause("I-1@5aed06")
@pytest.mark.usefixtures("forgetful")
def test_formats_are_told_by_content(source: Path, tmp_path: Path) -> None:
    """A wrong suffix, another's or none changes nothing: the content says what a file is."""
    other = tmp_path / "source.forget"
    other.write_bytes(FORGETFUL)
    etui.convert(source, tmp_path / "folder")
    names = {"a.keras": source, "a.forget": source, "a": source, "b.etui": other, "b.keras": other, "b": other}
    for name, content in names.items():
        (tmp_path / name).write_bytes(content.read_bytes())
    (tmp_path / "folder").rename(tmp_path / "folder.keras")
    found = {name: bridges.of_source(tmp_path / name).name for name in [*names, "folder.keras"]}
    assert found == {
        **dict.fromkeys(["a.keras", "a.forget", "a", "folder.keras"], "etui"),
        **dict.fromkeys(["b.etui", "b.keras", "b"], "forgetful"),
    }


@pytest.mark.library
def test_where_the_content_tells_nothing_the_suffix_chooses_who_says_what_is_wrong(tmp_path: Path) -> None:
    """A damaged file is refused by the reader that its name asks for; without a hint the format is unknown."""
    for name, kind in (("a.etui", etui.MalformedError), ("a.keras", etui.RejectError), ("a.txt", etui.UsageError)):
        (tmp_path / name).write_bytes(b"PK\x03\x04 nothing else")
        with pytest.raises(kind):
            conversion.read(tmp_path / name)
    (tmp_path / "folder").mkdir()
    with pytest.raises(etui.InvalidError, match="manifest-missing"):
        conversion.read(tmp_path / "folder")


@pytest.mark.library
def test_what_is_no_file_is_of_no_format(tmp_path: Path) -> None:
    """A pipe is not opened, and a place where nothing is fails."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(etui.UsageError, match="format-unknown"):
        conversion.read(tmp_path / "pipe")
    with pytest.raises(etui.StorageError, match="storage-failed"):
        conversion.read(tmp_path / "nothing")


@pytest.mark.library
@pytest.mark.parametrize(
    ("target", "options", "code"),
    [
        ("a.unknown", {}, "format-unknown"),
        ("a.etui", {"to": "unknown"}, "format-unknown"),
        ("a.keras", {"shard_size": 64}, "writer-misuse"),
        ("a.keras", {"form": "packed"}, "writer-misuse"),
        ("a.etui", {"form": "zip"}, "writer-misuse"),
        ("a.etui", {"shard_size": 0}, "writer-misuse"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    source: Path, tmp_path: Path, target: str, options: dict[str, Any], code: str
) -> None:
    """A format that does not exist, and an option that the format does not have, are the caller's mistake."""
    with pytest.raises(etui.UsageError) as caught:
        etui.convert(source, tmp_path / target, **options)
    assert caught.value.code == code
    assert not (tmp_path / target).exists()


@pytest.mark.library
def test_every_bridge_says_what_it_carries() -> None:
    """Each format of the registry has a name of its own, suffixes of its own, and a module with both directions."""
    found = bridges.bridges()
    assert found[0].name == "etui"
    assert len({bridge.name for bridge in found}) == len(found) > 1
    suffixes = [suffix for bridge in found for suffix in bridge.suffixes]
    assert len(set(suffixes)) == len(suffixes) > 1
    for bridge in found:
        assert bridge.reads
        assert bridge.writes
        assert bridge.available
        for verb in ("recognises", "read", "write"):
            assert callable(getattr(bridge.translator, verb))


@pytest.mark.library
def test_limits_reach_the_reader(source: Path, tmp_path: Path) -> None:
    """A conversion refuses a source that is beyond the caller's limits."""
    with pytest.raises(etui.LimitError):
        etui.convert(source, tmp_path / "target.etui", limits=etui.Limits(variables=3))


@pytest.mark.library
def test_progress_reaches_the_end(source: Path, tmp_path: Path) -> None:
    """The callback is told the bytes that were written, up to all of them."""
    calls: list[tuple[int, int]] = []
    etui.convert(source, tmp_path / "t.etui", progress=lambda _, done, total: calls.append((done, total)))
    assert calls == sorted(calls)
    assert calls[-1][0] == calls[-1][1] > 0
