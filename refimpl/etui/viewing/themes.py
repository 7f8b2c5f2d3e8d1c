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


LIGHT = Theme(
    ground="#f5f6f9",
    surface="#ffffff",
    sunken="#eef0f4",
    line="#d3d7dd",
    edge="#9da2ab",
    text="#1c2029",
    soft="#535862",
    faint="#676c75",
    families={
        "io": ("#1c2029", "#f2f3f6"),
        "model": ("#7a7ad5", "#f1f2ff"),
        "recurrent": ("#be6299", "#fdeff6"),
        "attention": ("#cb6258", "#ffefed"),
        "normalization": ("#009f71", "#e9f8f0"),
        "embedding": ("#6e9531", "#f0f6e9"),
        "preprocessing": ("#9c8600", "#f6f4e6"),
        "convolution": ("#0097c0", "#e7f7fc"),
        "random": ("#c1c4cb", "#f2f3f6"),
        "linear": ("#5086d6", "#ecf4ff"),
        "activation": ("#b77600", "#fbf2e7"),
        "shape": ("#996fc7", "#f6f1fe"),
        "merge": ("#83868e", "#f2f3f6"),
        "other": ("#83868e", "#f2f3f6"),
        "output": ("#1c2029", "#f2f3f6"),
    },
)
DARK = Theme(
    ground="#0e1016",
    surface="#1b1e26",
    sunken="#14171d",
    line="#353942",
    edge="#6b707a",
    text="#e7e9ee",
    soft="#afb3bb",
    faint="#979ba4",
    families={
        "io": ("#e7e9ee", "#232426"),
        "model": ("#999beb", "#191a26"),
        "recurrent": ("#d886b5", "#2d2027"),
        "attention": ("#e4877d", "#2e211f"),
        "normalization": ("#53bb93", "#1a2822"),
        "embedding": ("#90b261", "#21271b"),
        "preprocessing": ("#b8a548", "#272518"),
        "convolution": ("#3db4d8", "#18272c"),
        "random": ("#464a54", "#232426"),
        "linear": ("#77a6ec", "#1e252f"),
        "activation": ("#d1984c", "#2b2319"),
        "shape": ("#b592de", "#27222d"),
        "merge": ("#a1a5ac", "#232426"),
        "other": ("#a1a5ac", "#232426"),
        "output": ("#e7e9ee", "#232426"),
    },
)
