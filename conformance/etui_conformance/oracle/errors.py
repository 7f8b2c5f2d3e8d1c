"""Refusals: a code of SPEC.md, its class (chapter 20), and the place in the artifact."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

ErrorClass = Literal["malformed", "invalid", "unsupported", "limit", "integrity", "unsafe"]

_CLASSES: dict[ErrorClass, str] = {
    "malformed": "json-encoding json-syntax json-surrogate json-depth msgpack-syntax msgpack-encoding msgpack-depth "
    "signature-form zip-truncated zip-layout safetensors-header",
    "unsupported": "feature-unknown version-unsupported digest-algorithm op-unknown",
    "limit": "value-limit",
    "integrity": "digest-mismatch signature-key signature-invalid signature-identity part-missing part-size zip-crc "
    "series-object series-seal",
    "unsafe": "part-name part-collision part-not-a-file series-link",
}
_BY_CODE: dict[str, ErrorClass] = {code: name for name, codes in _CLASSES.items() for code in codes.split()}


def class_of(code: str) -> ErrorClass:
    """The class that chapter 20 gives to a code; `invalid` has every code that no other row names."""
    return _BY_CODE.get(code, "limit" if code.startswith("limit-") else "invalid")


class Refusal(Exception):  # noqa: N818 (the word of SPEC.md)
    """The artifact, or the content to be written, breaks a clause.

    Attributes:
        code: the code of the clause.
        at: the place: a part, and after a space a JSON pointer into it.
        message: what was found.
    """

    def __init__(self, code: str, at: str, message: str) -> None:
        super().__init__(f"{code} at {at or 'the whole'}: {message}")
        self.code = code
        self.at = at
        self.message = message

    @property
    def error_class(self) -> ErrorClass:
        """The class of the code."""
        return class_of(self.code)


def refusal(call: Callable[[], object]) -> Refusal | None:
    """The refusal that a call raises, if it raises one."""
    try:
        call()
    except Refusal as found:
        return found
    return None


def refused_with(call: Callable[[], object]) -> str | None:
    """The code of the refusal that a call raises, if it raises one."""
    found = refusal(call)
    return None if found is None else found.code


def pointer(at: str, *keys: str | int) -> str:
    """The place of a value below another: `weights.json` or `weights.json /a`, and further steps of a JSON pointer."""
    steps = "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)
    return at + steps if " " in at or not at else f"{at} {steps}"
