"""The page `refimpl/docs/crossing.md`, from the figures of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version

import crossing_keras
import crossing_torch

TITLES = {"torch": "PyTorch", "jax": "JAX", "keras": "Keras", "back": "back in torch"}
TEXT = """\
# Models across frameworks and back

`python refimpl/benchmarks/crossing.py --write` makes this page; no figure is written by hand.
This run: {packages}; float32 on a CPU.
All differences are relative to the largest prediction.
The bound is {bound:g}, and the exit code of the script is 1 if anything but rounding is beyond it.

## From Keras

Architectures of `keras.applications` at random weights, on TensorFlow, saved as `.keras` and read without Keras by
`etui.torch.to_module` and `etui.jax.to_function`.
Then the module or function is saved as an etui and loaded in Keras, which has to predict the same bits as at first.

Keras, torch and JAX add numbers in different orders, and each is off what it computes in float64.
So beside the difference in float32 stand the distances of both from Keras in float64 on the same weights, and the
difference of both in float64: where that is nothing, the translation is right, and all else is rounding.
A row says *rounding* where the difference is beyond the bound in float32, and within {exact:g} in float64; it names the
side that is further off.

{architectures}

## From torch

Models written in torch (`refimpl/benchmarks/torch_models.py`), saved by `etui.torch.save(…, example=…)`, which traces
them.
The way back is a circle: loaded in Keras, saved by Keras, and loaded by `etui.torch.load_into` into a new module whose
tensors were all zero.

Keras runs on JAX here.
On TensorFlow it adds the bias of a convolution with the channels first along the wrong axis where there are as many
channels as columns, whatever the model came from.
In a convolution of 4 channels and 4 columns it is off by {tensorflow:.1e}, relatively, and by {jax:.1e} on JAX.

{models}

## What does not cross

{refused}
"""


def page(
    keras: Sequence[crossing_keras.Crossing], torch: Sequence[crossing_torch.Crossing], gaps: Mapping[str, float]
) -> str:
    """The text of the page.

    Args:
        keras: the crossings of architectures of Keras.
        torch: those of models of torch.
        gaps: what `crossing_keras.bias_beside_width` finds on each backend of Keras.
    """
    tables: list[str] = []
    for target in crossing_keras.TARGETS:
        tables += _architectures(TITLES[target], [one for one in keras if one.target == target])
    reasons = [(one.name, one.target, one.refusal) for one in keras] + [
        (one.name, one.target, one.refusal) for one in torch
    ]
    refused = [f"- {name}, {TITLES[target]}: {reason}" for name, target, reason in reasons if reason]
    return TEXT.format(
        packages=", ".join(f"{name} {version(name)}" for name in ("keras", "tensorflow-cpu", "torch", "jax")),
        bound=crossing_keras.BOUND,
        exact=crossing_keras.EXACT,
        architectures="\n".join(tables).strip(),
        models="\n".join(_models(torch)),
        refused="\n".join(refused) or "Nothing of the above.",
        **gaps,
    )


def _architectures(title: str, rows: Sequence[crossing_keras.Crossing]) -> Iterator[str]:
    sides = f"rounding of Keras | rounding of {title} | difference in float64"
    yield from (f"### To {title}", "", f"| architecture | difference | {sides} | verdict | back in Keras |")
    yield "|---|---|---|---|---|---|---|"
    for one in rows:
        if one.refusal:
            yield f"| {one.name} | | | | | refused | |"
            continue
        figures = " | ".join(f"{figure:.1e}" for figure in (one.difference, *one.rounding, one.exact))
        yield f"| {one.name} | {figures} | {_word(title, one)} | {'same bits' if one.back else 'DIFFERS'} |"
    whole = [one for one in rows if not one.refusal]
    back = sum(one.back for one in whole)
    yield ""
    yield f"{len(rows)} architectures: {_counted(one.verdict for one in rows)}."
    yield f"{back} of {len(whole)} came back to Keras with the same bits."
    yield f"The largest difference is {max(one.difference for one in whole):.1e},"
    yield f"in float64 {max(one.exact for one in whole):.1e}."
    yield ""


def _word(title: str, one: crossing_keras.Crossing) -> str:
    """The verdict, and whose rounding it is: that of the side that is further from the result."""
    if one.verdict != "rounding":
        return one.verdict
    ours, theirs = one.rounding
    return f"rounding, more of {'Keras' if ours > theirs else title}"


def _models(rows: Sequence[crossing_torch.Crossing]) -> Iterator[str]:
    columns = [*crossing_torch.TARGETS, "back"]
    titles = TITLES | {"torch": "the module that Etui builds"}
    cells = {(one.name, one.target): one for one in rows}
    yield f"| model | {' | '.join(titles[name] for name in columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name in dict.fromkeys(one.name for one in rows):
        yield f"| {name} | {' | '.join(_cell(cells[name, column]) for column in columns)} |"
    yield ""
    for column in columns:
        those = [one for one in rows if one.target == column]
        worst = max(one.difference for one in those if not one.refusal)
        counts = _counted(one.verdict for one in those)
        yield f"- {titles[column]}: {counts}; the largest difference is {worst:.1e}"


def _cell(one: crossing_torch.Crossing) -> str:
    if one.refusal:
        return "refused"
    if one.target == "back" and not one.note:
        return "same bits" if one.difference == 0 else "DIFFERS"
    return f"{one.difference:.1e}" + (f" ({one.note})" if one.note else "")


def _counted(verdicts: Iterator[str]) -> str:
    return ", ".join(f"{number} {word}" for word, number in Counter(verdicts).items())
