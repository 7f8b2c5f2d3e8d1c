"""Takes trained Keras models to Etui and back by the command `etui`, and checks what was kept.

    python refimpl/examples/demo.py [--models FOLDER] [--out FOLDER]

Needs Etui with the extras hdf5, tensorflow and cli, and no framework. The models were trained and saved by Keras 3.15.
Every command is shown as you would type it; the report at the end is computed from the files, and the exit code is 1
if a claim in it fails.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import json
import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import h5py
from safetensors import safe_open

import etui
from etui.cli import main as main_of_etui

REPOSITORY = Path(__file__).parents[2]
# Other formats of Keras: file or folder, its name for --to, and whether it needs the model's config to be read back.
WAYS = (
    ("{}.h5", "keras-h5", False),
    ("{}.weights.h5", "keras-weights", True),
    ("{}-checkpoint", "tf-checkpoint", True),
)


@dataclass
class Fidelity:
    """What was kept of one model: claims by their text, computed from the files."""

    name: str
    variables: int
    slots: int
    sizes: dict[str, int]
    claims: dict[str, bool] = field(default_factory=dict)


class Tour:
    """Runs commands in a folder, and shows them if asked to."""

    def __init__(self, folder: Path, *, shown: bool) -> None:
        self.folder = folder
        self.shown = shown

    def say(self, text: str) -> None:
        """A heading."""
        if self.shown:
            print(f"\n# {text}")

    def run(self, *arguments: str, expected: int = 0) -> None:
        """Run `etui` with arguments; any other exit code than the expected one ends the demo."""
        output = io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = main_of_etui(arguments)
        if self.shown or code != expected:
            print(f"\n$ etui {' '.join(arguments)}\n{output.getvalue()}", end="")
        if code != expected:
            sys.exit(f"exit code {code} in place of {expected}")


def tour(commands: Tour, name: str) -> None:
    """Every command on one model: there, a look, checks, and back again."""
    commands.say("A trained Keras model becomes an etui: one file, or a folder with a file for each part.")
    commands.run("convert", f"{name}.keras", f"{name}.etui")
    commands.run("convert", f"{name}.keras", name)
    commands.say("What is in it?")
    commands.run("inspect", f"{name}.etui")
    commands.say("Is its structure right, and is every byte as it was written?")
    commands.run("validate", f"{name}.etui")
    commands.run("verify", f"{name}.etui")
    commands.run("verify", name)
    commands.say("A single flipped bit is found (exit code 1).")
    damage(commands.folder / name, commands.folder / f"{name}-damaged")
    commands.run("verify", f"{name}-damaged", expected=1)
    commands.say("And back: nothing differs.")
    commands.run("convert", f"{name}.etui", f"{name}-back.keras")
    commands.run("diff", f"{name}.keras", f"{name}-back.keras")
    commands.say("Other formats of Keras, and back by way of each.")
    for target, format_, needs_config in WAYS:
        commands.run("convert", f"{name}.etui", target.format(name), "--to", format_)
        config = ("--config", f"{name}.etui") if needs_config else ()
        commands.run("convert", target.format(name), f"{name}-by-{format_}.etui", *config)


def damage(source: Path, target: Path) -> None:
    """Copy a folder and flip one bit of a weight."""
    shutil.copytree(source, target)
    part = min(target.glob("weights*.safetensors"))
    data = bytearray(part.read_bytes())
    data[-1] ^= 1
    part.write_bytes(data)


def measure(folder: Path, name: str) -> Fidelity:
    """Compare the files of a tour with each other."""
    original, packed, directory, back = (
        folder / file for file in (f"{name}.keras", f"{name}.etui", name, f"{name}-back.keras")
    )
    with etui.open(packed) as model:
        variables = len(model.weights or ())
        states = model.optimizer.walk() if model.optimizer is not None else ()
        slots = sum(len(found) for _, state in states for found in [*state.slots.values(), state.shared_slots])
        identity = model.digest
    sizes = {path.name: size_of(path) for path in (original, packed, directory, back)}
    result = Fidelity(name, variables, slots, sizes)
    to, fro = etui.diff(original, packed), etui.diff(original, back)
    manifest = (directory / "manifest.json").read_bytes()
    etui.convert(packed, again := folder / f"{name}-again.etui")
    etui.convert(packed, anew := folder / f"{name}-anew.keras", native=False)
    result.claims = {
        "every weight and slot is bit-equal in the etui": to.same and to.tensors >= variables + slots,
        "every weight and slot is bit-equal on the way back": fro.same and fro.tensors == to.tensors,
        "every dataset of model.weights.h5 comes back with its dtype, shape and bytes": datasets_of(original)
        == datasets_of(back),
        "config.json comes back equal as JSON": config_of(original) == config_of(back),
        "config.json made anew from the neutral documents is equal, too": numbered(config_of(original))
        == numbered(config_of(anew)),
        "both forms have the identity of their manifest": identity
        == etui.verify(directory).identity
        == f"sha256:{hashlib.sha256(manifest).hexdigest()}",
        "writing it again gives the same bytes": again.read_bytes() == packed.read_bytes(),
        "the safetensors library reads the same numbers": safetensors_agrees(directory),
        "every weight is bit-equal by way of HDF5, a weights file and a checkpoint": all(
            weights_of(folder / f"{name}-by-{format_}.etui") == weights_of(packed) for _, format_, _ in WAYS
        ),
    }
    return result


def weights_of(path: Path) -> dict[str, tuple[str, bytes]]:
    """Dtype and bytes of each variable of an etui."""
    with etui.open(path) as model:
        variables = dict(model.weights or {})
        return {name: (variable.dtype, variable.numpy().tobytes()) for name, variable in variables.items()}


def safetensors_agrees(directory: Path) -> bool:
    """Whether the safetensors library gives the bytes that Etui gives, for each weight that is stored plain."""
    compared = 0
    with etui.open(directory) as model, safe_open(directory / "weights.safetensors", framework="numpy") as file:
        for path, variable in (model.weights or {}).items():
            if variable.tensor.encoding is None:
                compared += 1
                if file.get_tensor(path).tobytes() != variable.numpy().tobytes():
                    return False
    return compared > 0


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files of a folder."""
    files = [path] if path.is_file() else [found for found in path.rglob("*") if found.is_file()]
    return sum(found.stat().st_size for found in files)


def config_of(path: Path) -> Any:
    """The config of a `.keras` file."""
    with ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


def numbered(config: Any) -> str:
    """A config as text, with Keras' `shared_object_id` (addresses in the memory of the process) counted from 0."""
    text = json.dumps(config, sort_keys=True)
    addresses = list(dict.fromkeys(re.findall(r'"shared_object_id": (\d+)', text)))
    return re.sub(r'"shared_object_id": (\d+)', lambda found: f'"shared_object_id": {addresses.index(found[1])}', text)


def datasets_of(path: Path) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Dtype, shape and bytes of every dataset in the weights of a `.keras` file, read by h5py alone."""
    found = {}

    def visit(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = (str(item.dtype), item.shape, item[()].tobytes())

    with ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        file.visititems(visit)
    return found


def main() -> int:
    """Run the tour for each model and print the fidelity report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--models", type=Path, default=Path(__file__).parent / "models", help="a folder of .keras files"
    )
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build/demo", help="a folder that is made anew")
    options = parser.parse_args()
    models = sorted(options.models.glob("*.keras"))
    if not models:
        sys.exit(f"no .keras file in {options.models}")
    began = time.monotonic()
    shutil.rmtree(options.out, ignore_errors=True)
    options.out.mkdir(parents=True)
    results = []
    for index, path in enumerate(models):
        shutil.copy(path, options.out)
        tour(Tour(options.out, shown=index == 0), path.stem)
        results.append(measure(options.out, path.stem))
    return report(results, time.monotonic() - began)


def report(results: list[Fidelity], seconds: float) -> int:
    """Print what was kept, model by model; the exit code."""
    print("\n# The fidelity report, computed from the files")
    for result in results:
        sizes = ", ".join(f"{name} {size:,} bytes" for name, size in result.sizes.items())
        print(f"\n{result.name}: {result.variables} variables, {result.slots} optimizer slots")
        print(f"  {sizes}")
        for claim, holds in result.claims.items():
            print(f"  {'yes' if holds else 'NO '}  {claim}")
    failed = sum(not holds for result in results for holds in result.claims.values())
    total = sum(len(result.claims) for result in results)
    print(f"\n{total - failed} of {total} claims hold, in {seconds:.1f} s.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
