"""Training that begins in Keras and goes on elsewhere, against training that was never interrupted: a table.

    python refimpl/benchmarks/resume.py                       every optimizer, target and dtype, from Keras on JAX
    python refimpl/benchmarks/resume.py --write PAGE          the same and the controls, as a page of the documentation
    python refimpl/benchmarks/resume.py --backend tensorflow  from Keras on another backend
    python refimpl/benchmarks/resume.py --target torch --optimizer adam --optimizer sgd
    python refimpl/benchmarks/resume.py --controls            what must be caught: wrong or incomplete transfers

For each optimizer a model is trained in Keras and saved as an etui; Keras and the target train it further on the same
batches. A figure is the largest relative difference of the loss over these steps. The exit code is 1 if an exact or
reparametrised transfer is beyond its limit, or a control within it. Where Keras itself does not reach the limit on a
backend, its own accuracy is the limit: that of the state which was put by hand, without an etui, into the variables of
the target's own model and optimizer, measured in the same run.

A target is a module in this folder, or an object, with the function `run` and the names in `VARIANTS` and `CONTROLS`;
see `Target`.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, cast

import numpy as np
import resume_page
from resume_case import (
    AFTER,
    BATCH,
    BEFORE,
    DTYPES,
    FAITHFUL,
    FLOORS,
    LIMITS,
    LOSS,
    MODELS,
    OPTIMIZERS,
    Batch,
    Case,
    Result,
    Row,
    keras_losses,
)

TARGETS = ("keras-jax", "keras-tensorflow", "keras-torch", "tf_keras", "torch", "jax")
# The CNN is there for batch statistics and convolutions, which these rules meet in each of their forms.
CNN_OPTIMIZERS = ("adam", "adamw", "sgd-momentum", "rmsprop")


class Target(Protocol):
    """What the module `resume_<target>` offers, and `resume_keras.Keras` for every Keras.

    Those also have `floor(case)`, the losses of a training that has its state by hand, or none where that cannot be.
    """

    VARIANTS: tuple[str, ...]
    """Ways to resume that should be right, such as ``adapters`` and ``stock``."""

    CONTROLS: tuple[str, ...]
    """Ways that are wrong on purpose; each is run for the optimizers and dtypes that `applies` says."""

    def applies(self, variant: str, optimizer: str, dtype: str) -> bool:
        """Whether a variant or control means anything for an optimizer."""

    def run(self, case: Case, variant: str) -> Result:
        """Train on from the etui."""


def data(shape: tuple[int, ...], dtype: str, number: int) -> list[Batch]:
    """Batches of points around five centres, near enough to each other for losses that stay away from 0."""
    rng = np.random.default_rng(0)
    centres = 0.4 * rng.normal(size=(5, *shape))
    batches = []
    for _ in range(number):
        y = rng.integers(0, 5, BATCH)
        batches.append(((centres[y] + rng.normal(size=(BATCH, *shape))).astype(dtype), y.astype("int32")))
    return batches


def make_case(optimizer: str, model: str, dtype: str, folder: Path) -> Case:
    """Train in Keras, save, and train on."""
    import keras

    import etui

    keras.config.set_floatx(dtype)
    keras.config.set_dtype_policy(dtype)
    keras.utils.set_random_seed(1)
    build, shape = MODELS[model]
    net = build(keras)
    net.compile(OPTIMIZERS[optimizer](keras), LOSS)
    batches = data(shape, dtype, BEFORE + AFTER)
    for x, y in batches[:BEFORE]:
        net.train_on_batch(x, y)
    state = {f"weights/{layer.name}/{i}": array for layer in net.layers for i, array in enumerate(layer.get_weights())}
    for i, variable in enumerate(net.optimizer.variables):
        state[f"optimizer/{i:03}/{variable.name}"] = keras.ops.convert_to_numpy(variable.value)
    arrays = folder / f"{optimizer}-{model}-{dtype}.npz"
    further = batches[BEFORE:]
    np.savez(arrays, x=np.stack([x for x, _ in further]), y=np.stack([y for _, y in further]), **state)
    path = folder / f"{optimizer}-{model}-{dtype}.etui"
    etui.keras.save(net, path)
    return Case(optimizer, model, dtype, path, arrays, further, keras_losses(net, further))


def difference(case: Case, losses: list[float]) -> float:
    """The largest relative difference of a loss."""
    reference = np.array(case.losses)
    return float(np.max(np.abs(np.array(losses) - reference) / np.abs(reference)))


def targets(names: list[str]) -> dict[str, Target]:
    """The targets by name."""
    sys.path.insert(0, str(Path(__file__).parent))
    found = {}
    for name in names:
        if "keras" in name:
            found[name] = cast(Target, importlib.import_module("resume_keras").Keras(name))
        else:
            found[name] = cast(Target, importlib.import_module(f"resume_{name}"))
    return found


def rows(arguments: argparse.Namespace) -> Iterator[Row]:
    """The lines of the table."""
    chosen = targets(arguments.target or list(TARGETS))
    only_controls, page = arguments.controls, arguments.write is not None
    with tempfile.TemporaryDirectory() as name:
        for model in arguments.model or (["mlp"] if only_controls else list(MODELS)):
            for optimizer in arguments.optimizer or (OPTIMIZERS if model == "mlp" else CNN_OPTIMIZERS):
                cases = [make_case(optimizer, model, dtype, Path(name)) for dtype in DTYPES]
                for target, module in chosen.items():
                    # The limit of the CNN is Keras' own accuracy in its batch statistics, which hides small faults.
                    controls = module.CONTROLS if only_controls or (page and model == "mlp") else ()
                    for variant in (*(() if only_controls else module.VARIANTS), *controls):
                        line = _row(cases, target, module, variant)
                        if line is not None:
                            yield line


def _row(cases: list[Case], target: str, module: Target, variant: str) -> Row | None:
    figures: dict[str, float] = {}
    floors: dict[str, float] = {}
    good, transfer, reason = True, "", ""
    for case in cases:
        if not module.applies(variant, case.optimizer, case.dtype):
            continue
        result = module.run(case, variant)
        transfer, reason = result.transfer, result.reason
        if not result.losses:
            continue
        worst = figures[case.dtype] = difference(case, result.losses)
        limit = max(LIMITS[case.model, case.dtype], FLOORS.get(case.optimizer, 0.0))
        floor = getattr(module, "floor", None)
        if not worst <= limit and floor is not None and (transfer in FAITHFUL or variant in module.CONTROLS):
            by_hand = floor(case)
            if by_hand:
                floors[case.dtype] = difference(case, by_hand)
                # Twice, for the last bits of another order of the same sums.
                limit = max(limit, 2 * floors[case.dtype])
        if variant in module.CONTROLS:
            good = good and worst > limit
        elif transfer in FAITHFUL:
            good = good and worst <= limit
    if not figures and not transfer:
        return None
    case = cases[0]
    return Row(case.model, case.optimizer, target, variant, transfer, figures, floors, reason, good)


def main() -> int:
    """Print the table; 1 if a line of it is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backend", default="jax", choices=("jax", "tensorflow", "torch"))
    parser.add_argument("--target", action="append", choices=TARGETS)
    parser.add_argument("--model", action="append", choices=tuple(MODELS))
    parser.add_argument("--optimizer", action="append", choices=tuple(OPTIMIZERS))
    parser.add_argument("--controls", action="store_true", help="only the controls")
    parser.add_argument("--write", metavar="PAGE", type=Path, help="write a page of the documentation")
    arguments = parser.parse_args()
    os.environ["KERAS_BACKEND"] = arguments.backend
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("JAX_ENABLE_X64", "1")
    warnings.simplefilter("ignore")
    columns = ["model", "optimizer", "target", "variant", "transfer", *DTYPES, "within"]
    print(f"Keras on {arguments.backend}, {BEFORE} steps, then {AFTER} steps in the target.\n")
    print("|", " | ".join(columns), "|")
    print("|" + "---|" * len(columns))
    found = []
    for row in rows(arguments):
        print("|", " | ".join(row.cells()), "|", flush=True)
        found.append(row)
    if arguments.write is not None and found:
        resume_page.write(arguments.write, found, arguments.backend)
    return 0 if found and all(row.good for row in found) else 1


if __name__ == "__main__":
    sys.exit(main())
