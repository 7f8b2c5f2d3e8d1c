"""Faults in `.keras` archives and in HDF5 files (SPEC.md, annex B)."""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import h5py
import numpy as np
from formats_fault import Edit, Fault, archive, artifact, hdf5, member, only
from h5py import h5p

import etui
from etui.testing.storage import ZipMember

_ARCHIVE = "keras/sequential_with_input.keras"
_WEIGHTS = "keras/sequential_with_input.weights.h5"
_HANDED_ON = "keras/handed_on.etui"
_CONFIG = b"config.json"


def _with(*members: ZipMember) -> Edit:
    """The archive with further members."""
    return archive(lambda found: [*found, *members])


def _first(**changes: Any) -> Edit:
    """The archive whose first member has other header fields."""
    return archive(lambda found: [replace(found[0], **changes), *found[1:]])


def _both(**fields: Any) -> Edit:
    return _first(local=fields, central=fields)


def _overlap(data: bytes) -> bytes:
    """A member that lies inside of another one's data."""
    inner = ZipMember(b"b", b"payload", local_extra=b"")
    outer = ZipMember(b"a", inner.local_header(0) + b"payload" + b"rest", local_extra=b"")
    with zipfile.ZipFile(io.BytesIO(data)) as found:
        members = [ZipMember(info.filename.encode(), found.read(info), local_extra=b"") for info in found.infolist()]
    from etui.storage import zip_records as z

    body, directory = b"", b""
    for one in [*members, outer]:
        directory += one.central_header(len(body))
        at = len(body)
        body += one.local_header(len(body)) + one.data
    directory += inner.central_header(at + len(outer.local_header(0)))
    count = len(members) + 2
    return body + directory + z.END.pack(z.END_SIGNATURE, 0, 0, count, count, len(directory), len(body), 0)


def _deflated(data: bytes, **fields: Any) -> ZipMember:
    raw = zlib.compressobj(9, zlib.DEFLATED, -15)
    stored = raw.compress(data) + raw.flush()
    said = {"method": 8, "size": len(data), "crc": zlib.crc32(data), **fields}
    return ZipMember(b"notes.txt", stored, local=said, central=said)


def _nested(data: bytes) -> bytes:
    return data[:-1] + b',"deep":' + b"[" * 200 + b"]" * 200 + b"}"


_ZIP: list[tuple[str, Edit, str, str, str]] = [
    ("no weights", archive(lambda found: [one for one in found if b"h5" not in one.name]), "", "", "K-1"),
    (
        "weights in npz",
        archive(lambda found: [replace(one, name=one.name.replace(b".h5", b".npz")) for one in found]),
        "unsupported",
        "keras-npz",
        "K-4",
    ),
    (
        "a key twice in the config",
        member("config.json", lambda data: data[:-1] + b',"module":1}'),
        "malformed",
        "keras-json",
        "K-2",
    ),
    (
        "a config that is a list",
        member("config.json", lambda data: b"[" + data + b"]"),
        "malformed",
        "keras-json",
        "K-2",
    ),
    (
        "a lone surrogate in the config",
        member("config.json", lambda data: data[:-1] + b',"x":"\\ud800"}'),
        "malformed",
        "keras-json",
        "K-2",
    ),
    ("a config nested too deep", member("config.json", _nested), "malformed", "keras-json", "K-2"),
    (
        "a number of too many digits in the config",
        member("config.json", lambda data: data[:-1] + b',"x":' + b"9" * 1025 + b"}"),
        "malformed",
        "keras-json",
        "K-2",
    ),
    (
        "a layer without a name",
        member("config.json", lambda data: data.replace(b'"name": "dense"', b'"name": ""')),
        "invalid",
        "keras-config",
        "K-3",
    ),
    ("bytes behind the archive", only(lambda data: data + b"x"), "malformed", "foreign-zip", "K-20"),
    ("an archive that ends early", only(lambda data: data[:-1]), "malformed", "foreign-zip", "K-20"),
    ("one of several disks", archive(end={"disk": 1}), "malformed", "foreign-zip", "K-20"),
    ("hidden bytes behind the members", archive(after_members=b"hidden"), "malformed", "foreign-zip", "K-20"),
    ("a member that leads out of the archive", _with(ZipMember(b"../a", b"")), "unsafe", "foreign-zip-name", "K-21"),
    ("a member of an absolute name", _with(ZipMember(b"/a", b"")), "unsafe", "foreign-zip-name", "K-21"),
    (
        "a member of another one's name but for case",
        _with(ZipMember(b"Config.json", b"")),
        "unsafe",
        "foreign-zip-name",
        "K-21",
    ),
    ("two members of one name", _with(ZipMember(_CONFIG, b"{}")), "invalid", "foreign-zip-duplicate", "K-22"),
    ("members that share bytes", only(_overlap), "invalid", "foreign-zip-overlap", "K-23"),
    ("headers that disagree in the checksum", _first(local={"crc": 1}), "invalid", "foreign-zip-headers", "K-24"),
    (
        "headers that disagree in the name",
        _first(local_name=b"metadata.jsoo"),
        "invalid",
        "foreign-zip-headers",
        "K-24",
    ),
    ("an encrypted member", _both(flags=1), "unsupported", "foreign-zip-method", "K-25"),
    ("a member compressed by bzip2", _both(method=12), "unsupported", "foreign-zip-method", "K-25"),
    (
        "a symbolic link",
        _first(central={"external_attributes": (stat.S_IFLNK | 0o777) << 16}),
        "unsafe",
        "foreign-zip-link",
        "K-26",
    ),
    ("a wrong checksum of a stored member", _both(crc=1), "integrity", "foreign-zip-crc", "K-27"),
    (
        "a compressed member longer than it says",
        _with(_deflated(b"abc" * 99, size=296)),
        "integrity",
        "foreign-zip-crc",
        "K-27",
    ),
    ("a member that grows too much", _with(_deflated(bytes(2_000_000))), "limit", "limit-foreign", "K-39"),
]


def _link(value: Any) -> Callable[[Any], None]:
    return lambda file: file.__setitem__("x", value)


def _outside(file: Any) -> None:
    file.create_dataset("x", shape=(4,), dtype="u1", external=[("elsewhere", 0, 4)])


def _again(file: Any) -> None:
    file["x"] = file["layers"]


def _named(name: bytes) -> Callable[[Any], None]:
    return lambda file: h5py.h5g.create(file.id, name, lcpl=h5p.create(h5p.LINK_CREATE)) and None


def _two_forms(file: Any) -> None:
    file.create_group("ä")
    file.create_group("a\u0308")


def _attribute(value: Any) -> Callable[[Any], None]:
    return lambda file: file.create_group("g").attrs.__setitem__("name", value)


def _many_attributes(file: Any) -> None:
    for number in range(300):
        file.attrs[f"a{number}"] = "x"


def _bomb(file: Any) -> None:
    file.create_dataset("x", data=np.zeros(4 << 20, "u1"), chunks=(4 << 20,), compression="gzip")


_HDF5: list[tuple[str, Edit, str, str, str]] = [
    ("bytes behind the file", only(lambda data: data + b"PK"), "malformed", "hdf5-syntax", "K-30"),
    ("a file that ends early", only(lambda data: data[:-1]), "malformed", "hdf5-syntax", "K-30"),
    ("a soft link", hdf5(_link(h5py.SoftLink("/layers"))), "unsafe", "hdf5-link", "K-31"),
    ("an external link", hdf5(_link(h5py.ExternalLink("elsewhere", "/a"))), "unsafe", "hdf5-link", "K-31"),
    ("elements in another file", hdf5(_outside), "unsafe", "hdf5-external", "K-32"),
    ("an object of two names", hdf5(_again), "invalid", "hdf5-shared", "K-33"),
    (
        "elements that are not stored",
        hdf5(lambda file: file.create_dataset("x", shape=(1 << 20,), dtype="u1")),
        "invalid",
        "hdf5-unstored",
        "K-34",
    ),
    (
        "half of the chunks",
        hdf5(lambda file: file.create_dataset("x", shape=(8,), dtype="f4", chunks=(4,)).__setitem__(slice(4), 1)),
        "invalid",
        "hdf5-unstored",
        "K-34",
    ),
    (
        "a rare filter",
        hdf5(lambda file: file.create_dataset("x", data=np.arange(64), chunks=(8,), scaleoffset=0)),
        "unsupported",
        "hdf5-filter",
        "K-35",
    ),
    (
        "a compound type",
        hdf5(lambda file: file.create_dataset("x", data=np.zeros(3, [("a", "f4"), ("b", "i4")]))),
        "unsupported",
        "hdf5-type",
        "K-36",
    ),
    (
        "texts as elements",
        hdf5(lambda file: file.create_dataset("x", data=["a", "b"])),
        "unsupported",
        "hdf5-type",
        "K-36",
    ),
    ("a name that is not UTF-8", hdf5(_named(b"\xff")), "invalid", "hdf5-name", "K-37"),
    ("a name that leads up", hdf5(_named(b"..")), "invalid", "hdf5-name", "K-37"),
    ("two names equal after NFC", hdf5(_two_forms), "invalid", "hdf5-name", "K-37"),
    ("an attribute that is a number", hdf5(_attribute(1)), "invalid", "hdf5-attribute", "K-38"),
    ("an attribute of several texts", hdf5(_attribute(["a", "b"])), "invalid", "hdf5-attribute", "K-38"),
    ("too many attributes", hdf5(_many_attributes), "invalid", "hdf5-attribute", "K-38"),
    ("compressed elements that grow too much", hdf5(_bomb), "limit", "limit-foreign", "K-39"),
]


def _renamed(kind: str, name: str) -> Edit:
    """The artifact of `_HANDED_ON` with a part whose name means another one in an archive."""

    def change(model: etui.Model) -> None:
        blob = etui.Blob.of(b"x")
        if kind == "asset":
            model.assets[f"assets/{name}"] = blob
        else:
            model.native[f"native/keras/{name}"] = etui.Native(blob, "keras")

    return artifact(change)


_WRITTEN = [
    ("an asset that leads out of the archive", _renamed("asset", "%2E%2E%2F%2E%2E%2Fx")),
    ("a document that leads out of the archive", _renamed("document", "%2E%2E%2Fx")),
    ("a document with a backslash in its name", _renamed("document", "a%5Cb")),
]

FAULTS = [
    *(Fault(name, "keras", _ARCHIVE, edit, code, kind, (clause,)) for name, edit, kind, code, clause in _ZIP if code),
    *(Fault(name, "keras-weights", _WEIGHTS, edit, code, kind, (clause,)) for name, edit, kind, code, clause in _HDF5),
    *(
        Fault(f"{name}: an artifact", "etui", _HANDED_ON, edit, "foreign-zip-name", "unsafe", ("K-70",), to="keras")
        for name, edit in _WRITTEN
    ),
]
