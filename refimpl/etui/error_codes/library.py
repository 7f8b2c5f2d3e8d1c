"""The library's own codes: of files, of calls, and of conversions to Keras' and TensorFlow's formats."""

from __future__ import annotations

from etui.error_codes.entry import CALLER, Rows

_REPLACE = "Remove it, or choose another place."
_KEY = "Use an elliptic-curve key in PEM form, of P-256, P-384 or P-521."

ROWS: Rows = {
    "storage-failed": ("storage", None, "the file system refused", "Mend the reason and try again."),
    "out-of-memory": ("storage", None, "memory that the system does not give", "Give the process more memory."),
    "target-not-etui": ("storage", None, "not an etui, so not replaced", _REPLACE),
    "target-other-format": ("storage", None, "a file of another format, so not replaced", _REPLACE),
    "not-complete": (
        "transfer",
        None,
        "not everything was kept",
        "The report lists all of it; `strict=False` (`--lenient`) goes on without.",
    ),
    "value-type": ("usage", None, "a Python object that no document can hold", "Pass a value of chapter 5."),
    "writer-misuse": ("usage", None, "a writer used in another way than it allows", CALLER),
    "reader-misuse": ("usage", None, "a reader used in another way than it allows", CALLER),
    "config-source": ("usage", None, "a file without the config of a Keras model", "Name a file that holds one."),
    "tensor-promise": ("usage", None, "a tensor that is not what was promised", CALLER),
    "format-unknown": ("usage", None, "a file of no format that is known here", "See `etui formats`."),
    "command-usage": ("usage", None, "a command that cannot be run like this", "See `etui --help`."),
    "signature-missing": ("storage", None, "no signature there", "Name the file with `--signature` (`signature=`)."),
    "signature-target": ("storage", None, "a file that is no signature, so not replaced", _REPLACE),
    "signature-place": ("usage", None, "a signature inside of what it signs", "Put it beside the artifact."),
    "signing-key": ("usage", None, "not the key that is needed", _KEY),
    "signing-password": ("usage", None, "a key that this password does not open", "Name a file that holds it."),
    "extra-yaml": ("extra", None, "PyYAML is not installed", 'Run `pip install "etui[yaml]"`.'),
    "extra-sign": ("extra", None, "model-signing is not installed", 'Run `pip install "etui[sign]"`.'),
    "extra-hdf5": ("extra", None, "h5py is not installed", 'Run `pip install "etui[hdf5]"`.'),
    "bundle-target-dtype": ("transfer", None, "a dtype that a tensor bundle does not have", "Convert the weights."),
    "checkpoint-objects": ("transfer", None, "facts of a checkpoint's objects in another form", "Read it again."),
    "extra-tensorflow": ("extra", None, "google-crc32c is not installed", 'Run `pip install "etui[tensorflow]"`.'),
    "savedmodel-target": (
        "transfer",
        None,
        "a model that a SavedModel cannot hold",
        "Convert to `.keras`, or keep the program of the SavedModel that it was read from.",
    ),
    "keras-op": ("transfer", None, "an op that Keras does not have", "Convert to a format that has it."),
    "keras-value": ("transfer", None, "a value that Keras' config has no form for", "Change the config."),
    "keras-graph": ("transfer", None, "calls that Keras has no form for", "Change the config."),
    "keras-slots": ("transfer", None, "slots that the optimizer does not have in Keras", "Change the optimizer state."),
    "keras-parts": (
        "transfer",
        None,
        "a model without what a file of this format must hold",
        "Add what is missing: `--config FILE` gives weights their model. Formats of weights alone need none.",
    ),
    "weights-layout": ("transfer", None, "weights without their places", "Convert the source again with --config."),
    "keras-h5-name": ("transfer", None, "a name that a legacy HDF5 file cannot hold", "Rename the layer."),
    "keras-variables": ("transfer", None, "variables that the layer cannot have", "Change the weights."),
    "tfjs-value": ("transfer", None, "a number that JavaScript's JSON has no form for", "Change the config."),
    "tfjs-graph": ("transfer", None, "a model without the graph of its weights", "Convert to another format."),
    "tfjs-nothing": ("transfer", None, "no variables that would be weights", "Convert a model that has weights."),
    "live-model": ("usage", None, "not a model of Keras 3 or tf_keras", CALLER),
    "live-framework": ("extra", None, "the framework is not installed", "Install it, or name another one."),
    "live-config": (
        "transfer",
        None,
        "a model without a config",
        "Give its class `get_config`, or save weights alone.",
    ),
    "live-build": ("transfer", None, "a config that the framework cannot build", "See the framework's own message."),
    "live-optimizer": ("transfer", None, "an optimizer that the model does not have", "Compile the model with it."),
    "live-order": ("transfer", None, "layers that are not the same in order", "Name the layers, or use `rename`."),
    "live-unbuilt": ("transfer", None, "a model without variables yet", "Build it, or call it on some data."),
    "live-include": ("usage", None, "a choice that there is not", CALLER),
    "live-target": (
        "usage",
        None,
        "an artifact under a name of another format",
        "Save it as `.etui`, and make the other file of it with `etui.convert`.",
    ),
    "live-layers": ("usage", None, "a layer that neither side has", CALLER),
    "live-rename": ("usage", None, "a renaming that cannot be meant", CALLER),
    "live-checkpoint": ("usage", None, "arguments of a checkpoint that make no sense", CALLER),
    "live-nothing": ("transfer", None, "not one variable of the file is in the model", "Use `rename` or `layers`."),
}
