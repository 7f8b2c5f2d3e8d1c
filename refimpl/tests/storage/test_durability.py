"""What is flushed to the device, and in which order."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from etui.storage import transaction
from etui.storage.part_names import MANIFEST
from etui.storage.system import calls
from etui.storage.transaction import replace_file
from etui.testing.storage import with_manifest, write

CONTENT = with_manifest({"weights.safetensors": b"w" * 100, "assets/a/b.txt": b"asset", "weights.json": b"{}"})


@dataclass
class Device:
    """Notes what a power cut would leave: files whose bytes, and folders whose entries, were flushed.

    Attributes:
        root: the folder that is looked at.
        flushed: inode -> bytes of a file or names in a folder, as of its last flush.
        log: inodes in the order of the flushes, and the renames between them.
    """

    root: Path
    flushed: dict[int, bytes | frozenset[str]] = field(default_factory=dict)
    log: list[object] = field(default_factory=list)

    def fsync(self, descriptor: int) -> None:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.flushed[status.st_ino] = frozenset(os.listdir(descriptor))
        else:
            (path,) = (path for path in self.root.rglob("*") if path.stat().st_ino == status.st_ino)
            self.flushed[status.st_ino] = path.read_bytes()
        self.log.append(status.st_ino)

    def durable(self, folder: Path) -> dict[str, bytes]:
        """The files below a folder that a power cut would leave, with the bytes that it would leave of them."""
        found: dict[str, bytes] = {}
        names = self.flushed.get(folder.stat().st_ino, frozenset())
        for name in names if isinstance(names, frozenset) else ():
            path = folder / name
            if path.is_dir():
                found |= {f"{name}/{below}": data for below, data in self.durable(path).items()}
            elif path.exists():
                data = self.flushed.get(path.stat().st_ino, b"")
                found[name] = data if isinstance(data, bytes) else b""
        return found


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Device:
    """A device that notes every flush and rename."""
    noted = Device(tmp_path)
    monkeypatch.setattr(os, "fsync", noted.fsync)
    return noted


@pytest.mark.clause("F-6@674ad5", "F-7@291ba2")
@pytest.mark.parametrize("before", [None, with_manifest({"config.json": b"{}"})])
@pytest.mark.parametrize("swap", ["exchange", "rename"])
def test_a_folder_is_durable_before_it_takes_its_place(
    before: dict[str, bytes] | None, swap: str, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the rename each part and folder is flushed, the manifest after all others; the parent follows."""
    target = device.root / "model"
    if before:
        write(target, before, "directory")
    moments = []
    put = transaction._Transaction._put_in_place

    def noting(found: transaction._Transaction) -> None:
        made = found._made
        moments.append(device.durable(made))
        assert device.log.index((made / MANIFEST).stat().st_ino) > device.log.index(made.stat().st_ino)
        for name in CONTENT:
            assert device.log.index((made / name).stat().st_ino) <= device.log.index((made / MANIFEST).stat().st_ino)
        put(found)

    monkeypatch.setattr(transaction._Transaction, "_put_in_place", noting)
    if swap == "rename":
        monkeypatch.setattr(calls.system, "exchange", lambda *_: False)
    write(target, CONTENT, "directory")
    assert moments == [CONTENT]
    assert device.log[-1] == device.root.stat().st_ino
    assert device.durable(device.root) == {f"model/{name}": data for name, data in CONTENT.items()}


@pytest.mark.clause("F-6@674ad5", "F-7@291ba2")
@pytest.mark.parametrize("swap", ["exchange", "rename"])
def test_a_packed_artifact_is_durable_before_it_takes_its_place(
    swap: str, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole file is flushed before its rename, and the folder after it."""
    target = device.root / "m.etui"
    moments = []
    put = transaction._Transaction._put_in_place

    def noting(found: transaction._Transaction) -> None:
        made = found._made
        moments.append(device.flushed.get(made.stat().st_ino))
        put(found)

    monkeypatch.setattr(transaction._Transaction, "_put_in_place", noting)
    if swap == "rename":
        monkeypatch.setattr(calls.system, "exchange", lambda *_: False)
    for content in (with_manifest({"config.json": b"{}"}), CONTENT):
        write(target, content)
        assert moments.pop() == target.read_bytes()
        assert device.log[-1] == device.root.stat().st_ino
        assert device.durable(device.root) == {"m.etui": target.read_bytes()}


@pytest.mark.clause("F-7@291ba2")
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_no_file_of_an_existing_artifact_is_changed(form: str, tmp_path: Path) -> None:
    """Hard links to the earlier files still hold the earlier bytes after a save."""
    target = tmp_path / "model"
    write(target, CONTENT, "directory" if form == "directory" else "packed")
    files = [path for path in target.rglob("*") if path.is_file()] or [target]
    kept = [tmp_path / f"kept-{number}" for number in range(len(files))]
    for path, link in zip(files, kept, strict=True):
        os.link(path, link)
    bytes_before = [link.read_bytes() for link in kept]
    write(target, with_manifest({"config.json": b"new"}))
    assert [link.read_bytes() for link in kept] == bytes_before
    assert len(kept) == (4 if form == "directory" else 1)


@pytest.mark.library
def test_a_foreign_file_is_durable_before_it_takes_its_place(device: Device) -> None:
    """The transaction for files of other formats flushes the file and the folder."""
    target = device.root / "m.keras"
    target.write_bytes(b"earlier")
    with replace_file(target) as file:
        file.write(b"new")
        assert Path(file.name).parent == device.root
        assert target.read_bytes() == b"earlier"
    assert device.durable(device.root) == {"m.keras": b"new"}
    assert target.read_bytes() == b"new"
