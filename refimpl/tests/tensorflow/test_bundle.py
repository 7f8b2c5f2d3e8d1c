"""Tensor bundles: what is read and written, and what is refused."""

from __future__ import annotations

import random
import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.bridges.tensorflow import checkpoint
from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS
from etui.storage.crc32c import crc32c, masked
from etui.storage.ordered_code import slice_key
from etui.storage.protobuf import varint
from etui.storage.snappy import decompress
from etui.storage.sources import BytesSource
from etui.storage.sstable import MAGIC, read_table, write_table
from etui.storage.tf_bundle import is_index, open_bundle
from etui.storage.tf_bundle_writer import Outgoing, write_bundle
from etui.storage.tf_state import read_state, state_text
from etui.testing import bundles

ONE = np.arange(6, dtype="<f4").reshape(2, 3)
DATA = ONE.tobytes()


def outgoing(name: str, values: Any, dtype: str | None = None) -> Outgoing:
    """An array to write."""
    array = np.asarray(values)
    return Outgoing(name, dtype or array.dtype.name, array.shape, lambda: array)


def texts(*values: str | bytes) -> np.ndarray[Any, Any]:
    """An array of strings, as objects."""
    array = np.empty(len(values), object)
    array[:] = values
    return array


def code_of(prefix: Path) -> str:
    """The code of the refusal of a bundle, opened and read whole."""
    with pytest.raises(EtuiError) as caught:
        read_whole(prefix)
    return caught.value.code


def read_whole(prefix: Path) -> None:
    """Open a bundle and read every tensor."""
    with open_bundle(prefix) as bundle:
        for tensor in bundle.tensors.values():
            for one in [part for _, part in tensor.slices] or [tensor]:
                one.read()


@pytest.mark.clause("KT-22@c200f3")
def test_what_was_written_is_read(tmp_path: Path) -> None:
    """Every dtype comes back with its bits, and the same tensors in another order give the same bytes."""
    import ml_dtypes

    names = ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
             "float64", "complex64", "complex128"]  # fmt: skip
    tensors = [outgoing(name, np.arange(6).reshape(3, 2).astype(name)) for name in names]
    extra = ["bfloat16", "float8_e5m2", "float8_e4m3fn", "int4", "uint4"]
    tensors += [outgoing(name, np.arange(4).astype(getattr(ml_dtypes, name)), name) for name in extra]
    tensors += [outgoing("text", texts("é", "", "x" * 300), "string"), outgoing("raw", texts(b"\0z\0"), "bytes")]
    tensors += [outgoing("empty", np.zeros((0, 3), "f4")), outgoing("no text", texts(), "bytes")]
    tensors += [outgoing("scalar", np.float32(-0.0)), outgoing("äöü/€", np.ones(300, "i8"))]
    write_bundle(tmp_path / "a", tensors)
    write_bundle(tmp_path / "b", tensors[::-1])
    for end in (".index", ".data-00000-of-00001"):
        assert (tmp_path / f"a{end}").read_bytes() == (tmp_path / f"b{end}").read_bytes()
    with open_bundle(tmp_path / "a") as bundle:
        assert list(bundle.tensors) == sorted((tensor.name for tensor in tensors), key=str.encode)
        for tensor in tensors:
            found, array = bundle.tensors[tensor.name], tensor.load()
            assert found.dtype == ("bytes" if tensor.dtype == "string" else tensor.dtype)
            if array.dtype.kind == "O":
                expected = [item.encode() if isinstance(item, str) else item for item in array]
                assert found.read().tolist() == expected
            else:
                assert found.read().tobytes() == array.tobytes()
                assert (found.read().shape, found.read().dtype) == (array.shape, array.dtype)
            assert not found.read().flags.writeable


@pytest.mark.library
def test_shards_hold_as_many_bytes_as_they_may(tmp_path: Path) -> None:
    """A shard size cuts between tensors, and shards of an earlier bundle of another number go."""
    tensors = [outgoing(f"t{number}", np.full(10, number, "i4")) for number in range(5)]
    write_bundle(tmp_path / "x", tensors, shard_size=80)
    assert len(list(tmp_path.glob("x.data-*-of-00003"))) == 3
    with open_bundle(tmp_path / "x") as bundle:
        assert [int(tensor.read()[0]) for tensor in bundle.tensors.values()] == list(range(5))
    write_bundle(tmp_path / "x", tensors)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.data-00000-of-00001", "x.index"]


@pytest.mark.library
def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    """A tensor that cannot be made stops the write before any file is replaced."""
    write_bundle(tmp_path / "x", [outgoing("a", ONE)])
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def broken() -> np.ndarray[Any, Any]:
        raise RuntimeError("no data")

    with pytest.raises(RuntimeError):
        write_bundle(tmp_path / "x", [outgoing("a", ONE + 1), Outgoing("b", "float32", (2,), broken)])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    with pytest.raises(EtuiError) as caught:
        write_bundle(tmp_path / "x", [outgoing("a", ONE), outgoing("a", ONE)])
    assert caught.value.code == "writer-misuse"


@pytest.mark.library
def test_tables_of_many_blocks_come_back() -> None:
    """Keys that share prefixes, over several blocks, are read in order."""
    entries = [(b"key/%06d" % number, bytes([number % 251]) * (number % 700)) for number in range(3000)]
    data = b"".join(write_table(entries))
    assert list(read_table(BytesSource(data), "x")) == entries
    assert list(read_table(BytesSource(b"".join(write_table([]))), "x")) == []


@pytest.mark.library
def test_the_checksum_is_the_published_one() -> None:
    """CRC-32C of the check string, its mask, and that pieces chain."""
    assert crc32c(b"123456789") == 0xE3069283
    assert masked(0xE3069283) == ((0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert crc32c(b"6789", crc32c(b"12345")) == 0xE3069283


@pytest.mark.library
def test_keys_of_slices_are_those_of_tensorflow() -> None:
    """Vectors of OrderedCode: escapes in names, and signed numbers of one, two and more bytes."""
    assert slice_key("a", [(0, -1)]).hex() == "006100010101807f"
    assert slice_key("\0\xff", [(64, 8192)]).hex() == "0000ffc3bf00010101c040e02000"
    assert slice_key("", [(-64, -65)]).hex() == "0000010101403fbf"


@pytest.mark.clause("KT-11@7d10f5")
def test_snappy_is_read_and_other_compression_refused(tmp_path: Path) -> None:
    """A block of literals and overlapping copies decompresses; a kind that is neither has its code."""
    assert decompress(bytes.fromhex("0b0c616263640d04"), "x", 100) == b"abcdabcdabc"
    plain = bundles.block([(b"", bundles.header()), (b"a", bundles.entry(DATA, (2, 3)))])[:-5]
    literal = varint(len(plain)) + b"".join(
        bytes([(len(part) - 1) << 2]) + part for part in (plain[at : at + 60] for at in range(0, len(plain), 60))
    )
    bundles.write(tmp_path / "x", bundles.table([(b"a", bundles.sealed(literal, 1))]), DATA)
    with open_bundle(tmp_path / "x") as bundle:
        assert bundle.tensors["a"].read().tobytes() == DATA
    bundles.write(tmp_path / "x", bundles.table([(b"a", bundles.sealed(plain, 2))]), DATA)
    assert code_of(tmp_path / "x") == "bundle-compression"


SNAPPY = {
    "more than it declares": "020c61626364",
    "less than it declares": "080c61626364",
    "a copy from before the start": "0800611d05",
    "a copy from nowhere": "0800610d00",
    "a literal beyond the end": "082061",
    "a copy beyond the end": "0800610e05",
    "a bomb": "ffffff7f0061",
}


@pytest.mark.clause("KT-10@9bbba8")
@pytest.mark.parametrize("fault", SNAPPY)
def test_snappy_that_does_not_decode_is_refused(fault: str) -> None:
    """Each fault is found before memory is taken for what is declared."""
    with pytest.raises(EtuiError) as caught:
        decompress(bytes.fromhex(SNAPPY[fault]), "x", 2**40)
    assert caught.value.code == "bundle-index"


@pytest.mark.library
def test_snappy_copies_may_reach_into_themselves() -> None:
    """A copy longer than its offset repeats a pattern, in each of the three forms."""
    assert decompress(bytes.fromhex("090461620d02"), "x", 99) == b"ababababa"[:9]
    assert decompress(bytes.fromhex("060061120100"), "x", 99) == b"aaaaaa"
    assert decompress(bytes.fromhex("0600611301000000"), "x", 99) == b"aaaaaa"
    with pytest.raises(EtuiError) as caught:
        decompress(bytes.fromhex("090461620d02"), "x", 8)
    assert caught.value.code == "limit-foreign"


GOOD = [(b"", bundles.header()), (b"a", bundles.entry(DATA, (2, 3)))]


def faulty_tables() -> dict[str, bytes]:
    """Indexes with one fault each."""
    good = bundles.simple(GOOD)
    block, content = bundles.block(GOOD), bundles.block(GOOD)[:-5]
    lonely = (b"b", bundles.block([(b"b", b"")]))
    index = bundles.block([(b"a", varint(0) + varint(len(block) - 5))])
    half = bundles.block([(b"a", b"\x80")])
    return {
        "no magic": good[:-1] + b"\0",
        "nothing": b"",
        "a footer alone": good[-48:],
        "a block beyond the file": bundles.table([(b"a", block)], places={0: (0, 2**40)}),
        "a block that ends in the footer": bundles.table([(b"a", block)], places={0: (len(good) - 60, 50)}),
        "blocks that overlap": bundles.table([(b"a", block), lonely], places={1: (0, len(block) - 5)}),
        "a block in the metaindex": bundles.table([(b"a", block)], places={0: (len(block), 8)}),
        "a metaindex with a key": block + bundles.tail(len(block), bundles.block([(b"f", b"")]), index),
        "keys that do not ascend": bundles.simple([GOOD[0], (b"b", b""), (b"a", b"")]),
        "a key twice": bundles.simple([*GOOD, GOOD[1]]),
        "a key beyond its block's": bundles.table([(b"A", block)]),
        "a restart out of range": bundles.table([(b"a", bundles.block(GOOD, restarts=[0, 2**31]))]),
        "a restart inside of an entry": bundles.table([(b"a", bundles.block(GOOD, restarts=[0, 1]))]),
        "a first restart that is not 0": bundles.table([(b"a", bundles.block(GOOD, restarts=[1]))]),
        "no restart": bundles.table([(b"a", bundles.block(GOOD, restarts=[]))]),
        "restarts without end": bundles.table([(b"a", bundles.sealed(content[:-4] + struct.pack("<I", 2**30)))]),
        "a prefix of nothing": bundles.table([(b"a", bundles.sealed(b"\x05\x01\x00a" + struct.pack("<2I", 0, 1)))]),
        "a value beyond the block": bundles.table([(b"a", bundles.sealed(b"\0\x01\x7fa" + struct.pack("<2I", 0, 1)))]),
        "no header": bundles.simple([GOOD[1]]),
        "a key that is not UTF-8": bundles.simple([GOOD[0], (b"\xff", GOOD[1][1])]),
        "a place of half a number": block + bundles.tail(len(block), bundles.block([]), half),
    }  # fmt: skip


@pytest.mark.clause("KT-10@9bbba8")
@pytest.mark.parametrize("fault", faulty_tables())
def test_an_index_of_another_form_is_refused(tmp_path: Path, fault: str) -> None:
    """Footer, blocks, restarts and keys are checked."""
    bundles.write(tmp_path / "x", faulty_tables()[fault], DATA)
    assert code_of(tmp_path / "x") in ({"protobuf-syntax"} if "half" in fault else {"bundle-index"})


def faulty_entries() -> dict[str, tuple[list[tuple[bytes, bytes]], tuple[bytes, ...], str]]:
    """Entries, shards and the code of the refusal."""
    one = bundles.entry
    part = bundles.entry(DATA[:12], (1, 3))
    boxes = [[(0, 1), (0, -1)], [(1, 1), (0, -1)]]
    parts = [(slice_key("a", boxes[0]), part), (slice_key("a", boxes[1]), bundles.entry(DATA[12:], (1, 3), 12))]
    whole = one(b"", (2, 3), size=0, crc32c=0, slices=bundles.slices(*boxes))
    lengths = varint(3) + struct.pack("<I", masked(crc32c(struct.pack("<I", 3))))
    return {
        "a shard beyond the number": ([(b"a", one(DATA, (2, 3), shard_id=1))], (DATA,), "bundle-shard"),
        "a negative shard": ([(b"a", one(DATA, (2, 3), shard_id=-1))], (DATA,), "bundle-shard"),
        "a shard that is not there": ([(b"a", one(DATA, (2, 3)))], (), "bundle-shard"),
        "bytes beyond the shard": ([(b"a", one(DATA, (2, 3), 1))], (DATA,), "bundle-entry"),
        "a negative offset": ([(b"a", one(DATA, (2, 3), -4))], (DATA,), "bundle-entry"),
        "a shape bomb": ([(b"a", one(DATA, (2**40, 2**40)))], (DATA,), "bundle-entry"),
        "a negative dimension": ([(b"a", one(DATA, (-2, -3)))], (DATA,), "bundle-entry"),
        "another size": ([(b"a", one(DATA, (2, 2)))], (DATA,), "bundle-entry"),
        "rank 33": ([(b"a", one(DATA, (1,) * 33))], (DATA,), "limit-rank"),
        "a checksum": ([(b"a", one(DATA, (2, 3), crc32c=5))], (DATA,), "bundle-crc"),
        "shared bytes": ([(b"a", one(DATA, (2, 3))), (b"b", one(DATA[4:8], (1,), 4))], (DATA,), "bundle-overlap"),
        "a resource": ([(b"a", one(DATA, (2, 3), dtype=20))], (DATA,), "bundle-dtype"),
        "a quantized tensor": ([(b"a", one(DATA, (24,), dtype=11))], (DATA,), "bundle-dtype"),
        "a reference": ([(b"a", one(DATA, (2, 3), dtype=101))], (DATA,), "bundle-dtype"),
        "more strings than bytes": ([(b"a", one(DATA, (2**40,), dtype=7))], (DATA,), "bundle-entry"),
        "strings beyond the end": ([(b"a", one(lengths + b"ab", (1,), dtype=7))], (lengths + b"ab",), "bundle-crc"),
        "a variant beyond the end": ([(b"a", one(b"\x7f123", (1,), dtype=21))], (b"\x7f123",), "bundle-string"),
        "a slice of no tensor": ([*parts, (b"b", one(b"", (0,)))], (DATA,), "bundle-slice"),
        "a slice that is not there": ([parts[0], (b"a", whole)], (DATA,), "bundle-slice"),
        "a slice outside": (
            [(slice_key("a", [(2, 1), (0, -1)]), part),
             (b"a", one(b"", (2, 3), size=0, slices=bundles.slices([(2, 1), (0, -1)])))], (DATA,), "bundle-slice"),
        "a slice of another shape": (
            [(slice_key("a", [(0, 1), (0, -1)]), one(DATA, (2, 3))),
             (b"a", one(b"", (2, 3), size=0, slices=bundles.slices([(0, 1), (0, -1)])))], (DATA,), "bundle-slice"),
        "a slice of another rank": (
            [(b"a", one(b"", (2, 3), size=0, slices=bundles.slices([(0, 1)])))], (DATA,), "bundle-slice"),
        "slices of strings": (
            [(b"a", one(b"", (2,), dtype=7, size=0, slices=bundles.slices([(0, 1)])))], (DATA,), "bundle-dtype"),
    }  # fmt: skip


@pytest.mark.clause(
    "KT-12@c2a365", "KT-14@b73446", "KT-15@f06a1a", "KT-16@66a146", "KT-17@c8a829", "KT-18@83c711", "KT-19@95ecba"
)
@pytest.mark.parametrize("fault", faulty_entries())
def test_an_entry_that_says_what_is_not_so_is_refused(tmp_path: Path, fault: str) -> None:
    """Shards, places, shapes, dtypes, slices and checksums are checked."""
    entries, shards, code = faulty_entries()[fault]
    bundles.write(tmp_path / "x", bundles.simple([(b"", bundles.header()), *entries]), *shards)
    assert code_of(tmp_path / "x") == code


@pytest.mark.clause("KT-19@95ecba")
@pytest.mark.parametrize(("lengths", "crc"), [((9,), None), ((2,), 1)])
def test_strings_whose_lengths_are_wrong_are_refused(tmp_path: Path, lengths: tuple[int, ...], crc: int | None) -> None:
    """Lengths beyond the bytes, and lengths without their checksum, although the tensor has its own."""
    packed = struct.pack("<I", *lengths)
    rest = struct.pack("<I", masked(crc32c(packed)) if crc is None else crc) + b"ab"
    data = varint(lengths[0]) + rest
    entry = bundles.entry(data, (1,), dtype=7, crc32c=masked(crc32c(rest, crc32c(packed))))
    bundles.write(tmp_path / "x", bundles.simple([(b"", bundles.header()), (b"a", entry)]), data)
    assert code_of(tmp_path / "x") == "bundle-string"


@pytest.mark.clause("KT-13@729879")
@pytest.mark.parametrize("values", [{"min_consumer": 2}, {"endianness": 2}])
def test_bundles_of_another_version_are_refused(tmp_path: Path, values: dict[str, int]) -> None:
    """A bundle for later readers, or of an unknown byte order."""
    bundles.write(tmp_path / "x", bundles.simple([(b"", bundles.header(**values)), GOOD[1]]), DATA)
    assert code_of(tmp_path / "x") == "bundle-version"


@pytest.mark.clause("KT-13@729879")
def test_big_endian_bundles_are_read(tmp_path: Path) -> None:
    """Elements, parts of complex numbers and the checksum of strings are of the other byte order."""
    swapped = ONE.astype(">f4").tobytes()
    numbers = np.array([1 + 2j], ">c8").tobytes()
    lengths = struct.pack(">I", 2)
    rest = struct.pack(">I", masked(crc32c(lengths))) + b"ab"
    text = varint(2) + rest
    entries = [
        (b"", bundles.header(endianness=1)),
        (b"a", bundles.entry(swapped, (2, 3))),
        (b"c", bundles.entry(numbers, (1,), 24, dtype=8)),
        (b"s", bundles.entry(text, (1,), 32, dtype=7, crc32c=masked(crc32c(rest, crc32c(lengths))))),
    ]
    bundles.write(tmp_path / "x", bundles.simple(entries), swapped + numbers + text)
    with open_bundle(tmp_path / "x") as bundle:
        assert bundle.tensors["a"].read().tobytes() == DATA
        assert bundle.tensors["c"].read().tolist() == [1 + 2j]
        assert bundle.tensors["s"].read().tolist() == [b"ab"]


@pytest.mark.library
def test_every_truncation_and_flip_is_refused_or_read_soundly(tmp_path: Path) -> None:
    """A damaged bundle gives an error of Etui, or the values that were written; never another exception."""
    tensors = [outgoing("a", ONE), outgoing("b/c", np.arange(3)), outgoing("t", texts(b"x", b"yy"), "bytes")]
    write_bundle(tmp_path / "x", tensors)
    expected = {tensor.name: tensor.load().tolist() for tensor in tensors}
    met, sound = 0, 0
    choose = random.Random(3)
    for name in ("x.index", "x.data-00000-of-00001"):
        whole = (tmp_path / name).read_bytes()
        damaged = [whole[:length] for length in range(len(whole))]
        for _ in range(400):
            data = bytearray(whole)
            data[choose.randrange(len(data))] ^= 1 << choose.randrange(8)
            damaged.append(bytes(data))
        for changed in damaged:
            (tmp_path / name).write_bytes(changed)
            met += 1
            try:
                with open_bundle(tmp_path / "x") as bundle:
                    assert {key: one.read().tolist() for key, one in bundle.tensors.items()} == expected
                sound += 1
            except EtuiError:
                pass
        (tmp_path / name).write_bytes(whole)
    assert met > 1000
    assert sound < 200, "only padding may change unseen"


@pytest.mark.clause("KT-23@21cd1b")
def test_an_index_of_too_many_keys_is_refused(tmp_path: Path) -> None:
    """The number of keys is bounded before their entries are kept."""
    from dataclasses import replace

    entries = [(b"", bundles.header()), *((b"%04d" % number, GOOD[1][1]) for number in range(99))]
    bundles.write(tmp_path / "x", bundles.simple(entries), DATA)
    with pytest.raises(EtuiError) as caught:
        open_bundle(tmp_path / "x", replace(DEFAULT_LIMITS, foreign_objects=50))
    assert caught.value.code == "limit-foreign"


@pytest.mark.clause("KT-20@48928f")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('model_checkpoint_path: "ckpt-1"\nall_model_checkpoint_paths: "ckpt-1"\n', ("ckpt-1", ["ckpt-1"])),
        ('model_checkpoint_path: "/home/else/where/a\\303\\244"', ("aä", [])),
        ('model_checkpoint_path: "C:\\\\runs\\\\b"\nlast_preserved_timestamp: 1.5e9\n# note\n', ("b", [])),
        ('model_checkpoint_path: "/gone/dir/"\n', ("", [])),
    ],
)
def test_paths_of_a_state_file_are_names_beside_it(tmp_path: Path, text: str, names: object) -> None:
    """What a path says of folders held on another machine; an empty name is a name."""
    (tmp_path / "checkpoint").write_text(text)
    assert read_state(tmp_path) == names


@pytest.mark.clause("KT-20@48928f")
@pytest.mark.parametrize(
    "text",
    ["", "x", 'model_checkpoint_path: "../ckpt"', 'model_checkpoint_path: "a/../../b"', 'model_checkpoint_path: ".."',
     'model_checkpoint_path: "a\\000b"', 'model_checkpoint_path: "\\377"', "model_checkpoint_path: ckpt"],
)  # fmt: skip
def test_a_state_file_that_leads_elsewhere_is_refused(tmp_path: Path, text: str) -> None:
    """Paths with `..`, and what is no state file."""
    (tmp_path / "checkpoint").write_text(text)
    with pytest.raises(EtuiError) as caught:
        read_state(tmp_path)
    assert caught.value.code == "bundle-state"


@pytest.mark.clause("KT-20@48928f")
def test_a_folder_with_such_a_state_file_is_one_of_checkpoints(tmp_path: Path) -> None:
    """A conversion refuses it by the state file's code; a folder without an index is something else."""
    (tmp_path / "checkpoint").write_text('model_checkpoint_path: "../x"\n')
    assert not checkpoint.recognises(tmp_path)
    write_bundle(tmp_path / "x", [Outgoing("a", "float32", (1,), lambda: np.ones(1, "<f4"))])
    with pytest.raises(etui.UnsafeError) as caught:
        etui.convert(tmp_path, tmp_path / "x.etui", to="etui")
    assert caught.value.code == "bundle-state"


@pytest.mark.library
def test_state_files_come_back(tmp_path: Path) -> None:
    """Names with quotes, backslashes and other letters survive the text form."""
    names = ['a"b', "ä\\n", "plain"]
    (tmp_path / "checkpoint").write_bytes(state_text(names[-1], names[::2]))
    assert read_state(tmp_path) == ("plain", names[::2])


@pytest.mark.library
def test_an_index_is_known_by_its_end(tmp_path: Path) -> None:
    """The magic number at the end tells, and a file that is not there is none."""
    path = bundles.write(tmp_path / "x", bundles.simple(GOOD), DATA)
    (tmp_path / "short").write_bytes(MAGIC)
    assert [is_index(path), is_index(tmp_path / "short"), is_index(tmp_path / "none")] == [True, False, False]
    shutil.rmtree(tmp_path)
