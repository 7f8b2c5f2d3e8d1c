"""The directory form and the form in memory: what is written, and what a reader refuses."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given

from etui.errors import EtuiError
from etui.limits import Limits
from etui.storage import create_artifact, open_artifact
from etui.storage.base import ArtifactReader
from etui.storage.part_names import MANIFEST
from etui.testing.storage import contents, sizes, with_manifest, write

CONTENT = with_manifest(
    {
        "weights.safetensors": b"w" * 100,
        "native/keras/config.json": b"{}",
        "assets/deep/er/vocabulary.txt": b"one\ntwo\n",
        "config.json": b'{"a":1}',
        "weights.json": b"",
    }
)
ASSET = "assets/deep/er/vocabulary.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An artifact in directory form."""
    target = tmp_path / "model"
    write(target, CONTENT, "directory")
    return target


def content_of(reader: ArtifactReader) -> dict[str, bytes]:
    """All parts of an artifact."""
    return {name: reader.source(name).read(0, size) for name, size in reader.names().items()}


def refusal(work: Callable[[], object]) -> EtuiError:
    """The error that the work ends in."""
    with pytest.raises(EtuiError) as caught:
        work()
    assert caught.value.where
    return caught.value


def read_fully(location: Path) -> None:
    """All checks of the container that a full verification makes."""
    with open_artifact(location) as reader:
        reader.check_members(sizes(CONTENT))
        for name in CONTENT:
            reader.source(name)
        reader.verify_container(sizes(CONTENT))


@pytest.mark.clause("D-5@94980c", "F-1@9398f0", "H-8@5fca10")
@given(contents())
def test_a_folder_is_written_again_as_it_was(content: dict[str, bytes]) -> None:
    """Each part is a regular file at its name with its bytes, and a second write gives the same files."""
    with tempfile.TemporaryDirectory() as temporary:
        first, second = Path(temporary) / "first", Path(temporary) / "second"
        write(first, content, "directory")
        with open_artifact(first) as reader:
            again = content_of(reader)
            reader.check_members(sizes(content))
            reader.verify_container(sizes(content))
        assert again == content
        write(second, {name: again[name] for name in content}, "directory")
        assert files_below(second) == files_below(first) == content


def files_below(folder: Path) -> dict[str, bytes]:
    """Every regular file below a folder, found without the storage layer."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


@pytest.mark.clause("D-5@94980c", "H-8@5fca10")
@given(contents())
def test_parts_in_memory_are_written_again_as_they_were(content: dict[str, bytes]) -> None:
    """A mapping filled by a writer holds the parts in order, and reads back as them."""
    target: dict[str, bytes] = {"left.over": b""}
    write(target, content)
    with open_artifact(target) as reader:
        assert reader.form == "memory"
        reader.check_members(sizes(content))
        reader.verify_container(sizes(content))
        assert content_of(reader) == content
    assert list(target.items()) == list(content.items())


def with_link(path: Path) -> None:
    elsewhere = path.parents[1] / "elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def with_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def with_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def with_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


@pytest.mark.clause("F-1@9398f0", "X-1@06793e")
@pytest.mark.parametrize("change", [with_link, with_fifo, with_folder, with_device])
@pytest.mark.parametrize("name", ["config.json", MANIFEST])
def test_a_part_that_is_not_a_regular_file_is_refused(change: Callable[[Path], None], name: str, folder: Path) -> None:
    """A symbolic link, a pipe or a folder in the place of a part is refused, even if it leads to the right bytes."""
    change(folder / name)
    assert refusal(lambda: read_fully(folder)).code == "part-not-a-file"


@pytest.mark.clause("F-1@9398f0", "X-1@06793e")
def test_a_part_below_a_linked_folder_is_refused(folder: Path) -> None:
    """A symbolic link in the place of a folder between the artifact and a part is not followed."""
    (folder / "assets").rename(folder.parent / "assets")
    (folder / "assets").symlink_to(folder.parent / "assets")
    failure = refusal(lambda: read_fully(folder))
    assert (failure.code, failure.error_class) == ("part-not-a-file", "unsafe")


@pytest.mark.clause("F-1@9398f0")
def test_a_file_in_the_place_of_a_folder_is_refused(folder: Path) -> None:
    """A part cannot lie below a file."""
    (folder / ASSET).unlink()
    (folder / "assets/deep/er").rmdir()
    (folder / "assets/deep/er").touch()
    assert refusal(lambda: read_fully(folder)).code == "part-not-a-file"


@pytest.mark.clause("F-2@9d4da6")
def test_a_folder_without_a_manifest_is_refused(folder: Path) -> None:
    """A folder and a mapping without manifest.json are no artifacts, whatever else is in them."""
    (folder / MANIFEST).unlink()
    assert refusal(lambda: open_artifact(folder)).code == "manifest-missing"
    assert refusal(lambda: open_artifact({"config.json": b"{}"})).code == "manifest-missing"
    assert refusal(lambda: open_artifact(folder.parent)).code == "manifest-missing"


@pytest.mark.clause("F-3@bbe75c")
@pytest.mark.parametrize("name", ["weights.safetensors", ASSET])
def test_a_listed_part_that_is_not_there_is_refused(name: str, folder: Path) -> None:
    """A part that is missing is refused when members are checked, and when it is opened."""
    (folder / name).unlink()
    with open_artifact(folder) as reader:
        assert refusal(lambda: reader.check_members(sizes(CONTENT))).code == "part-missing"
        assert refusal(lambda: reader.source(name)).code == "part-missing"
    incomplete = {other: data for other, data in CONTENT.items() if other != name}
    with open_artifact(incomplete) as reader:
        assert refusal(lambda: reader.check_members(sizes(CONTENT))).code == "part-missing"


@pytest.mark.clause("F-3@bbe75c")
def test_a_part_whose_folder_is_not_there_is_refused(folder: Path) -> None:
    """A missing folder means a missing part."""
    (folder / "native").rename(folder / "other")
    assert refusal(lambda: read_fully(folder)).code == "part-missing"


@pytest.mark.clause("F-4@8c1cdb")
def test_a_part_of_another_size_is_refused(folder: Path) -> None:
    """A file that is cut or lengthened is refused when members are checked."""
    for data in (CONTENT[ASSET][:-1], CONTENT[ASSET] + b"\n", b""):
        (folder / ASSET).write_bytes(data)
        assert refusal(lambda: read_fully(folder)).code == "part-size"
        with open_artifact({**CONTENT, ASSET: data}) as reader:
            assert refusal(lambda: reader.check_members(sizes(CONTENT))).code == "part-size"


@pytest.mark.clause("F-5@162e12", "H-7@2b485b")
@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "assets/deep/other", "new/folder/file", "ü", "a\\b"])
def test_an_unlisted_file_is_refused_by_full_verification_alone(name: str, folder: Path) -> None:
    """Ordinary opening ignores a file that the manifest does not list; full verification refuses it."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"stray")
    with open_artifact(folder) as reader:
        reader.check_members(sizes(CONTENT))
        assert reader.names()[name] == 5
        failure = refusal(lambda: reader.verify_container(sizes(CONTENT)))
    assert failure.code == "part-unlisted"
    with open_artifact({**CONTENT, name: b""}) as reader:
        reader.check_members(sizes(CONTENT))
        assert refusal(lambda: reader.verify_container(sizes(CONTENT))).code == "part-unlisted"


@pytest.mark.clause("F-5@162e12", "H-7@2b485b")
def test_an_unlisted_link_is_refused_and_not_followed(folder: Path) -> None:
    """Full verification refuses a link to a folder, and a link to itself, without going into it."""
    for target in (folder, folder.parent, Path("loop")):
        (folder / "loop").symlink_to(target)
        with open_artifact(folder) as reader:
            assert "loop" not in reader.names()
            assert refusal(lambda: reader.verify_container(sizes(CONTENT))).code == "part-unlisted"
        (folder / "loop").unlink()


@pytest.mark.clause("F-5@162e12", "E-2@310409")
def test_folders_deeper_than_any_part_end_the_search(folder: Path) -> None:
    """A chain of a thousand folders is refused by its name, without a thousand open folders."""
    at = os.open(folder, os.O_RDONLY)
    for _ in range(1000):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    with open_artifact(folder) as reader:
        assert refusal(lambda: reader.verify_container(sizes(CONTENT))).code == "part-unlisted"


@pytest.mark.clause("P-1@71c231", "X-1@06793e", "A-2@e108b6")
@pytest.mark.parametrize("name", ["../outside.txt", "/etc/passwd", "assets/../../outside.txt", "a\0b", "", "."])
def test_a_name_that_leads_outside_is_refused_before_it_is_opened(name: str, folder: Path) -> None:
    """No name opens a file outside of the folder."""
    (folder.parent / "outside.txt").write_bytes(b"secret")
    with open_artifact(folder) as reader:
        assert refusal(lambda: reader.source(name)).code == "part-name"
        assert refusal(lambda: reader.check_members({name: 6})).code == "part-name"


@pytest.mark.clause("L-2@76176e", "L-3@a15eb3")
def test_more_parts_than_the_limit_are_refused() -> None:
    """A caller's lower limit on the number of parts holds when members are checked."""
    with open_artifact(CONTENT, Limits(parts=4)) as reader:
        assert refusal(lambda: reader.check_members(sizes(CONTENT))).code == "limit-parts"


@pytest.mark.library
def test_a_folder_that_is_replaced_is_never_mixed_with_the_new_one(folder: Path) -> None:
    """A reader that was open before a save goes on with the old bytes of what it opened; the rest is missing."""
    with open_artifact(folder) as reader:
        opened = reader.source("config.json")
        write(folder, with_manifest({"config.json": b"new", "weights.json": b"new"}), "directory")
        assert opened.read(0, 7) == b'{"a":1}'
        assert refusal(lambda: reader.source("weights.json")).code == "part-missing"
    with open_artifact(folder) as reader:
        assert reader.source("config.json").read(0, 3) == b"new"


@pytest.mark.library
def test_an_artifact_in_memory_shows_through_no_later_change() -> None:
    """A reader keeps the parts that the mapping had when it was opened, and a failed writer changes nothing."""
    target = dict(CONTENT)
    with open_artifact(target) as reader:
        with pytest.raises(EtuiError), create_artifact(target) as writer:
            writer.write("config.json", "config", 3, [b"{}"])
        assert target == CONTENT
        target.clear()
        assert content_of(reader) == CONTENT
