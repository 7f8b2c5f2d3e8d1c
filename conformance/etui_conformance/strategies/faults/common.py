"""What several families of faults use: parts to make them in, and wrong forms."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from etui_conformance.oracle.names import DOCUMENTS
from etui_conformance.strategies.drafts import JSON_DOCUMENTS, MSGPACK_DOCUMENTS
from etui_conformance.strategies.faults.base import Host, Turn

Tree = dict[str, Any]

ASSET = "assets/host.txt"
NATIVE = "native/keras/host.json"
PROGRAM = "programs/host/main"
ANYTHING = Host()
"""Any artifact will do."""
_ASSET: Tree = {"role": "asset", "media_type": "text/plain", "data": b"host"}
_NATIVE: Tree = {
    "role": "native",
    "media_type": "application/json",
    "data": b"{}",
    "framework": "keras",
    "framework_version": None,
    "bindings": {},
}
_PROGRAM: Tree = {"role": "program", "media_type": "application/octet-stream", "data": b"host"}
WITH_ASSET = Host(parts={ASSET: _ASSET})
WITH_NATIVE = Host(parts={NATIVE: _NATIVE})
WITH_PROGRAM = Host(parts={PROGRAM: _PROGRAM})

FORMS = {name: f"{kind}-form" for name, kind in DOCUMENTS.items()}
"""Name of a document -> the code of one that has not its form."""


def pick(draw: st.DrawFn, *choices: Any) -> Any:
    """One of some choices: each in its turn where a fault is made in every way, else a drawn one."""
    return draw.choose(choices) if isinstance(draw, Turn) else draw(st.sampled_from(choices))


def documents_of(tree: Tree) -> list[str]:
    """The documents that a manifest lists."""
    return [name for name in (*JSON_DOCUMENTS, *MSGPACK_DOCUMENTS) if name in tree["parts"]]


def wrong_digest(draw: st.DrawFn, right: str) -> str:
    """A digest of another form."""
    algorithm, _, digits = right.partition(":")
    forms = (
        digits,
        right.upper(),
        f"{algorithm}:{digits.upper()}",
        right[:-1],
        f"{right}0",
        f"{algorithm}-{digits}",
        "",
        f"{algorithm}:{digits[:-1]}g",
    )
    found: str = pick(draw, *[form for form in forms if form != right])
    return found
