"""Damage of a larger artifact, sampled over every region of its bytes, and every truncation of a small one."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import etui
from etui.containers.tensors import Tensor
from etui.error_codes import ERROR_CODES
from etui.storage import zip_records as z
from etui.testing.samples import everything

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")
HERE = Path(__file__).parent
SECONDS, SPARE_BYTES = 2.0, 256 << 20
# Bits that are flipped in each region, beside the first and the last.
EACH = 5
CUTS = 60

Regions = dict[str, list[tuple[int, int]]]


def large(path: Path) -> bytes:
    """An artifact of some MB that holds everything, with a few larger tensors, in two data parts."""
    model = everything()
    assert model.weights is not None
    chance = np.random.default_rng(6)
    for name, dtype in (("big/a", "float32"), ("big/b", "float64"), ("big/c", "int8"), ("big/d", "float16")):
        size = 1_000_000 // np.dtype(dtype).itemsize
        model.weights.add(name, Tensor.of(chance.integers(-100, 100, size).astype(dtype)), role="kernel")
    etui.save(model, path, shard_size=2_500_000)
    return path.read_bytes()


def regions(data: bytes) -> Regions:
    """Where everything lies that a packed artifact consists of: name -> ranges of bytes."""
    found: Regions = {"local headers": [], "alignment": [], "lengths of headers": [], "safetensors headers": []}
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        directory = archive.start_dir
        for info in archive.infolist():
            names = info.header_offset + z.LOCAL.size
            header = z.LocalHeader(*z.LOCAL.unpack_from(data, info.header_offset))
            extra = names + header.name_length
            start = extra + header.extra_length
            found["local headers"].append((info.header_offset, extra))
            found["alignment"].append((extra, start))
            if info.filename.endswith(".safetensors"):
                length = int.from_bytes(data[start : start + 8], "little")
                found["lengths of headers"].append((start, start + 8))
                found["safetensors headers"].append((start + 8, start + 8 + length))
                tree = json.loads(data[start + 8 : start + 8 + length])
                for name, entry in tree.items():
                    begin, end = entry["data_offsets"]
                    if begin < end:
                        place = start + 8 + length
                        found[f"{info.filename}, tensor {name}"] = [(place + begin, place + end)]
            elif info.file_size:
                found[info.filename] = [(start, start + info.file_size)]
    end = len(data) - z.END.size
    return found | {"central directory": [(directory, end)], "end record": [(end, len(data))]}


def damage(path: Path, folder: Path, flips: list[tuple[int, int]], cuts: list[int]) -> dict[str, Any]:
    """What becomes of each damage of a file, in a process of little memory."""
    jobs = folder / "jobs.json"
    jobs.write_text(json.dumps({"path": str(path), "flips": flips, "cuts": sorted(cuts, reverse=True)}))
    done = subprocess.run(
        [sys.executable, str(HERE / "damaging.py"), str(jobs)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["sound"] == [[None, None]] * 2
    assert found["seconds"] < SECONDS
    assert found["spare"] < SPARE_BYTES
    unknown = {code for codes in found["codes"] for code in codes} - ERROR_CODES.keys() - {None}
    assert unknown == set()
    return found


@pytest.mark.clause("H-7@2b485b", "E-2@310409", "E-4@f8514f", "X-2@ca2f55")
def test_flipped_bits_of_every_region_are_found(tmp_path: Path) -> None:
    """Bits of headers, padding, documents, tensors and records: verification finds each, and reading never crashes."""
    data = large(tmp_path / "large.etui")
    found = regions(data)
    assert sum(end - start for ranges in found.values() for start, end in ranges) == len(data) > 3_000_000
    chance = random.Random(6)
    names, flips = [], []
    for name, ranges in found.items():
        places = [ranges[0][0], ranges[-1][1] - 1]
        for _ in range(EACH if len(ranges) < 4 else 4 * EACH):
            start, end = chance.choice(ranges)
            places.append(chance.randrange(start, end))
        flips += [(at, chance.randrange(8)) for at in places]
        names += [name] * len(places)
    result = damage(tmp_path / "large.etui", tmp_path, flips, [])
    assert len(result["codes"]) == len(flips) >= 300
    missed = Counter(name for name, (verified, _) in zip(names, result["codes"], strict=True) if verified is None)
    assert missed == {}
    # What reading alone finds: all of the documents and tensors, since their digests are looked at.
    assert sum(read is not None for _, read in result["codes"]) > len(flips) // 2
    assert (tmp_path / "large.etui").read_bytes() == data


@pytest.mark.clause("Z-11@9cbdd6", "E-2@310409", "X-2@ca2f55")
def test_truncations_of_a_larger_artifact_are_refused(tmp_path: Path) -> None:
    """Cut at the borders of its regions, beside them, and at many other lengths, it is refused as truncated."""
    data = large(tmp_path / "large.etui")
    borders = {end + step for ranges in regions(data).values() for _, end in ranges for step in (-1, 0, 1)}
    lengths = {length for length in borders if 0 < length < len(data)}
    lengths |= set(random.Random(7).sample(range(len(data)), CUTS)) | {0}
    result = damage(tmp_path / "large.etui", tmp_path, [], sorted(lengths))
    assert len(result["codes"]) == len(lengths) > 2 * CUTS
    assert {code for codes in result["codes"] for code in codes} == {"zip-truncated"}


@pytest.mark.clause("Z-11@9cbdd6", "E-2@310409", "X-2@ca2f55")
def test_every_truncation_of_a_small_artifact_is_refused_within_limits(tmp_path: Path) -> None:
    """Cut at every length, it is refused as truncated by a process of little memory and time."""
    weights = etui.Weights()
    weights.add("k", Tensor.of(np.array([1.5, -0.0], np.float32)), role="kernel")
    etui.save(etui.Model(weights=weights), tmp_path / "small.etui")
    size = (tmp_path / "small.etui").stat().st_size
    result = damage(tmp_path / "small.etui", tmp_path, [], list(range(size)))
    assert len(result["codes"]) == size > 1000
    assert {code for codes in result["codes"] for code in codes} == {"zip-truncated"}
