"""Names of ops, algorithms, classes and frameworks (SPEC.md chapter 13)."""

from __future__ import annotations

import re

from etui.core_names import NAMESPACE, defines
from etui.errors import error, shown

_FRAMEWORK = re.compile("[a-z][a-z0-9_]*")
_NAMESPACED = re.compile(r"[a-z][a-z0-9_]*:[^\x00-\x20\x7f]+")


def check_namespaced(text: object, where: str, use: str = "class") -> str:
    """Check the form ``namespace:name`` (C-8, C-9); return the text.

    Args:
        text: the name.
        where: its place, for messages.
        use: what it names: ``"op"``, ``"algorithm"`` of an optimizer, ``"class"`` of a `$object`, or something else,
            for which the namespace core has no names.

    Raises:
        InvalidError: ``op-form``.
        UnsupportedError: ``op-unknown``, a name in the namespace core that the vocabulary does not define.
    """
    if not isinstance(text, str) or not _NAMESPACED.fullmatch(text):
        raise error("op-form", where=where, found=shown(text))
    if text.startswith(NAMESPACE) and not defines(text, use):
        raise error("op-unknown", where=where, found=shown(text))
    return text


def is_residue(value: object) -> bool:
    """Whether a value has the form of a residue: a map from at least one framework's name to a map (C-16)."""
    if type(value) is not dict or not value:
        return False
    return all(
        type(name) is str and _FRAMEWORK.fullmatch(name) is not None and type(facts) is dict
        for name, facts in value.items()
    )
