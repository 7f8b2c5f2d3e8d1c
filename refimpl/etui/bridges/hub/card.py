"""The page that a repository of a model shows, where it has none yet."""

from __future__ import annotations

from etui.verification import Verification

NAME = "README.md"


def card(repo: str, folder: str, found: Verification) -> bytes:
    """A model card: what the repository holds, and how it is opened.

    Args:
        repo: ``user/name``.
        folder: where in the repository the artifact is, with a final separator; empty for its root.
        found: what a full verification says of the artifact.
    """
    option = f", path_in_repo={folder.removesuffix('/')!r}" if folder else ""
    flag = f" --path-in-repo {folder.removesuffix('/')}" if folder else ""
    where = f" in the folder `{folder}`" if folder else ""
    lines = [
        "---",
        "library_name: etui",
        "tags:",
        "- etui",
        "---",
        "",
        f"# {repo}",
        "",
        f"A neural network as an [etui](https://pypi.org/project/etui/){where}: profile `{found.profile}`,",
        f"{found.parts} parts, {found.tensors} tensors.",
        "",
        "```python",
        "import etui",
        "",
        f'etui.pull("{repo}", "model.etui"{option})',
        'model = etui.open("model.etui")',
        "```",
        "",
        "```",
        f"etui pull {repo} model.etui{flag}",
        "```",
        "",
    ]
    return "\n".join(lines).encode()
