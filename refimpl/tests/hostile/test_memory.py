"""What an artifact declares is not allocated before it is known to be there."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etui.canonical import msgpack
from etui.storage.part_names import MANIFEST
from etui.testing.hostile import Edit, Parts, put, tampered
from etui.testing.storage import write

CONFIG, WEIGHTS, STATE, DATA = "config.json", "weights.json", "state.msgpack", "weights.safetensors"
SPARE_BYTES = 256 * 2**20
SECONDS = 2.0


def variables(change: Callable[[dict[str, Any]], object]) -> Edit:
    """The edit of the variables of the weights."""
    return lambda tree: change(tree["variables"])


def two_halves(entry: dict[str, Any]) -> None:
    """A tensor of 2^47 bytes in two chunks."""
    entry |= {"dtype": "int8", "shape": [2**47]}
    for at, chunk in enumerate(entry["chunks"]):
        chunk |= {"offset": [at * 2**46], "shape": [2**46]}


def many_cuts(entry: dict[str, Any]) -> None:
    """Two chunks that cut 18 dimensions, of which there are 2^19 corners."""
    entry |= {"shape": [2] * 18}
    for at, chunk in enumerate(entry["chunks"]):
        chunk |= {"offset": [at] * 18, "shape": [1] * 18}


def widened(variable: dict[str, Any], shape: list[int]) -> None:
    """A tensor and all of its components in another shape."""
    variable["shape"] = shape
    for component in variable["components"].values():
        component["shape"] = shape


BOMBS: dict[str, tuple[str, str, Edit]] = {
    "a whole tensor": ("chunk-mismatch", WEIGHTS, variables(lambda v: v["dense/kernel"].update(shape=[2**40]))),
    "a tensor in chunks": ("chunk-mismatch", WEIGHTS, variables(lambda v: two_halves(v["own/chunked"]))),
    "a tensor cut everywhere": ("chunk-cover", WEIGHTS, variables(lambda v: many_cuts(v["own/chunked"]))),
    "strings": (
        "chunk-mismatch",
        WEIGHTS,
        variables(
            lambda v: (
                v["own/words"].update(shape=[2**44]),
                v["own/words"]["components"]["offsets"].update(shape=[2**44 + 1]),
            )
        ),
    ),
    "4-bit numbers": (
        "chunk-mismatch",
        WEIGHTS,
        variables(
            lambda v: (
                v["own/nibbles"].update(shape=[2**45]),
                v["own/nibbles"]["components"]["nibbles"].update(shape=[2**44]),
            )
        ),
    ),
    "quantized numbers": (
        "chunk-mismatch",
        WEIGHTS,
        variables(lambda v: widened(v["own/quantized"], [2**23, 2**22])),
    ),
    "a header": ("safetensors-header", DATA, lambda data: (2**62).to_bytes(8, "little") + bytes(data[8:])),
    "a part": ("part-size", MANIFEST, put(2**52, "parts", CONFIG, "size")),
    "a small tensor": (
        "limit-tensor",
        CONFIG,
        put({"$tensor": {"data": "", "dtype": "int8", "shape": [2**52]}}, "model", "modules", 2, "attrs", "t"),
    ),
    "a list of MessagePack": ("msgpack-syntax", STATE, lambda tree: msgpack.encode(tree) + b"\xdd\xff\xff\xff\xff"),
    "the digits of an integer": (
        "value-limit",
        CONFIG,
        put({"$int": "1" * 10**6}, "model", "modules", 2, "attrs", "n"),
    ),
}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the size of a process is read from /proc")
@pytest.mark.clause("X-2@ca2f55", "L-2@76176e", "E-2@310409")
def test_declared_sizes_cost_neither_memory_nor_time(base: Parts, tmp_path: Path) -> None:
    """Artifacts that declare up to 2^52 bytes are refused in 256 MiB, each within two seconds of processor time."""
    paths = []
    for name, (_, part, edit) in BOMBS.items():
        paths.append(tmp_path / f"{name}.etui")
        write(paths[-1], tampered(base, part, edit))
    command = [sys.executable, str(Path(__file__).parent / "bounded_reader.py"), str(SPARE_BYTES), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [code for code, _ in results] == [code for code, _, _ in BOMBS.values()]
    assert max(seconds for _, seconds in results) < SECONDS
