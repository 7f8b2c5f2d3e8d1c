"""Names of ops, algorithms and classes (SPEC.md chapter 13.2)."""

from __future__ import annotations

import re

from etui.errors import error, shown

_NAMESPACED = re.compile(r"[a-z][a-z0-9_]*:[^\x00-\x20\x7f]+")


def check_namespaced(text: object, where: str) -> str:
    """Check the form ``namespace:name`` (C-8, C-9); return the text.

    Raises:
        InvalidError: ``op-form``.
        UnsupportedError: ``op-unknown``, a name in the namespace core that this version does not define.
    """
    if not isinstance(text, str) or not _NAMESPACED.fullmatch(text):
        raise error("op-form", where=where, found=shown(text))
    if text.startswith("core:"):
        raise error("op-unknown", where=where, found=shown(text))
    return text
