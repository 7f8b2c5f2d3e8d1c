"""The oracle's names and folders against SPEC.md, the reference library and other tools."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import etui
from etui import paths as reference_paths
from etui.storage import part_names
from etui.testing import storage as building
from etui.testing import values as strategies
from etui.testing.hostile import refused_with as refused_by_reference
from etui_conformance.oracle import directory, names, packed
from etui_conformance.oracle.errors import refused_with as refused

# The machine that runs the tests may be slow; what is drawn is the same each time.
STEADY = settings(derandomize=True, deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.clause("D-2@f37157", "D-3@4c720b")
@STEADY
@given(st.text("ab./\\#@%\x1f\x7f\u00e9 ", max_size=8) | strategies.paths())
def test_paths_are_those_of_the_reference(text: str) -> None:
    """Both take and refuse the same texts as paths, and escape a name into the same segment."""
    code = refused(lambda: names.check_path(text))
    assert code == refused_by_reference(lambda: reference_paths.check_path(text, "x"))
    assert names.is_path(text) == (code is None)
    segment = names.escape_segment(text)
    assert segment == reference_paths.escape_segment(text)
    assert names.is_path(segment)


@pytest.mark.clause("L-2@76176e", "D-4@03cd9a")
def test_paths_have_limits_and_do_not_collide() -> None:
    """A segment has at most 255 bytes and a path 4,096; two paths differ after normalization form C."""
    assert refused(lambda: names.check_path("/".join(["a" * 255] * 16))) is None
    for path in ("a" * 256, "\u00e9" * 128, "/".join(["a" * 240] * 18)):
        assert refused(lambda path=path: names.check_path(path)) == "limit-path"  # type: ignore[misc]
    assert refused(lambda: names.check_collisions(["\u00e9/a", "e/a", "\ufb01"])) is None
    assert refused(lambda: names.check_collisions(["\u00e9/a", "b", "e\u0301/a"])) == "path-collision"


@pytest.mark.clause("P-1@71c231", "P-2@0bdadc", "P-4@ffa67a", "P-6@339932")
@STEADY
@given(st.text("acCoOnN19/.-%_+= \u00e9", max_size=12) | building.part_names())
def test_part_names_are_those_of_the_reference(text: str) -> None:
    """Both take the same texts as names of parts, in the same roles, and escape a file's name alike."""
    code = refused(lambda: names.check_part_name(text))
    assert code == refused_by_reference(lambda: part_names.check_part_name(text))
    assert names.role_of(text) == part_names.role_of(text)
    escaped = names.escape_part_name(text)
    if refused_by_reference(lambda: part_names.escape(text)) is None:
        assert escaped == part_names.escape(text)
        assert refused(lambda: names.check_part_name(escaped)) in (None, "limit-path")


FAULTY_PART_NAMES = {
    "part-name": [
        ["assets/" + name] for name in ("", ".a", "a.", "con", "NUL.txt", "com1.a.b", "LPT9", "a b", "\u00e9", "a//b")
    ],
    "part-collision": [
        ["assets/a", "assets/A"],
        ["assets/a", "assets/a/b"],
        ["assets/A/b", "assets/a"],
        ["Manifest.json"],
    ],
    "part-role": [
        ["weights-00001-of-00002.safetensors"],
        ["weights-00000-of-00001.safetensors"],
        ["weights-1-of-1.safetensors"],
        ["weights-000001-of-00001.safetensors"],
        ["weights.safetensors", "weights-00001-of-00001.safetensors"],
    ],
    "limit-path": [["assets/" + "a" * 249]],
    "limit-parts": [[f"assets/{number}" for number in range(100_001)]],
}


@pytest.mark.clause("P-1@71c231", "P-2@0bdadc", "P-3@83835b", "P-5@de13e9", "L-2@76176e")
def test_faulty_names_of_parts_are_refused() -> None:
    """Names of parts with one fault are refused with the code of its clause."""
    shards = [f"state-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
    names.check_part_names([*shards, "weights.safetensors", "assets/A/b", "assets/a/c", "assets/com10"])
    for code, cases in FAULTY_PART_NAMES.items():
        for case in cases:
            assert refused(lambda case=case: names.check_part_names(case)) == code, case  # type: ignore[misc]


@pytest.mark.clause("F-1@9398f0", "F-2@9d4da6", "F-3@bbe75c", "F-4@8c1cdb", "F-5@162e12")
def test_folders_are_read_and_refused(tmp_path: Path, archive: bytes) -> None:
    """A folder that the oracle wrote comes back and is the reference's; each fault of it has the code of its clause."""
    parts = packed.unpack(archive)
    folder = tmp_path / "model"
    directory.write({"manifest.json": b"old", "assets/old": b""}, folder)
    directory.write(parts, folder)
    assert directory.read(folder, full=True) == parts
    assert os.listdir(tmp_path) == ["model"]  # noqa: PTH208 (hidden files too)
    assert etui.verify(folder).identity == etui.verify(archive).identity
    (folder / "more").write_bytes(b"")
    assert directory.read(folder) == parts
    assert refused(lambda: directory.read(folder, full=True)) == "part-unlisted"
    (folder / "more").unlink()
    file = folder / "config.json"
    file.write_bytes(parts["config.json"] + b" ")
    assert refused(lambda: directory.read(folder)) == "part-size"
    file.unlink()
    assert refused(lambda: directory.read(folder)) == "part-missing"
    file.symlink_to(folder / "weights.json")
    assert refused(lambda: directory.read(folder)) == "part-not-a-file"
    file.unlink()
    file.mkdir()
    assert refused(lambda: directory.read(folder)) == "part-not-a-file"
    file.rmdir()
    os.mkfifo(file)
    assert refused(lambda: directory.read(folder)) == "part-not-a-file"
    (folder / "manifest.json").unlink()
    assert refused(lambda: directory.read(folder)) == "manifest-missing"


@pytest.mark.clause("F-1@9398f0")
def test_a_link_in_the_place_of_a_folder_is_refused(tmp_path: Path, archive: bytes) -> None:
    """A part whose folder is a symbolic link is not at its name below the artifact's folder."""
    folder = tmp_path / "model"
    directory.write(packed.unpack(archive), folder)
    (folder / "assets").rename(tmp_path / "elsewhere")
    (folder / "assets").symlink_to(tmp_path / "elsewhere")
    assert refused(lambda: directory.read(folder)) == "part-not-a-file"
