"""A graph as SVG: cards for modules, frames for models, lines with the shapes of what goes along them."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from itertools import pairwise

from etui.viewing.boxes import LEFT, NAME_SIZE, OP_SIZE, RIGHT, SHAPE_SIZE, Box, Direction
from etui.viewing.lettering import FONT, visible, width_of
from etui.viewing.routing import Line, Point
from etui.viewing.themes import DARK, LIGHT, Theme

MARGIN = 24.0
FRAMES = ("model", "recurrent", "other")
"""The families whose modules are drawn with what is in them, and so have a tint."""
_RADIUS = 8.0
_DEFINITIONS = (
    '<defs><marker id="etui-arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    '<path class="etui-head" d="M0 0.8L7.5 4L0 7.2Z"/></marker></defs>'
)


def svg_of(box: Box, direction: Direction = "down", theme: str = "auto") -> str:
    """The drawing of a graph as the text of an SVG, which needs nothing else.

    Args:
        box: of the root, laid out.
        direction: in which it was laid out.
        theme: ``light``, ``dark``, or ``auto``: what the reader's system prefers.
    """
    width, height = box.width + 2 * MARGIN, box.height + 2 * MARGIN
    writer = _Writer(direction)
    writer.box(box, MARGIN, MARGIN)
    title = escape(visible(box.node.name))
    sizes = f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    names = f"etui-graph etui-{theme}"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {sizes} role="img" class="{names}" aria-label="{title}">',
            f"<title>{title}</title>",
            f"<style>{_style(theme)}</style>",
            _DEFINITIONS,
            f'<rect class="etui-ground" width="{_n(width)}" height="{_n(height)}"/>',
            *writer.lines,
            "</svg>",
            "",
        ]
    )


def _style(theme: str) -> str:
    """The rules of a picture; those of its colours hold for its theme alone, where several pictures are in a page."""
    plain = _colours(DARK if theme == "dark" else LIGHT, theme)
    dark = f"@media (prefers-color-scheme:dark){{{_colours(DARK, theme)}}}" if theme == "auto" else ""
    return (
        f".etui-graph text{{font-family:{FONT};font-size:{NAME_SIZE}px}}"
        f".etui-graph .etui-op{{font-size:{OP_SIZE}px;font-weight:600}}.etui-graph .etui-end{{font-weight:600}}"
        f".etui-graph .etui-shape{{font-size:{SHAPE_SIZE}px;paint-order:stroke;stroke-width:4px;stroke-linejoin:round}}"
        ".etui-graph .etui-note{font-style:italic}"
        ".etui-edge{fill:none;stroke-width:1.4px}.etui-behind{stroke-dasharray:2 4}"
        ".etui-card,.etui-frame,.etui-pill{stroke-width:1px}"
        f"{plain}{dark}"
    )


def _colours(theme: Theme, scope: str) -> str:
    rules = {
        "ground": f"fill:{theme.ground}",
        "card": f"fill:{theme.surface};stroke:{theme.line}",
        "pill": f"fill:{theme.sunken};stroke:{theme.line}",
        "frame": f"stroke:{theme.line}",
        "edge": f"stroke:{theme.edge}",
        "head": f"fill:{theme.edge}",
        "op": f"fill:{theme.text}",
        "end": f"fill:{theme.text}",
        "soft": f"fill:{theme.soft}",
        "name": f"fill:{theme.faint}",
        "shape": f"fill:{theme.soft};stroke:{theme.ground}",
    }
    rules |= {f"bar-{family}": f"fill:{colour}" for family, (colour, _) in theme.families.items()}
    for family in FRAMES:
        tint = theme.families[family][1]
        rules |= {f"tint-{family}": f"fill:{tint}", f"shape-{family}": f"stroke:{tint}"}
    return "".join(f".etui-{scope} .etui-{name}{{{rule}}}" for name, rule in rules.items())


class _Writer:
    """Writes boxes and lines where they belong; what is behind comes first."""

    def __init__(self, direction: Direction) -> None:
        self.lines: list[str] = []
        self._direction = direction

    def box(self, box: Box, x: float, y: float) -> None:
        """A box with its upper left corner at a place."""
        self.lines.append(f"<g><title>{escape(_tooltip(box))}</title>")
        if box.inner is not None:
            self._frame(box, x, y)
        elif box.is_pill:
            self._pill(box, x, y)
        else:
            self._card(box, x, y)
        self.lines.append("</g>")

    def _frame(self, box: Box, x: float, y: float) -> None:
        family = box.node.family if box.node.family in FRAMES else "other"
        self._rect(f"etui-frame etui-tint-{family}", box, x, y, 10)
        self._bar(box, x, y, box.height, 10)
        self._text("etui-op", x + LEFT, y + 23, box.op)
        right = x + LEFT + width_of(box.op, OP_SIZE, bold=True) + 12
        self._text("etui-name", right, y + 23, box.name)
        end = ", ".join(text for text in (box.note, box.parameters) if text)
        self._text("etui-name", x + box.width - RIGHT, y + 23, end, anchor="end")
        assert box.inner is not None  # noqa: S101  the caller looked
        shift = (x, y) if self._direction == "down" else (y, x)
        for lines in sorted(box.inner.lines, key=lambda lines: not lines[0].behind):
            for index, line in enumerate(lines):
                self._line(line, shift, last=index == len(lines) - 1)
        for inner, (right, down) in zip(box.inner.boxes, box.inner.corners, strict=True):
            self.box(inner, x + right, y + down)
        for inner, (right, down) in zip(box.inner.boxes, box.inner.corners, strict=True):
            self._shape(inner, x + right, y + down, family)

    def _shape(self, box: Box, x: float, y: float, family: str) -> None:
        """The shape of what leaves a box, beside its line."""
        if self._direction == "right":
            x, y = x + box.width + 8, y + box.height / 2 - 6
        else:
            x, y = x + box.width / 2 + (-7 if box.aside else 7), y + box.height + 15
        self._text(f"etui-shape etui-shape-{family}", x, y, box.shapes, anchor="end" if box.aside else "")

    def _pill(self, box: Box, x: float, y: float) -> None:
        self._rect("etui-pill", box, x, y, box.height / 2)
        self._text("etui-end", x + LEFT, y + 18, box.op)
        beside = box.summary if box.node.family == "output" else box.name
        self._text("etui-soft", x + box.width - LEFT, y + 18, beside, anchor="end")

    def _card(self, box: Box, x: float, y: float) -> None:
        if box.node.note and box.node.family == "model":
            self._rect("etui-card", box, x + 4, y + 4, 8)  # there is more below it
        self._rect("etui-card", box, x, y, 8)
        self._bar(box, x, y, box.height, 8)
        end = x + box.width - RIGHT
        self._text("etui-op", x + LEFT, y + 20, box.op)
        self._text("etui-soft", end, y + 20, box.summary, anchor="end")
        self._text("etui-name", x + LEFT, y + 37, box.name)
        self._text("etui-name", end, y + 37, box.parameters, anchor="end")
        self._text("etui-name etui-note", x + LEFT, y + 53, box.note)

    def _bar(self, box: Box, x: float, y: float, height: float, radius: float) -> None:
        """The colour of a family, along the left side."""
        path = (
            f"M{_n(x + 5)} {_n(y)}A5 {_n(radius)} 0 0 0 {_n(x)} {_n(y + radius)}"
            f"V{_n(y + height - radius)}A5 {_n(radius)} 0 0 0 {_n(x + 5)} {_n(y + height)}Z"
        )
        self.lines.append(f'<path class="etui-bar-{box.node.family}" d="{path}"/>')

    def _rect(self, name: str, box: Box, x: float, y: float, radius: float) -> None:
        size = f'x="{_n(x)}" y="{_n(y)}" width="{_n(box.width)}" height="{_n(box.height)}" rx="{_n(radius)}"'
        self.lines.append(f'<rect class="{name}" {size}/>')

    def _text(self, name: str, x: float, y: float, text: str, anchor: str = "") -> None:
        if text:
            end = f' text-anchor="{anchor}"' if anchor else ""
            self.lines.append(f'<text class="{name}" x="{_n(x)}" y="{_n(y)}"{end}>{escape(text)}</text>')

    def _line(self, line: Line, shift: Point, *, last: bool) -> None:
        points = [(across + shift[0], along + shift[1]) for across, along in line.points]
        steps = _turning(points) if line.turns else _flowing(points)
        path = "".join(letter + " ".join(map(self._at, corners)) for letter, corners in steps)
        name = "etui-edge etui-behind" if line.behind else "etui-edge"
        self.lines.append(f'<path class="{name}" d="{path}"{ARROW if last else ""}/>')

    def _at(self, point: Point) -> str:
        across, along = point
        return f"{_n(across)} {_n(along)}" if self._direction == "down" else f"{_n(along)} {_n(across)}"


ARROW = ' marker-end="url(#etui-arrow)"'
Step = tuple[str, list[Point]]


def _flowing(points: list[Point]) -> Iterator[Step]:
    """Straight on where that can be, and otherwise in a curve that leaves and arrives along the flow."""
    yield "M", [points[0]]
    for one, two in pairwise(points):
        if abs(one[0] - two[0]) < 0.05:
            yield "L", [two]
        else:
            middle = (one[1] + two[1]) / 2
            yield "C", [(one[0], middle), (two[0], middle), two]


def _turning(points: list[Point]) -> Iterator[Step]:
    """Straight lines with rounded corners."""
    yield "M", [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        yield "L", [_towards(corner, before)]
        yield "Q", [corner, _towards(corner, after)]
    yield "L", [points[-1]]


def _towards(corner: Point, other: Point) -> Point:
    """The place at which a rounded corner begins or ends."""
    length = abs(corner[0] - other[0]) + abs(corner[1] - other[1])
    part = min(_RADIUS, length / 2) / length if length else 0.0
    return corner[0] + part * (other[0] - corner[0]), corner[1] + part * (other[1] - corner[1])


def _tooltip(box: Box) -> str:
    node = box.node
    facts = [node.path or node.name, node.op, node.summary, node.note]
    if node.parameters:
        facts.append(f"{node.parameters:,} parameters")
    return visible(" · ".join(fact for fact in facts if fact))


def _n(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
