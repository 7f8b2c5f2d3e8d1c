"""Names of tensors in files of torch, and the paths that they are (SPEC.md, annex M.3)."""

from __future__ import annotations

from etui.paths import escape_segment, unescape_segment

# What a training's checkpoint calls the state of its module and of its optimizer; the first is what is written.
MODELS = ("model", "state_dict", "model_state_dict", "module")
OPTIMIZERS = ("optimizer", "optimizer_state_dict")
BUFFERS = frozenset({"running_mean", "running_var", "num_batches_tracked"})
"""Last segments of tensors that a file of torch holds beside parameters: it does not say which are which."""


def path_of(name: str) -> str:
    """The path of a key of a `state_dict`: its dots part the segments."""
    return "/".join(escape_segment(part) for part in name.split("."))


def name_of(path: str) -> str:
    """The key of a `state_dict` that a path is; undoes `path_of`."""
    return ".".join(unescape_segment(part) for part in path.split("/"))
