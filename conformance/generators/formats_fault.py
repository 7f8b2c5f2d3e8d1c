"""What a fault in a foreign file is, for the modules formats_faults_*.py, and what many of them need."""

from __future__ import annotations

import io
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import etui
from etui.testing.storage import ZipMember, zip_bytes

Files = dict[str, bytes]
Edit = Callable[[Files], Files]


@dataclass(frozen=True, slots=True)
class Fault:
    """A source with one fault.

    Attributes:
        name: what is wrong, as what a reader refuses.
        format: of the source.
        sibling: path of the source below sources/.
        edit: makes the fault in the source's files.
        code: with which it is refused.
        error_class: of the code.
        clauses: that it shows.
        to: the format that is asked for.
    """

    name: str
    format: str
    sibling: str
    edit: Edit = field(compare=False)
    code: str = ""
    error_class: str = "invalid"
    clauses: tuple[str, ...] = ()
    to: str = "etui"


def only(change: Callable[[bytes], bytes]) -> Edit:
    """The edit of a source that is a single file."""

    def edit(files: Files) -> Files:
        ((name, data),) = files.items()
        return {name: change(data)}

    return edit


def archive(change: Callable[[list[ZipMember]], list[ZipMember]] = lambda members: members, **end: Any) -> Edit:
    """The edit of a ZIP archive that writes its members anew, stored, with changes; `end` goes to `zip_bytes`."""

    def anew(data: bytes) -> bytes:
        with zipfile.ZipFile(io.BytesIO(data)) as found:
            members = [_plain(info.filename, found.read(info)) for info in found.infolist()]
        return zip_bytes(change(members), **end)

    return only(anew)


def _plain(name: str, data: bytes) -> ZipMember:
    """A member as other software writes it: an aligned one would make the archive look like an etui."""
    return ZipMember(name.encode(), data, local_extra=b"")


def member(name: str, change: Callable[[bytes], bytes]) -> Edit:
    """The edit of one member of a ZIP archive."""

    def edit(members: list[ZipMember]) -> list[ZipMember]:
        found = [replace(one, data=change(one.data)) if one.name == name.encode() else one for one in members]
        if found == members:
            raise ValueError(f"{name} is not there, or stays as it is")
        return found

    return archive(edit)


def hdf5(change: Callable[[Any], object]) -> Edit:
    """The edit of an HDF5 file by h5py."""

    def anew(data: bytes) -> bytes:
        import h5py

        file = io.BytesIO(data)
        with h5py.File(file, "r+") as content:
            change(content)
        return file.getvalue()

    return only(anew)


def artifact(change: Callable[[etui.Model], object]) -> Edit:
    """The edit of an artifact, which is written anew."""

    def anew(data: bytes) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder) / "a.etui", Path(folder) / "b.etui"
            source.write_bytes(data)
            with etui.open(source) as model:
                change(model)
                etui.save(model, target)
            return target.read_bytes()

    return only(anew)
