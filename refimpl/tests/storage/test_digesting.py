"""Digests and checksums made beside the writing."""

from __future__ import annotations

import gc
import hashlib
import os
import subprocess
import sys
import threading
import weakref
import zlib
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import etui
from etui import digest
from etui.errors import UnsupportedError
from etui.storage import digesting as module
from etui.storage.base import SLICE_BYTES
from etui.storage.checksums import crc32
from etui.storage.digesting import INLINE_BYTES, JOB_BYTES, Digesting

SIZES = [0, 1, 100, INLINE_BYTES, INLINE_BYTES + 1, 300_000, JOB_BYTES, SLICE_BYTES + 1]


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Slow:
    """A hasher that waits until it is let go, or a second long."""

    gate = threading.Event()

    def update(self, _: bytes, /) -> None:
        self.gate.wait(1)

    def hexdigest(self) -> str:
        return "0" * 64


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> type[Slow]:
    """Hashers that do not end by themselves."""
    Slow.gate = threading.Event()
    monkeypatch.setitem(digest._ALGORITHMS, "slow", (lambda *_: Slow(), 64))
    return Slow


@pytest.mark.clause("H-1@34f64c", "H-2@32a072")
@given(st.lists(st.sampled_from(SIZES), max_size=12), st.booleans())
def test_each_piece_has_the_digest_of_its_own_bytes(sizes: list[int], copied: bool) -> None:
    """Pieces of all sizes, in any order, get the SHA-256 of their bytes, each once."""
    pieces = [bytes([number]) * size for number, size in enumerate(sizes)]
    found: list[tuple[int, str]] = []
    with Digesting[int](lambda key, value: found.append((key, value))) as digesting:
        for key, piece in enumerate(pieces):
            if copied:
                digesting.make_room(len(piece))
            digesting.add(key, piece, copied=copied)
        digesting.finish()
    assert sorted(found) == [(key, sha256(piece)) for key, piece in enumerate(pieces)]


@pytest.mark.library
def test_copies_wait_only_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was made for the writing is let go of before more is made than the bound allows."""
    monkeypatch.setattr(module, "_COPIED_BYTES", 4 * JOB_BYTES)

    class Piece(bytes):
        """Counts those that are alive."""

        alive: ClassVar[set[int]] = set()

        def __del__(self) -> None:
            self.alive.discard(id(self))

    most = 0
    with Digesting[int](lambda _, __: None) as digesting:
        for key in range(20):
            digesting.make_room(JOB_BYTES)
            piece = Piece(JOB_BYTES)
            piece.alive.add(id(piece))
            digesting.add(key, piece, copied=True)
            del piece
            most = max(most, len(Piece.alive))
        digesting.finish()
    gc.collect()
    # Besides those that wait, a thread may be about to drop one.
    assert 1 <= most <= 4 + module.thread_count()
    assert not Piece.alive


@pytest.mark.library
def test_one_piece_beyond_the_bound_waits_for_the_others(slow: type[Slow], monkeypatch: pytest.MonkeyPatch) -> None:
    """Room for a piece larger than the bound is there as soon as nothing else waits."""
    monkeypatch.setattr(module, "_COPIED_BYTES", JOB_BYTES)
    found: list[str] = []
    with Digesting[str](lambda key, _: found.append(key), "slow") as digesting:
        digesting.add("first", bytes(JOB_BYTES), copied=True)
        threading.Timer(0.05, slow.gate.set).start()
        digesting.make_room(10 * JOB_BYTES)
        assert found == ["first"]
        digesting.add("mapped", bytes(JOB_BYTES))
        digesting.make_room(JOB_BYTES)
        digesting.finish()
    assert found == ["first", "mapped"]


@pytest.mark.library
def test_little_is_hashed_without_a_thread() -> None:
    """What is less than a thread's work is done by who waits for it, unless something large is to begin at once."""
    before = threading.active_count()
    found: list[str] = []
    with Digesting[str](lambda key, _: found.append(key)) as digesting:
        digesting.add("little", bytes(INLINE_BYTES + 1))
        digesting.begin()
        digesting.finish()
        assert found == ["little"]
        digesting.add("more", bytes(JOB_BYTES - 1))
        digesting.finish()
        assert threading.active_count() == before
        digesting.add("much", bytes(JOB_BYTES - 1))
        digesting.begin()
        assert threading.active_count() == before + 1
        digesting.finish()
    assert found == ["little", "more", "much"]


@pytest.mark.library
@pytest.mark.parametrize("cause", [KeyboardInterrupt, ValueError])
def test_a_pass_that_is_left_early_ends_its_threads(cause: type[BaseException], slow: type[Slow]) -> None:
    """An exception leaves no thread behind, waits for no piece that was not begun, and finds no digest."""
    before = threading.active_count()
    found: list[int] = []

    def leave() -> None:
        with Digesting[int](lambda key, _: found.append(key), "slow") as digesting:
            for key in range(50):
                digesting.add(key, bytes(3 * SLICE_BYTES))
            assert before < threading.active_count() <= before + module.thread_count()
            threading.Timer(0.05, slow.gate.set).start()
            raise cause

    with pytest.raises(cause):
        leave()
    assert threading.active_count() <= before + 1  # the timer
    assert len(found) < 50


@pytest.mark.library
def test_what_the_caller_raises_ends_the_pass() -> None:
    """An error about a digest that was found comes out of the pass."""

    def refuse(key: str, value: str) -> None:
        raise ValueError(key)

    with Digesting(refuse) as digesting:
        digesting.add("large", bytes(JOB_BYTES))
        with pytest.raises(ValueError, match="large"):
            digesting.finish()


@pytest.mark.clause("H-3@effdac")
def test_an_unknown_algorithm_is_refused() -> None:
    """There is no writing with a digest that no reader could check."""
    with pytest.raises(UnsupportedError) as caught:
        Digesting[int](lambda _, __: None, "md5")
    assert caught.value.code == "digest-algorithm"


@pytest.mark.library
@given(st.binary(max_size=2000), st.integers(0, 2000))
def test_crc32_is_that_of_zlib(data: bytes, cut: int) -> None:
    """Whatever kernel is installed, the checksum of bytes in two pieces is zlib's of the whole."""
    assert crc32(data[cut:], crc32(data[:cut], 0)) == zlib.crc32(data)


_SAVE = """
import sys
if sys.argv[2] == "pure":
    sys.modules["isal"] = None
import numpy as np
import etui
from etui.storage.checksums import crc32
weights = etui.Weights()
weights.add("a", etui.Tensor.of(np.arange(1_000_000, dtype=np.float32)), role="kernel")
weights.add("b", etui.Tensor.of(np.arange(10, dtype=np.int8)), role="bias")
etui.save(etui.Model(weights=weights), sys.argv[1])
print(crc32.__module__)
"""


@pytest.mark.library
def test_a_kernel_changes_no_byte(tmp_path: Path) -> None:
    """With the extra `fast` and without it, one model gives one file."""
    pytest.importorskip("isal")
    kernels = []
    for kind in ("fast", "pure"):
        arguments = [sys.executable, "-c", _SAVE, str(tmp_path / f"{kind}.etui"), kind]
        path = os.pathsep.join(sys.path)
        run = subprocess.run(
            arguments, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path}
        )
        kernels.append(run.stdout.strip())
    assert kernels == ["isal.isal_zlib", "zlib"]
    assert (tmp_path / "fast.etui").read_bytes() == (tmp_path / "pure.etui").read_bytes()


def _tensors() -> dict[str, Any]:
    """Arrays of all sizes, with views that are not contiguous among them."""
    generator = np.random.default_rng(0)
    found: dict[str, Any] = {f"small_{size}": generator.random(size, np.float32) for size in (0, 1, 1000, 8192, 8193)}
    found |= {f"large_{size}": generator.random(size, np.float32) for size in (300_000, 2_500_000)}
    found["bools"] = generator.random(50_000) < 0.5
    found["turned"] = generator.random((700, 900), np.float32).T
    found["scalar"] = np.float64(0.5)
    return found


@pytest.mark.clause("H-1@34f64c")
@pytest.mark.parametrize("kind", ["held", "lazy"])
def test_all_sizes_and_sources_are_written_with_their_digests(kind: str, tmp_path: Path) -> None:
    """Tensors in memory and those that are made for the writing give one artifact in each form, which verifies."""
    weights = etui.Weights()
    for name, array in _tensors().items():
        tensor = etui.Tensor.of(array)
        if kind == "lazy":
            tensor = etui.Tensor.lazy(tensor.dtype, tensor.shape, tensor.numpy)
        weights.add(name, tensor, role="kernel")
    model = etui.Model(weights=weights)
    identity = etui.save(model, tmp_path / "t.etui")
    assert etui.save(model, tmp_path / "t", form="directory") == identity
    for name in ("t.etui", "t"):
        assert etui.verify(tmp_path / name).tensors == len(_tensors())
        with etui.open(tmp_path / name) as opened:
            assert opened.weights is not None
            for path, array in _tensors().items():
                np.testing.assert_array_equal(opened.weights[path].numpy(), array)


@pytest.mark.library
@pytest.mark.parametrize("form", ["packed", "directory"])
def test_a_large_tensor_that_is_made_is_let_go_of_before_the_next(
    form: Literal["packed", "directory"], tmp_path: Path
) -> None:
    """Of tensors beyond the bound, which callables make, no two are in memory at once."""
    size = module._COPIED_BYTES + 1
    made: list[weakref.ref[Any]] = []

    def make() -> Any:
        gc.collect()
        assert [ref for ref in made if ref() is not None] == []
        array = np.ones(size, np.uint8)
        made.append(weakref.ref(array))
        return array

    weights = etui.Weights()
    for name in "abc":
        weights.add(name, etui.Tensor.lazy("uint8", (size,), make), role="kernel")
    etui.save(etui.Model(weights=weights), tmp_path / "t", form=form)
    assert len(made) == 3
