"""An artifact of which the manifest and the documents alone are kept: its data is hashed as it passes, and let go."""

from __future__ import annotations

from etui.limits import DEFAULT_LIMITS, Limits
from etui.storage.part_names import role_of
from etui.storage.writing import CheckedWriter, Content

LOCATION = "<documents>"
_LET_GO = frozenset({"data", "asset", "program", "native"})


class DocumentsOnly(CheckedWriter):
    """Takes every part, as any writer does, and keeps the small ones that say what the artifact is.

    Attributes:
        parts: the manifest and the documents, by name.
    """

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        super().__init__("memory", LOCATION, limits)
        self.parts: dict[str, bytes] = {}

    def _put(self, part: Content) -> None:
        if role_of(part.name) in _LET_GO:
            for _ in part.data:
                pass
        else:
            self.parts[part.name] = b"".join(part.data)

    def _publish(self) -> None:
        """Nothing is to be seen elsewhere."""

    def _abort(self) -> None:
        self.parts.clear()
