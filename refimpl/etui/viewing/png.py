"""An SVG as PNG, made by resvg: no browser, no display, no network."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec

from etui.errors import error
from etui.viewing.lettering import FONT

_SIZE = re.compile(r'<svg[^>]* width="([0-9.]+)" height="([0-9.]+)"')
_MOST_PIXELS = 100_000_000
_SAMPLE = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">'
    f'<text x="2" y="16" font-family="{FONT}" font-size="16">{{text}}</text></svg>'
)


def png_of(svg: str, scale: float = 2.0) -> bytes:
    """The bytes of a PNG with the picture of an SVG of `svg_of`.

    Args:
        svg: its text.
        scale: pixels in a unit of the SVG, more than 0.

    Raises:
        MissingExtraError: ``extra-plot``; ``plot-fonts``, the system has no font to write with.
        UsageError: ``plot-size``, there would be more than 10^8 pixels; ``plot-option``, a scale that is none.
    """
    if not 0 < scale < float("inf"):
        raise error("plot-option", found=f"a scale of {scale}", hint="Take a number above 0, such as 2.")
    found = _SIZE.search(svg)
    width, height = (float(found[1]), float(found[2])) if found else (0.0, 0.0)
    if width * height * scale * scale > _MOST_PIXELS:
        raise error("plot-size", found=f"{width * scale:,.0f} × {height * scale:,.0f} pixels")
    if find_spec("resvg_py") is None:
        raise error("extra-plot")
    import resvg_py

    if not _has_fonts():
        raise error("plot-fonts")
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, zoom=scale))


@cache
def _has_fonts() -> bool:
    """Whether a letter leaves a trace."""
    import resvg_py

    with_letter, without = (bytes(resvg_py.svg_to_bytes(svg_string=_SAMPLE.format(text=text))) for text in ("M", ""))
    return with_letter != without
