"""What ships: the wheel and the sdist have every file, and `import etui` stays light in both modes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from zipfile import ZipFile

import pytest

pytestmark = pytest.mark.library

REPOSITORY = Path(__file__).parents[2]
SCHEMAS = sorted(path.name for path in (REPOSITORY / "schemas").glob("*.json"))
PACKAGES = [(REPOSITORY / "refimpl", "etui"), (REPOSITORY / "conformance", "etui_conformance")]
HEAVY = ["h5py", "jax", "jsonschema", "keras", "rich", "tensorflow", "tf_keras", "torch"]


def python(*arguments: str, cwd: Path, path: Path | None = None) -> str:
    """Run this Python in another folder, with ``path`` first among its modules, and return its output."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    done = subprocess.run(
        [sys.executable, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def build(kind: str, source: Path, into: Path) -> Path:
    python("-m", "hatchling", "build", "--target", kind, "--directory", str(into), cwd=source)
    (built,) = into.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", REPOSITORY, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked source distribution."""
    archive = build("sdist", REPOSITORY, tmp_path_factory.mktemp("sdist"))
    unpacked = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as tar:
        tar.extractall(unpacked, filter="data")
    (folder,) = unpacked.iterdir()
    return folder


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder from which `etui` is imported: that of an installed wheel, or the repository's own."""
    if request.param == "editable":
        return REPOSITORY / "refimpl"
    target = tmp_path_factory.mktemp("installed")
    wheel = str(request.getfixturevalue("wheel"))
    offline = ["--quiet", "--no-deps", "--no-index", "--disable-pip-version-check"]
    python("-m", "pip", "install", *offline, "--target", str(target), wheel, cwd=target)
    return target


def files(wheel: Path) -> list[str]:
    with ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_has_what_the_library_reads(wheel: Path) -> None:
    """The wheel holds every schema, the specification, the viewer's page, the type markers and the licence."""
    assert SCHEMAS
    expected = {f"etui/schemas/{name}" for name in SCHEMAS}
    expected |= {"etui/SPEC.md", "etui/viewing/page.html", "etui/py.typed", "etui_conformance/py.typed"}
    assert expected - set(files(wheel)) == set()
    assert [name for name in files(wheel) if name.endswith("licenses/LICENSE")]


def test_the_wheel_has_every_module_and_nothing_else(wheel: Path) -> None:
    """Each Python file of the two packages is in the wheel, and no test, benchmark or example is."""
    modules = {
        path.relative_to(root).as_posix() for root, package in PACKAGES for path in (root / package).rglob("*.py")
    }
    assert modules
    assert {name for name in files(wheel) if name.endswith(".py")} == modules
    folders = {name.split("/")[0] for name in files(wheel)}
    assert {name for name in folders if not name.endswith(".dist-info")} == {"etui", "etui_conformance"}


def test_the_wheel_has_the_commands(wheel: Path) -> None:
    """Installing the wheel puts the commands `etui` and `etui-conformance` on the path."""
    with ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        lines = archive.read(name).decode().splitlines()
        assert {"etui = etui.cli:main", "etui-conformance = etui_conformance.cli:main"} <= set(lines)


def test_the_sdist_builds_the_same_wheel(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    """A wheel built from the source distribution has the files of one built from the repository."""
    assert sorted(files(build("wheel", sdist, tmp_path))) == sorted(files(wheel))


def test_the_sdist_has_what_a_developer_needs(sdist: Path) -> None:
    """The source distribution holds the specification, the schemas, the tests and the commands for them."""
    needed = [
        "SPEC.md",
        "schemas",
        "refimpl/tests/test_packaging.py",
        "Makefile",
        "CONTRIBUTING.md",
        "LICENSE",
    ]
    assert [name for name in needed if not (sdist / name).exists()] == []


def test_schemas_are_found_in_both_modes(installed: Path, tmp_path: Path) -> None:
    """The schemas are found beside an installed package, and in the repository for an editable one."""
    program = """
import json, etui
from etui.schemas import schema_directory
folder = schema_directory()
names = sorted(path.name for path in folder.iterdir() if path.name.endswith(".json"))
print(json.dumps([etui.__file__, str(folder), names]))
"""
    module, folder, names = json.loads(python("-c", program, cwd=tmp_path, path=installed))
    assert Path(module) == installed / "etui/__init__.py"
    expected = REPOSITORY / "schemas" if installed.is_relative_to(REPOSITORY) else installed / "etui/schemas"
    assert Path(folder).resolve() == expected.resolve()
    assert names == SCHEMAS


def test_the_suite_finds_its_files_in_both_modes(installed: Path, tmp_path: Path) -> None:
    """The conformance suite reads the specification, the schemas and the vectors that it was installed with."""
    program = """
import json, etui_conformance
from etui_conformance import resources, vectors
from etui_conformance.checks import all_checks
folders = [str(resources.specification_path()), str(resources.schemas_directory()), str(resources.vectors_directory())]
counts = [len(resources.clauses()), len(vectors.load()), len(all_checks())]
print(json.dumps([etui_conformance.__file__, folders, counts, len(vectors.load()[0].data())]))
"""
    module, folders, counts, size = json.loads(python("-c", program, cwd=tmp_path, path=installed))
    root = REPOSITORY if installed.is_relative_to(REPOSITORY) else installed
    assert Path(module).is_relative_to(root)
    assert all(Path(folder).is_relative_to(root) for folder in folders)
    assert min(counts) > 700
    assert size > 0


def test_importing_etui_imports_nothing_heavy(installed: Path, tmp_path: Path) -> None:
    """`import etui` loads no framework, no h5py, no jsonschema and no rich."""
    program = "import json, sys, etui; print(json.dumps([etui.__file__, *sys.modules]))"
    module, *imported = json.loads(python("-c", program, cwd=tmp_path, path=installed))
    assert Path(module) == installed / "etui/__init__.py"
    assert "etui" in imported
    assert sorted(set(HEAVY) & set(imported)) == []
