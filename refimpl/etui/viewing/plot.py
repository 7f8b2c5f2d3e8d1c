"""The graph of a model as a picture: `etui.plot`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, get_args

from etui.containers.data_writer import Progress
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.report import Report
from etui.shortage import shortage
from etui.storage.urls import Options
from etui.viewing.boxes import Direction, box_of
from etui.viewing.graph import Node, graph_of
from etui.viewing.png import png_of
from etui.viewing.subjects import subject
from etui.viewing.svg import MARGIN, svg_of
from etui.viewing.targets import write_file
from etui.viewing.themes import THEMES

StrPath = str | os.PathLike[str]
SUFFIXES = (".svg", ".png")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a model's graph; in a notebook it shows itself.

    Attributes:
        svg: the text of the SVG.
        width, height: in its units.
        modules: nodes that are drawn, nested ones included.
        name: of the model.
        scale: pixels in a unit, for a PNG.
        source_format: name of the format that the model was read from; `None` for an etui and a model in memory.
        report: of that reading.
    """

    svg: str
    width: float
    height: float
    modules: int
    name: str
    scale: float = 2.0
    source_format: str | None = None
    report: Report | None = None

    def png(self) -> bytes:
        """The same as PNG.

        Raises:
            MissingExtraError: ``extra-plot``; ``plot-fonts``.
            UsageError: ``plot-size``.
        """
        return png_of(self.svg, self.scale)

    def save(self, path: StrPath) -> Path:
        """Write an SVG or a PNG, as the suffix says.

        Raises:
            UsageError: ``plot-option``, another suffix; as `png` says.
            StorageError: ``target-other-format``, another kind of file is there; ``storage-failed``.
        """
        place = Path(path)
        suffix = suffix_of(place)
        write_file(place, suffix[1:].upper(), self.png() if suffix == ".png" else self.svg.encode())
        return place

    def __repr__(self) -> str:
        return f"Picture({self.name!r}, {self.modules} modules, {self.width:.0f} × {self.height:.0f})"

    def _repr_svg_(self) -> str:
        """For notebooks."""
        return self.svg


@shortage()
def plot(
    model: Any,
    path: StrPath | None = None,
    *,
    depth: int | None = None,
    direction: Direction = "down",
    theme: str = "auto",
    fold: bool = True,
    scale: float = 2.0,
    isolate: bool = True,
    progress: Progress | None = None,
    limits: Limits = DEFAULT_LIMITS,
    storage_options: Options | None = None,
) -> Picture:
    """Draw the graph of a model; no tensor is read, and no browser is needed.

    Args:
        model: an `etui.Model`, a live model of Keras, a step of a series, or the path or URL of a file or folder of any
            known format.
        path: where to write it as SVG or PNG, as the suffix says; by default nowhere.
        depth: levels of nested models that are drawn, 1 or more; by default all.
        direction: ``"down"`` or ``"right"``, in which the graph goes.
        theme: ``"light"``, ``"dark"``, or ``"auto"``: what the reader's system prefers, and light for a PNG.
        fold: break a long graph into columns, so that it fits a page.
        scale: pixels in a unit of the SVG, for a PNG.
        isolate: as `etui.convert` takes it.
        progress: called while a file of another format than Etui's is copied from a URL.
        limits: refuse what is beyond these.
        storage_options: of the file system of a URL, as fsspec takes them.

    Raises:
        UsageError: ``view-subject``, ``format-unknown``; ``plot-config``, the model has no config; ``plot-option``, a
            depth, direction, theme or suffix that is not known; ``plot-size``, a PNG that would be too large.
        RejectError: a file's content is refused.
        MissingExtraError: ``extra-plot``, ``plot-fonts``, for a PNG; or one that the file's format needs.
        StorageError: a file cannot be read, or the picture not be written.
    """
    _check(depth, direction, theme)
    if path is not None:
        suffix_of(Path(path))
    with subject(
        model, limits=limits, progress=progress, whole=False, isolate=isolate, storage_options=storage_options
    ) as found:
        if found.model.config is None:
            raise error("plot-config", where=found.name)
        root = graph_of(found.model.config, found.model.weights, depth)
        name, source_format, report = found.name, found.source_format, found.report
    picture = _picture(root, direction, theme, fold=fold)
    drawn = Picture(*picture, name=PurePath(name).stem, scale=scale, source_format=source_format, report=report)
    if path is not None:
        drawn.save(path)
    return drawn


def suffix_of(path: Path) -> str:
    """The suffix of a picture's file.

    Raises:
        UsageError: ``plot-option``.
    """
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise error("plot-option", where=str(path), found=f"the suffix {shown(path.suffix)}", hint="Take .svg or .png.")
    return suffix


def _picture(root: Node, direction: Direction, theme: str, *, fold: bool) -> tuple[str, float, float, int]:
    box = box_of(root, direction, fold=fold)
    modules = sum(node.family != "output" for _, node in root.level.walk()) if root.level is not None else 1
    return svg_of(box, direction, theme), box.width + 2 * MARGIN, box.height + 2 * MARGIN, modules


def _check(depth: int | None, direction: str, theme: str) -> None:
    if depth is not None and depth < 1:
        raise error("plot-option", found=f"a depth of {depth}", hint="Take 1 or more.")
    directions = get_args(Direction)
    for what, found, known in (("direction", direction, directions), ("theme", theme, THEMES)):
        if found not in known:
            raise error("plot-option", found=f"the {what} {shown(found)}", hint=f"Known: {', '.join(known)}.")
