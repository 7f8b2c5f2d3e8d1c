"""Packages of npm for tests, and the JavaScript package of this repository, which are installed once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

TFJS = "4.22.0"
_MINUTES = 10
_HINT = "install Node 20 or newer with npm, or leave such tests out: -m 'not node'"


def cache_folder() -> Path:
    """Where packages stay between test runs: a folder of the user's, outside of the repository."""
    base = os.environ.get("ETUI_NODE_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "etui-tests"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """One process after the other works in a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def install(folder: Path, *packages: str) -> Path:
    """Install packages, once, and give the ``node_modules`` that holds them.

    Args:
        folder: where they are installed.
        packages: names with versions, such as ``@tensorflow/tfjs@4.22.0``.

    Raises:
        RuntimeError: npm is not there, or cannot install them.
    """
    wanted = " ".join(packages)
    with locked(folder):
        mark = folder / "installed"
        if not mark.is_file() or mark.read_text() != wanted:
            (folder / "package.json").write_text('{"private": true}')
            _npm(["install", "--no-audit", "--no-fund", "--ignore-scripts", *packages], folder)
            mark.write_text(wanted)
    return folder / "node_modules"


def tensorflowjs() -> Path:
    """The ``node_modules`` that holds TensorFlow.js."""
    return install(cache_folder() / f"tfjs-{TFJS}", f"@tensorflow/tfjs@{TFJS}")


def package(folder: Path) -> Path:
    """Install what the JavaScript package is built with, as its lock file says, and give its folder.

    Args:
        folder: the package, ``refimpl/js``.

    Raises:
        RuntimeError: npm is not there, or cannot install it.
    """
    with locked(cache_folder() / hashlib.sha256(str(folder).encode()).hexdigest()[:16]):
        # npm writes down there what it installed; `make` looks for the same.
        mark, lock = folder / "node_modules" / ".package-lock.json", folder / "package-lock.json"
        if not mark.is_file() or mark.stat().st_mtime < lock.stat().st_mtime:
            _npm(["ci", "--no-audit", "--no-fund", "--ignore-scripts"], folder)
            os.utime(mark)
    return folder


def built(folder: Path) -> Path:
    """Install the JavaScript package, compile it if a source is newer than what was made of it, and give its folder.

    Args:
        folder: the package, ``refimpl/js``.

    Raises:
        RuntimeError: npm is not there, or the package does not compile.
    """
    package(folder)
    with locked(cache_folder() / hashlib.sha256(f"{folder} dist".encode()).hexdigest()[:16]):
        made = folder / "dist" / "adapter" / "adapter.js"
        sources = [path for name in ("src", "adapter", "test") for path in (folder / name).rglob("*.ts")]
        newest = max(path.stat().st_mtime for path in [folder / "tsconfig.json", *sources])
        if not made.is_file() or made.stat().st_mtime < newest:
            _npm(["run", "--silent", "build"], folder)
            os.utime(made)
    return folder


def bundle(package_folder: Path, target: Path, *entries: str, platform: str = "node") -> Path:
    """Bundle entries of the JavaScript package into modules without imports, by its esbuild.

    Args:
        package_folder: the package, ``refimpl/js``, installed.
        target: where the modules go.
        entries: files below ``src``, such as ``node.ts``; the modules lie as they do there.
        platform: ``node`` or ``browser``.

    Raises:
        RuntimeError: the package does not build.
    """
    sources = [f"src/{entry}" for entry in entries]
    options = [
        "--bundle",
        "--format=esm",
        "--splitting",
        "--outbase=src",
        f"--outdir={target}",
        f"--platform={platform}",
    ]
    _run(
        [str(package_folder / "node_modules" / ".bin" / "esbuild"), *sources, *options, "--log-level=error"],
        package_folder,
    )
    return target


def _npm(arguments: list[str], folder: Path) -> None:
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        raise RuntimeError(f"npm is not there: {_HINT}")
    _run([npm, *arguments], folder)


def _run(command: list[str], folder: Path) -> None:
    done = subprocess.run(  # noqa: S603 - npm and esbuild, with arguments of the tests
        command, cwd=folder, capture_output=True, text=True, timeout=60 * _MINUTES, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{command[:3]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
