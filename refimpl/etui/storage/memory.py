"""An artifact in memory: a mapping from part name to bytes."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from contextlib import suppress

from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.base import ByteSource
from etui.storage.reading import PartsReader, missing
from etui.storage.sources import BytesSource
from etui.storage.writing import CheckedWriter, Content

LOCATION = "<memory>"


class MemoryReader(PartsReader):
    """Reads parts from a mapping."""

    def __init__(self, parts: Mapping[str, bytes], limits: Limits = DEFAULT_LIMITS) -> None:
        self._parts = dict(parts)
        super().__init__("memory", LOCATION, limits)

    def names(self) -> Mapping[str, int]:
        """Every part with its size."""
        return {name: len(data) for name, data in self._parts.items()}

    def source(self, name: str) -> ByteSource:
        """The bytes of a part."""
        if name not in self._parts:
            raise missing(name, self.location)
        return BytesSource(self._parts[name])


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
