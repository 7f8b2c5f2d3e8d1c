"""Codes of models that are looked at, and of programs that are run (annex T)."""

from __future__ import annotations

from etui.error_codes.entry import CALLER, REPORT, Rows

ROWS: Rows = {
    # Looking at models
    "view-subject": (
        "usage",
        None,
        "nothing that can be looked at",
        "Pass an etui.Model, a Keras model, a step of a series, or the path of a file.",
    ),
    "plot-config": ("usage", None, "a model without a config, so without a graph", "Try `etui inspect`."),
    "plot-option": ("usage", None, "a picture that cannot be drawn like this", "See `etui plot --help`."),
    "plot-size": ("usage", None, "a picture with too many pixels", "Draw an SVG, or take --scale 1 or --depth 1."),
    "plot-fonts": (
        "extra",
        None,
        "a PNG needs a font, and the system has none",
        "Install one, such as Debian's fonts-dejavu-core, or draw an SVG.",
    ),
    "extra-plot": ("extra", None, "resvg_py is not installed, which makes a PNG", 'Run `pip install "etui[plot]"`.'),
    # Annex T: ONNX
    "onnx-op": (
        "transfer",
        None,
        "what a program of ONNX cannot say",
        "`etui.onnx.supported()` tells what it can; run the model by `etui.run`, or make a program of another kind.",
    ),
    "onnx-shape": (
        "transfer",
        None,
        "sizes that are not fixed where a program of ONNX has to know them",
        "Give the model's inputs fixed sizes, or name the axes.",
    ),
    "onnx-tensor": (
        "transfer",
        None,
        "a variable that no initializer of ONNX can be pointed at",
        "Store it as a plain tensor, in one piece or cut along one axis.",
    ),
    "onnx-build": ("transfer", None, "tensors that do not fit together", "Look at the model's shapes."),
    "onnx-form": ("invalid", "PG-1", "a program of ONNX of another form", REPORT),
    "onnx-data": (
        "unsafe",
        "PG-5",
        "an initializer whose bytes would be read from elsewhere than the artifact's own data",
        "Do not run it: take the program in anew with `etui.onnx.add`.",
    ),
    "onnx-domain": (
        "unsafe",
        "PG-6",
        "operators that are not of ONNX, whose code the program does not hold",
        "Export the model with the operators of ONNX alone.",
    ),
    "onnx-file": ("usage", None, "no ONNX model that can be taken in", CALLER),
    "extra-onnx": ("extra", None, "onnx or onnxruntime is not installed", 'Run `pip install "etui[onnx]"`.'),
    # Annex T: programs, and running them
    "program-missing": ("usage", None, "no such program", "`etui programs list` names those that are there."),
    "program-name": ("usage", None, "a name that no program can have", "Use letters, digits, `_`, `-` and `.`."),
    "program-exists": ("usage", None, "a program of that name is there", "Take another name, or replace it."),
    "program-kind": ("usage", None, "a kind of program that cannot be used so", CALLER),
    "program-option": ("usage", None, "an option that does not fit", CALLER),
    "program-artifact": ("usage", None, "not an artifact", "Make one with `etui convert`."),
    "program-form": ("invalid", "PG-30", "a program that is not in the form of its kind", REPORT),
    "program-effects": (
        "unsafe",
        "PG-36",
        "a program that would run other code, or reach files",
        "Run it only if you trust its author: `effects=True`, or `--allow-effects`, where its kind takes it.",
    ),
    "program-stale": (
        "transfer",
        None,
        "a program of another config or other weights than the artifact's",
        "Make it anew; or run it as it is: `stale=True`, or `--stale`.",
    ),
    "program-failed": ("storage", None, "a program that did not come to its end", "See the reason."),
    "program-changed": (
        "storage",
        None,
        "an artifact that others change meanwhile; nothing was written",
        "Do it again.",
    ),
    "stablehlo-export": ("transfer", None, "what jax.export does not take", "See the reason."),
    "extra-run-tensorflow": ("extra", None, "TensorFlow is not installed", "Run `pip install tensorflow`."),
    "run-model": (
        "usage",
        None,
        "not a model",
        "Give the path of a file or folder, an `etui.Model`, or a step of a series; a live model runs itself.",
    ),
    "run-input": ("usage", None, "an input that is not there, or not known", CALLER),
    "run-input-file": (
        "usage",
        None,
        "not a file of inputs",
        "Give an .npz or .npy file of NumPy, or a small .json file.",
    ),
    "run-input-shape": ("usage", None, "an input of another shape", CALLER),
    "run-input-dtype": ("usage", None, "an input of another dtype", CALLER),
    "run-output": ("usage", None, "outputs that no such file can hold", "Write an .npz file."),
    "run-none": ("transfer", None, "a model that cannot be run here", "See the reasons."),
}
