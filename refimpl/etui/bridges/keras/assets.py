"""Files that layers keep beside the config, such as vocabularies (SPEC.md, annex B.7).

Keras puts them below `assets/` and the layer's group of the weights file; an artifact puts them below `assets/` and the
module's path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from etui.bridges.keras.layout import places
from etui.bridges.keras.modules import join, keep, residue
from etui.containers.config import Config
from etui.model import Blob
from etui.report import Report
from etui.storage.part_names import escape, unescape

FOLDER = "assets"


def read_assets(config: Config, members: Mapping[str, Blob], report: Report) -> dict[str, Blob]:
    """The parts of the members of an archive that are assets, by part name.

    Args:
        config: the neutral config.
        members: member name -> content.
        report: gets an entry for each.
    """
    known = places(config)
    paths = {place.group: place.path for place in known}
    groups = {place.path: place.group for place in known}
    found: dict[str, Blob] = {}
    odd = {}
    for member, blob in members.items():
        group, path, rest = _owner(member.removeprefix(f"{FOLDER}/"), paths)
        part = f"{FOLDER}/{escape(join(path, rest))}"
        if part in found:
            part = f"{FOLDER}/{escape(join(group, rest))}"
        if _member(groups, part) != member:
            odd[part] = member
        found[part] = blob
        report.add("asset", part, "restored")
    if odd:
        keep(config.model, "assets", odd)
    return found


def written_assets(config: Config, parts: Mapping[str, Blob]) -> Iterator[tuple[str, Blob]]:
    """The member name of each asset with its content."""
    odd = residue(config.model).get("assets", {})
    groups = {place.path: place.group for place in places(config)}
    for part, blob in parts.items():
        yield odd.get(part) or _member(groups, part), blob


def moved_assets(before: Config, after: Config, parts: Mapping[str, Blob]) -> dict[str, Blob]:
    """The assets of a model that was translated: those of a layer that is not told of any more are below its group.

    Args:
        before: the config, as the assets are named.
        after: the translated config, without some of the layers that others make by themselves.
        parts: the assets by part name.
    """
    groups = {place.path: place.group for place in places(before)}
    told = {place.path for place in places(after)}
    found = {}
    for part, blob in parts.items():
        path, group, rest = _owner(unescape(part.removeprefix(f"{FOLDER}/")), groups)
        parent = path.rpartition("/")[0]
        if path not in told and parent in told:
            below = group.removeprefix(f"{groups[parent]}/")
            found[f"{FOLDER}/{escape(join(parent, join(below, rest)))}"] = blob
        else:
            found[part] = blob
    return found


def _member(groups: Mapping[str, str], part: str) -> str:
    """The member of the archive that a part becomes."""
    _, group, rest = _owner(unescape(part.removeprefix(f"{FOLDER}/")), groups)
    return f"{FOLDER}/{join(group, rest)}"


def _owner(name: str, others: Mapping[str, str]) -> tuple[str, str, str]:
    """The longest leading path of `name` that `others` has, what it is there, and the rest of the name."""
    steps = name.split("/")
    for count in range(len(steps) - 1, 0, -1):
        head = "/".join(steps[:count])
        if head in others:
            return head, others[head], "/".join(steps[count:])
    return "", "", name
