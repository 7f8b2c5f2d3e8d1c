"""An artifact in memory: a mapping from part name to bytes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from contextlib import suppress
from types import TracebackType
from typing import Self

from etui.errors import error, shown
from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource, Form
from etui.storage.part_names import MANIFEST, check_part_names
from etui.storage.sources import BytesSource
from etui.storage.writing import CheckedWriter, Content

LOCATION = "<memory>"


def missing(name: str, where: str) -> Exception:
    """The error for a part that is not there (F-2, F-3)."""
    code = "manifest-missing" if name == MANIFEST else "part-missing"
    return error(code, where=where, found=f"no {shown(name)}")


class MemoryReader:
    """Reads parts from a mapping; the rules of the directory form hold where they make sense."""

    def __init__(self, parts: Mapping[str, bytes], limits: Limits = DEFAULT_LIMITS) -> None:
        self.form: Form = "memory"
        self.location = LOCATION
        self._parts = dict(parts)
        self._limits = limits
        if MANIFEST not in self._parts:
            raise missing(MANIFEST, LOCATION)

    def names(self) -> Mapping[str, int]:
        """Every part with its size."""
        return {name: len(data) for name, data in self._parts.items()}

    def source(self, name: str) -> ByteSource:
        """The bytes of a part."""
        if name not in self._parts:
            raise missing(name, self.location)
        return BytesSource(self._parts[name])

    def check_members(self, listed: Mapping[str, int]) -> None:
        """Every listed part is there with its size (F-3, F-4)."""
        check_part_names(listed, self._limits)
        for name, size in listed.items():
            found = self.source(name).size
            if found != size:
                raise error("part-size", where=name, found=f"{found} bytes, not {size}")

    def verify_container(self, listed: Collection[str]) -> None:
        """Nothing is there that is not listed (F-5)."""
        for name in self._parts:
            if name not in listed and name != MANIFEST:
                raise error("part-unlisted", where=self.location, found=shown(name))

    def close(self) -> None:
        """Nothing to let go of."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryWriter(CheckedWriter):
    """Collects parts; `commit` puts them into the caller's mapping in place of what it held."""

    def __init__(self, target: MutableMapping[str, bytes], limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__("memory", LOCATION, limits)
        self._target = target
        self._parts: dict[str, bytes] = {}

    def _put(self, part: Content) -> None:
        self._parts[part.name] = b"".join(part.data)

    def _publish(self) -> None:
        earlier = dict(self._target)
        try:
            self._target.update(self._parts)
            for name in earlier.keys() - self._parts.keys():
                del self._target[name]
        except BaseException:
            self._restore(earlier)
            raise

    def _restore(self, earlier: Mapping[str, bytes]) -> None:
        """What was there, as far as a mapping that refuses some changes takes it."""
        for name, data in earlier.items():
            if self._target.get(name) is not data:
                with suppress(Exception):
                    self._target[name] = data
        for name in self._parts.keys() - earlier.keys():
            with suppress(Exception):
                self._target.pop(name, None)

    def _abort(self) -> None:
        self._parts.clear()
