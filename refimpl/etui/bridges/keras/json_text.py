"""The JSON documents of a `.keras` archive: Python's dialect, which writes NaN and infinities as bare words."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NoReturn

from etui.bridges.keras.patches import Json
from etui.errors import EtuiError, error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import SLICE_BYTES, ByteSource

_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(source: ByteSource, where: str, limits: Limits = DEFAULT_LIMITS) -> dict[str, Json]:
    """Decode one document, which must be an object; see `read_value`."""
    tree = read_value(source, where, limits)
    if not isinstance(tree, dict):
        found = f"{shown(tree)} in place of an object"
        raise error("keras-json", where=where, found=found, hint="Name another file: this is JSON of something else.")
    return tree


def read_value(source: ByteSource, where: str, limits: Limits = DEFAULT_LIMITS) -> Json:
    """Decode one document of any kind.

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
    except EtuiError:
        raise
    except UnicodeDecodeError as reason:
        fail(str(reason))
    except (ValueError, RecursionError) as reason:
        fail(shown(str(reason), 200))
    _check(tree, limits, fail, escaped=_ESCAPED_SURROGATE.search(text) is not None)
    return tree


def check_values(source: ByteSource, most: int, where: str) -> None:
    """Refuse a document whose values would take far more memory than its text does, before it is decoded.

    Args:
        source: the document.
        most: commas and brackets that it may have, in texts too.
        where: the document, for messages.

    Raises:
        LimitError: ``limit-document``.
    """
    left = most
    for start in range(0, source.size, SLICE_BYTES):
        data = source.read(start, min(SLICE_BYTES, source.size - start))
        left -= sum(map(data.count, (b",", b"[", b"{")))
        if left < 0:
            raise error("limit-document", where=where, found=f"more than {most} values")


def _check(tree: Json, limits: Limits, fail: Callable[[str], NoReturn], *, escaped: bool) -> None:
    """Depth, and strings that UTF-8 can hold; `escaped` if the text has escapes of surrogates, the only way to them."""
    level: list[Json] = [[tree]]
    depth = 0
    while level:
        depth += 1
        items = [item for node in level for item in (node.values() if isinstance(node, dict) else node)]
        if items and depth > limits.depth:
            fail(f"nesting of more than {limits.depth} levels")
        if escaped:
            _check_texts([key for node in level if isinstance(node, dict) for key in node], fail)
            _check_texts([item for item in items if isinstance(item, str)], fail)
        level = [item for item in items if isinstance(item, dict | list)]


def _check_texts(texts: list[str], fail: Callable[[str], NoReturn]) -> None:
    for text in texts:
        if _SURROGATE.search(text):
            fail(f"a lone surrogate in {shown(text)}")


def write_json(tree: Json) -> bytes:
    """Encode a document as Keras does."""
    return json.dumps(tree).encode()
