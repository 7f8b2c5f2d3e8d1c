"""The command as a process: its entry points, signals, pipes, and encodings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import etui
from etui import schemas
from etui.cli.interruption import interruptible
from etui.errors import error

pytestmark = pytest.mark.library

ROOT = Path(etui.__file__).parents[1]


@pytest.fixture(autouse=True)
def _interruptible_by_default() -> Iterator[None]:
    """A shell starts what runs in its background with SIGINT ignored, and child processes would inherit that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def start(*arguments: str, cwd: Path, **more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "etui", *arguments],
        cwd=cwd,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def large(path: Path, tensors: int = 1) -> None:
    """An artifact with tensors of 128 MiB."""
    weights = etui.Weights()
    for index in range(tensors):
        weights.add(f"kernel_{index}", etui.Tensor.of(np.zeros(32 * 2**20, np.float32)), role="kernel")
    etui.save(etui.Model(weights=weights), path)


@pytest.mark.parametrize("target", ["target.etui", "target"])
@pytest.mark.parametrize("before", [True, False])
def test_an_interruption_leaves_nothing_behind(tmp_path: Path, target: str, before: bool) -> None:
    """Ctrl-C in the middle of writing gives 130 and one line; the target is as it was, and no other file is left."""
    large(tmp_path / "source.etui", 4)
    if before:
        etui.save(etui.Model(weights=etui.Weights()), tmp_path / target, form=None if "." in target else "directory")
    content = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))
    identity = etui.verify(tmp_path / target).identity if before else None
    process = start("convert", "source.etui", target, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not any(".etui-" in path.name for path in tmp_path.iterdir()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, b"")
    assert err == b"etui: interrupted: nothing was written\n"
    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == content
    if before:
        assert etui.verify(tmp_path / target).identity == identity


def test_a_command_that_only_reads_is_interrupted_at_once(tmp_path: Path) -> None:
    """Ctrl-C while a command verifies gives 130 and one line."""
    large(tmp_path / "source.etui", 4)
    process = start("verify", "source.etui", cwd=tmp_path)
    maps = Path(f"/proc/{process.pid}/maps")
    deadline = time.monotonic() + 60
    while "source.etui" not in maps.read_text():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, b"", b"etui: interrupted\n")


def test_the_second_interruption_takes_effect_at_once() -> None:
    """While a command writes, the first Ctrl-C waits for the progress callback, the second does not."""
    with interruptible(None) as update:
        update("part", 1, 2)
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match="nothing was written"):
            update("part", 2, 2)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_fails_after_an_interruption_is_the_interruption() -> None:
    """An error after Ctrl-C, as of a helping process that got it too, ends the command as interrupted."""
    with pytest.raises(KeyboardInterrupt, match="nothing was written"), interruptible(None):
        interrupt_and_fail()
    with pytest.raises(etui.RejectError, match="hdf5-syntax"), interruptible(None):
        fail()


def fail() -> None:
    raise error("hdf5-syntax")


def interrupt_and_fail() -> None:
    signal.raise_signal(signal.SIGINT)
    fail()


def test_without_h5py_the_command_says_what_to_install(tmp_path: Path) -> None:
    """Where h5py cannot be imported, a `.keras` file gives 2 and the exact pip command, and nothing is written."""
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow/h5py.py").write_text("raise ImportError('hidden')\n")
    hidden = os.pathsep.join([str(tmp_path / "shadow"), str(ROOT)])
    model = str(ROOT / "examples/models/shapes.keras")
    for arguments in (["inspect", model], ["convert", model, "target.etui"], ["diff", model, model]):
        process = start(*arguments, cwd=tmp_path, PYTHONPATH=hidden)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out, err.count(b"\n")) == (2, b"", 1)
        assert b'pip install "etui[hdf5]"' in err
    out, _ = start("inspect", model, "--json", cwd=tmp_path, PYTHONPATH=hidden).communicate(timeout=60)
    assert json.loads(out)["class"] == "extra"
    assert schemas.validate("error", json.loads(out), "error") == []
    assert not (tmp_path / "target.etui").exists()


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    """`etui … | head` ends without a traceback."""
    weights = etui.Weights()
    for index in range(2000):
        weights.add(f"kernel_{index}", etui.Tensor.of(np.zeros(1, np.int8)), role="kernel")
    etui.save(etui.Model(weights=weights), tmp_path / "many.etui")
    process = start("inspect", "many.etui", "--json", "--tensors", cwd=tmp_path)
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(1) == b"{"
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(timeout=60) == 141


def test_a_narrow_encoding_is_no_error(tmp_path: Path) -> None:
    """In an ASCII locale, signs and letters beyond it are escaped."""
    weights = etui.Weights()
    weights.add("Ebene_ä/kernel", etui.Tensor.of(np.zeros((2, 3))), role="kernel")
    etui.save(etui.Model(weights=weights), tmp_path / "ä.etui")
    narrow = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "1"}
    out, err = start("inspect", "ä.etui", cwd=tmp_path, **narrow).communicate(timeout=60)
    assert err == b""
    assert rb"Ebene_\xe4/kernel" in out
    assert rb"2 \xd7 3" in out


def test_the_command_is_the_module(tmp_path: Path) -> None:
    """`python -m etui` prints JSON on standard output and errors on standard error, with their exit codes."""
    process = start("formats", "--json", cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")
    assert json.loads(out)["format"] == "etui-formats"
    process = start("inspect", cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (2, b"")
    assert err.startswith(b"etui: inspect: ")


def test_commands_for_etuis_import_no_framework(tmp_path: Path) -> None:
    """Inspecting, verifying and converting an etui imports no framework, no h5py and no rich."""
    etui.save(etui.Model(weights=etui.Weights()), tmp_path / "a.etui")
    program = """
import sys
from etui.cli import main
codes = [main(["inspect", "a.etui"]), main(["verify", "a.etui"]), main(["convert", "a.etui", "b"])]
heavy = {"h5py", "jax", "keras", "rich", "tensorflow", "tf_keras", "torch"} & set(sys.modules)
sys.exit(f"{codes} {heavy}" if any(codes) or heavy else 0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment(), capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
