"""Programs in artifacts: added, listed and removed, while every other byte stays."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import etui
from etui import programs
from etui.errors import EtuiError
from etui.model import Blob
from etui.storage import open_artifact
from etui.testing.runnable import core_model
from etui.testing.samples import everything

PROGRAM = {
    "programs/other/main.bin": Blob.of(b"a program", "application/x-other"),
    "programs/other/data/more": Blob.of(b"more"),
}


def parts(location: Any) -> dict[str, bytes]:
    """Every part of an artifact but its manifest."""
    with open_artifact(location) as reader:
        found = {name: reader.source(name).read(0, size) for name, size in reader.names().items()}
    del found["manifest.json"]
    return found


def whole(path: Path) -> dict[str, bytes]:
    """Every file of an artifact, or the one file that it is."""
    if path.is_file():
        return {"": path.read_bytes()}
    return {file.relative_to(path).as_posix(): file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}


@pytest.mark.clause("PG-46@35ab7b")
@pytest.mark.parametrize("form", ["packed", "directory"])
@pytest.mark.parametrize("shard_size", [None, 64])
def test_every_other_part_stays_byte_for_byte(tmp_path: Path, form: Any, shard_size: int | None) -> None:
    """An artifact with everything in it, in shards too, has the same parts with a program more, and then without it."""
    path = tmp_path / "model"
    model = everything()
    model.programs = {}
    etui.save(model, path, form=form, shard_size=shard_size)
    before, bytes_before = parts(str(path)), whole(path)
    with etui.open(path) as opened:
        identity, metadata = opened.digest, opened.metadata
        fresh = {name: opened.is_fresh(native) for name, native in opened.native.items()}
        assert fresh
    added = programs.add_parts(path, PROGRAM)
    after = parts(str(path))
    assert {name: after[name] for name in before} == before
    assert {name: after[name] for name in after.keys() - before.keys()} == {
        name: blob.read() for name, blob in PROGRAM.items()
    }
    assert etui.verify(path).identity == added != identity
    with etui.open(path) as opened:
        assert opened.form == form
        assert opened.manifest is not None
        assert "programs" in opened.manifest.requires
        assert opened.metadata == metadata
        assert {name: opened.is_fresh(native) for name, native in opened.native.items()} == fresh
    assert programs.remove(path, "other") == identity
    assert whole(path) == bytes_before


@pytest.mark.library
def test_a_program_in_a_store_is_added_in_one_step(tmp_path: Path) -> None:
    """A packed artifact behind a URL gets a program as one in a file does."""
    pytest.importorskip("fsspec")
    etui.save(core_model(), tmp_path / "model.etui")
    etui.save(core_model(), "memory://programs/model.etui")
    here, there = (
        programs.add_parts(where, PROGRAM) for where in (tmp_path / "model.etui", "memory://programs/model.etui")
    )
    assert here == there
    assert [one.name for one in programs.list("memory://programs/model.etui")] == ["other"]
    assert programs.remove("memory://programs/model.etui", "other") == programs.remove(tmp_path / "model.etui", "other")


@pytest.mark.library
def test_a_program_takes_the_place_of_one_only_if_asked(artifact: Path) -> None:
    """Without `replace` the artifact stays as it is; with it, nothing of the earlier program is left."""
    programs.add_parts(artifact, PROGRAM)
    before = artifact.read_bytes()
    other = {"programs/other/main": Blob.of(b"another")}
    with pytest.raises(EtuiError) as caught:
        programs.add_parts(artifact, other)
    assert caught.value.code == "program-exists"
    assert artifact.read_bytes() == before
    programs.add_parts(artifact, other, replace=True)
    (found,) = programs.list(artifact)
    assert found.parts == {"programs/other/main": 7}


@pytest.mark.library
@pytest.mark.parametrize("name", ["other/data", "other/", "", "..", "missing"])
def test_what_is_no_program_is_not_removed(artifact: Path, name: str) -> None:
    """A folder in a program is no program: nothing of it is taken out."""
    programs.add_parts(artifact, PROGRAM)
    before = artifact.read_bytes()
    with pytest.raises(EtuiError) as caught:
        programs.remove(artifact, name)
    assert caught.value.code == "program-missing"
    assert artifact.read_bytes() == before


@pytest.mark.library
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_no_addition_undoes_another(tmp_path: Path, form: Any) -> None:
    """Of several at once, each that says that it was done is there, and the others say that they were not done."""
    path = tmp_path / "model"
    etui.save(core_model(), path, form=form)
    start = threading.Barrier(6)

    identities: list[str] = []

    def add(number: int) -> str:
        start.wait()
        part = {f"programs/p{number}/main.bin": Blob.of(b"x", "application/x-other")}
        try:
            identities.append(programs.add_parts(path, part))
        except EtuiError as fault:
            return fault.code
        return "done"

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(add, range(6)))
    assert "done" in found
    assert set(found) <= {"done", "program-changed"}
    there = [one.name for one in programs.list(path)]
    assert there == [f"p{number}" for number, one in enumerate(found) if one == "done"]
    assert etui.verify(path).identity in identities
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.library
@pytest.mark.parametrize("form", ["packed", "directory", "memory"])
def test_what_another_writer_saved_meanwhile_is_kept(tmp_path: Path, form: Any) -> None:
    """A model that is saved at the place while the artifact is written anew stays, and the addition is refused."""
    path = "memory://meanwhile/model.etui" if form == "memory" else str(tmp_path / "model")
    options: dict[str, Any] = {} if form == "memory" else {"form": form}
    etui.save(core_model(), path, **options)
    saved: list[str] = []

    def meanwhile(part: str, done: int, total: int) -> None:
        if not saved:
            saved.append(etui.save(core_model(seed=7), path, **options))

    with pytest.raises(EtuiError) as caught:
        programs.add_parts(path, PROGRAM, progress=meanwhile)
    assert caught.value.code == "program-changed"
    assert [etui.verify(path).identity] == saved
    assert programs.list(path) == []


@pytest.mark.library
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_an_interrupted_addition_leaves_all_as_it_was(tmp_path: Path, form: Any) -> None:
    """Ctrl-C while the artifact is written leaves each of its bytes, and nothing beside it; the next one succeeds."""
    path = tmp_path / "model"
    etui.save(core_model(), path, form=form)
    before = whole(path)

    def interrupt(part: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        programs.add_parts(path, PROGRAM, progress=interrupt)
    assert whole(path) == before
    assert list(tmp_path.iterdir()) == [path]
    programs.add_parts(path, PROGRAM)
    assert [one.name for one in programs.list(path)] == ["other"]


@pytest.mark.library
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_a_link_stays_and_its_target_gets_the_program(tmp_path: Path, form: Any) -> None:
    """An artifact behind a symbolic link is changed where it lies."""
    etui.save(core_model(), tmp_path / "model", form=form)
    link = tmp_path / "link"
    link.symlink_to("model")
    programs.add_parts(link, PROGRAM)
    assert link.is_symlink()
    assert [one.name for one in programs.list(tmp_path / "model")] == ["other"]


@pytest.mark.library
def test_a_model_in_memory_gets_and_loses_programs() -> None:
    """`remove` takes the parts of the program away, and of no other one."""
    model = core_model()
    model.programs = dict(PROGRAM) | {"programs/other2/main": Blob.of(b"")}
    assert [one.name for one in programs.list(model)] == ["other", "other2"]
    assert programs.remove(model, "other") is None
    assert list(model.programs) == ["programs/other2/main"]
    with pytest.raises(EtuiError) as caught:
        programs.remove(model, "other")
    assert caught.value.code == "program-missing"


@pytest.mark.library
@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "x" * 101, "con", "-x", "a.", "ä"])
def test_a_name_that_is_no_folder_is_refused(artifact: Path, name: str) -> None:
    """What a part cannot be named after is refused before anything is made."""
    before = artifact.read_bytes()
    with pytest.raises(EtuiError) as caught:
        programs.add(artifact, "stablehlo", name)
    assert caught.value.code == "program-name"
    assert artifact.read_bytes() == before


@pytest.mark.library
@pytest.mark.parametrize("part", ["weights.json", "native/x/y", "programs/x", "assets/programs/x/main"])
def test_a_part_that_is_no_programs_is_refused(artifact: Path, part: str) -> None:
    """`add_parts` puts nothing elsewhere than below a program's folder."""
    before = artifact.read_bytes()
    with pytest.raises(EtuiError) as caught:
        programs.add_parts(artifact, {part: Blob.of(b"")})
    assert caught.value.code == "program-name"
    assert artifact.read_bytes() == before


@pytest.mark.library
def test_other_formats_have_no_programs_to_change(tmp_path: Path) -> None:
    """A file of another format is told to be converted first."""
    (tmp_path / "x.keras").write_bytes(b"PK\x03\x04")
    (tmp_path / "x.txt").write_text("x")
    for name in ("x.keras", "x.txt"):
        with pytest.raises(EtuiError) as caught:
            programs.add_parts(tmp_path / name, PROGRAM)
        assert caught.value.code == "program-artifact"


@pytest.mark.library
def test_a_damaged_artifact_is_not_rewritten(artifact: Path) -> None:
    """What cannot be opened is refused, and stays as it is."""
    data = artifact.read_bytes()
    artifact.write_bytes(data[:-40])
    with pytest.raises(EtuiError):
        programs.add_parts(artifact, PROGRAM)
    assert artifact.read_bytes() == data[:-40]


@pytest.mark.library
def test_a_kind_says_what_it_can(artifact: Path) -> None:
    """A kind that is not known, one whose programs are not made, and one that takes no file, are refused."""
    with pytest.raises(EtuiError) as caught:
        programs.add(artifact, "stablehlo", source="x.mlir")
    assert caught.value.code == "program-kind"
    for kind in ("pickle", "saved_model"):
        with pytest.raises(EtuiError) as caught:
            programs.add(artifact, kind)
        assert caught.value.code == "program-kind"


class TestUnknown:
    """Programs of kinds that this version does not know."""

    @pytest.mark.library
    def test_one_is_listed_and_kept(self, artifact: Path) -> None:
        """It is listed with its media type and a reason, and a rewrite keeps it."""
        programs.add_parts(artifact, PROGRAM)
        (found,) = programs.list(artifact)
        assert (found.kind, found.media_type) == (None, "application/x-other")
        assert "program-kind" in found.fault
        with etui.open(artifact) as model:
            etui.save(model, artifact)
        assert parts(str(artifact))["programs/other/main.bin"] == b"a program"

    @pytest.mark.clause("PG-43@b65802")
    def test_it_is_passed_over_with_a_reason(self, artifact: Path) -> None:
        """The evaluator runs the model, and the result says why the program did not."""
        from etui.testing.runnable import inputs_of

        programs.add_parts(artifact, PROGRAM)
        result = etui.run(artifact, inputs_of())
        assert (result.kind, result.reason) == ("evaluator", "no program of it can be run here")
        (passed,) = result.passed
        assert (passed.program, passed.kind) == ("other", None)
        assert "application/x-other" in passed.reason
        for name, code in (("other", "program-kind"), ("absent", "program-missing")):
            with pytest.raises(EtuiError) as caught:
                etui.run(artifact, inputs_of(), program=name)
            assert caught.value.code == code

    @pytest.mark.library
    def test_one_without_a_main_or_with_two_is_of_no_kind(self) -> None:
        """G-1 names the part whose media type counts."""
        model = core_model()
        jax = "application/vnd.jax.export"
        model.programs = {"programs/a/x": Blob.of(b"", jax)}
        model.programs |= {"programs/b/main": Blob.of(b"", jax), "programs/b/main.x": Blob.of(b"", jax)}
        assert [(one.kind, one.media_type) for one in programs.list(model)] == [(None, None), (None, None)]
