"""What the readers of named parts share that need no container's rules: memory, and parts from several places."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Mapping

from etui.errors import error, shown
from etui.limits import Limits
from etui.storage.base import ByteSource, Form
from etui.storage.closing import Closing
from etui.storage.part_names import MANIFEST, check_part_names


def missing(name: str, where: str) -> Exception:
    """The error for a part that is not there (F-2, F-3)."""
    code = "manifest-missing" if name == MANIFEST else "part-missing"
    return error(code, where=where, found=f"no {shown(name)}")


class PartsReader(Closing):
    """An `ArtifactReader` of parts that are known by name; the rules of the directory form hold where they make sense.

    Args:
        form: how the parts are stored.
        location: where, for messages.
        limits: the limits in force.

    Raises:
        InvalidError: ``manifest-missing``.
    """

    def __init__(self, form: Form, location: str, limits: Limits) -> None:
        self.form: Form = form
        self.location = location
        self._limits = limits
        if MANIFEST not in self.names():
            raise missing(MANIFEST, location)

    @abstractmethod
    def names(self) -> Mapping[str, int]:
        """Every part with its size."""

    @abstractmethod
    def source(self, name: str) -> ByteSource:
        """The bytes of a part."""

    def check_members(self, listed: Mapping[str, int]) -> None:
        """Every listed part is there with its size (F-3, F-4)."""
        check_part_names(listed, self._limits)
        for name, size in listed.items():
            found = self.source(name).size
            if found != size:
                raise error("part-size", where=name, found=f"{found} bytes, not {size}")

    def verify_container(self, listed: Collection[str]) -> None:
        """Nothing is there that is not listed (F-5)."""
        for name in self.names():
            if name not in listed and name != MANIFEST:
                raise error("part-unlisted", where=self.location, found=shown(name))

    def close(self) -> None:
        """Nothing to let go of."""
