"""Power cuts: every state of the disk that a save may leave, from the log of its system calls.

The recorder keeps a model of the folder and a log of what each call does to it. `worlds` gives the states that a cut at
any moment may leave. The model, which grants less than any file system in common use does:

- A write, a truncation or a change of permissions is durable once `fsync` of that file returned, and the making,
  naming and removing of a name once `fsync` of its folder returned; nothing else is. fsync(2) of Linux says that
  flushing a file does not flush its name; POSIX promises no more.
- Of what is not durable, any subset may have happened, whatever the order of the calls: a rename may be there while an
  earlier one, of other names in the same folder, is not. Which orders file systems keep differs from one to the next,
  and with their options (Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014), so that none is granted
  here, though journals keep many. An entry is one place on the disk: what changes a name comes with what changed the
  same name before.
- A write may be there in part, its bytes may be zeros where the length of the file came first, and those in the middle
  may be missing.
- One call on names is atomic, that is making, linking, removing, renaming over something, and exchanging two. Without
  that no program could replace a file in one step.
- Durable is durable: the device has no cache that lies.

Two states are one world if every name leads to the same bytes. Bytes without a name are not looked at. Where many
changes wait for one flush, their subsets are those that begin at the first, leave out one, or have one alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import Any, NamedTuple

Tree = tuple[tuple[str, Any], ...]
"""The entries of a folder in order: names with a tree or bytes."""

_ALL_OF = 2  # so many writes of a file in all combinations, more of them in those of `_versions`
_ALL_NAMES = 6  # so many changes of names of one folder in all subsets, more of them in those of `_subsets`


class Names(NamedTuple):
    """Entries of one folder that change at once: name -> node, or `None` for removed."""

    folder: int
    entries: Mapping[str, int | None]


class Bytes(NamedTuple):
    """Bytes of a file at a place."""

    file: int
    offset: int
    data: bytes


class Length(NamedTuple):
    """The length of a file."""

    file: int
    size: int


class Sync(NamedTuple):
    """A flush of a file or a folder that returned."""

    node: int


Entry = Names | Bytes | Length | Sync


@dataclass
class Disk:
    """Folders and files by number; 0 is the folder that is watched."""

    folders: dict[int, dict[str, int]] = field(default_factory=lambda: {0: {}})
    files: dict[int, bytes] = field(default_factory=dict)

    def copy(self) -> Disk:
        return Disk({number: dict(entries) for number, entries in self.folders.items()}, dict(self.files))

    def apply(self, entry: Entry) -> None:
        if isinstance(entry, Names):
            entries = self.folders[entry.folder]
            for name, node in entry.entries.items():
                if node is None:
                    entries.pop(name, None)
                else:
                    entries[name] = node
        elif isinstance(entry, Bytes):
            self.files[entry.file] = _over(self.files[entry.file], entry.offset, entry.data)
        elif isinstance(entry, Length):
            self.files[entry.file] = self.files[entry.file][: entry.size].ljust(entry.size, b"\0")

    def tree(self, folder: int = 0) -> Tree:
        """The folder with everything below it."""
        return tuple(
            (name, self.tree(node) if node in self.folders else self.files[node])
            for name, node in sorted(self.folders[folder].items())
        )

    def reachable(self, folder: int = 0) -> set[int]:
        """The numbers of what has a name."""
        found: set[int] = set()
        for node in self.folders[folder].values():
            found.add(node)
            if node in self.folders:
                found |= self.reachable(node)
        return found


def _over(old: bytes, offset: int, data: bytes) -> bytes:
    return old[:offset].ljust(offset, b"\0") + data + old[offset + len(data) :]


def worlds(
    before: Disk, log: Sequence[Entry], first: int = 0, *, looked_at: Callable[[str], bool] = lambda _: True
) -> Iterator[tuple[int, Disk]]:
    """Every state that a power cut may leave; the same state may come several times.

    Args:
        before: the disk at the beginning, durable.
        log: what happened then.
        first: look at cuts after so many entries of the log.
        looked_at: whether a name of the watched folder is looked at; what is only below others is left out.

    Yields:
        The number of entries in front of the cut, and the disk.
    """
    # All that a cut leaves between two flushes is among what one leaves in front of the second.
    for end in [number for number, entry in enumerate(log) if number >= first and isinstance(entry, Sync)] + [len(log)]:
        base = before.copy()
        pending = _apply_durable(base, log[:end])
        names: dict[int, list[Names]] = {}
        for entry in pending:
            if isinstance(entry, Names):
                names.setdefault(entry.folder, []).append(entry)
        for disk in _branches(base, names, 0, looked_at):
            for versions in _contents(disk, pending):
                yield end, Disk(disk.folders, {**disk.files, **versions})


def _branches(
    disk: Disk, names: Mapping[int, list[Names]], folder: int, looked_at: Callable[[str], bool]
) -> Iterator[Disk]:
    """The disk with each subset of the changes in a folder and in those below it that can be reached."""
    for subset in _subsets(names.get(folder, [])):
        found = disk.copy()
        for entry in subset:
            found.apply(entry)
        entries = found.folders[folder] = {
            name: node for name, node in found.folders[folder].items() if folder or looked_at(name)
        }
        found_ones = [found]
        for below in dict.fromkeys(node for node in entries.values() if node in found.folders):
            found_ones = [one for some in found_ones for one in _branches(some, names, below, looked_at)]
        yield from found_ones


def _subsets(entries: Sequence[Names]) -> list[list[Names]]:
    """What may have happened in a folder: with a change of a name, each earlier change of that name."""
    needed = [
        {here} | {there for there in range(here) if entries[there].entries.keys() & entries[here].entries.keys()}
        for here in range(len(entries))
    ]
    for here in range(len(entries)):
        needed[here] = set().union(*(needed[there] for there in needed[here] if there != here), {here})
    if len(entries) <= _ALL_NAMES:
        wanted = [{*chosen} for size in range(len(entries) + 1) for chosen in combinations(range(len(entries)), size)]
    else:
        every = range(len(entries))
        wanted = [{*every[:size]} for size in range(len(entries) + 1)] + [{here} for here in every]
        wanted += [{there for there in every if here not in needed[there]} for here in every]
    closed = {frozenset().union(*(needed[here] for here in chosen)) for chosen in wanted}
    return [[entries[here] for here in sorted(chosen)] for chosen in sorted(closed, key=sorted)]


def _apply_durable(disk: Disk, log: Sequence[Entry]) -> list[Entry]:
    """Apply what is durable, and give the rest."""
    synced: set[int] = set()
    durable: list[Entry] = []
    pending: list[Entry] = []
    for entry in reversed(log):
        if isinstance(entry, Sync):
            synced.add(entry.node)
        else:
            (durable if entry[0] in synced else pending).append(entry)
    for entry in reversed(durable):
        disk.apply(entry)
    return pending[::-1]


def _contents(disk: Disk, pending: Sequence[Entry]) -> Iterator[dict[int, bytes]]:
    """The bytes that files with a name may have."""
    reachable = disk.reachable()
    files: dict[int, list[Bytes | Length]] = {}
    for entry in pending:
        if isinstance(entry, Bytes | Length) and entry.file in reachable:
            files.setdefault(entry.file, []).append(entry)
    choices = [_versions(disk.files[file], entries) for file, entries in files.items()]
    for found in product(*choices):
        yield dict(zip(files, found, strict=True))


def _versions(old: bytes, entries: Sequence[Bytes | Length]) -> list[bytes]:
    """What a file may hold: all combinations of few writes; of many, each beginning, and all but any one."""
    fates = [_fates(entry) for entry in entries]
    if len(entries) <= _ALL_OF:
        chosen = list(product(*fates))
    else:
        chosen = [
            (*[options[-1] for options in fates[:here]], fate, *[options[0] for options in fates[here + 1 :]])
            for here, options in enumerate(fates)
            for fate in options
        ]
        chosen += [
            (*[options[-1] for options in fates[:here]], fate, *[options[-1] for options in fates[here + 1 :]])
            for here, options in enumerate(fates)
            for fate in options
        ]
    found: dict[bytes, None] = {}
    for way in chosen:
        disk = Disk({}, {0: old})
        for entry in way:
            if entry is not None:
                disk.apply(entry)
        found[disk.files[0]] = None
    return list(found)


def _fates(entry: Bytes | Length) -> list[Bytes | Length | None]:
    """What becomes of a write: nothing, zeros, its first half, all of it."""
    if isinstance(entry, Length):
        return [None, entry._replace(file=0)]
    whole = entry._replace(file=0)
    zeros = whole._replace(data=bytes(len(entry.data)))
    return [None, zeros, whole._replace(data=entry.data[: len(entry.data) // 2]), whole]


def build(tree: Tree, folder: Path) -> None:
    """Make the files of a world."""
    folder.mkdir()
    for name, content in tree:
        if isinstance(content, bytes):
            (folder / name).write_bytes(content)
        else:
            build(content, folder / name)
