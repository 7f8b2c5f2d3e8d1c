"""Writers: what no artifact may hold is refused before anything is written, by the code of its clause."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from etui_conformance.checks import samples
from etui_conformance.checks.base import Check, Context
from etui_conformance.checks.exchange import to_encode
from etui_conformance.checks.samples import Content, config, part, state, tensor, texts, weights
from etui_conformance.protocol.wire import new_path

_DEPTH = 128
_Sibling = Callable[[], Content]


def checks() -> list[Check]:
    """A check for each limit and each form that a writer must keep, with a content that is just within."""
    found = []
    for name, (clauses, code, needs, over, within) in _cases().items():
        title = f"Refuses to write what breaks {clauses[0]}: {name.replace('-', ' ')}."
        run = partial(_run, code, over, within)
        found.append(Check(f"refusing/{name}", clauses, frozenset({"encode", *needs}), title, run))
    return found


def _run(code: str, over: _Sibling, within: _Sibling, context: Context) -> None:
    form = min(context.session.hello.artifact_forms)
    path = new_path(context.folder)
    to_encode(context.session, within(), form, path).accepted()
    path = new_path(context.folder)
    question = to_encode(context.session, over(), form, path)
    question.refused([code])
    if path.exists():
        raise question.mismatch("encode refused a content and left something at its place", "nothing", "something")


def _cases() -> dict[str, tuple[tuple[str, ...], str, tuple[str, ...], _Sibling, _Sibling]]:
    numbers = ("weights", "dtype:uint8")
    of_state = ("weights", "state")

    def path(text: str) -> _Sibling:
        return partial(weights, {text: samples.FLAG})

    def shape(*sizes: int) -> _Sibling:
        return partial(weights, {"a": tensor("uint8", sizes, b"")})

    def attrs(value: Any) -> _Sibling:
        return partial(config, attrs={"a": value})

    def user(value: Any) -> _Sibling:
        return partial(state, user={"a": value})

    def text(data: bytes) -> _Sibling:
        return partial(weights, {"a": texts("string", [1], [data])})

    def asset(name: str) -> _Sibling:
        return lambda: {**config(), "parts": {name: part("asset", b"")}}

    def data(size: int) -> dict[str, Any]:
        quads, rest = divmod(size, 3)
        return {"$tensor": {"data": "AAAA" * quads + ("", "AA==", "AAA=")[rest], "dtype": "uint8", "shape": [size]}}

    long = "/".join("x" * 255 for _ in range(16))
    # The document, the model, `attrs` or `user`, and the list: of these levels a document has others above the value.
    return {
        "segments": (("L-1",), "limit-path", numbers, path("x" * 256), path("x" * 255)),
        "segments-in-bytes": (("L-1",), "limit-path", numbers, path("é" * 128), path("é" * 127)),
        "paths": (("L-1",), "limit-path", numbers, path(f"{long}/x"), path(long)),
        "rank": (("L-1",), "limit-rank", numbers, shape(*([0] * 33)), shape(*([0] * 32))),
        "sizes": (("L-1",), "limit-tensor", numbers, shape(0, 2**48 + 1), shape(0, 2**48)),
        "digits": (("L-1",), "value-limit", ("config",), attrs(_int(1025)), attrs(_int(1024))),
        "small-tensors": (("L-1",), "value-limit", ("config",), attrs(data(2**20 + 1)), attrs(data(2**20))),
        "depth-of-json": (("L-1",), "json-depth", ("config",), attrs(_nested(_DEPTH - 2)), attrs(_nested(_DEPTH - 3))),
        "depth-of-msgpack": (("L-1",), "msgpack-depth", of_state, user(_nested(_DEPTH - 1)), user(_nested(_DEPTH - 2))),
        "names-of-parts": (
            ("L-1",),
            "limit-path",
            ("config", "parts"),
            asset(f"assets/{'x' * 249}"),
            asset(f"assets/{'x' * 248}"),
        ),
        "paths-that-collide": (
            ("D-4",),
            "path-collision",
            numbers,
            partial(weights, {"\u00e9": samples.FLAG, "e\u0301": samples.FLAG}),
            partial(weights, {"\u00e9": samples.FLAG, "e": samples.FLAG}),
        ),
        "empty-segments": (("D-2",), "path-form", numbers, path("a//b"), path("a/b")),
        "dots": (("D-3",), "path-form", numbers, path("a/.."), path("a/...")),
        "strings-that-are-no-utf-8": (
            ("W-19",),
            "encoding-content",
            ("weights", "dtype:string", "feature:encoding.string"),
            text(b"\xff"),
            text(b"\xc3\xbf"),
        ),
        "names-of-assets": (("P-1",), "part-name", ("config", "parts"), asset("assets/a b"), asset("assets/a%20b")),
        "devices": (("P-2",), "part-name", ("config", "parts"), asset("assets/aux.txt"), asset("assets/%61ux.txt")),
        "cases-of-assets": (
            ("P-3",),
            "part-collision",
            ("config", "parts"),
            lambda: {**config(), "parts": {"assets/A": part("asset", b""), "assets/a": part("asset", b"")}},
            lambda: {**config(), "parts": {"assets/A": part("asset", b""), "assets/b": part("asset", b"")}},
        ),
    }


def _int(digits: int) -> dict[str, str]:
    return {"$int": "1" * digits}


def _nested(levels: int) -> list[Any]:
    """Lists in lists."""
    found: list[Any] = []
    for _ in range(levels - 1):
        found = [found]
    return found
