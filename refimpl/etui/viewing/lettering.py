"""Texts in pictures: how wide they are, and what of them is shown."""

from __future__ import annotations

from unicodedata import category, east_asian_width

FONT = "system-ui, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'Noto Sans', 'DejaVu Sans', sans-serif"
"""The fonts of pictures and notebooks; what is drawn is laid out for the widest of them."""

# Widths in ems of the classes of characters in wide sans-serif fonts.
_WIDTHS = (
    (" .,:;'|!iIjl·", 0.33),
    ('()[]{}ft/\\-r`"*', 0.43),
    ("mMwW@%…→", 1.0),
    ("+<>=~^×#&", 0.84),
)
_CHARACTERS = {character: width for characters, width in _WIDTHS for character in characters}
_CAPITAL, _SMALL, _WIDE = 0.73, 0.64, 1.05
_BOLD = 1.09
_PREFIXES = "kMGTP"


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """The width of a text of a font size, in the same unit; that of a widely set font."""
    total = 0.0
    for character in text:
        if character in _CHARACTERS:
            total += _CHARACTERS[character]
        elif east_asian_width(character) in "WF":
            total += _WIDE
        else:
            total += _CAPITAL if character.isupper() else _SMALL
    return total * size * (_BOLD if bold else 1.0)


def clipped(text: str, length: int) -> str:
    """A text that can be drawn, of at most `length` characters, with the middle left out: ends tell paths apart."""
    if len(text) > length:
        head = (length - 1) // 2
        text = f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"
    return visible(text)


def visible(text: str) -> str:
    """A text with every character that cannot be seen, or that turns the direction of others, as its code."""
    if text.isprintable():
        return text
    return "".join(
        f"⟨U+{ord(character):04X}⟩" if category(character)[0] in "CZ" and character != " " else character
        for character in text
    )


def compact(number: int) -> str:
    """A count in little room: ``612``, ``73,984``, ``4.25 M``."""
    if number < 1_000_000:
        return f"{number:,}"
    digits, prefix = _prefixed(number)
    return f"{digits} {prefix}"


def size_text(size: int) -> str:
    """A size with three digits and a decimal unit: ``612 B``, ``1.23 MB``."""
    digits, prefix = _prefixed(size)
    return f"{digits} {prefix}B"


def _prefixed(number: int) -> tuple[str, str]:
    """Three digits, and the decimal prefix that goes with them."""
    if number < 1000:
        return str(number), ""
    value, power = number / 1000, 0
    while value >= 999.5 and power < len(_PREFIXES) - 1:
        value, power = value / 1000, power + 1
    return f"{value:.3g}", _PREFIXES[power]
