"""Little memory: a good artifact is read, or there is an error with a code; nothing crashes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import etui
from etui import digest
from etui.containers.tensors import Tensor
from etui.digest import Hasher
from etui.error_codes import ERROR_CODES
from etui.errors import EtuiError
from etui.shortage import shortage
from etui.testing.samples import everything

HERE = Path(__file__).parent
KIB, MIB = 1 << 10, 1 << 20
SPARES = [0, 64 * KIB, 2 * MIB, 8 * MIB, 20 * MIB, 28 * MIB, 40 * MIB, 64 * MIB, 512 * MIB]
MANY = 10_000


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the size of a process is read from /proc")
@pytest.mark.clause("E-2@310409")
def test_a_good_artifact_in_little_memory_is_read_or_gives_a_code(tmp_path: Path) -> None:
    """With ever more address space to spare: first an error with a code, and in the end what is stored."""
    model = everything()
    assert model.weights is not None
    model.weights.add("big/a", Tensor.of(np.arange(3 * MIB, dtype="int8")), role="kernel")
    half = np.arange(MIB, dtype="float32")
    model.weights.add("big/b", Tensor.chunked("float32", (2 * MIB,), [((0,), half), ((MIB,), half)]), role="kernel")
    for number in range(MANY):
        model.weights.add(f"many/{number}", Tensor.of(np.zeros(2, "int8")), role="kernel")
    etui.save(model, tmp_path / "m.etui")
    etui.save(everything(), tmp_path / "sound.etui")
    files = [tmp_path / "sound.etui", tmp_path / "m.etui", tmp_path]
    done = subprocess.run(
        [sys.executable, str(HERE / "tight.py"), *map(str, files), *map(str, SPARES)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    results = json.loads(done.stdout)
    assert len(results) == 3 * len(SPARES)
    assert [row for row in results if row[2] and row[2] not in ERROR_CODES] == []
    assert {row[2] for row in results if row[1] == SPARES[-1]} == {""}
    assert {way for way, _, code in results if code == "out-of-memory"} == {"open", "verify", "convert"}


@pytest.mark.clause("E-2@310409")
@pytest.mark.parametrize(
    "lack",
    [
        MemoryError(),
        RuntimeError("can't start new thread"),
    ],
)
def test_every_way_to_lack_memory_has_one_code(lack: Exception) -> None:
    """Memory and a thread that are not to be had are one error with a code."""
    with pytest.raises(EtuiError) as caught, shortage():
        raise lack
    assert caught.value.code == "out-of-memory"


@pytest.mark.clause("E-2@310409")
@pytest.mark.parametrize("make", [digest.new, lambda: digest.of(b"data")])
def test_a_hasher_without_memory_lacks_memory(monkeypatch: pytest.MonkeyPatch, make: Callable[[], object]) -> None:
    """A hasher for which OpenSSL has no memory, which hashlib calls a wrong value, is a lack of memory."""

    def failing(*_: bytes) -> Hasher:
        raise ValueError("[digital envelope routines] initialization error")

    monkeypatch.setitem(digest._ALGORITHMS, "sha256", (failing, 64))
    with pytest.raises(EtuiError) as caught, shortage():
        make()
    assert caught.value.code == "out-of-memory"


@pytest.mark.library
@pytest.mark.parametrize("other", [RuntimeError("other"), ValueError("other")])
def test_other_errors_are_not_taken_for_a_lack_of_memory(other: Exception) -> None:
    """What Python raises for another reason stays what it is."""
    with pytest.raises(type(other), match="other"), shortage():
        raise other
