"""The library's own codes of series of checkpoints, and of saving by several processes or beside the training."""

from __future__ import annotations

from etui.error_codes.entry import CALLER, Rows

ROWS: Rows = {
    # Series of checkpoints
    "series-step": ("usage", None, "a step that is not there", "`Series.steps()` lists those that are."),
    "series-exists": ("usage", None, "a step that is there already", "Pass `replace=True`, or take another number."),
    "series-number": ("usage", None, "no number of a step", "Pass an integer from 0 to 2^53 - 1."),
    "series-metric": ("usage", None, "a metric that is no number with a name", CALLER),
    "series-busy": ("storage", None, "others work on the series", "Try again when they are done."),
    # Retention and the collection of garbage
    "series-retention": ("usage", None, "a rule of retention that cannot be meant", CALLER),
    # Annex R, distributed writers
    "distributed-misuse": ("usage", None, "boxes or calls that no distributed save can be made of", CALLER),
    "distributed-incomplete": (
        "usage",
        None,
        "a distributed save that lacks what a process was to write",
        "Save again: what was at the target is as it was.",
    ),
    "distributed-value": (
        "usage",
        None,
        "what is neither a tensor nor a value",
        "Keep numbers, texts, bytes, lists, tuples, maps and small arrays in the state, tensors at keys of their own.",
    ),
    "distributed-names": (
        "usage",
        None,
        "a state whose keys say no tensors of a model",
        "Name the key of the module's state with `model`.",
    ),
    # Annex R, processes of JAX
    "distributed-differs": (
        "transfer",
        None,
        "processes that would not save the same",
        "Give each process the same tree; keep what is its own in an array over all, or leave it out.",
    ),
    "distributed-process": (
        "storage",
        None,
        "a process of a distributed save that failed",
        "See that process; what was at the target is as it was.",
    ),
    "distributed-timeout": (
        "storage",
        None,
        "a process of a distributed save that is gone",
        "Start the program again; what was at the target is as it was.",
    ),
    "distributed-processes": ("usage", None, "processes that cannot talk", "Call `jax.distributed.initialize`."),
    "jax-sharding": ("transfer", None, "a sharding that an array cannot have", "Change the mesh or the spec."),
    # Annex R.2, saving beside the training
    "save-async-closed": ("usage", None, "a save by a saver that was closed", "Make a new `AsyncSaver`."),
    "save-async-target": ("usage", None, "a save that does not fit its target", CALLER),
    "save-async-within": ("usage", None, "a call of a saver within another one", CALLER),
    "save-async-preemption": ("usage", None, "signals that cannot be watched", CALLER),
}
