"""Walks through README.md and the first tutorial as a newcomer does: each command literally, in a fresh copy.

    python refimpl/examples/walk.py [FOLDER]             installs from the package index, about 3 GB
    python refimpl/examples/walk.py --borrow [FOLDER]    takes the packages of this environment instead, and no network

Nothing is done that does not stand on the page. Lines of a block `sh`, or of one without a language, are typed into one
shell and must succeed; so are the lines behind `$` of a block `console`, which print what stands below them; a
script with a title is saved under its name; and a block `pycon` is typed into Python. What a borrowing newcomer does
not do is fetch packages: each command, `pip install` among them, runs all the same.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pages import REPOSITORY, Block, blocks

README = "README.md"
TUTORIAL = "refimpl/docs/tutorial.md"
# Commands of which a walk takes a lesser one, and those that may end with another exit code than 0.
LESSER = {"make test": "make --dry-run test"}  # the walk is one of these tests
MAY_FAIL = ("etui-conformance run ",)  # an adapter that claims nothing conforms to nothing
# Packages that the commands of these pages do not bring: Keras would load what it finds.
_NOT_BROUGHT = re.compile(r"(tensorflow|tf_keras|jax|jaxlib|flax|optax|orbax)(?![a-z])")
_NETWORK = re.compile(r"PIP_|SSL_CERT|REQUESTS_CA|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PROMPT = (
    "import sys; sys.path.insert(0, sys.argv[1]); from pages import Interpreter; "
    "sys.stdout.write(Interpreter().run(open(sys.argv[2]).read()))"
)


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, and what came of it.

    Attributes:
        page: of the repository.
        line: of the page, on which its block begins.
        command: as it stands there.
        fault: what was not as the page says, or empty.
        seconds: that it took.
    """

    page: str
    line: int
    command: str
    fault: str
    seconds: float


def copy_of_the_checkout(target: Path) -> None:
    """What a clone of this checkout would have, and what is new in it."""
    listed = ["git", "-C", str(REPOSITORY), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\0"):
        source = REPOSITORY / name
        if name and source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)


def borrowed_packages(folder: Path) -> None:
    """A folder with this environment's packages, but for Etui, which is to be installed, and those not brought."""
    folder.mkdir()
    for entry in Path(sysconfig.get_path("purelib")).iterdir():
        if entry.suffix != ".pth" and not entry.name.startswith("etui") and not _NOT_BROUGHT.match(entry.name):
            (folder / entry.name).symlink_to(entry)


class Newcomer:
    """One shell, in an environment that holds nothing of ours.

    Args:
        folder: an empty one; the checkout is copied into it.
        borrow: take packages from this environment, and none from the network.
    """

    def __init__(self, folder: Path, *, borrow: bool) -> None:
        self.checkout = folder / "etui"
        copy_of_the_checkout(self.checkout)
        home = folder / "home"
        home.mkdir()
        python = Path(sys.base_prefix) / "bin"
        kept = {name: os.environ[name] for name in ("CARGO_HOME", "RUSTUP_HOME") if name in os.environ}
        if not borrow:  # how this machine reaches a package index
            kept |= {name: value for name, value in os.environ.items() if _NETWORK.match(name)}
        cargo = shutil.which("cargo")
        places = [str(python), *([str(Path(cargo).parent)] if cargo else []), "/usr/local/bin", "/usr/bin", "/bin"]
        self.environment = {
            **kept,
            "COLUMNS": "100",
            "HOME": str(home),
            "LC_ALL": "C.UTF-8",
            "OMP_NUM_THREADS": "1",  # the networks are so small that more are slower
            "PATH": os.pathsep.join(places),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_ENABLE_ONEDNN_OPTS": "0",
        }
        if cargo and "RUSTUP_HOME" not in kept and (rustup := Path.home() / ".rustup").is_dir():
            self.environment |= {"RUSTUP_HOME": str(rustup), "CARGO_HOME": str(home / "cargo")}
        if borrow:
            borrowed_packages(folder / "packages")
            settings = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
            self.environment |= {"PYTHONPATH": str(folder / "packages"), **settings}
        self.shell = self._shell()

    def _shell(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=self.checkout,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def type(self, command: str) -> tuple[str, int]:
        """What a command prints, and its exit code."""
        if self.shell.stdin is None or self.shell.stdout is None:
            raise ValueError("a shell without pipes")
        end = "--- that was all:"
        self.shell.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '\\n{end}%d\\n' $?\n")
        self.shell.stdin.flush()
        lines: list[str] = []
        for line in self.shell.stdout:
            if line.startswith(end):
                # The mark begins with a new line, which belongs to it unless the output has ended without one.
                printed = "".join(lines)
                return printed.removesuffix("\n"), int(line.removeprefix(end))
            lines.append(line)
        raise ValueError(f"the shell ended: {command}")

    def walk(self, page: str) -> Iterator[Step]:
        """Do what a page says, from its beginning, in a new shell in the checkout."""
        self.close()
        self.shell = self._shell()
        text = (self.checkout / page).read_text(encoding="utf-8")
        for block in blocks(text):
            for command, fault, seconds in self._block(block):
                yield Step(page, block.line, command, fault, seconds)

    def _block(self, block: Block) -> Iterator[tuple[str, str, float]]:
        began = time.perf_counter()
        if block.title:
            where = Path(self.type("pwd")[0].strip())
            (where / Path(block.title).name).write_text(block.text, encoding="utf-8")
        elif block.language in {"", "sh"}:
            for line in block.text.splitlines():
                yield line, self._done(line), time.perf_counter() - began
                began = time.perf_counter()
        elif block.language == "console":
            for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                line, _, expected = part.partition("\n")
                printed, _ = self.type(line.partition("  #")[0])
                yield line, _difference(expected, f"{printed}\n" if printed else ""), time.perf_counter() - began
                began = time.perf_counter()
        elif block.language == "pycon":
            typed = self.checkout.parent / "typed"
            typed.write_text(block.text, encoding="utf-8")
            printed, _ = self.type(f"python -c '{_PROMPT}' {self.checkout}/refimpl/examples {typed}")
            yield block.text, _difference(block.text, f"{printed}\n"), time.perf_counter() - began

    def _done(self, line: str) -> str:
        command = line.partition("  #")[0].strip()
        printed, status = self.type(LESSER.get(command, command))
        return "" if status == 0 or command.startswith(MAY_FAIL) else f"exit code {status}: {printed}"

    def close(self) -> None:
        """End the shell."""
        if self.shell.stdin is not None:
            self.shell.stdin.close()
        if self.shell.stdout is not None:
            self.shell.stdout.close()
        self.shell.wait()


def _difference(expected: str, printed: str) -> str:
    """What is not as the page says; a digest of numbers that were trained differs from machine to machine."""
    one, other = (_DIGEST.sub("sha256:…", text).rstrip("\n") for text in (expected, printed))
    return "" if one == other else f"expected\n{one}\nprinted\n{other}"


def main() -> int:
    """Walk, and print each step."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="an empty one; by default one that is removed afterwards")
    parser.add_argument("--borrow", action="store_true", help="take the packages of this environment")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(exist_ok=True, parents=True)
        newcomer, faults = Newcomer(folder, borrow=options.borrow), 0
        for page in (README, TUTORIAL):
            for step in newcomer.walk(page):
                faults += bool(step.fault)
                print(f"{step.seconds:6.1f} s  {step.page}:{step.line}  {step.command.splitlines()[0]}")
                print(*(f"          {line}" for line in step.fault.splitlines()), sep="\n", end="\n" * bool(step.fault))
        newcomer.close()
    print(f"{faults} of the steps went otherwise than the pages say" if faults else "every step went as the pages say")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
