"""The colours of pictures and of what notebooks show, light and dark: those of the viewer."""

from __future__ import annotations

from dataclasses import dataclass

THEMES = ("auto", "light", "dark")


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours, as CSS writes them.

    Attributes:
        ground, surface, sunken: of what is behind everything, of a node, and of an end.
        line, edge: of frames and of lines between nodes.
        text, soft, faint: of texts, the most important first.
        families: family of ops -> its colour, and the tint of a frame around a model of it.
    """

    ground: str
    surface: str
    sunken: str
    line: str
    edge: str
    text: str
    soft: str
    faint: str
    families: dict[str, tuple[str, str]]


# Each as it is in light, and in dark.
_COLOURS = {
    "ground": ("#f5f6f9", "#0e1016"),
    "surface": ("#ffffff", "#1b1e26"),
    "sunken": ("#eef0f4", "#14171d"),
    "line": ("#d3d7dd", "#353942"),
    "edge": ("#9da2ab", "#6b707a"),
    "text": ("#1c2029", "#e7e9ee"),
    "soft": ("#535862", "#afb3bb"),
    "faint": ("#676c75", "#979ba4"),
}
_FAMILIES = {
    "io": (("#1c2029", "#f2f3f6"), ("#e7e9ee", "#232426")),
    "model": (("#7a7ad5", "#f1f2ff"), ("#999beb", "#191a26")),
    "recurrent": (("#be6299", "#fdeff6"), ("#d886b5", "#2d2027")),
    "attention": (("#cb6258", "#ffefed"), ("#e4877d", "#2e211f")),
    "normalization": (("#009f71", "#e9f8f0"), ("#53bb93", "#1a2822")),
    "embedding": (("#6e9531", "#f0f6e9"), ("#90b261", "#21271b")),
    "preprocessing": (("#9c8600", "#f6f4e6"), ("#b8a548", "#272518")),
    "convolution": (("#0097c0", "#e7f7fc"), ("#3db4d8", "#18272c")),
    "random": (("#c1c4cb", "#f2f3f6"), ("#464a54", "#232426")),
    "linear": (("#5086d6", "#ecf4ff"), ("#77a6ec", "#1e252f")),
    "activation": (("#b77600", "#fbf2e7"), ("#d1984c", "#2b2319")),
    "shape": (("#996fc7", "#f6f1fe"), ("#b592de", "#27222d")),
    "merge": (("#83868e", "#f2f3f6"), ("#a1a5ac", "#232426")),
    "other": (("#83868e", "#f2f3f6"), ("#a1a5ac", "#232426")),
    "output": (("#1c2029", "#f2f3f6"), ("#e7e9ee", "#232426")),
}


def _theme(column: int) -> Theme:
    families = {family: colours[column] for family, colours in _FAMILIES.items()}
    return Theme(**{use: colours[column] for use, colours in _COLOURS.items()}, families=families)


LIGHT, DARK = _theme(0), _theme(1)
