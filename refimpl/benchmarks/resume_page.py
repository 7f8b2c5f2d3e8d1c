"""The table of resumed trainings as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import resume_case
from resume_case import Row

# Target and variant -> title of the column.
COLUMNS = {
    ("keras-jax", "resumed"): "Keras on JAX",
    ("keras-tensorflow", "resumed"): "Keras on TensorFlow",
    ("keras-torch", "resumed"): "Keras on torch",
    ("tf_keras", "resumed"): "tf_keras",
    ("torch", "exact"): "PyTorch",
    ("torch", "stock"): "PyTorch, `stock=True`",
    ("jax", "exact"): "optax",
    ("jax", "stock"): "optax, `stock=True`",
}
TABLES = (list(COLUMNS)[:4], list(COLUMNS)[4:])
TARGETS = {target: title for (target, variant), title in COLUMNS.items() if variant != "stock"}
MODELS = {"mlp": "A network of two dense layers", "cnn": "A network of convolution and batch normalization"}
CONTROLS = {
    "fresh-state": "the slots are zeros, and the steps begin anew",
    "step-off-by-one": "the slots are right, and the counter is one less",
    "unscaled-velocity": "the velocity of Keras as the buffer of torch or optax, without the division by the rate",
    "stock-epsilon": "the rule of torch or optax with the number of Keras' epsilon, which stands elsewhere",
}
PACKAGES = (("keras",), ("tensorflow", "tensorflow-cpu"), ("tf_keras",), ("jax",), ("optax",), ("torch",), ("numpy",))

INTRODUCTION = """\
# Training that goes on elsewhere

This page is a measurement: `python refimpl/benchmarks/resume.py --write refimpl/docs/transfer.md` makes all of it anew.

A model is trained in Keras on {backend} for {before} steps and saved as an etui.
Then Keras goes on for {after} steps, and so does the target, from the etui and with the same batches.
A figure is the largest relative difference of the loss in these steps, in float32 / in float64.

## Classes

The report of a load says for each slot and rule how faithful it is:

- **exact**: the numbers are the same, and so is the rule;
- **reparametrised**: numbers are converted by a formula, in the report, under which the rule is the same;
- **approximate**: the rule of the target differs a little; a strict load refuses it unless it is allowed;
- **not-transferable**: the target has no such rule or state; a strict load refuses it.

`etui.torch.load` and `etui.jax.load` give the stored rule itself.
With `stock=True` they give the class of `torch.optim` or the transformation of optax:
see [PyTorch](pytorch.md) and [JAX](jax.md).
In Keras the etui is loaded by `etui.keras.load`, in tf_keras with `framework="tf_keras"`.

## Limits

An exact or reparametrised transfer differs by {f32} at most in float32, and by {f64} in float64.
Where the network has batch normalization it is {cnn64} in float64: Keras' own statistics are no more accurate.
Keras on JAX computes a power of the step in Adafactor, and a root of the sizes in Muon, in float32 whatever else
is computed in float64; their limit is {powers} in float64.

Keras itself does not reach that on all of its backends: on TensorFlow it rounds some hyperparameters to float32, on
torch also its losses.
A figure with a dagger (†) is beyond the limit for that reason.
The last table of each network shows that it is so: there the same state was put into the target's own model and
optimizer by hand, variable by variable, without an etui.
The run fails if the etui's figure is more than twice as large.
"""


def write(page: Path, rows: list[Row], backend: str) -> None:
    """Write the page."""
    limits = resume_case.LIMITS
    names = {"jax": "JAX", "tensorflow": "TensorFlow", "torch": "torch"}
    text = INTRODUCTION.format(
        backend=names[backend],
        before=resume_case.BEFORE,
        after=resume_case.AFTER,
        f32=f"{limits['mlp', 'float32']:.0e}",
        f64=f"{limits['mlp', 'float64']:.0e}",
        cnn64=f"{limits['cnn', 'float64']:.0e}",
        powers=f"{max(resume_case.FLOORS.values()):.0e}",
    )
    parts = [text]
    for model, title in MODELS.items():
        own = [row for row in rows if row.model == model and row.variant not in CONTROLS]
        if own:
            parts += [f"\n## {title}\n", *_tables(own), *_others(own), *_floors(own)]
    parts += _controls([row for row in rows if row.variant in CONTROLS])
    parts += ["\n## Versions\n\n", ", ".join(_versions()), ".\n"]
    page.write_text("".join(parts), encoding="utf-8")


def _tables(rows: list[Row]) -> Iterator[str]:
    """One table for every Keras, one for the others, each with the worst of its faithful figures."""
    for columns in TABLES:
        found = {(row.optimizer, (row.target, row.variant)): row for row in rows}
        optimizers = list(dict.fromkeys(row.optimizer for row in rows))
        lines = [[name, *(_cell(found.get((name, column))) for column in columns)] for name in optimizers]
        worst = ["**worst that is faithful**"]
        for column in columns:
            own = [found[name, column] for name in optimizers if (name, column) in found]
            worst.append(_figures(_worst([row for row in own if row.transfer in resume_case.FAITHFUL])))
        yield _table(["optimizer", *(COLUMNS[column] for column in columns)], [*lines, worst])


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if not row.figures:
        return "–"
    return f"{row.transfer} {_figures(row.figures, row)}"


def _figures(figures: dict[str, float], row: Row | None = None) -> str:
    found = []
    for dtype in resume_case.DTYPES:
        dagger = "†" if row is not None and dtype in row.floors else ""
        found.append(f"{figures[dtype]:.1e}{dagger}" if dtype in figures else "–")
    return " / ".join(found)


def _worst(rows: list[Row]) -> dict[str, float]:
    found: dict[str, float] = {}
    for row in rows:
        for dtype, figure in row.figures.items():
            found[dtype] = max(figure, found.get(dtype, 0.0))
    return found


def _others(rows: list[Row]) -> Iterator[str]:
    """What is not faithful, with the reason that the report gives; – where there is nothing to go on with."""
    lines = [
        f"- {row.optimizer}, {COLUMNS[row.target, row.variant]}: {row.transfer}, {row.reason}\n"
        for row in rows
        if row.transfer not in resume_case.FAITHFUL
    ]
    if lines:
        yield "\nWhat is neither exact nor reparametrised, in the report's words (–: no optimizer was made):\n\n"
        yield from lines


def _floors(rows: list[Row]) -> Iterator[str]:
    """The figures beyond the limit, each with that of the state put by hand."""
    found = {
        (row.optimizer, dtype, row.target): f"{row.figures[dtype]:.1e} / {floor:.1e}"
        for row in rows
        for dtype, floor in row.floors.items()
    }
    measured = {row.target for row in rows if row.floors}
    chosen = [target for target in TARGETS if target in measured]
    lines = [
        [name, dtype, *(found.get((name, dtype, target), "") for target in chosen)]
        for name, dtype in dict.fromkeys(key[:2] for key in found)
    ]
    if lines:
        yield "\nBeyond the limit: from the etui / with the state put by hand.\n"
        yield _table(["optimizer", "dtype", *(TARGETS[target] for target in chosen)], lines)


def _controls(rows: list[Row]) -> Iterator[str]:
    if not rows:
        return
    yield "\n## Controls\n\nTransfers of the first network that are wrong in one thing must be beyond the limits:\n\n"
    yield from (f"- {name}: {text}.\n" for name, text in CONTROLS.items())
    lines = [
        [row.variant, row.optimizer, TARGETS[row.target], _figures(row.figures), "yes" if row.good else "**no**"]
        for row in sorted(rows, key=lambda row: list(CONTROLS).index(row.variant))
    ]
    yield _table(["control", "optimizer", "target", "difference", "caught"], lines)


def _table(columns: list[str], lines: list[list[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _versions() -> Iterator[str]:
    for names in PACKAGES:
        for name in names:
            try:
                yield f"{names[0]} {version(name)}"
            except PackageNotFoundError:
                continue
            break
