"""Bundles over bundles: a reader finds the earlier one or the new one, whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etui.errors import EtuiError
from etui.storage import tf_bundle_writer, transaction
from etui.storage.tf_bundle import open_bundle
from etui.storage.tf_bundle_writer import Outgoing, write_bundle

ONE = np.arange(2, dtype="<f4")


def outgoing(name: str, array: np.ndarray[Any, Any]) -> Outgoing:
    """A tensor of these elements."""
    return Outgoing(name, array.dtype.name, array.shape, lambda: array)


@pytest.mark.clause("KT-24@4cf6bd")
@pytest.mark.parametrize("size", [None, 8])
def test_a_crash_leaves_one_of_two_bundles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int | None) -> None:
    """A bundle over one of as many shards: after each step in the folder, what is there is one or the other, whole."""
    first = [outgoing("a", ONE), outgoing("b", ONE)]
    second = [outgoing("a", ONE + 1), outgoing("b", ONE + 1)]
    write_bundle(tmp_path / "new", second, shard_size=size)
    seen: list[int] = []

    def values() -> list[Any]:
        with open_bundle(tmp_path / "x") as bundle:
            return [tensor.read().tolist() for tensor in bundle.tensors.values()]

    one, two = [ONE.tolist()] * 2, [(ONE + 1).tolist()] * 2
    plain_sync = transaction.sync_folder

    def checked(path: Path) -> None:
        plain_sync(path)
        found = values()
        assert found in (one, two)
        seen.append(found == two)

    write_bundle(tmp_path / "x", first, shard_size=size)
    monkeypatch.setattr(transaction, "sync_folder", checked)
    monkeypatch.setattr(tf_bundle_writer, "sync_folder", checked)
    write_bundle(tmp_path / "x", second, shard_size=size)
    assert seen == sorted(seen)
    assert {True, False} == set(seen)
    assert values() == two
    for path in tmp_path.glob("new.*"):
        assert path.read_bytes() == (tmp_path / path.name.replace("new", "x")).read_bytes()
    assert len(list(tmp_path.iterdir())) == 2 * len(list(tmp_path.glob("new.*")))


@pytest.mark.clause("KT-12@c2a365")
def test_a_shard_of_another_bundle_is_not_taken(tmp_path: Path) -> None:
    """An index beside the shard of another bundle of the same form finds that its checksums differ."""
    write_bundle(tmp_path / "x", [outgoing("a", ONE)])
    write_bundle(tmp_path / "y", [outgoing("a", ONE + 1)])
    (tmp_path / "x.data-00000-of-00001").write_bytes((tmp_path / "y.data-00000-of-00001").read_bytes())
    with open_bundle(tmp_path / "x") as bundle, pytest.raises(EtuiError) as caught:
        bundle.tensors["a"].read()
    assert caught.value.code == "bundle-crc"
