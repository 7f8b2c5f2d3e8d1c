"""Folders of other software's files (SPEC.md, annex G.6)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import etui
from etui.bridges.tensorflow.saved_model import bridge as saved_model
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.foreign_folder import ForeignFolder, LinkCode, replace_folder
from etui.testing.saved_models import module

pytest.importorskip("google_crc32c")


def read(folder: Path) -> Model:
    return saved_model.read(folder, Report(), limits=DEFAULT_LIMITS)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class TestFolders:
    """Folders of other software."""

    @pytest.mark.clause("KS-30@60f489")
    @pytest.mark.parametrize(
        "place", ["saved_model.pb", "variables/variables.index", "assets/words.txt", "assets/more"]
    )
    def test_links_are_refused(self, tmp_path: Path, place: str) -> None:
        """A link could lead to any file of the reader's machine."""
        folder = module().write(tmp_path / "m")
        (tmp_path / "secret").write_bytes(b"secret")
        (folder / place).unlink(missing_ok=True)
        (folder / place).symlink_to(tmp_path / "secret")
        with pytest.raises(etui.UnsafeError) as refusal:
            read(folder)
        assert refusal.value.code == "foreign-folder-link"

    @pytest.mark.clause("KS-30@60f489")
    def test_a_linked_folder_and_a_device_are_refused(self, tmp_path: Path) -> None:
        """Neither is followed or opened."""
        folder = module().write(tmp_path / "m")
        (tmp_path / "elsewhere").mkdir()
        (folder / "assets.extra").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(etui.UnsafeError) as refusal:
            read(folder)
        assert refusal.value.code == "foreign-folder-link"
        (folder / "assets.extra").unlink()
        os.mkfifo(folder / "assets" / "pipe")
        with pytest.raises(etui.UnsafeError) as refusal:
            read(folder)
        assert refusal.value.code == "foreign-folder-link"

    @pytest.mark.clause("KS-31@a42942")
    @pytest.mark.parametrize("name", [b"a\nb", b"\xff", b"\xc2\x85"])
    def test_odd_names_are_refused(self, tmp_path: Path, name: bytes) -> None:
        """Names are texts that can be shown."""
        folder = module().write(tmp_path / "m")
        (Path(os.fsdecode(os.fsencode(folder) + b"/assets/" + name))).write_bytes(b"")
        with pytest.raises(etui.InvalidError) as refusal:
            read(folder)
        assert refusal.value.code == "foreign-folder-name"

    @pytest.mark.clause("KS-32@0709d2")
    def test_files_levels_and_sizes_are_bounded(self, tmp_path: Path) -> None:
        """Before anything is read."""
        folder = module().write(tmp_path / "m")
        for limits in (Limits(foreign_objects=4), Limits(foreign_bytes=10)):
            with ForeignFolder(folder, limits) as found, pytest.raises(etui.LimitError) as refusal:
                found.names()
            assert refusal.value.code == "limit-foreign"
        deep = folder / "assets"
        for _ in range(20):
            deep = deep / "x"
        deep.mkdir(parents=True)
        with pytest.raises(etui.LimitError):
            read(folder)

    @pytest.mark.library
    @pytest.mark.parametrize("name", ["../x", "/x", "a//x", "./x", "", "x\0", "a/../../x"])
    def test_names_that_lead_elsewhere_are_refused(self, tmp_path: Path, name: str) -> None:
        """Whatever a caller checked, nothing is opened or written that is not below the folder."""
        (tmp_path / "x").write_bytes(b"x")
        (tmp_path / "m" / "a").mkdir(parents=True)
        with ForeignFolder(tmp_path / "m") as folder, replace_folder(tmp_path / "n") as made:
            for use in (folder.source, folder.size, made.folder, lambda name: made.write(name, [])):
                with pytest.raises(etui.UnsafeError) as refusal:
                    use(name)
                assert refusal.value.code == "part-name"
        assert files(tmp_path) == {"x": b"x"}

    @pytest.mark.library
    def test_a_file_that_is_gone_or_changed_is_not_read(self, tmp_path: Path) -> None:
        """What was met must stay as it was, and what was never there has no bytes."""
        (tmp_path / "x").write_bytes(b"abc")
        with ForeignFolder(tmp_path) as folder:
            assert (folder.size("x"), folder.read("x", 1, 2)) == (3, b"bc")
            assert folder.size("y") is None
            (tmp_path / "x").write_bytes(b"abcd")
            for use in (lambda: folder.read("x", 0, 1), lambda: folder.read("y", 0, 1), lambda: folder.source("y")):
                with pytest.raises(etui.StorageError) as refusal:
                    use()
                assert refusal.value.code == "storage-failed"
            (tmp_path / "x").unlink()
            with pytest.raises(etui.StorageError):
                folder.read("x", 0, 1)
        with pytest.raises(etui.StorageError):
            folder.size("x")

    @pytest.mark.library
    @pytest.mark.parametrize("link", ["foreign-folder-link", "part-not-a-file", "sibling-name"])
    def test_each_format_has_its_code_for_links(self, tmp_path: Path, link: LinkCode) -> None:
        """Links, folders in place of files, pipes, and files by way of a linked folder; a list shows them all."""
        (tmp_path / "m" / "below").mkdir(parents=True)
        (tmp_path / "secret").write_bytes(b"x")
        (tmp_path / "m" / "link").symlink_to(tmp_path / "secret")
        (tmp_path / "m" / "around").symlink_to(tmp_path)
        os.mkfifo(tmp_path / "m" / "pipe")
        with ForeignFolder(tmp_path / "m", link=link) as folder:
            assert sorted(folder.entries()) == ["around", "link", "pipe"]
            for name in ("link", "around/secret", "below", "pipe", "link/x"):
                for use in (folder.source, folder.size):
                    with pytest.raises(etui.UnsafeError) as refusal:
                        use(name)
                    assert refusal.value.code == link
            with pytest.raises(etui.UnsafeError) as refusal:
                folder.names()
            assert refusal.value.code == link

    @pytest.mark.library
    def test_a_write_that_fails_leaves_what_was_there(self, tmp_path: Path) -> None:
        """The folder is replaced in one step, or not at all."""
        folder = module().write(tmp_path / "m")
        before = files(folder)

        def fail() -> None:
            with replace_folder(folder) as made:
                made.write("a/b", [b"x"])
                raise RuntimeError("no more")

        with pytest.raises(RuntimeError):
            fail()
        assert files(folder) == before
        with replace_folder(folder) as made:
            made.write("a/b", [b"x"])
        assert files(folder) == {"a/b": b"x"}
        assert [path.name for path in tmp_path.iterdir()] == ["m"]
