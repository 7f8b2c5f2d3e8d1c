"""An HDF5 file in the layout of a `.keras` file's weights: groups in sorted order, then one array after the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO

from etui.bridges.keras.content import Written
from etui.containers.data_writer import Progress
from etui.containers.tensors import Tensor
from etui.storage.hdf5_writer import Hdf5Writer


class Counter:
    """Tells how much of the arrays is written, over all files of a model.

    Args:
        datasets: all arrays.
        name: what is written, for people.
        progress: what to call, or `None`.
    """

    def __init__(self, datasets: Mapping[str, Tensor], name: str, progress: Progress | None) -> None:
        self._total = sum(tensor.nbytes for tensor in datasets.values())
        self._done = 0
        self._name = name
        self._progress = progress

    def add(self, count: int) -> None:
        """So many more bytes are written."""
        self._done += count
        if self._progress is not None:
            self._progress(self._name, self._done, self._total)


def write_layout(
    file: IO[bytes], groups: Mapping[str, Mapping[str, str]], datasets: Mapping[str, Tensor], counter: Counter
) -> None:
    """Write one file.

    Args:
        file: seekable, open for reading and writing, empty.
        groups: each group with its attributes.
        datasets: each array by its name in the layout.
        counter: is told of each array.

    Raises:
        MissingExtraError: h5py is not installed.
    """
    with Hdf5Writer(file) as weights:
        for path, attrs in sorted(groups.items()):
            weights.group(path, attrs)
        for path, tensor in datasets.items():
            weights.dataset(path, tensor.numpy())
            counter.add(tensor.nbytes)


def part_of(
    written: Written, paths: Iterable[str], *, first: bool
) -> tuple[dict[str, dict[str, str]], dict[str, Tensor]]:
    """The groups and arrays of one file of several: groups that hold nothing are in the first.

    Args:
        written: the whole model.
        paths: the arrays of the file.
        first: whether it is the first file.
    """
    datasets = {path: written.datasets[path] for path in paths}
    holding = {above for path in written.datasets for above in _above(path)}
    mine = {above for path in datasets for above in _above(path)}
    groups = {path: attrs for path, attrs in written.groups.items() if path in mine or (first and path not in holding)}
    return groups, datasets


def _above(path: str) -> list[str]:
    """The groups that lead to an array."""
    steps = path.split("/")
    return ["/".join(steps[:count]) for count in range(len(steps))]
