"""Hostile HDF5: files that lead out of themselves, declare what is not there, or never end."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5d, h5p, h5s, h5t

from catalogue.case import Case, Make, case
from etui.testing.h5_files import node, ramp, sequential, source, whole

CHAPTER = "HDF5"
SECRET = "secret.h5"
NUMBERS = np.arange(24, dtype="float32").reshape(4, 6) * 1.5
MODEL = sequential(source(), node("Dense", "dense", units=2))
DENSE = {"dense/kernel:0": ramp(3, 2), "dense/bias:0": ramp(2)}
VARS = "layers/dense/vars"

Fill = Callable[[Any], object]


def made(fill: Fill, **options: Any) -> bytes:
    """The bytes of a file that h5py writes."""
    file = io.BytesIO()
    with h5py.File(file, "w", **options) as content:
        fill(content)
    return file.getvalue()


def weights_file(data: Callable[[], bytes]) -> Make:
    """A weights file of these bytes."""

    def make(folder: Path) -> Path:
        path = folder / "m.weights.h5"
        path.write_bytes(data())
        return path

    return make


def filled(fill: Fill, *, latest: bool = False) -> Make:
    """A weights file that h5py fills, in the older or in the latest version of the format."""
    return weights_file(lambda: made(fill, **({"libver": "latest"} if latest else {})))


def beside(fill: Callable[[Any, str], object]) -> Make:
    """A weights file in a folder in which a file of a stranger lies, whose path is handed over."""

    def make(folder: Path) -> Path:
        secret = folder.with_name(f"{folder.name}-elsewhere") / SECRET
        secret.parent.mkdir()
        with h5py.File(secret, "w") as file:
            file["a"] = NUMBERS
        path = folder / "m.weights.h5"
        with h5py.File(path, "w") as file:
            fill(file, str(secret))
        return path

    return make


def legacy(change: Callable[[Any], object]) -> Make:
    """A legacy model that is changed after it was written."""

    def make(folder: Path) -> Path:
        path = whole(folder / "m.h5", MODEL, {"dense": DENSE})
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return make


def virtual(file: Any, secret: str) -> None:
    layout = h5py.VirtualLayout(NUMBERS.shape, "f4")
    layout[:] = h5py.VirtualSource(secret, "a", NUMBERS.shape)
    file.create_virtual_dataset("x", layout)


def raw_storage(file: Any, secret: str) -> None:
    file.create_dataset("x", shape=(4,), dtype="u1", external=[(secret, 0, 4)])


def soft_loop(file: Any) -> None:
    file["x"], file["y"] = h5py.SoftLink("/y"), h5py.SoftLink("/x")


def cycle(file: Any) -> None:
    group = file.create_group("a/b")
    group["again"] = file["a"]


def two_names(file: Any) -> None:
    file["x"] = NUMBERS
    file["y"] = file["x"]


def nearly_4_gib(file: Any) -> None:
    for number in range(32):
        dataset = file.create_dataset(f"d{number}", (2**32 - 4096,), "u1", chunks=(2**20,), compression="gzip")
        dataset[:1] = 0


def bomb(file: Any) -> None:
    file.create_dataset("x", data=np.zeros(16 << 20, "u1"), chunks=(16 << 20,), compression="gzip")


def deflated_twice(file: Any) -> None:
    plan = h5p.create(h5p.DATASET_CREATE)
    plan.set_chunk((4096,))
    plan.set_deflate(9)
    plan.set_deflate(9)
    space = h5s.create_simple((4096,))
    h5d.create(file.id, b"x", h5t.NATIVE_INT8, space, dcpl=plan).write(h5s.ALL, h5s.ALL, np.zeros(4096, "i1"))


def one_chunk() -> bytes:
    """The second entry of the index of chunks names the first chunk."""
    data = made(lambda file: file.create_dataset("x", data=np.arange(16.0), chunks=(4,)))
    with h5py.File(io.BytesIO(data)) as file:
        starts = [file["x"].id.get_chunk_info(at).byte_offset for at in range(4)]
    for start in starts[1:]:
        data = data.replace(start.to_bytes(8, "little"), starts[0].to_bytes(8, "little"))
    return data


def one_heap_object(count: int = 4000, size: int = 4 << 20) -> bytes:
    """A list of texts, every one of which names the same long text in the heap."""

    def fill(file: Any) -> None:
        file.attrs["layer_names"] = np.array(["x" * size] + ["y"] * (count - 1), dtype=object)

    data = made(fill)
    at = data.index(size.to_bytes(4, "little"))
    element = data[at : at + 16]
    return data[:at] + element * count + data[at + 16 * count :]


def odd_float(file: Any) -> None:
    kind = h5t.IEEE_F32LE.copy()
    kind.set_ebias(126)
    h5d.create(file.id, b"x", kind, h5s.create_simple((4,)))


def plugin(file: Any) -> None:
    """A filter that no one has, which libhdf5 looks for in the folders of plugins."""
    plan = h5p.create(h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_filter(32_015, h5py.h5z.FLAG_OPTIONAL)
    dataset = h5d.create(file.id, b"x", h5t.NATIVE_INT8, h5s.create_simple((4,)), dcpl=plan)
    dataset.write_direct_chunk((0,), b"\0" * 4)


def attributes(file: Any) -> None:
    for number in range(20_000):
        file.attrs[f"a{number}"] = "x"


def groups(file: Any) -> None:
    for number in range(50_000):
        file.create_group(f"g{number}")


def raw_name(name: bytes) -> Fill:
    return lambda file: h5py.h5g.create(file.id, name, lcpl=h5p.create(h5p.LINK_CREATE))


def same_after_nfc(file: Any) -> None:
    file.create_group("ä")
    file.create_group("a\u0308")


def user_block(data: bytes) -> Callable[[], bytes]:
    """A file behind a block of 512 bytes, which begins with an archive."""
    return lambda: data + made(lambda file: file.create_group("a"), userblock_size=512)[len(data) :]


def looping() -> bytes:
    """A text's size in the heap is wrong: libhdf5 never comes back from reading it."""
    data = bytearray(made(lambda file: file.create_group("g").attrs.__setitem__("name", "abc")))
    data[data.index(b"GCOL") + 24] = 255
    return bytes(data)


def other_shape(file: Any) -> None:
    del file["model_weights/dense/dense/kernel:0"]
    file["model_weights/dense/dense/kernel:0"] = ramp(5, 2)
    file["model_weights/dense"].attrs["weight_names"] = [b"dense/kernel:0"]


def dataset(value: Any = None, **options: Any) -> Fill:
    return lambda file: file.create_dataset(f"{VARS}/0", data=value, **options)


def cut(length: int) -> Callable[[], bytes]:
    """A weights file without its end."""
    return lambda: made(lambda file: file.create_dataset("a/b", data=NUMBERS, chunks=(2, 3)))[:length]


_ARCHIVE = b"PK\x05\x06" + bytes(18)
_SIZE = len(cut(1 << 20)())
_TYPES: list[tuple[str, Any, dict[str, Any]]] = [
    ("compound", np.zeros(3, [("a", "f4"), ("b", "i4")]), {}),
    ("opaque", np.zeros(3, "V3"), {}),
    ("reference", None, {"shape": (2,), "dtype": h5py.ref_dtype}),
    ("enum", None, {"shape": (2,), "dtype": h5py.enum_dtype({"A": 0, "B": 7}, "i4")}),
    ("array", None, {"shape": (2,), "dtype": np.dtype(("f4", (3,)))}),
    ("long-double", np.zeros(3, np.longdouble), {}),
]
_BOTH: list[tuple[str, Fill, str, str]] = [
    ("soft-link loop", soft_loop, "hdf5-link", "K-31"),
    ("hard-link cycle", cycle, "hdf5-shared", "K-33"),
    ("one object under two names", two_names, "hdf5-shared", "K-33"),
    ("4 TiB declared and nothing stored", dataset(shape=(1 << 40,), dtype="f4"), "limit-foreign", "K-39"),
    ("4 TiB declared and nothing stored", dataset(shape=(1 << 39,), dtype="u1"), "hdf5-unstored", "K-34"),
    (
        "4 TiB declared and nothing stored",
        dataset(shape=(1 << 18, 1 << 18), dtype="f4", chunks=(1024, 1024)),
        "hdf5-unstored",
        "K-34",
    ),
    ("32 datasets of just under 4 GiB", nearly_4_gib, "hdf5-unstored", "K-34"),
    ("gzip 1000:1", bomb, "limit-foreign", "K-39"),
    ("deflate stacked twice", deflated_twice, "hdf5-filter", "K-35"),
    ("odd-field floats", odd_float, "hdf5-type", "K-36"),
    ("filters that load a plugin", plugin, "hdf5-filter", "K-35"),
    ("16 MiB attribute", lambda file: file.attrs.__setitem__("a", "x" * (16 << 20)), "hdf5-attribute", "K-38"),
    ("3,000 levels", lambda file: file.create_group("/".join("a" * 3000)), "limit-foreign", "K-39"),
    ("name `..`", raw_name(b".."), "hdf5-name", "K-37"),
    ("name not UTF-8", raw_name(b"\xff"), "hdf5-name", "K-37"),
    ("names equal after NFC", same_after_nfc, "hdf5-name", "K-37"),
    *((name, dataset(value, **options), "hdf5-type", "K-36") for name, value, options in _TYPES),
]
_GOOD: list[tuple[str, Fill, bool]] = [
    ("big-endian floats", dataset(NUMBERS.astype(">f4")), False),
    ("gzip + shuffle", dataset(NUMBERS, chunks=(2, 3), compression="gzip", shuffle=True), False),
    ("latest file version", dataset(NUMBERS), True),
    ("zero-size dimension", dataset(np.zeros((3, 0), "f4")), False),
    ("names that differ by case", lambda file: [file.create_dataset(f"{a}/vars/0", data=NUMBERS) for a in "aA"], False),
    ("unlimited maxshape", dataset(NUMBERS, maxshape=(None, None), chunks=(4, 6)), False),
]

CASES: list[Case] = [
    case(
        CHAPTER,
        "external link to another file",
        beside(lambda file, secret: file.__setitem__("x", h5py.ExternalLink(secret, "/a"))),
        "hdf5-link",
        "K-31",
    ),
    case(
        CHAPTER,
        "external link to another file",
        beside(lambda file, secret: file.__setitem__("x", h5py.ExternalLink(secret, "/"))),
        "hdf5-link",
        "K-31",
        name="external link to a group of another file",
    ),
    case(CHAPTER, "external raw storage naming any local file", beside(raw_storage), "hdf5-external", "K-32"),
    case(CHAPTER, "virtual dataset over another file", beside(virtual), "hdf5-external", "K-32"),
    *(
        case(CHAPTER, line, filled(fill, latest=latest), code, clause, name=f"{line} {number}, {version}")
        for number, (line, fill, code, clause) in enumerate(_BOTH)
        for latest, version in ((False, "older version"), (True, "latest version"))
    ),
    case(CHAPTER, "many chunk-index entries naming one chunk", weights_file(one_chunk), "hdf5-shared", "K-33"),
    case(
        CHAPTER,
        "variable-length elements all naming one 4 MiB heap object",
        weights_file(one_heap_object),
        "hdf5-attribute",
        "K-38",
        "X-2",
    ),
    case(CHAPTER, "20,000 attributes", filled(attributes, latest=True), "hdf5-attribute", "K-38"),
    case(CHAPTER, "50,000 groups", filled(groups, latest=True), "", "K-39"),
    case(CHAPTER, "a ZIP in the user block", weights_file(user_block(_ARCHIVE)), "hdf5-syntax", "K-30"),
    case(
        CHAPTER,
        "a ZIP after the end",
        weights_file(lambda: made(dataset(NUMBERS)) + _ARCHIVE),
        "hdf5-syntax",
        "K-30",
    ),
    *(
        case(CHAPTER, "every truncation", weights_file(cut(at)), "hdf5-syntax", "K-30", name=f"cut after {at} bytes")
        for at in range(0, _SIZE, _SIZE // 24)
    ),
    case(CHAPTER, "shape other than the config says", legacy(other_shape), "keras-h5-layers keras-h5", "KH-9"),
    # One byte of a file was changed. libhdf5 1.14 frees what it does not own; another version may read on, and refuse.
    case(
        CHAPTER,
        "libhdf5 crashes",
        weights_file(lambda: Path(__file__).with_name("crashing.h5").read_bytes()),
        "hdf5-syntax hdf5-unstored hdf5-shared",
        "K-30",
    ),
    case(CHAPTER, "libhdf5 runs without end", weights_file(looping), "hdf5-syntax", "K-30"),
    *(
        case(CHAPTER, f"good: {line}", filled(fill, latest=latest), "", "K-35", "K-36", "K-37")
        for line, fill, latest in _GOOD
    ),
]
