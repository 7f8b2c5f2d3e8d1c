"""Artifacts in memory: a mapping as the target of a save."""

from __future__ import annotations

from collections import UserDict

import pytest

import etui
from etui.testing.samples import everything

pytestmark = pytest.mark.library

EARLIER = {"notes.txt": b"mine", "manifest.json": b"old", "weights.json": b"older"}


class Refusing(UserDict[str, bytes]):
    """A mapping that refuses one change, at the place of the next one that is counted; all others it takes."""

    def __init__(self, content: dict[str, bytes], left: int, *, deletes: bool = False) -> None:
        self.left = left
        self.deletes = deletes
        self.armed = False
        super().__init__(content)
        self.armed = True

    def _count(self) -> None:
        self.left -= 1
        if not self.left:
            raise OSError("full")

    def __setitem__(self, name: str, data: bytes) -> None:
        if self.armed and not self.deletes:
            self._count()
        super().__setitem__(name, data)

    def __delitem__(self, name: str) -> None:
        if self.armed and self.deletes:
            self._count()
        super().__delitem__(name)


@pytest.mark.parametrize("left", range(1, 20))
def test_a_mapping_that_refuses_a_part_is_as_it_was(left: int) -> None:
    """Whichever part a mapping does not take, the save fails and what was there before is there again."""
    target = Refusing(EARLIER, left)
    wanted: dict[str, bytes] = {}
    etui.save(everything(), wanted)
    if left <= len(wanted):
        with pytest.raises(OSError, match="full"):
            etui.save(everything(), target)
        assert dict(target) == EARLIER
    else:
        etui.save(everything(), target)
        assert dict(target) == wanted


def test_a_mapping_that_refuses_to_let_go_is_as_it_was() -> None:
    """A mapping that does not delete what the new artifact has no use for keeps the earlier content alone."""
    target = Refusing(EARLIER, 1, deletes=True)
    with pytest.raises(OSError, match="full"):
        etui.save(everything(), target)
    assert dict(target) == EARLIER


def test_what_is_left_of_an_earlier_artifact_is_gone() -> None:
    """A save into a mapping leaves nothing but the parts of the new artifact."""
    target = dict(EARLIER)
    etui.save(everything(), target)
    assert "notes.txt" not in target
    assert etui.verify(target).parts == len(target)
