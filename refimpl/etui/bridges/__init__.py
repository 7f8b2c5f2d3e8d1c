"""The registry of formats: Etui's own and those that bridges read and write.

A bridge is imported when it is first used. Formats are told apart by content: each bridge looks at a file's first or
last bytes, at the directory of an archive, or at the names in a folder.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

from etui.containers.data_writer import Progress
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.model import Model
from etui.report import Report
from etui.storage.failures import storage_errors
from etui.storage.transaction import standing

_HEAD_BYTES = 16


class Translator(Protocol):
    """What the module of a bridge offers."""

    def recognises(self, path: Path) -> bool:
        """Whether the content of a file or folder is of the format; cheap, and never an error of the content."""

    def read(self, path: Path, report: Report, *, limits: Limits, native: bool = True) -> Model:
        """Translate into a model.

        Args:
            path: the file or folder.
            report: gets an entry for everything that the model does not hold as the source had it.
            limits: refuse what is beyond these.
            native: keep the source's own documents.

        Raises:
            RejectError: the content is refused.
            MissingExtraError: an optional dependency is not installed.
            StorageError: it cannot be read.
        """

    def write(
        self,
        model: Model,
        target: str | os.PathLike[str],
        report: Report,
        *,
        strict: bool,
        progress: Progress | None = None,
        limits: Limits = DEFAULT_LIMITS,
        **options: Any,
    ) -> None:
        """Translate from a model, in one step: what is at the target stays until the new file is whole.

        Args:
            model: what to write.
            target: path of the file or folder.
            report: gets an entry for everything in the model.
            strict: call `Report.require_complete` before the target is touched.
            progress: called while data is written.
            limits: refuse to write what is beyond these.
            options: those that the bridge names in `Bridge.options`.

        Raises:
            TransferError: the format cannot hold the model.
            MissingExtraError: an optional dependency is not installed.
            StorageError: the target cannot be written.
        """


@dataclass(frozen=True, slots=True)
class Bridge:
    """A format and where its code is.

    Attributes:
        name: what ``--to`` takes.
        title: for people.
        module: the full name of the module, a `Translator`.
        suffixes: of file names, with the dot, for choosing the format of a target.
        reads, writes: what each direction carries.
        extra: the extra of the package that it needs, or `None`.
        requires: the top-level modules that the extra brings.
        options: the options that `write` takes beside those of every bridge.
    """

    name: str
    title: str
    module: str
    suffixes: tuple[str, ...]
    reads: str
    writes: str
    extra: str | None = None
    requires: tuple[str, ...] = ()
    options: frozenset[str] = frozenset()

    @property
    def translator(self) -> Translator:
        """The bridge's module, imported at the first use."""
        return cast(Translator, import_module(self.module))

    @property
    def available(self) -> bool:
        """Whether its optional dependencies are installed; they are not imported."""
        return all(find_spec(name) is not None for name in self.requires)


_BRIDGES = (
    Bridge(
        "etui",
        "Etui, packed or directory form",
        "etui.bridges.own",
        (".etui",),
        "everything",
        "everything; the packed form, or a folder",
        options=frozenset({"form", "shard_size"}),
    ),
    Bridge(
        "keras",
        "Keras 3 and tf_keras model file",
        "etui.bridges.keras.v3",
        (".keras",),
        "config, weights by path, compile arguments, optimizer state by variable and slot, assets, own documents",
        "the same; documents that are still current verbatim",
        extra="hdf5",
        requires=("h5py",),
    ),
)
OWN = _BRIDGES[0].name


def bridges() -> tuple[Bridge, ...]:
    """Every known format, Etui's own first."""
    return _BRIDGES


def by_name(name: str) -> Bridge:
    """The bridge of that name.

    Raises:
        UsageError: ``format-unknown``.
    """
    for bridge in _BRIDGES:
        if bridge.name == name:
            return bridge
    raise error("format-unknown", found=shown(name), hint=f"Known formats: {_known()}.")


def recognise(path: str | os.PathLike[str]) -> Bridge | None:
    """The format of a file or folder by its content; `None` if no bridge knows it.

    Raises:
        StorageError: ``storage-failed``, for example because nothing is there.
    """
    place = standing(Path(path))
    with storage_errors(str(path)):
        mode = place.stat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            return None
        return next((bridge for bridge in _BRIDGES if bridge.translator.recognises(place)), None)


def of_source(path: str | os.PathLike[str]) -> Bridge:
    """The format of a source, by content.

    Where the content tells nothing, the reader that the name suggests is the one that can say what is wrong with it.

    Raises:
        UsageError: ``format-unknown``.
        StorageError: ``storage-failed``.
    """
    bridge = recognise(path)
    if bridge is None:
        place = Path(path)
        bridge = by_name(OWN) if place.is_dir() else _by_suffix(place.suffix)
    if bridge is None:
        raise error("format-unknown", where=str(path), found=_beginning(place), hint=f"Known formats: {_known()}.")
    return bridge


def of_target(path: str | os.PathLike[str], name: str | None = None) -> Bridge:
    """The format of a target: the named one, else by the suffix; no suffix, or a final separator, means a folder.

    Raises:
        UsageError: ``format-unknown``.
    """
    if name is not None:
        return by_name(name)
    text = os.fspath(path)
    place = Path(text)
    if is_folder(text):
        return by_name(OWN)
    bridge = _by_suffix(place.suffix)
    if bridge is None:
        found = f"the suffix {shown(place.suffix)}"
        raise error("format-unknown", where=text, found=found, hint=f"Name a format; known are {_known()}.")
    return bridge


def is_folder(target: str) -> bool:
    """Whether a target's path means the directory form: a final separator, an existing folder, or no suffix."""
    place = Path(target)
    return target.endswith(os.sep) or place.is_dir() or (not place.suffix and not place.is_file())


def _by_suffix(suffix: str) -> Bridge | None:
    return next((bridge for bridge in _BRIDGES if suffix.lower() in bridge.suffixes), None)


def _known() -> str:
    return ", ".join(f"{bridge.name} ({bridge.title})" for bridge in _BRIDGES)


def _beginning(path: Path) -> str:
    if not path.is_file():
        return "neither a file nor a folder"
    with path.open("rb") as file:
        return f"a file that begins with {shown(file.read(_HEAD_BYTES))}"
