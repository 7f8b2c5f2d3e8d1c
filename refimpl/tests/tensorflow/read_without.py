"""Reads checkpoints in a process where no framework can be imported: `python read_without.py out.npz prefix ...`."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np

BARRED = ("tensorflow", "keras", "tf_keras", "torch", "jax")


class Bar(MetaPathFinder):
    """Makes the frameworks absent."""

    def find_spec(self, name: str, *_: object) -> None:
        if name.partition(".")[0] in BARRED:
            raise ModuleNotFoundError(name)


def main() -> None:
    """Store each tensor's bytes under its place in the arguments and its key."""
    sys.meta_path.insert(0, Bar())
    from etui.conversion import read
    from etui.storage.tf_bundle import open_bundle

    found: dict[str, Any] = {}
    for number, prefix in enumerate(sys.argv[2:]):
        with open_bundle(Path(prefix)) as bundle:
            for key, tensor in bundle.tensors.items():
                if not tensor.slices and tensor.dtype not in ("bytes", "variant"):
                    found[f"{number}:{key}"] = np.frombuffer(tensor.read().tobytes(), np.uint8)
        with read(prefix)[0] as model:
            for path, variable in model.weights.variables.items() if model.weights is not None else ():
                if variable.dtype != "bytes":
                    found[f"{number}@{path}"] = np.frombuffer(variable.numpy().tobytes(), np.uint8)
    for name in BARRED:
        assert name not in sys.modules
    np.savez(sys.argv[1], **found)


main()
