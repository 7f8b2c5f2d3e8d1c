"""Full verification and validation of artifacts."""

from __future__ import annotations

import hashlib
import json as plain_json
import threading
import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import ml_dtypes
import numpy as np
import pytest

import etui
from etui import digest
from etui.canonical import json
from etui.testing.samples import PROGRAM, VOCABULARY, everything

Parts = dict[str, bytes]


def tiny() -> etui.Model:
    weights = etui.Weights()
    weights.add("mask", etui.Tensor.of(np.array([True, False])), role="mask")
    weights.add("kernel", etui.Tensor.of(np.array([[0.5, -0.0]], np.float32)), role="kernel")
    return etui.Model(weights=weights, assets={"assets/note.txt": etui.Blob.of(b"seven")})


def saved(model: etui.Model) -> Parts:
    """The parts of a model, in memory."""
    parts: Parts = {}
    etui.save(model, parts)
    return parts


def resealed(parts: Parts, **documents: Mapping[str, Any]) -> Parts:
    """The parts with other documents in place, and a manifest that agrees with them."""
    changed = dict(parts)
    manifest = json.decode(changed["manifest.json"], where="manifest.json")
    for stem, tree in documents.items():
        name = f"{stem}.json"
        changed[name] = json.encode(dict(tree))
        manifest["parts"][name] |= {"digest": digest.of(changed[name]), "size": len(changed[name])}
    changed["manifest.json"] = json.encode(manifest)
    return changed


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :]


@pytest.mark.clause("H-7@2b485b")
def test_a_whole_artifact_is_verified(tmp_path: Path) -> None:
    """Verification counts every part and every stored tensor of an artifact that has all kinds of them."""
    identity = etui.save(everything(), tmp_path / "e.etui")
    found = etui.verify(tmp_path / "e.etui")
    with ZipFile(tmp_path / "e.etui") as archive:
        sizes = [member.file_size for member in archive.infolist()]
    # 2 + 9 plain or encoded ones, of which complex and nibbles have one component and strings two; 2 of the quantized,
    # 2 chunks; 3 of the optimizer; 3 of the state.
    assert (found.tensors, found.parts, found.bytes) == (13 + 2 + 2 + 3 + 3, len(sizes), sum(sizes))
    assert (found.identity, found.form, found.profile) == (identity, "packed", "training")


@pytest.mark.clause("H-8@5fca10")
def test_the_identity_is_the_digest_of_the_manifest_in_either_form(tmp_path: Path) -> None:
    """Both forms of a model have one identity, which is the SHA-256 of the manifest's bytes."""
    etui.save(everything(), tmp_path / "e.etui")
    etui.save(everything(), tmp_path / "e", form="directory")
    raw = (tmp_path / "e/manifest.json").read_bytes()
    expected = f"sha256:{hashlib.sha256(raw).hexdigest()}"
    assert [etui.verify(tmp_path / name).identity for name in ("e.etui", "e")] == [expected, expected]
    assert {etui.verify(tmp_path / name).form for name in ("e.etui", "e")} == {"packed", "directory"}


@pytest.mark.clause("H-7@2b485b")
def test_every_flipped_bit_of_a_packed_artifact_is_found(tmp_path: Path) -> None:
    """One bit of any byte of the file, flipped, is refused by verification."""
    etui.save(tiny(), tmp_path / "t.etui")
    data = (tmp_path / "t.etui").read_bytes()
    assert etui.verify(data).tensors == 2
    missed = []
    for at in range(len(data)):
        try:
            etui.verify(flipped(data, at))
            missed.append(at)
        except etui.RejectError:
            continue
    assert len(data) > 1000
    assert missed == []


@pytest.mark.clause("H-7@2b485b", "H-8@5fca10")
def test_every_flipped_bit_of_a_directory_is_found() -> None:
    """One bit of any byte of any part, flipped, is refused, or changes the identity where it is the manifest."""
    parts = saved(tiny())
    identity = etui.verify(parts).identity
    tried, missed = 0, []
    for name, data in parts.items():
        for at in range(len(data)):
            tried += 1
            try:
                found = etui.verify({**parts, name: flipped(data, at)})
            except etui.RejectError:
                continue
            if name != "manifest.json" or found.identity == identity:
                missed.append((name, at))
    assert tried > 900
    assert missed == []


@pytest.mark.clause("H-7@2b485b")
@pytest.mark.parametrize("name", sorted(saved(everything())))
def test_a_changed_byte_of_any_kind_of_part_is_found(name: str) -> None:
    """A change of the last byte of each kind of part is refused, and the refusal names the part."""
    parts = saved(everything())
    with pytest.raises(etui.RejectError) as caught:
        etui.verify({**parts, name: flipped(parts[name], len(parts[name]) - 1)})
    assert name in str(caught.value)


@pytest.mark.clause("H-7@2b485b", "F-5@162e12")
def test_a_file_that_is_not_listed_is_found(tmp_path: Path) -> None:
    """A file beside the parts is refused by verification, and ignored by opening and validating."""
    etui.save(tiny(), tmp_path / "t", form="directory")
    (tmp_path / "t/assets/more.txt").write_bytes(b"")
    with pytest.raises(etui.InvalidError, match="part-unlisted"):
        etui.verify(tmp_path / "t")
    assert etui.validate(tmp_path / "t").faults == []


def with_tensor(tensor: etui.Tensor) -> etui.Model:
    weights = etui.Weights()
    weights.add("own", tensor, role="own")
    return etui.Model(weights=weights)


def patched(tensor: etui.Tensor, stored: str, data: bytes) -> Parts:
    """An artifact of one tensor, whose stored tensor has other last bytes and a right digest."""
    parts = saved(with_tensor(tensor))
    whole = parts["weights.safetensors"]
    size = int.from_bytes(whole[:8], "little") + 8
    begin, end = plain_json.loads(whole[8:size])[stored]["data_offsets"]
    changed = whole[: size + end - len(data)] + data + whole[size + end :]
    old, new = (digest.of(part[size + begin : size + end]) for part in (whole, changed))
    weights = parts["weights.json"].replace(old.encode(), new.encode())
    assert weights != parts["weights.json"]
    return resealed({**parts, "weights.safetensors": changed}, weights=json.decode(weights, where="weights.json"))


NIBBLE = etui.Tensor.of(np.array([1], ml_dtypes.uint4))
SCALED = etui.Tensor.quantized(NIBBLE, etui.Tensor.of(np.ones(1, np.float32)), dtype="float32")
WORDS = etui.Tensor.of(np.array(["a", "bc"], object))


@pytest.mark.parametrize(
    ("tensor", "stored", "data", "code"),
    [
        pytest.param(
            etui.Tensor.of(np.array([False, True])), "own", b"\2", "bool-value", marks=pytest.mark.clause("D-8@918f53")
        ),
        pytest.param(NIBBLE, "own#nibbles", b"\x11", "encoding-content", marks=pytest.mark.clause("W-18@3e4d03")),
        pytest.param(
            SCALED, "own#values#nibbles", b"\x11", "encoding-content", marks=pytest.mark.clause("W-18@3e4d03")
        ),
        pytest.param(WORDS, "own#offsets", bytes(8), "encoding-content", marks=pytest.mark.clause("W-19@30ac02")),
        pytest.param(WORDS, "own#data", b"\xff", "encoding-content", marks=pytest.mark.clause("W-19@30ac02")),
    ],
    ids=["bool", "packed4", "quantized", "offsets", "utf-8"],
)
def test_content_that_breaks_a_rule_is_found_though_its_digest_is_right(
    tensor: etui.Tensor, stored: str, data: bytes, code: str
) -> None:
    """Verification checks the rules of an encoding's content, which validation leaves alone."""
    parts = patched(tensor, stored, data)
    with pytest.raises(etui.InvalidError) as caught:
        etui.verify(parts)
    assert caught.value.code == code
    assert etui.validate(parts).faults == []


@pytest.mark.clause("S-9@aace1b")
def test_a_data_part_that_no_document_refers_to_is_found() -> None:
    """A data part is refused whose tensors no document names, even if no document names any tensor."""
    parts = saved(with_tensor(etui.Tensor.of(np.ones(2))))
    empty = {"aliases": {}, "format": "etui-weights", "variables": {}, "version": "1.0"}
    unclaimed = resealed(parts, weights=empty)
    with pytest.raises(etui.InvalidError, match="tensor-unreferenced"):
        etui.verify(unclaimed)
    (fault,) = etui.validate(unclaimed).faults
    assert (fault.code, fault.clause) == ("tensor-unreferenced", "S-9")


@pytest.mark.library
def test_progress_rises_to_the_number_of_bytes() -> None:
    """The callback is told a number of bytes that never falls and ends at the total."""
    calls: list[tuple[str, int, int]] = []
    etui.verify(saved(everything()), progress=lambda name, done, total: calls.append((name, done, total)))
    names = {name for name, _, _ in calls}
    assert {"dense/kernel", "optimizer/inner/slots/dense/kernel/velocity", VOCABULARY, PROGRAM} <= names
    done = [done for _, done, _ in calls]
    assert done == sorted(done)
    assert {total for _, _, total in calls} == {done[-1]}


@pytest.mark.library
def test_verifying_a_large_tensor_copies_nothing(tmp_path: Path) -> None:
    """A mapped tensor of 64 MiB is verified with less than 1 MiB of memory for the artifact, in either form."""
    model = with_tensor(etui.Tensor.of(np.zeros(16 * 2**20, np.float32)))
    etui.save(model, tmp_path / "large.etui")
    etui.save(model, tmp_path / "large", form="directory")
    del model
    etui.verify(saved(tiny()))  # imports and caches are not counted
    for name, allowed in (("large", 2**20), ("large.etui", 9 * 2**20)):  # the container's CRC-32 reads slices of 4 MiB
        tracemalloc.start()
        etui.verify(tmp_path / name)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < allowed


@pytest.mark.clause("L-3@a15eb3")
def test_lower_limits_are_kept() -> None:
    """Verification and validation refuse what is beyond the caller's own limits."""
    limits = etui.Limits(document_bytes=100)
    with pytest.raises(etui.LimitError):
        etui.verify(saved(tiny()), limits=limits)
    assert {fault.error_class for fault in etui.validate(saved(tiny()), limits=limits).faults} == {"limit"}


@pytest.mark.library
@pytest.mark.parametrize("call", [etui.verify, etui.validate])
def test_a_place_where_nothing_is_fails(call: Callable[[Path], object], tmp_path: Path) -> None:
    """Nothing to read is an error of the storage, and no fault of an artifact."""
    with pytest.raises(etui.StorageError, match="storage-failed"):
        call(tmp_path / "nothing.etui")


@pytest.mark.library
def test_a_valid_artifact_has_no_faults(tmp_path: Path) -> None:
    """An artifact with every kind of part passes, and its schemas with it."""
    identity = etui.save(everything(), tmp_path / "e.etui")
    found = etui.validate(tmp_path / "e.etui")
    assert (found.ok, found.faults, found.notes, found.identity) == (True, [], [], identity)


@pytest.mark.clause("W-1@81776a")
def test_a_fault_is_told_with_its_clause_and_with_every_place() -> None:
    """Validation reports what stopped the reader, and each place that a schema refuses."""
    parts = saved(tiny())
    weights = json.decode(parts["weights.json"], where="weights.json")
    weights["variables"]["mask"]["order"] = "first"
    weights["variables"]["kernel"]["surplus"] = 1
    found = etui.validate(resealed(parts, weights=weights))
    assert not found.ok
    first, *others = found.faults
    assert (first.code, first.clause) == ("weights-form", "W-1")
    assert {fault.where for fault in others} == {
        "weights.json at /variables/mask/order",
        "weights.json at /variables/kernel/surplus",
    }
    assert {fault.code for fault in others} == {"weights-form"}


@pytest.mark.clause("H-5@fc43fc")
def test_nothing_is_said_of_a_changed_document_but_that_it_was_changed() -> None:
    """A document whose digest is wrong is one fault, whatever it says now."""
    parts = saved(tiny())
    weights = json.decode(parts["weights.json"], where="weights.json")
    weights["variables"]["kernel"]["role"] = 5
    weights["variables"]["mask"]["role"] = 5
    changed = json.encode(weights)
    padded = changed + b" " * (len(parts["weights.json"]) - len(changed))
    (fault,) = etui.validate({**parts, "weights.json": padded}).faults
    assert fault.code == "digest-mismatch"


@pytest.mark.clause("M-1@517769")
def test_faults_of_the_manifest_are_told_from_its_schema_too() -> None:
    """A manifest with two wrong fields is reported with both places."""
    parts = saved(tiny())
    manifest = json.decode(parts["manifest.json"], where="manifest.json")
    manifest["parts"]["weights.json"]["size"] = -1
    manifest["parts"]["assets/note.txt"]["media_type"] = 5
    found = etui.validate({**parts, "manifest.json": json.encode(manifest)})
    assert found.faults[0].code == "manifest-form"
    places = {fault.where for fault in found.faults[1:]}
    expected = {"/parts/weights.json/size", "/parts/assets/note.txt/media_type"}
    assert places == {f"manifest.json at {place.replace('/assets/', '/assets~1')}" for place in expected}


@pytest.mark.clause("F-2@9d4da6")
def test_a_folder_without_a_manifest_is_not_valid(tmp_path: Path) -> None:
    """What cannot be opened has one fault and no identity."""
    found = etui.validate(tmp_path)
    assert [(fault.code, fault.clause) for fault in found.faults] == [("manifest-missing", "F-2")]
    assert found.identity is None


@pytest.mark.clause("M-3@f2a890")
def test_headers_of_data_parts_are_validated() -> None:
    """Validation reads the header of every data part, and none of its tensors."""
    parts = saved(tiny())
    data = parts["weights.safetensors"]
    header = {**parts, "weights.safetensors": flipped(data, 9)}
    assert [fault.code for fault in etui.validate(header).faults] == ["digest-mismatch"]
    tensor = {**parts, "weights.safetensors": flipped(data, len(data) - 1)}
    assert etui.validate(tensor).faults == []


@pytest.mark.clause("Q-6@921489")
def test_a_newer_document_is_noted_as_unchecked() -> None:
    """Documents of a higher minor version are valid, and a note says that no schema was asked."""
    parts = saved(tiny())
    weights = json.decode(parts["weights.json"], where="weights.json") | {"version": "1.9", "later": 1}
    newer = resealed(parts, weights=weights)
    manifest = json.decode(newer["manifest.json"], where="manifest.json") | {"version": "1.9"}
    found = etui.validate({**newer, "manifest.json": json.encode(manifest)})
    assert found.faults == []
    assert len(found.notes) == 2


def of_all_sizes() -> etui.Model:
    """Tensors that threads hash alone, together, and that no thread hashes, in turn, and an asset."""
    weights = etui.Weights()
    for number, size in enumerate([10, 50_000, 2_000_000, 20, 700_000, 60_000, 1_500_000]):
        array = np.full(size, number, np.uint8)
        weights.add(f"t{number}", etui.Tensor.of(array), role="kernel")
    return etui.Model(weights=weights, assets={"assets/last.bin": etui.Blob.of(bytes(1_200_000))})


def damaged(path: Path, *numbers: int) -> None:
    """Change the last byte of some of those tensors in a folder."""
    data = bytearray((path / "weights.safetensors").read_bytes())
    for number in numbers:
        data[data.rindex(bytes([number]) * 10) + 9] ^= 1
    (path / "weights.safetensors").write_bytes(data)


@pytest.mark.clause("H-7@2b485b")
@pytest.mark.parametrize("numbers", [(0, 6), (2, 3), (1, 2), (4, 5, 6), (5,), (6,)])
def test_the_first_fault_in_order_is_reported(numbers: tuple[int, ...], tmp_path: Path) -> None:
    """Of several damaged tensors the first is named, however many threads look for them, each time."""
    etui.save(of_all_sizes(), tmp_path / "d", form="directory")
    damaged(tmp_path / "d", *numbers)
    asset = tmp_path / "d/assets/last.bin"
    asset.write_bytes(flipped(asset.read_bytes(), 0))
    for _ in range(5):
        with pytest.raises(etui.IntegrityError, match=f"tensor 't{numbers[0]}'"):
            etui.verify(tmp_path / "d")


@pytest.mark.clause("H-7@2b485b")
def test_a_fault_of_the_container_comes_before_those_of_tensors(tmp_path: Path) -> None:
    """A surplus file and a wrong CRC-32 are reported before a tensor, and before a header, that was changed."""
    etui.save(of_all_sizes(), tmp_path / "d", form="directory")
    for at in (-1, 9):
        etui.save(of_all_sizes(), tmp_path / "d", form="directory")
        part = tmp_path / "d/weights.safetensors"
        data = part.read_bytes()
        part.write_bytes(flipped(data, len(data) + at if at < 0 else at))
        with pytest.raises(etui.IntegrityError, match="digest-mismatch"):
            etui.verify(tmp_path / "d")
        (tmp_path / "d/more.txt").write_bytes(b"")
        with pytest.raises(etui.InvalidError, match="part-unlisted"):
            etui.verify(tmp_path / "d")
        (tmp_path / "d/more.txt").unlink()
    etui.save(of_all_sizes(), tmp_path / "p.etui")
    data = (tmp_path / "p.etui").read_bytes()
    with pytest.raises(etui.RejectError, match="zip-crc"):
        etui.verify(flipped(data, data.rindex(bytes([2]) * 10)))


@pytest.mark.library
def test_a_verification_that_fails_leaves_no_thread(tmp_path: Path) -> None:
    """Threads end with the call, also where it is left by an exception of the caller's progress."""
    etui.save(of_all_sizes(), tmp_path / "d", form="directory")
    before = threading.active_count()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        etui.verify(tmp_path / "d", progress=stop)
    assert threading.active_count() == before
    damaged(tmp_path / "d", 2)
    with pytest.raises(etui.IntegrityError):
        etui.verify(tmp_path / "d")
    assert threading.active_count() == before


@pytest.mark.clause("H-7@2b485b")
def test_damage_is_not_written_again(tmp_path: Path) -> None:
    """Saving what was opened without checks refuses a damaged tensor of any size, and the target stays as it was."""
    etui.save(of_all_sizes(), tmp_path / "d", form="directory")
    etui.save(tiny(), tmp_path / "target.etui")
    earlier = (tmp_path / "target.etui").read_bytes()
    for number in (0, 1, 2, 6):
        etui.save(of_all_sizes(), tmp_path / "d", form="directory")
        damaged(tmp_path / "d", number)
        opened = etui.open(tmp_path / "d", verify=False)
        with opened, pytest.raises(etui.IntegrityError, match=f"tensor 't{number}'"):
            etui.save(opened, tmp_path / "target.etui")
        assert (tmp_path / "target.etui").read_bytes() == earlier
        assert [path.name for path in tmp_path.iterdir() if "tmp" in path.name] == []
