"""Whole artifacts: in every form, read by other tools, and what is not written."""

from __future__ import annotations

import io
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import deserialize, safe_open

import etui
from etui import digest
from etui.canonical import json
from etui.containers.config import Config, Module
from etui.containers.tensors import Tensor
from etui.containers.weights import Weights
from etui.model import Blob, Model
from etui.storage.part_names import MANIFEST, role_of
from etui.testing import artifacts
from etui.testing.equality import same
from etui.testing.hostile import Parts, parts_of, refused_with
from etui.testing.samples import everything
from etui.testing.storage import write

BASE = parts_of(everything())


def files(folder: Path) -> Parts:
    """The files of a folder by their names below it."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def weights_of(**arrays: Any) -> Weights:
    """Variables by their paths."""
    weights = Weights()
    for path, array in arrays.items():
        weights.add(path, Tensor.of(array), role="kernel")
    return weights


@pytest.mark.clause(
    "D-5@94980c",
    "D-9@84c729",
    "H-8@5fca10",
    "M-1@517769",
    "M-2@0a4533",
    "M-6@b7e49c",
    "M-7@f9c1ab",
    "A-1@163cb5",
    "N-1@bcd909",
    "Q-1@6c153a",
    "Q-4@b72342",
)
@settings(max_examples=40)
@given(artifacts.models(), st.sampled_from([None, 1, 40]))
def test_a_model_survives_every_form_and_every_rewrite(model: Model, shard_size: int | None) -> None:
    """Any model comes back bit for bit from all forms, and each rewrite has the bytes of the first."""
    parts = parts_of(model, shard_size)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        identity = etui.save(model, folder / "a.etui", shard_size=shard_size)
        assert identity == digest.of(parts[MANIFEST])
        for source, target in (("a.etui", "b/"), ("b/", "c.etui"), ("c.etui", "d/")):
            with etui.open(folder / source) as opened:
                assert same(opened, model)
                assert opened.digest == identity
                assert (
                    etui.save(
                        opened, f"{folder / target}/" if target[-1] == "/" else folder / target, shard_size=shard_size
                    )
                    == identity
                )
        assert (folder / "c.etui").read_bytes() == (folder / "a.etui").read_bytes()
        assert files(folder / "b") == files(folder / "d") == parts


@pytest.mark.clause("Z-1@88c419", "H-8@5fca10")
def test_the_packed_form_is_listed_and_extracted_by_other_tools(tmp_path: Path) -> None:
    """Python's zipfile and, where it is installed, unzip find every part, intact and in order."""
    path = tmp_path / "a.etui"
    write(path, BASE)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == BASE
        archive.extractall(tmp_path / "extracted")
    with etui.open(tmp_path / "extracted") as opened, etui.open(path) as packed:
        assert opened.digest == packed.digest == digest.of(BASE[MANIFEST])
    unzip = shutil.which("unzip")
    if unzip is not None:
        assert subprocess.run([unzip, "-tq", str(path)], check=False, capture_output=True).returncode == 0


@pytest.mark.clause("S-1@7a8738")
def test_data_parts_of_a_folder_are_opened_by_the_safetensors_library(tmp_path: Path) -> None:
    """`safe_open` and `deserialize` of the official library give the bytes of every tensor."""
    write(tmp_path, BASE, "directory")
    count = 0
    for name in BASE:
        if role_of(name) != "data":
            continue
        entries = dict(deserialize(BASE[name]))  # type: ignore[no-untyped-call]
        with safe_open(tmp_path / name, "np") as opened:
            assert set(opened.keys()) == set(entries)
            for key in opened.keys():  # noqa: SIM118  the library's object is no mapping
                if not entries[key]["dtype"].startswith(("F8", "BF16")):  # numpy has no such types
                    assert opened.get_tensor(key).tobytes() == bytes(entries[key]["data"])
                    count += 1
    assert count > 15


@pytest.mark.clause("I-1@5aed06")
def test_an_artifact_opens_from_bytes_and_from_a_file_of_any_name(tmp_path: Path) -> None:
    """The form is recognised by content: bytes, a file object, and a path with another extension."""
    target = io.BytesIO()
    write(target, BASE)
    (tmp_path / "model.bin").write_bytes(target.getvalue())
    for location in (target.getvalue(), tmp_path / "model.bin", str(tmp_path / "model.bin"), BASE):
        with etui.open(location) as opened:
            assert opened.digest == digest.of(BASE[MANIFEST])


def broken(**fields: Any) -> Model:
    """A small model with something that no artifact may hold."""
    return replace(Model(weights=weights_of(kernel=np.zeros(3))), **fields)


BROKEN: dict[str, tuple[str, Callable[[], Model]]] = {
    "no documents": ("profile-parts", lambda: broken(weights=None)),
    "a config with weights missing": (
        "reference-missing",
        lambda: broken(config=Config(Module("m", op="keras:M", params={"kernel": "nowhere"}))),
    ),
    "two modules of a name": (
        "module-name",
        lambda: broken(
            config=Config(Module("m", op="keras:M", modules=[Module("a", op="a:b"), Module("a", op="a:b")]))
        ),
    ),
    "an op without a namespace": ("op-form", lambda: broken(config=Config(Module("m", op="M")))),
    "an alias of nothing": ("alias-target", lambda: broken(weights=Weights(aliases={"a": "b"}))),
    "a path with an escape": (
        "path-form",
        lambda: broken(weights=Weights({"a#b": Weights().add("x", Tensor.of([0.0]), role="kernel")})),
    ),
    "a function for a loss": (
        "value-type",
        lambda: broken(config=Config(Module("m", op="keras:M")), training=etui.Training(loss=print)),
    ),
    "a part outside of the table": ("part-role", lambda: broken(assets={"vocabulary.txt": Blob.of(b"")})),
    "a part above the folder": ("part-name", lambda: broken(assets={"assets/../x": Blob.of(b"")})),
    "a byte of a bool that is two": (
        "bool-value",
        lambda: broken(weights=weights_of(mask=np.array([0, 2], np.uint8).view(bool))),
    ),
    "a lazy tensor that breaks its promise": (
        "tensor-promise",
        lambda: broken(weights=Weights({"a": etui.Variable(Tensor.lazy("int8", (1,), lambda: np.zeros(2)), "kernel")})),
    ),
    "a version that is not known": ("version-unsupported", lambda: broken(version="2.0")),
    "metadata that is no value": ("value-type", lambda: broken(metadata={"a": {1, 2}})),
    "a tensor twice in one place": (
        "path-collision",
        lambda: broken(
            state=etui.State(metrics={"a": {"b": {"c": Tensor.of(0.0)}}, "a/b": {"c": Tensor.of(1.0)}}),
        ),
    ),
}


@pytest.mark.clause("E-1@c976f4", "F-8@a401d8", "T-4@3033cf", "O-17@09c459", "L-1@edac1f")
@pytest.mark.parametrize("form", ["packed", "directory"])
@pytest.mark.parametrize("name", BROKEN)
def test_what_no_reader_would_take_is_not_written(name: str, form: str, tmp_path: Path) -> None:
    """A model that breaks a clause is refused with its code, and the artifact that was at the place stays as it was."""
    code, make = BROKEN[name]
    target = tmp_path / "model"
    write(target, BASE, "packed" if form == "packed" else "directory")
    before = files(tmp_path)
    assert refused_with(lambda: etui.save(make(), target)) == code
    assert files(tmp_path) == before
    assert refused_with(lambda: etui.save(make(), tmp_path / "new.etui")) == code
    assert files(tmp_path) == before


@pytest.mark.clause("M-7@f9c1ab")
def test_metadata_is_the_callers_and_nothing_else_is_added() -> None:
    """The manifest holds the caller's metadata, and without it none."""
    assert json.decode(BASE[MANIFEST], where=MANIFEST)["metadata"] == {"author": "a test", "ratio": {"$float": "1"}}
    plain = json.decode(parts_of(Model(weights=Weights()))[MANIFEST], where=MANIFEST)
    assert plain.keys() == {"format", "version", "profile", "requires", "parts"}


@pytest.mark.library
def test_progress_counts_every_byte_of_data() -> None:
    """The caller hears of the data that was written, up to the last byte of all of it."""
    heard: list[tuple[str, int, int]] = []
    with etui.open(BASE) as opened:
        etui.save(opened, {}, progress=lambda part, done, total: heard.append((part, done, total)))
    assert {part for part, _, _ in heard} == {name for name in BASE if role_of(name) == "data"}
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)
    assert (
        heard[-1][1]
        == heard[-1][2]
        == sum(
            len(BASE[name]) - 8 - int.from_bytes(BASE[name][:8], "little") for name in BASE if role_of(name) == "data"
        )
    )
