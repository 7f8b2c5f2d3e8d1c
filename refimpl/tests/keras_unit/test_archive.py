"""The archive as a whole: members, native documents, assets, reports, and a repeatable way back."""

from __future__ import annotations

import builtins
import json
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui import bridges
from etui.bridges.keras import v3
from etui.errors import EtuiError, MissingExtraError, TransferError
from etui.limits import Limits
from etui.model import Blob, Native
from etui.report import Report
from etui.storage import hdf5_types

Json = Any


def repacked(path: Path, change: dict[str, bytes | None]) -> Path:
    """A copy of an archive with members replaced, added or (`None`) left out."""
    with zipfile.ZipFile(path) as archive:
        members: dict[str, bytes | None] = {name: archive.read(name) for name in archive.namelist()}
    target = path.with_name(f"re{path.name}")
    with zipfile.ZipFile(target, "w") as archive:
        for name, data in (members | change).items():
            if data is not None:
                archive.writestr(name, data)
    return target


@pytest.mark.clause("K-1@e37429", "K-4@5598ff")
@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"config.json": None}, "keras-archive"),
        ({"model.weights.h5": None}, "keras-archive"),
        ({"model.weights.h5": None, "model.weights.npz": b"PK"}, "keras-npz"),
        ({"config.json": b"{"}, "keras-json"),
        ({"metadata.json": b"[]"}, "keras-json"),
        ({"model.weights.h5": b"no HDF5"}, "hdf5-syntax"),
        ({"config.json": b"{}"}, "keras-config"),
    ],
)
def test_archives_without_their_members_are_refused(kit: Any, change: dict[str, bytes | None], code: str) -> None:
    """Each missing or broken member has its code, and the sound archive beside it is read."""
    sound = kit.write(kit.dense_model(), kit.dense_arrays())
    assert len(kit.read(sound).weights) == 4
    with pytest.raises(EtuiError) as caught:
        kit.read(repacked(sound, change))
    assert caught.value.code == code


@pytest.mark.clause("I-1@5aed06")
def test_files_are_recognised_by_their_content(kit: Any, tmp_path: Path) -> None:
    """A `.keras` file is one under any name, and another archive is none."""
    sound = kit.write(kit.dense_model(), kit.dense_arrays())
    other = sound.rename(tmp_path / "no.suffix")
    assert v3.recognises(other)
    assert bridges.recognise(other) is bridges.by_name("keras")
    plain = repacked(other, {"model.weights.h5": None})
    (tmp_path / "text.keras").write_text("no archive")
    for path in (plain, tmp_path / "text.keras", tmp_path):
        assert not v3.recognises(path)


@pytest.mark.clause("K-5@823181", "N-5@b7100d")
def test_unknown_members_are_handed_on(kit: Any) -> None:
    """A member that no rule knows is a native document without bindings, and comes back."""
    path = kit.write(kit.dense_model(), kit.dense_arrays(), members={"notes/read me.txt": b"hello"})
    model = kit.read(path, native=False)
    assert [(name, dict(item.bindings)) for name, item in model.native.items()] == [
        ("native/keras/notes/read%20me.txt", {})
    ]
    assert kit.content(kit.back(model))["members"]["notes/read me.txt"] == b"hello"


@pytest.mark.clause("K-5@823181", "P-6@339932")
def test_members_that_no_part_may_be_called_are_handed_on(kit: Any) -> None:
    """A name that a part cannot have is escaped, and comes back as it was."""
    names = [".hidden", "notes/100 %.txt", "notes/ends."]
    path = kit.write(kit.dense_model(), kit.dense_arrays(), members={name: name.encode() for name in names})
    model = kit.read(path, native=False)
    assert list(model.native) == [
        "native/keras/%2Ehidden",
        "native/keras/notes/100%20%25.txt",
        "native/keras/notes/ends%2E",
    ]
    members = kit.content(kit.back(model))["members"]
    assert [members[name] for name in names] == [name.encode() for name in names]


@pytest.mark.clause("K-69@b8129a")
def test_what_a_file_manager_left_is_left_out(kit: Any) -> None:
    """Files that file managers put into an archive for themselves are reported, and go nowhere."""
    names = [
        *(".DS_Store", "assets/.DS_Store", "notes/Thumbs.db", "desktop.ini"),
        *("__MACOSX/._config.json", "__MACOSX/assets/x", "._metadata.json"),
    ]
    path = kit.write(kit.dense_model(), kit.dense_arrays(), members=dict.fromkeys([*names, "Thumbs.db.txt"], b"x"))
    report = Report()
    model = kit.read(path, native=False, report=report)
    assert list(model.native) == ["native/keras/Thumbs.db.txt"]
    assert model.assets == {}
    assert sorted(entry.subject for entry in report.entries if entry.status == "left-out") == sorted(names)
    assert report.ok


@pytest.mark.clause("K-70@659db5")
@pytest.mark.parametrize("part", ["assets/%2E%2E%2F%2E%2E%2Fevil", "native/keras/%2E%2E%2Fevil", "native/keras/a%5Cb"])
def test_no_archive_is_written_whose_members_lead_out_of_it(kit: Any, tmp_path: Path, part: str) -> None:
    """An artifact whose escaped names would lead elsewhere is refused, and nothing is written."""
    model = kit.read(kit.write(kit.dense_model(), kit.dense_arrays()), native=False)
    blob = Blob.of(b"x", "application/octet-stream")
    if part.startswith("assets/"):
        model.assets[part] = blob
    else:
        model.native[part] = Native(blob, "keras")
    target = tmp_path / "out.keras"
    with pytest.raises(EtuiError) as refused:
        v3.write(model, target, Report(), strict=True)
    assert refused.value.code == "foreign-zip-name"
    assert not target.exists()


@pytest.mark.clause("N-1@bcd909", "N-2@ec26e1", "N-3@2ee5a9", "K-58@3c09cf")
def test_native_documents_are_used_while_they_are_current(kit: Any) -> None:
    """Config and metadata come back byte for byte, until the neutral config changes."""
    tree = json.dumps(kit.dense_model(), indent=3).encode()
    path = kit.write(tree, kit.dense_arrays())
    model = kit.read(path)
    assert set(model.native) == {"native/keras/config.json", "native/keras/metadata.json"}
    assert set(model.native["native/keras/config.json"].bindings) == {"config.json"}
    assert model.native["native/keras/config.json"].framework_version == "3.15.1"
    report = Report()
    same = kit.content(kit.back(model, report=report))
    assert same["members"] == kit.content(path)["members"]
    assert {entry.status for entry in report.entries if entry.kind == "document"} == {"verbatim"}
    model.config.find("first").attrs["activation"] = "relu"
    report = Report()
    changed = kit.content(kit.back(model, report=report))
    assert changed["config"]["config"]["layers"][1]["config"]["activation"] == "relu"
    statuses = {(entry.subject, entry.status) for entry in report.entries if entry.kind == "document"}
    assert ("native/keras/config.json", "stale") in statuses
    assert ("config.json", "regenerated") in statuses


@pytest.mark.clause("K-58@3c09cf")
def test_without_native_documents_nothing_of_them_is_kept(kit: Any) -> None:
    """`native=False` leaves the documents out, and what is written is equal nevertheless."""
    path = kit.write(kit.dense_model(), kit.dense_arrays())
    model = kit.read(path, native=False)
    assert model.native == {}
    one, two = kit.content(path), kit.content(kit.back(model))
    assert two["config"] == one["config"]
    assert json.loads(two["members"]["metadata.json"]) == json.loads(one["members"]["metadata.json"])


@pytest.mark.clause("K-62@1a29ed")
def test_the_same_model_makes_the_same_bytes(kit: Any) -> None:
    """Two writes of one model, and of the model that was read back, are byte for byte the same file."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Adam")))
    arrays = kit.dense_arrays() | {"optimizer/vars/0": np.int64(3), "optimizer/vars/1": np.float32(0.125)}
    for native in (True, False):
        model = kit.read(kit.write(tree, arrays), native=native)
        one, two = kit.back(model), kit.back(model)
        assert one.read_bytes() == two.read_bytes()
        again = kit.back(kit.read(one, native=native))
        assert again.read_bytes() == one.read_bytes()


@pytest.mark.clause("K-61@bab677", "A-1@163cb5", "P-6@339932")
def test_assets_follow_their_module(kit: Any) -> None:
    """Files of a layer are below the module's path in the artifact, and below its group in the archive."""
    lookup = kit.layer("StringLookup", "my words", vocabulary=None)
    vector = kit.layer("TextVectorization", "text")
    members = {
        "assets/layers/string_lookup/vocabulary.txt": b"a\nb",
        "assets/layers/text_vectorization/_lookup_layer/vocabulary.txt": b"c",
        "assets/layers/text_vectorization/vocabulary.txt": b"c",
        "assets/top.txt": b"t",
        "assets/elsewhere/file.bin": b"\0",
    }
    names = {"layers/text_vectorization/_lookup_layer": "string_lookup"}
    path = kit.write(kit.sequential([lookup, vector]), names=names, members=members)
    model = kit.read(path, native=False)
    assert {name: blob.read() for name, blob in model.assets.items()} == {
        "assets/my%20words/vocabulary.txt": b"a\nb",
        "assets/text/lookup_layer/vocabulary.txt": b"c",
        "assets/text/vocabulary.txt": b"c",
        "assets/top.txt": b"t",
        "assets/elsewhere/file.bin": b"\0",
    }
    found = kit.content(kit.back(model))["members"]
    assert {name: data for name, data in found.items() if name.startswith("assets/")} == members


@pytest.mark.clause("K-61@bab677")
def test_an_asset_that_looks_like_a_modules_comes_back_to_its_place(kit: Any) -> None:
    """A file that lies where another module's would is kept apart from it."""
    layers = [kit.layer("StringLookup", "layers"), kit.layer("StringLookup", "b")]
    members = {
        "assets/layers/string_lookup/v.txt": b"1",
        "assets/b/v.txt": b"2",
        "assets/layers/string_lookup_1/v.txt": b"3",
    }
    path = kit.write(kit.sequential(layers), members=members)
    model = kit.read(path, native=False)
    assert len(model.assets) == 3
    found = kit.content(kit.back(model))["members"]
    assert {name: data for name, data in found.items() if name.startswith("assets/")} == members


@pytest.mark.clause("K-58@3c09cf", "K-59@cab9b0")
def test_groups_and_attributes_that_do_not_follow_are_kept(kit: Any) -> None:
    """Empty groups, missing names and further attributes of the weights file come back."""
    names = {"": "other name", "layers/dense": "not first", "spare/group": "x"}
    model = kit.round_trip(kit.dense_model(), kit.dense_arrays(), names=names)
    assert model.config.model.residue["keras"]["groups"]


@pytest.mark.clause("K-58@3c09cf")
def test_the_way_through_an_artifact_changes_nothing(kit: Any, tmp_path: Path) -> None:
    """`.keras` to either form of an etui and back has the same config, weights and assets."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("SGD", "sgd"), loss_weights=[1.0, 2.0]))
    arrays = kit.dense_arrays() | {"optimizer/vars/0": np.int32(3), "optimizer/vars/1": np.float32(0.125)}
    path = kit.write(tree, arrays, members={"assets/layers/dense/a.txt": b"a"})
    for native in (True, False):
        for form in ("x.etui", "folder"):
            etui.convert(path, tmp_path / form, native=native)
            etui.convert(tmp_path / form, tmp_path / "back.keras")
            one, two = kit.content(path), kit.content(tmp_path / "back.keras")
            assert (one["config"], one["weights"]) == (two["config"], two["weights"])
            assert two["members"]["assets/layers/dense/a.txt"] == b"a"
            (tmp_path / "back.keras").unlink()


@pytest.mark.clause("E-2@310409")
def test_a_refused_write_leaves_the_target(kit: Any, tmp_path: Path) -> None:
    """What was at the target stays, and nothing is left beside it."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    model.config.find("second").op = "torch:nn.Linear"
    target = tmp_path / "there.keras"
    target.write_bytes(b"before")
    before = set(tmp_path.iterdir())
    with pytest.raises(TransferError):
        v3.write(model, target, Report(), strict=True)
    assert target.read_bytes() == b"before"
    assert set(tmp_path.iterdir()) == before


@pytest.mark.library
def test_what_keras_has_no_place_for_is_reported(kit: Any) -> None:
    """Programs, metadata, state and other frameworks' documents are named before anything is written."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    model.programs["programs/p/main.onnx"] = Blob.of(b"x")
    model.metadata["author"] = "me"
    model.native["native/x/y"] = Native(Blob.of(b"x"), "x")
    model.state = etui.State(counters={"epoch": 3}, user={"best": 0.5})
    report = Report()
    with pytest.raises(TransferError) as caught:
        kit.back(model, report=report)
    assert caught.value.code == "not-complete"
    assert {entry.subject for entry in report.lost} == {"author", "user", "native/x/y"}
    fates = {entry.subject: entry.status for entry in report.entries}
    assert (fates["programs/p/main.onnx"], fates["counters"]) == ("left-out", "reset")


@pytest.mark.clause("K-10@f1eef3")
def test_code_is_named_in_the_report(kit: Any) -> None:
    """Every module and document that holds a lambda's code has an entry."""
    code = {"class_name": "__lambda__", "config": {"code": "4wEA", "defaults": None, "closure": None}}
    tree = kit.sequential([kit.layer("Lambda", "twice", function=code), kit.layer("Flatten", "plain")])
    tree["compile_config"] = kit.compiled(kit.optimizer("Adam"), loss=code)
    report = Report()
    kit.read(kit.write(tree), report=report)
    assert [entry.subject for entry in report.entries if entry.kind == "code"] == ["twice", "training.json"]
    kit.round_trip(tree)


@pytest.mark.clause("L-1@edac1f")
def test_a_config_beyond_the_limit_is_not_written(kit: Any, tmp_path: Path) -> None:
    """What readers would refuse is refused by the writer."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    with pytest.raises(EtuiError) as caught:
        v3.write(model, tmp_path / "x.keras", Report(), strict=True, limits=Limits(document_bytes=100))
    assert caught.value.code == "limit-document"
    assert not (tmp_path / "x.keras").exists()


@pytest.mark.library
def test_a_model_without_config_or_weights_is_refused(kit: Any) -> None:
    """A `.keras` file holds both; a config without variables needs no weights."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    model.weights = None
    with pytest.raises(TransferError) as caught:
        kit.back(model)
    assert caught.value.code == "keras-parts"
    empty = kit.model(kit.sequential([kit.layer("Flatten", "f")]), names={"layers/flatten": "f"})
    empty.weights = None
    assert kit.content(kit.back(empty))["weights"].keys() >= {"layers/flatten/vars"}
    with pytest.raises(TransferError) as caught:
        kit.back(etui.Model(weights=etui.Weights()))
    assert caught.value.code == "keras-parts"


@pytest.mark.library
def test_every_stored_item_is_in_the_report(kit: Any) -> None:
    """Each dataset, document and asset of a file has an entry."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Lion")))
    arrays = kit.dense_arrays()
    arrays |= {"optimizer/vars/0": np.int64(3), "optimizer/vars/1": np.float32(0.5)}
    arrays |= {f"optimizer/vars/{at + 2}": array for at, array in enumerate(kit.dense_arrays().values())}
    report = Report()
    kit.read(kit.write(tree, arrays, members={"assets/a.txt": b"a"}), report=report)
    kinds = [entry.kind for entry in report.entries]
    assert (kinds.count("variable"), kinds.count("slot"), kinds.count("asset")) == (4, 6, 1)
    assert report.ok


@pytest.mark.library
def test_no_item_is_in_a_report_twice(kit: Any, tmp_path: Path) -> None:
    """What the reader accounted for, the writer of the target does not account for again."""
    tree = kit.dense_model(compiled=kit.compiled(kit.optimizer("Lion")))
    arrays = kit.dense_arrays() | {"optimizer/vars/0": np.int64(3), "optimizer/vars/1": np.float32(0.5)}
    arrays |= {f"optimizer/vars/{at + 2}": array for at, array in enumerate(kit.dense_arrays().values())}
    path = kit.write(tree, arrays)
    there = etui.convert(path, tmp_path / "x.etui")
    back = etui.convert(tmp_path / "x.etui", tmp_path / "y.keras")
    direct = etui.convert(path, tmp_path / "z.keras")
    for report in (there, back, direct):
        items = [(entry.kind, entry.subject) for entry in report.entries]
        assert len(items) == len(set(items))
        assert len([kind for kind, _ in items if kind == "slot"]) in {4, 6}


@pytest.mark.library
def test_a_missing_h5py_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the extra the error says exactly what to install."""
    genuine = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return genuine(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r'pip install "etui\[hdf5\]"') as caught:
        hdf5_types.load_h5py()
    assert caught.value.code == "extra-hdf5"


@pytest.mark.library
def test_progress_is_told(kit: Any, tmp_path: Path) -> None:
    """A caller hears of the bytes of variables that were written, up to all of them."""
    model = kit.model(kit.dense_model(), kit.dense_arrays())
    heard: list[tuple[str, int, int]] = []
    v3.write(model, tmp_path / "p.keras", Report(), strict=True, progress=lambda *args: heard.append(args))
    total = sum(array.nbytes for array in kit.dense_arrays().values())
    assert len(heard) == 4
    assert heard[-1] == ("model.weights.h5", total, total)


@pytest.mark.clause("X-1@06793e")
def test_reading_and_writing_import_no_framework(kit: Any) -> None:
    """A config that names modules of frameworks, and of the author's own, imports none of them."""
    evil = kit.layer("Popen", "evil", args=["false"]) | {"module": "subprocess", "registered_name": "Popen"}
    before = set(sys.modules)
    model = kit.round_trip(kit.sequential([evil, kit.layer("Dense", "d", units=1)]))
    assert model.config.find("evil").op == "custom:Popen"
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert not new & {"keras", "tensorflow", "tf_keras", "jax", "torch"}
