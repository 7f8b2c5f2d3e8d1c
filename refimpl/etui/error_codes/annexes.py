"""Codes of the annexes of SPEC.md: files of other formats, the core vocabulary, and series of checkpoints."""

from __future__ import annotations

from etui.error_codes.entry import COPY, LIMIT, NEWER, RENAME, REPORT, Rows

_LIVE_CODE = "`etui inspect` and `etui convert` take the file as data."
_CORE = "See annex J, and `etui.core.vocabulary.ops()`."
_LIVE_CUSTOM = "Pass it in `custom_objects`, or register it; `etui inspect` and `etui convert` need no classes."

ROWS: Rows = {
    # Annex B, the keras namespace
    "keras-archive": ("invalid", "K-1", "not a `.keras` archive", "Save the model again with `model.save`."),
    "keras-json": ("malformed", "K-2", "a JSON document that does not decode", COPY),
    "keras-config": ("invalid", "K-3", "a config that is not of Keras' form", REPORT),
    "keras-npz": ("unsupported", "K-4", "weights in the npz format", "Save the model again with weights in HDF5."),
    "foreign-zip": ("malformed", "K-20", "not a whole ZIP archive and nothing else", COPY),
    "foreign-zip-name": ("unsafe", "K-21", "a member's name that could reach outside or mean two files", REPORT),
    "foreign-zip-duplicate": ("invalid", "K-22", "two members of one name", REPORT),
    "foreign-zip-overlap": ("invalid", "K-23", "two members that share bytes", REPORT),
    "foreign-zip-headers": ("invalid", "K-24", "a member whose two headers disagree", REPORT),
    "foreign-zip-method": ("unsupported", "K-25", "a member that is encrypted or compressed in a rare way", REPORT),
    "foreign-zip-link": ("unsafe", "K-26", "a member that is not a plain file", REPORT),
    "foreign-zip-crc": ("integrity", "K-27", "a member whose data does not have its size and CRC-32", COPY),
    "hdf5-syntax": ("malformed", "K-30", "HDF5 that does not decode", COPY),
    "hdf5-link": ("unsafe", "K-31", "an HDF5 link that is not a hard link", REPORT),
    "hdf5-external": ("unsafe", "K-32", "an HDF5 dataset whose elements lie elsewhere", REPORT),
    "hdf5-shared": ("invalid", "K-33", "HDF5 storage under two names", REPORT),
    "hdf5-unstored": ("invalid", "K-34", "an HDF5 dataset that is declared and not stored", REPORT),
    "hdf5-filter": ("unsupported", "K-35", "an HDF5 filter that is not read", "Repack the file without filters."),
    "hdf5-type": ("unsupported", "K-36", "an HDF5 type that is not read", "Store plain numbers."),
    "hdf5-name": ("invalid", "K-37", "an HDF5 name that is not read", RENAME),
    "hdf5-attribute": ("invalid", "K-38", "an HDF5 attribute that is not one short text", REPORT),
    "limit-foreign": ("limit", "K-39", "a file of another format that is too large or too intricate", LIMIT),
    # Annex C, legacy HDF5
    "keras-legacy": ("unsupported", "KH-1", "a form of Keras 1 that later versions do not have", "Rebuild the model."),
    "keras-h5": ("invalid", "KH-8", "a legacy HDF5 file whose lists and arrays do not go together", REPORT),
    "keras-h5-layers": ("invalid", "KH-9", "arrays that do not fit the config's layers", "Use the model's config."),
    # Annex D, weights files and model JSON of Keras
    "weight-map": ("invalid", "KW-1", "no map of groups to weights files", COPY),
    "sibling-name": (
        "unsafe",
        "KW-2",
        "a name that is not that of one plain file in the folder",
        "Put the file there.",
    ),
    "sibling-missing": ("integrity", "KW-3", "a file that is named and is not there", "Get all files of the model."),
    "weight-map-array": ("invalid", "KW-4", "an array that is not in exactly the files that the map names", COPY),
    "keras-yaml": ("malformed", "KW-14", "no YAML of a Keras model", "Save the model's config as JSON."),
    "keras-yaml-tag": ("unsafe", "KW-15", "a YAML tag that asks for an object", "Save the model's config as JSON."),
    # Annex E, Keras 2 and Keras 3
    # Annex F, TensorFlow checkpoints
    "protobuf-syntax": ("malformed", "KT-1", "a Protocol Buffers message that does not decode", COPY),
    "bundle-index": ("malformed", "KT-10", "not the index of a tensor bundle", COPY),
    "bundle-compression": ("unsupported", "KT-11", "a block that is compressed in a rare way", REPORT),
    "bundle-crc": ("integrity", "KT-12", "bytes that do not have their checksum", COPY),
    "bundle-version": ("unsupported", "KT-13", "a tensor bundle of another version", NEWER),
    "bundle-shard": ("invalid", "KT-14", "a shard that is not there", COPY),
    "bundle-entry": ("invalid", "KT-15", "a tensor that is not what its entry says", REPORT),
    "bundle-overlap": ("invalid", "KT-16", "two tensors that share bytes", REPORT),
    "bundle-slice": ("invalid", "KT-17", "slices that are not those of their tensor", REPORT),
    "bundle-dtype": ("unsupported", "KT-18", "a dtype that is not read", REPORT),
    "bundle-string": ("malformed", "KT-19", "not a tensor of strings", COPY),
    "bundle-state": ("unsafe", "KT-20", "a state file that does not name a checkpoint beside it", REPORT),
    "object-graph-form": ("invalid", "KT-30", "a graph of objects of another form", REPORT),
    # Annex G, SavedModel
    "savedmodel-graph": ("invalid", "KS-2", "not the graphs or objects of one SavedModel", REPORT),
    "savedmodel-variables": ("invalid", "KS-4", "variables that are not those of the objects", COPY),
    "savedmodel-asset": ("unsafe", "KS-5", "an asset that is not in the folder", REPORT),
    "savedmodel-metadata": ("invalid", "KS-7", "metadata of Keras that does not fit the objects", REPORT),
    "savedmodel-program": ("invalid", "KS-20", "a program that is not in the form of one", REPORT),
    "foreign-folder-link": ("unsafe", "KS-30", "a link or a device in a folder of files", "Copy the files themselves."),
    "foreign-folder-name": ("invalid", "KS-31", "a file name that is not read", RENAME),
    # Annex H, TensorFlow.js
    "tfjs-form": ("invalid", "KJ-2", "not a document of a TensorFlow.js model", REPORT),
    "tfjs-path": ("unsafe", "KJ-3", "a file name that may lead out of the model's folder", REPORT),
    "tfjs-data": ("integrity", "KJ-5", "files that do not hold what the manifest says", COPY),
    "tfjs-dtype": ("unsupported", "KJ-6", "a dtype that is not read", "Convert the model again."),
    "tfjs-quantization": ("invalid", "KJ-8", "a quantization that does not give numbers", REPORT),
    "tfjs-weights": ("invalid", "KJ-13", "weights that are not those of the layers", "Convert the model again."),
    # Annex I, live Keras models
    "live-code": ("unsafe", "KL-20", "a config that would have the framework run or open something", _LIVE_CODE),
    "live-custom-missing": ("unsupported", "KL-21", "a class that is not registered", _LIVE_CUSTOM),
    "limit-unstored": (
        "limit",
        "KL-25",
        "a config that asks for large variables which the file does not store",
        "If you trust it, make the model in code and use `etui.keras.load_weights`.",
    ),
    # Annex J, the core vocabulary
    "core-attrs": (
        "invalid",
        "CV-3",
        "attributes that the op does not have so",
        _CORE,
    ),
    "core-modules": (
        "invalid",
        "CV-5",
        "other child modules than the op has",
        _CORE,
    ),
    "core-params": (
        "invalid",
        "CV-6",
        "other variables than the op has",
        _CORE,
    ),
    "core-shape": ("invalid", "CV-7", "a variable of another shape than the op's", "Give it the shape of annex J."),
    "core-call": ("invalid", "CV-31", "a call with other arguments than the op has", _CORE),
    # Annex K, training in the core vocabulary
    "core-object": ("invalid", "CT-1", "an object that the core vocabulary does not define so", REPORT),
    "core-optimizer": ("invalid", "CO-1", "an optimizer that the core vocabulary does not define so", REPORT),
    "core-slots": ("invalid", "CO-3", "slots that are not those of the update rule", REPORT),
    # Annex M, PyTorch
    "torch-file": ("malformed", "PT-60", "not a file of torch that can be read", COPY),
    "torch-pickle": (
        "unsafe",
        "PT-61",
        "a file that asks for more than tensors and plain values",
        "Save the `state_dict` of the model where you trust the file.",
    ),
    "torch-content": ("unsupported", "PT-62", "content that is no state of a model", "Save a `state_dict`."),
    "foreign-safetensors": ("malformed", "PT-70", "a header that does not describe the file", COPY),
    # Annex N, JAX: Orbax
    "orbax-form": ("invalid", "JX-80", "not an Orbax checkpoint of one tree", COPY),
    "orbax-name": ("unsafe", "JX-81", "a leaf whose name may lead out of the checkpoint's folder", REPORT),
    "orbax-data": ("malformed", "JX-83", "an Orbax checkpoint whose arrays cannot be read", COPY),
    "orbax-leaf": ("unsupported", "JX-86", "a leaf of an Orbax checkpoint that is not read", REPORT),
    # Annex Q, checkpoint series
    "series-form": ("invalid", "CS-1", "not a series of checkpoints", "Name the folder of a series."),
    "series-link": ("unsafe", "CS-4", "a link or a device in a series", "Remove it: a series is made of files alone."),
    "series-object": ("integrity", "CS-8", "an object of a series that is missing or of another size", COPY),
    "layout-form": ("invalid", "CS-11", "not a layout", REPORT),
    "series-layout": ("invalid", "CS-15", "a layout that does not fit the artifact or its objects", REPORT),
    "limit-pieces": ("limit", "CS-18", "more pieces than a layout may have", LIMIT),
    "step-form": ("invalid", "CS-19", "not a record of a step", REPORT),
    "series-seal": ("integrity", "CS-21", "a record whose seal is broken", COPY),
}
