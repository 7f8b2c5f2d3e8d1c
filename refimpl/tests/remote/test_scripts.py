"""The scripts that measure remote storage run, and what they show of requests holds for small models as well."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.library
BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def measured(script: str, tmp_path: Path, *arguments: str) -> dict[str, Any]:
    """The figures of a run."""
    file = tmp_path / "figures.json"
    command = [sys.executable, str(BENCHMARKS / script), *arguments, "--json", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def test_many_tensors_and_shards_are_opened_in_two_requests(tmp_path: Path) -> None:
    """Of the documents of 20,000 tensors in 200 shards, two ranges are asked for, and one more for a tensor."""
    found = measured("scale.py", tmp_path, "--tensors", "20000", "--shards", "200", "--kib", "4")
    assert found["shards"] == 200
    assert found["weights_json"] > 1_000_000
    assert found["open"]["requests"] == 2
    assert found["open"]["bytes"] < found["weights_json"] + 700_000
    assert found["first_tensor"] == found["first_tensor"] | {"requests": 1, "bytes": 4096}


def test_a_save_and_a_read_are_measured_beside_fsspec(tmp_path: Path) -> None:
    """Of 8 MiB, both targets are met, and every row has its requests."""
    found = measured("remote.py", tmp_path, "--mib", "8", "--tensors", "8", "--rounds", "1")
    assert all(found["targets"].values())
    rows = found["rows"]
    assert len(rows) == 12
    assert all(row["requests"] > 0 for row in rows.values())
    assert rows["etui save"]["sent"] > 8 * 1024 * 1024
    assert 8 * 1024 * 1024 <= rows["etui verify"]["received"] <= 10 * 1024 * 1024
