"""A conversion streams: it needs memory for one tensor at a time, however large the model is.

Anonymous memory is bounded by the system while a model of 192 MiB is converted; of a source that is no etui, the
mapped pages of its file count too.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.testing.keras_files import Kit

WIDTH, LAYERS = 2048, 4
LARGEST_BYTES = WIDTH * WIDTH * 4
SPARE_BYTES = 128 * 2**20
STEPS = {
    "keras to etui": ("large.keras", "model.etui"),
    "deflated keras to etui": ("deflated.keras", "again.etui"),
    "etui to keras": ("model.etui", "model.keras"),
    "etui to h5": ("model.etui", "model.h5"),
    "h5 to etui": ("model.h5", "again.etui"),
    "etui to weights": ("model.etui", "model.weights.h5"),
    "weights to etui": ("model.weights.h5", "again.etui"),
    "etui to checkpoint": ("model.etui", "model.ckpt"),
    "checkpoint to etui": ("model.ckpt", "again.etui"),
}
FROM_OTHERS = [name for name, (source, _) in STEPS.items() if not source.endswith(".etui")]
# Converts along all steps, of a small model first so that everything is imported, and prints what the large one took.
CHILD = """
import gc, json, resource, sys
from pathlib import Path
import etui

def status(name):
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024

def convert(folder, source, target):
    options = {"to": "tf-checkpoint"} if target.endswith(".ckpt") else {}
    if source.endswith((".weights.h5", ".ckpt")):
        options["config"] = folder / "large.keras"
    report = etui.convert(folder / source, folder / target, strict=False, **options)
    return len(report.entries)

steps, small, large, spare = json.loads(sys.argv[1])
for source, target in steps.values():
    convert(Path(small), source, target)
found = {}
for name, (source, target) in steps.items():
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    base = status("VmRSS")
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (status("VmData") + spare, hard))
    try:
        entries = convert(Path(large), source, target)
    except (MemoryError, etui.EtuiError) as reason:
        entries = repr(reason)
    resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    found[name] = {"entries": entries, "resident": status("VmHWM") - base}
print(json.dumps(found))
"""


def made(folder: Path, width: int) -> None:
    """A compiled model with the slots of Adam, in two `.keras` files, of which one is deflated."""
    folder.mkdir()
    kit = Kit(folder)
    layers = [kit.layer("Dense", f"d{at}", units=width, use_bias=False) for at in range(LAYERS)]
    tree = kit.sequential([kit.input("start", width), *layers])
    tree["compile_config"] = kit.compiled(kit.optimizer("Adam"))
    array = np.random.default_rng(0).integers(1, 3, (width, width)).astype("float32")
    names = ["dense", *(f"dense_{at}" for at in range(1, LAYERS))]
    arrays: dict[str, Any] = {f"layers/{name}/vars/0": array for name in names}
    arrays |= {"optimizer/vars/0": np.int64(3), "optimizer/vars/1": np.float32(0.125)}
    arrays |= {f"optimizer/vars/{at}": array for at in range(2, 2 + 2 * LAYERS)}
    whole = kit.write(tree, arrays).rename(folder / "large.keras")
    with zipfile.ZipFile(whole) as stored, zipfile.ZipFile(folder / "deflated.keras", "w") as deflated:
        for entry in stored.infolist():
            deflated.writestr(entry.filename, stored.read(entry), zipfile.ZIP_DEFLATED, 1)


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What each step took in another process: the entries of its report, or why it failed, and the resident bytes."""
    pytest.importorskip("google_crc32c")
    if not os.access("/proc/self/clear_refs", os.W_OK):
        pytest.skip("the system does not tell the largest amount of memory since a moment")
    folder = tmp_path_factory.mktemp("conversion")
    made(folder / "small", 8)
    made(folder / "large", WIDTH)
    arguments = [STEPS, str(folder / "small"), str(folder / "large"), LARGEST_BYTES + SPARE_BYTES]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(arguments)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "TMPDIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.library
@pytest.mark.parametrize("step", STEPS)
def test_a_conversion_holds_one_tensor_at_a_time(step: str, taken: dict[str, dict[str, Any]]) -> None:
    """Memory for the largest tensor and 128 MiB suffices for a model that is larger than that."""
    entries = taken[step]["entries"]
    assert isinstance(entries, int), entries
    assert entries > LAYERS


@pytest.mark.library
@pytest.mark.parametrize("step", FROM_OTHERS)
def test_the_source_of_a_conversion_is_mapped_piece_by_piece(step: str, taken: dict[str, dict[str, Any]]) -> None:
    """With all mapped pages counted, no more than the largest tensor and 128 MiB is resident."""
    assert taken[step]["resident"] < LARGEST_BYTES + SPARE_BYTES
