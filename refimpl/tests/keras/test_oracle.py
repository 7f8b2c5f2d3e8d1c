"""The judge itself is judged: an equal file passes, and every kind of damage to a file is seen."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

pytestmark = [pytest.mark.frameworks, pytest.mark.library]

Documents = dict[str, bytes]
Damage = Callable[[Documents], None]


def edit_weights(members: Documents, change: Callable[[h5py.File], None]) -> None:
    buffer = io.BytesIO(members["model.weights.h5"])
    with h5py.File(buffer, "r+") as file:
        change(file)
    members["model.weights.h5"] = buffer.getvalue()


def edit_config(members: Documents, change: Callable[[Any], None]) -> None:
    config = json.loads(members["config.json"])
    change(config)
    members["config.json"] = json.dumps(config).encode()


def in_weights(change: Callable[[h5py.File], None]) -> Damage:
    return lambda members: edit_weights(members, change)


def in_config(change: Callable[[Any], None]) -> Damage:
    return lambda members: edit_config(members, change)


def flip_last_bit(file: h5py.File) -> None:
    table = file["layers/dense/vars/0"]
    bits = table[()].view("uint32")
    bits.flat[0] ^= 1
    table[...] = bits.view("float32")


def set_to(path: str, value: float) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        file[path][...] = value

    return change


def remove(path: str) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file[path]

    return change


def rename_layer_group(file: h5py.File) -> None:
    file["layers/dense/vars"].attrs["name"] = "another"


def other_activation(config: Any) -> None:
    config["config"]["layers"][3]["config"]["max_value"] = 0.01


def other_beta(config: Any) -> None:
    config["compile_config"]["optimizer"]["config"]["beta_1"] = 0.5


def other_loss(config: Any) -> None:
    config["compile_config"]["loss"] = "mse"


def no_compilation(config: Any) -> None:
    config["compile_config"] = {}


def other_shared_id(config: Any) -> None:
    shared = config["config"]["dtype"]["shared_object_id"]
    text = json.dumps(config).replace(str(shared), "7")
    config.clear()
    config.update(json.loads(text))


def no_assets(members: Documents) -> None:
    for name in [name for name in members if name.startswith("assets/")]:
        members[name] = members[name].replace(b"1.25", b"2.50")


def cut_weights(members: Documents) -> None:
    members["model.weights.h5"] = members["model.weights.h5"][:-200]


WEIGHTS = {"weights_file", "variables", "predictions", "losses"}
# case, damage -> the checks that have to see it
DAMAGES: dict[str, tuple[str, Damage, set[str]]] = {
    "last bit of one weight": ("cnn_with_batch_norm", in_weights(flip_last_bit), {"weights_file", "variables"}),
    "one weight": ("cnn_with_batch_norm", in_weights(set_to("layers/dense/vars/1", 0.5)), WEIGHTS),
    "a moving mean": (
        "cnn_with_batch_norm",
        in_weights(set_to("layers/batch_normalization/vars/2", 9)),
        WEIGHTS - {"losses"},
    ),
    "a lost weight": ("cnn_with_batch_norm", in_weights(remove("layers/dense/vars/1")), {"loads"}),
    "a slot set to zero": ("cnn_with_batch_norm", in_weights(set_to("optimizer/vars/4", 0)), {"optimizer", "losses"}),
    "a lost slot": ("cnn_with_batch_norm", in_weights(remove("optimizer/vars/5")), {"optimizer", "warnings", "losses"}),
    "the step count": ("cnn_with_batch_norm", in_weights(set_to("optimizer/vars/0", 0)), {"optimizer", "losses"}),
    "the learning rate": (
        "cnn_with_batch_norm",
        in_weights(set_to("optimizer/vars/1", 0.02)),
        {"optimizer", "losses", "optimizer_after", "variables_after"},
    ),
    "an attribute": ("cnn_with_batch_norm", in_weights(rename_layer_group), {"weights_file"}),
    "an activation": (
        "cnn_with_batch_norm",
        in_config(other_activation),
        {"config", "config_renumbered", "predictions"},
    ),
    "a hyperparameter": ("cnn_with_batch_norm", in_config(other_beta), {"config", "compile_config", "losses"}),
    "the loss": ("cnn_with_batch_norm", in_config(other_loss), {"compile_config", "losses"}),
    "no compilation": ("cnn_with_batch_norm", in_config(no_compilation), {"compile_config", "losses", "optimizer"}),
    "the number of a shared object": ("cnn_with_batch_norm", in_config(other_shared_id), {"config"}),
    "an asset": ("custom_saving_and_assets", no_assets, {"assets", "predictions"}),
    "a cut file": ("custom_saving_and_assets", cut_weights, {"loads"}),
}


@pytest.fixture(scope="module")
def verdicts(shared: Path, once: Any, run: Any) -> dict[str, dict[str, str]]:
    """The judge's word on an equal copy and on every damaged copy."""

    def work(folder: Path) -> None:
        cases = sorted({case for case, _, _ in DAMAGES.values()})
        run("oracle.py", "build", folder, *cases, KERAS_BACKEND="torch")
        jobs: dict[str, Any] = {}
        for case in cases:
            original = folder / f"{case}.keras"
            copies = {"an equal copy": str(shutil.copy(original, folder / f"{case} copy.keras"))}
            for name, (of, damage, _) in DAMAGES.items():
                if of == case:
                    copies[name] = str(damaged(original, folder / f"{name}.keras", damage))
            jobs[case] = {"original": str(original), "data": str(folder / f"{case}.npz"), "converted": copies}
        (folder / "jobs.json").write_text(json.dumps(jobs))
        run("oracle.py", "judge", folder / "jobs.json", folder / "verdicts.json", KERAS_BACKEND="torch")

    found = json.loads((once(shared / "keras-oracle", work) / "verdicts.json").read_text())
    return {name: checks for case in found.values() for name, checks in case.items()} | {
        f"an equal copy of {case}": checks["an equal copy"] for case, checks in found.items()
    }


def damaged(original: Path, target: Path, damage: Damage) -> Path:
    with zipfile.ZipFile(original) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    before = dict(members)
    damage(members)
    assert members != before, f"{target.stem} did nothing"
    with zipfile.ZipFile(target, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return target


def test_equal_copies_pass_every_check(verdicts: dict[str, dict[str, str]]) -> None:
    """A copy of a file differs in nothing, and all checks were made."""
    copies = [checks for name, checks in verdicts.items() if name.startswith("an equal copy of")]
    assert len(copies) == 2
    assert all(len(checks) == 12 and not any(checks.values()) for checks in copies)


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_seen(verdicts: dict[str, dict[str, str]], name: str) -> None:
    """Each kind of damage to a file is seen by every check that concerns it."""
    seen = {check for check, text in verdicts[name].items() if text}
    assert DAMAGES[name][2] <= seen


def test_no_check_is_idle(verdicts: dict[str, dict[str, str]]) -> None:
    """Each check of the judge is the one that sees some damage."""
    checks = set().union(*(found for found in verdicts.values())) - {"loads"}
    seen = {check for name in DAMAGES for check, text in verdicts[name].items() if text}
    assert checks
    assert checks <= seen
