"""SavedModels of a stranger: refused with a code, soon, and in little memory (SPEC.md, annex G; chapter 21)."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from etui.bridges.tensorflow.saved_model import bridge as saved_model
from etui.errors import EtuiError
from etui.limits import DEFAULT_LIMITS
from etui.report import Report
from etui.testing.saved_models import keras_model, module

pytest.importorskip("google_crc32c")

SECONDS, BYTES = 2.0, 256 * 1024 * 1024
# Processor time grows on a machine that is busy with something else: the least of so many runs counts.
RUNS = 3
FILES = ("saved_model.pb", "keras_metadata.pb", "variables/variables.index", "variables/variables.data-00000-of-00001")


def damaged(data: bytes, seed: int) -> Iterator[bytes]:
    """Truncations at many lengths, and flips of bits and bytes."""
    lengths = range(len(data)) if len(data) < 600 else sorted(random.Random(seed).sample(range(len(data)), 300))
    for length in lengths:
        yield data[:length]
    chance = random.Random(seed + 1)
    for _ in range(300):
        changed = bytearray(data)
        for _ in range(chance.choice((1, 1, 1, 2, 8))):
            changed[chance.randrange(len(data))] ^= chance.choice((1, 2, 4, 8, 16, 32, 64, 128, 255))
        yield bytes(changed)


@pytest.mark.clause("E-2@310409")
@pytest.mark.parametrize("kind", ["keras", "legacy", "module", "rebuilt"])
@pytest.mark.parametrize("name", FILES)
def test_damage_is_refused_or_read_soundly(tmp_path: Path, kind: str, name: str) -> None:
    """Never another exception than a coded one."""
    makers = {
        "keras": keras_model,
        "legacy": lambda: keras_model(legacy=True),
        "module": module,
        "rebuilt": keras_model,
    }
    if kind == "module" and name == "keras_metadata.pb":
        assert module().metadata is None
        return
    folder = makers[kind]().write(tmp_path / "m")
    if kind == "rebuilt":
        with saved_model.read(folder, Report(), limits=DEFAULT_LIMITS) as model:
            model.programs = {}
            folder = tmp_path / "n"
            saved_model.write(model, folder, Report(), strict=True)
    data = (folder / name).read_bytes()
    counts = {"read": 0, "refused": 0}
    for changed in damaged(data, len(name)):
        (folder / name).write_bytes(changed)
        try:
            with saved_model.read(folder, Report(), limits=DEFAULT_LIMITS) as model:
                assert model.weights is not None
                for variable in model.weights.variables.values():
                    variable.numpy()
            counts["read"] += 1
        except EtuiError:
            counts["refused"] += 1
    assert counts["refused"] > 30


@pytest.mark.clause("X-1@06793e")
def test_nothing_that_a_folder_names_is_imported_or_opened(tmp_path: Path) -> None:
    """Classes, files and operations in it are data."""
    maker = keras_model()
    assert maker.metadata is not None
    (tmp_path / "secret.txt").write_text("secret")
    layer = maker.metadata[0]["model_config"]["config"]["layers"][1]
    layer["config"] |= {"vocabulary": str(tmp_path / "secret.txt"), "activation": "os.system"}
    layer |= {"module": "os", "class_name": "system", "registered_name": None}
    maker.metadata[0].pop("training_config")
    with saved_model.read(maker.write(tmp_path / "m"), Report(), limits=DEFAULT_LIMITS) as model:
        assert model.config is not None
        found = model.config.find("d")
        assert found.op == "custom:system"
        assert found.attrs["vocabulary"] == str(tmp_path / "secret.txt")
        assert "secret" not in {blob.read().decode(errors="replace") for blob in model.assets.values()}
