"""A badge for a README: the best profile that an implementation conforms to, as an SVG that needs nothing else."""

from __future__ import annotations

from typing import Any, Final
from xml.sax.saxutils import escape

_LABEL: Final = "etui"
_GREEN, _RED, _GREY = "#2c7a3f", "#b3261e", "#5f6368"
_CHARACTER: Final = 6.6
_PADDING: Final = 12

_TEMPLATE: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{title}">
  <title>{title}</title>
  <clipPath id="r"><rect width="{width}" height="20" rx="3"/></clipPath>
  <g clip-path="url(#r)">
    <rect width="{left}" height="20" fill="#3c4043"/>
    <rect x="{left}" width="{right}" height="20" fill="{colour}"/>
  </g>
  <g fill="#fff" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" text-anchor="middle">
    <text x="{left_middle}" y="14" textLength="{left_text}">{label}</text>
    <text x="{right_middle}" y="14" textLength="{right_text}">{message}</text>
  </g>
</svg>
"""


def badge(report: dict[str, Any]) -> str:
    """The SVG of a JSON report."""
    message, colour = verdict(report)
    left, right = (round(len(text) * _CHARACTER) + _PADDING for text in (_LABEL, message))
    return _TEMPLATE.format(
        width=left + right,
        left=left,
        right=right,
        left_middle=left / 2,
        right_middle=left + right / 2,
        left_text=left - _PADDING,
        right_text=right - _PADDING,
        colour=colour,
        label=_LABEL,
        message=escape(message),
        title=escape(f"{_LABEL}: {message}", {'"': "&quot;"}),
    )


def verdict(report: dict[str, Any]) -> tuple[str, str]:
    """The words and the colour: profiles that include others stand for them; a failure shows before all."""
    counts = report["counts"]
    failed = counts["failed"] + counts["error"] + counts["unexpected-pass"]
    if failed:
        return f"{failed} of {failed + counts['passed'] + counts['known-failure']} checks failed", _RED
    names = [profile["name"] for profile in report["profiles"] if profile["status"] == "conformant"]
    if not names:
        return "no profile yet", _GREY
    if "full" in names:
        return "full", _GREEN
    if {"reader", "verifier"} & set(names):
        names = [name for name in names if name != "weights-reader"]
    return ", ".join(names), _GREEN
