"""The JSON documents of a `.keras` archive: Python's dialect, which writes NaN and infinities as bare words."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from etui.bridges.keras.patches import Json
from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource


def read_json(source: ByteSource, where: str, limits: Limits = DEFAULT_LIMITS) -> dict[str, Json]:
    """Decode one document, which must be an object.

    Raises:
        MalformedError: ``keras-json``: no UTF-8, no JSON, a key twice, a lone surrogate, nested too deep, a number of
            too many digits.
        LimitError: ``limit-document``.
    """
    if source.size > limits.document_bytes:
        raise error("limit-document", where=where, found=f"{source.size} bytes")

    def fail(found: str) -> NoReturn:
        raise error("keras-json", where=where, found=found)

    def integer(digits: str) -> int:
        if len(digits) > limits.integer_digits:
            fail(f"a number of {len(digits)} digits")
        return int(digits)

    def members(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
        found = dict(pairs)
        if len(found) != len(pairs):
            fail(f"a key that occurs twice among {shown([key for key, _ in pairs])}")
        return found

    try:
        text = source.read(0, source.size).decode("utf-8")
        tree = json.loads(text, parse_int=integer, object_pairs_hook=members)
    except UnicodeDecodeError as reason:
        fail(str(reason))
    except (ValueError, RecursionError) as reason:
        fail(shown(str(reason), 200))
    if not isinstance(tree, dict):
        fail(f"{shown(tree)} in place of an object")
    _check(tree, limits, fail)
    return tree


def _check(tree: Json, limits: Limits, fail: Any) -> None:
    """Depth, and strings that UTF-8 can hold."""
    stack = [(tree, 1)]
    while stack:
        node, depth = stack.pop()
        if depth > limits.depth:
            fail(f"nesting of more than {limits.depth} levels")
        texts = list(node) if isinstance(node, dict) else [node] if isinstance(node, str) else []
        for text in texts:
            if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
                fail(f"a lone surrogate in {shown(text)}")
        items = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        stack.extend((item, depth + 1) for item in items)


def write_json(tree: Json) -> bytes:
    """Encode a document as Keras does."""
    return json.dumps(tree).encode()
