"""The error codes, one row each, in the order of the chapters of SPEC.md, then the library's own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """What is fixed about a code.

    Attributes:
        error_class: a class of SPEC.md chapter 20, or transfer, storage, usage or extra.
        clause: id of the first clause of SPEC.md that names the code; `None` for the library's own codes.
        summary: what is wrong, as a noun phrase.
        hint: what to do next.
    """

    error_class: str
    clause: str | None
    summary: str
    hint: str


_JSON = "Re-encode the document with a canonical JSON writer (RFC 8785)."
_MSGPACK = "Re-encode the document with a canonical MessagePack writer (chapter 4)."
_COPY = "Get the artifact again: this copy is damaged or incomplete."
_BOTH = "Get the artifact and its signature again, from whom you have the key."
_WRITE = "Write the artifact again with `etui convert`."
_REPORT = "Report it to the author of the software that wrote the artifact."
_LIMIT = "If the file is trusted, raise the limit; a limit of SPEC.md itself cannot be raised."
_NEWER = "Use a newer reader."
_RENAME = "Rename one of the two."
_REPLACE = "Remove it, or choose another place."
_CALLER = "Change the call."
_LIVE_CODE = "`etui inspect` and `etui convert` take the file as data."
_CORE = "See annex J, and `etui.core.vocabulary.ops()`."
_KEY = "Use an elliptic-curve key in PEM form, of P-256, P-384 or P-521."
_LIVE_CUSTOM = "Pass it in `custom_objects`, or register it; `etui inspect` and `etui convert` need no classes."

_ROWS: dict[str, tuple[str, str | None, str, str]] = {
    # 2 Terms and data model
    "path-form": ("invalid", "D-2", "not a path", "Escape the characters as `%XX` (D-3)."),
    "path-collision": ("invalid", "D-4", "two paths that are equal after NFC", _RENAME),
    "dtype-unknown": ("invalid", "D-7", "an unknown dtype", "Use a dtype of chapter 2.1."),
    "bool-value": ("invalid", "D-8", "a bool element that is neither 0 nor 1", _REPORT),
    "shape-form": ("invalid", "D-10", "a shape that is no list of non-negative integers", _REPORT),
    # 3 Canonical JSON
    "json-encoding": ("malformed", "J-1", "not UTF-8 without a byte order mark", _JSON),
    "json-syntax": ("malformed", "J-2", "not one JSON object", _JSON),
    "json-duplicate-key": ("invalid", "J-3", "a key that occurs twice in an object", _REPORT),
    "json-surrogate": ("malformed", "J-5", "a lone surrogate in a string", _REPORT),
    "json-number": ("invalid", "J-6", "a number that no document may hold so", "Tag the number (chapter 5)."),
    "json-not-canonical": ("invalid", "J-7", "JSON that is not in canonical form", _JSON),
    "json-depth": ("malformed", "J-8", "JSON that is nested too deep", _LIMIT),
    # 4 Canonical MessagePack
    "msgpack-syntax": ("malformed", "B-1", "not one MessagePack map", _COPY),
    "msgpack-not-canonical": ("invalid", "B-2", "MessagePack that is not in canonical form", _MSGPACK),
    "msgpack-encoding": ("malformed", "B-5", "a string that is not UTF-8", _MSGPACK),
    "msgpack-key": ("invalid", "B-6", "a map key that is not a string", "Write it as `$map` (chapter 5)."),
    "msgpack-duplicate-key": ("invalid", "B-7", "a key that occurs twice in a map", _REPORT),
    "msgpack-extension": ("invalid", "B-9", "an extension that is not a stored tensor's name", _REPORT),
    "msgpack-depth": ("malformed", "B-11", "MessagePack that is nested too deep", _LIMIT),
    # 5 Values
    "value-tag": ("invalid", "V-1", "an unknown tag, or a tag with content of another form", _REPORT),
    "value-not-canonical": ("invalid", "V-3", "a value in another form than its only one", _REPORT),
    "value-limit": ("limit", "V-8", "a value that is too large", _LIMIT),
    "reference-missing": ("invalid", "V-10", "a reference to something that is not there", _REPORT),
    # 6 Digests
    "digest-form": ("invalid", "H-1", "not a digest", "Write `sha256:` and 64 lowercase hex digits."),
    "digest-algorithm": ("unsupported", "H-3", "an unknown digest algorithm", _NEWER),
    "digest-mismatch": ("integrity", "H-5", "bytes that do not have their digest", _COPY),
    "signature-form": ("malformed", "H-9", "not a signature of an artifact", "Sign the artifact with `etui sign`."),
    "signature-key": ("integrity", "H-10", "a signature by another key", "Get the public key of whoever signed it."),
    "signature-invalid": ("integrity", "H-10", "a signature that the key does not confirm", _BOTH),
    "signature-identity": ("integrity", "H-11", "a signature of something else", _BOTH),
    # 7 Parts
    "part-name": ("unsafe", "P-1", "an illegal part name", "Do not extract it with other tools either."),
    "part-collision": ("unsafe", "P-3", "two part names that a file system may take as one", _RENAME),
    "part-role": ("invalid", "P-4", "a part whose name, role or media type do not go together", _WRITE),
    # 8 Directory form
    "part-not-a-file": ("unsafe", "F-1", "a part that is not a regular file", "Put the file itself there."),
    "manifest-missing": ("invalid", "F-2", "no manifest", "Write the artifact to its end: the manifest comes last."),
    "part-missing": ("integrity", "F-3", "a listed part that is not there", _COPY),
    "part-size": ("integrity", "F-4", "a part that is not of its listed size", _COPY),
    "part-unlisted": ("invalid", "F-5", "a file that the manifest does not list", "Move the file elsewhere."),
    # 9 Packed form
    "zip-members": ("invalid", "Z-1", "members that are not the manifest and the parts it lists", _WRITE),
    "zip-order": ("invalid", "Z-2", "members in another order than the canonical one", _WRITE),
    "zip-field": ("invalid", "Z-3", "a ZIP header field that is not as it must be", _WRITE),
    "zip-alignment": ("invalid", "Z-4", "a member that is not aligned as it must be", _WRITE),
    "zip-zip64": ("invalid", "Z-5", "a zip64 record where none belongs, or none where one belongs", _WRITE),
    "zip-layout": ("malformed", "Z-8", "bytes that belong to no record of the archive, or to two", _WRITE),
    "zip-truncated": ("malformed", "Z-11", "a ZIP archive without its end", _COPY),
    # 10 Manifest
    "manifest-form": ("invalid", "M-1", "a manifest of another form", _REPORT),
    "requires-list": ("invalid", "M-4", "`requires` is not the sorted list of the used features", _REPORT),
    "feature-unknown": ("unsupported", "M-5", "a required feature that this reader lacks", _NEWER),
    "profile-parts": ("invalid", "M-6", "documents that do not make up the profile", _REPORT),
    # 11 Data parts
    "safetensors-header": ("malformed", "S-2", "not the header of a data part", _WRITE),
    "safetensors-layout": ("invalid", "S-5", "tensors that do not lie as they must", _WRITE),
    "safetensors-dtype": ("invalid", "S-7", "a dtype that no plain tensor has", _REPORT),
    "tensor-unreferenced": ("invalid", "S-9", "a tensor that is not referred to exactly once", _REPORT),
    # 12 Weights
    "weights-form": ("invalid", "W-1", "a weights document of another form", _REPORT),
    "weights-order": ("invalid", "W-3", "orders that are not 0 to n - 1, each once", _REPORT),
    "chunk-mismatch": ("invalid", "W-4", "a chunk whose tensor has another dtype or shape", _REPORT),
    "chunk-form": ("invalid", "W-5", "chunks of another form", _REPORT),
    "chunk-cover": ("invalid", "W-7", "chunks with a gap or an overlap", _REPORT),
    "alias-target": ("invalid", "W-15", "an alias that does not lead to a variable", _REPORT),
    "encoding-unknown": ("invalid", "W-16", "an unknown encoding", "Use an encoding of chapter 12.3."),
    "encoding-components": ("invalid", "W-17", "components that are not those of the encoding", _REPORT),
    "encoding-content": ("invalid", "W-18", "bytes that the encoding does not allow", _REPORT),
    # 13 Config
    "config-form": ("invalid", "C-1", "a config document of another form", _REPORT),
    "module-name": ("invalid", "C-2", "a module without a name of its own", _REPORT),
    "module-kind": ("invalid", "C-3", "a module of an unknown kind or with fields of another", _REPORT),
    "op-form": ("invalid", "C-8", "an op or class that is not `namespace:name`", _REPORT),
    "op-unknown": ("unsupported", "C-9", "an op that the core vocabulary does not define", _NEWER),
    "call-form": ("invalid", "C-11", "a call of another form", _REPORT),
    "call-order": ("invalid", "C-12", "a call that uses the output of a later one", _REPORT),
    "shared-order": ("invalid", "C-15", "a shared module before the module that it shares", _REPORT),
    # 14 Training, 15 Optimizer, 16 State
    "training-form": ("invalid", "T-1", "a training document of another form", _REPORT),
    "optimizer-form": ("invalid", "O-1", "an optimizer document of another form", _REPORT),
    "optimizer-groups": ("invalid", "O-7", "groups, slots and fresh variables that do not agree", _REPORT),
    "tensor-name": ("invalid", "O-16", "a tensor that is not named after its place", _REPORT),
    "state-form": ("invalid", "R-1", "a state document of another form", _REPORT),
    # 18 Profiles and versions
    "version-form": ("invalid", "Q-4", "a version that is not the artifact's `major.minor`", _REPORT),
    "version-unsupported": ("unsupported", "Q-5", "a major version that this reader lacks", _NEWER),
    # 19 Limits
    "limit-document": ("limit", "L-2", "a document that is too large", _LIMIT),
    "limit-parts": ("limit", "L-2", "too many parts", _LIMIT),
    "limit-variables": ("limit", "L-2", "too many tensors in one index", _LIMIT),
    "limit-chunks": ("limit", "L-2", "a tensor in too many chunks", _LIMIT),
    "limit-modules": ("limit", "L-2", "too many modules", _LIMIT),
    "limit-rank": ("limit", "L-2", "a shape of too many dimensions", _LIMIT),
    "limit-tensor": ("limit", "L-2", "a tensor of too many bytes", _LIMIT),
    "limit-path": ("limit", "L-2", "a path, segment or part name that is too long", _LIMIT),
    # 20 Errors
    "zip-crc": ("integrity", "E-4", "a member whose data does not have its CRC-32", _COPY),
    # Annex B, the keras namespace
    "keras-archive": ("invalid", "K-1", "not a `.keras` archive", "Save the model again with `model.save`."),
    "keras-json": ("malformed", "K-2", "a JSON document that does not decode", _COPY),
    "keras-config": ("invalid", "K-3", "a config that is not of Keras' form", _REPORT),
    "keras-npz": ("unsupported", "K-4", "weights in the npz format", "Save the model again with weights in HDF5."),
    "foreign-zip": ("malformed", "K-20", "not a whole ZIP archive and nothing else", _COPY),
    "foreign-zip-name": ("unsafe", "K-21", "a member's name that could reach outside or mean two files", _REPORT),
    "foreign-zip-duplicate": ("invalid", "K-22", "two members of one name", _REPORT),
    "foreign-zip-overlap": ("invalid", "K-23", "two members that share bytes", _REPORT),
    "foreign-zip-headers": ("invalid", "K-24", "a member whose two headers disagree", _REPORT),
    "foreign-zip-method": ("unsupported", "K-25", "a member that is encrypted or compressed in a rare way", _REPORT),
    "foreign-zip-link": ("unsafe", "K-26", "a member that is not a plain file", _REPORT),
    "foreign-zip-crc": ("integrity", "K-27", "a member whose data does not have its size and CRC-32", _COPY),
    "hdf5-syntax": ("malformed", "K-30", "HDF5 that does not decode", _COPY),
    "hdf5-link": ("unsafe", "K-31", "an HDF5 link that is not a hard link", _REPORT),
    "hdf5-external": ("unsafe", "K-32", "an HDF5 dataset whose elements lie elsewhere", _REPORT),
    "hdf5-shared": ("invalid", "K-33", "HDF5 storage under two names", _REPORT),
    "hdf5-unstored": ("invalid", "K-34", "an HDF5 dataset that is declared and not stored", _REPORT),
    "hdf5-filter": ("unsupported", "K-35", "an HDF5 filter that is not read", "Repack the file without filters."),
    "hdf5-type": ("unsupported", "K-36", "an HDF5 type that is not read", "Store plain numbers."),
    "hdf5-name": ("invalid", "K-37", "an HDF5 name that is not read", _RENAME),
    "hdf5-attribute": ("invalid", "K-38", "an HDF5 attribute that is not one short text", _REPORT),
    "limit-foreign": ("limit", "K-39", "a file of another format that is too large or too intricate", _LIMIT),
    # Annex C, legacy HDF5
    "keras-legacy": ("unsupported", "KH-1", "a form of Keras 1 that later versions do not have", "Rebuild the model."),
    "keras-h5": ("invalid", "KH-8", "a legacy HDF5 file whose lists and arrays do not go together", _REPORT),
    "keras-h5-layers": ("invalid", "KH-9", "arrays that do not fit the config's layers", "Use the model's config."),
    # Annex D, weights files and model JSON of Keras
    "weight-map": ("invalid", "KW-1", "no map of groups to weights files", _COPY),
    "sibling-name": (
        "unsafe",
        "KW-2",
        "a name that is not that of one plain file in the folder",
        "Put the file there.",
    ),
    "sibling-missing": ("integrity", "KW-3", "a file that is named and is not there", "Get all files of the model."),
    "weight-map-array": ("invalid", "KW-4", "an array that is not in exactly the files that the map names", _COPY),
    "keras-yaml": ("malformed", "KW-14", "no YAML of a Keras model", "Save the model's config as JSON."),
    "keras-yaml-tag": ("unsafe", "KW-15", "a YAML tag that asks for an object", "Save the model's config as JSON."),
    # Annex E, Keras 2 and Keras 3
    # Annex F, TensorFlow checkpoints
    "protobuf-syntax": ("malformed", "KT-1", "a Protocol Buffers message that does not decode", _COPY),
    "bundle-index": ("malformed", "KT-10", "not the index of a tensor bundle", _COPY),
    "bundle-compression": ("unsupported", "KT-11", "a block that is compressed in a rare way", _REPORT),
    "bundle-crc": ("integrity", "KT-12", "bytes that do not have their checksum", _COPY),
    "bundle-version": ("unsupported", "KT-13", "a tensor bundle of another version", _NEWER),
    "bundle-shard": ("invalid", "KT-14", "a shard that is not there", _COPY),
    "bundle-entry": ("invalid", "KT-15", "a tensor that is not what its entry says", _REPORT),
    "bundle-overlap": ("invalid", "KT-16", "two tensors that share bytes", _REPORT),
    "bundle-slice": ("invalid", "KT-17", "slices that are not those of their tensor", _REPORT),
    "bundle-dtype": ("unsupported", "KT-18", "a dtype that is not read", _REPORT),
    "bundle-string": ("malformed", "KT-19", "not a tensor of strings", _COPY),
    "bundle-state": ("unsafe", "KT-20", "a state file that does not name a checkpoint beside it", _REPORT),
    "object-graph-form": ("invalid", "KT-30", "a graph of objects of another form", _REPORT),
    # Annex G, SavedModel
    "savedmodel-graph": ("invalid", "KS-2", "not the graphs or objects of one SavedModel", _REPORT),
    "savedmodel-variables": ("invalid", "KS-4", "variables that are not those of the objects", _COPY),
    "savedmodel-asset": ("unsafe", "KS-5", "an asset that is not in the folder", _REPORT),
    "savedmodel-metadata": ("invalid", "KS-7", "metadata of Keras that does not fit the objects", _REPORT),
    "savedmodel-program": ("invalid", "KS-20", "a program that is not in the form of one", _REPORT),
    "foreign-folder-link": ("unsafe", "KS-30", "a link or a device in a folder of files", "Copy the files themselves."),
    "foreign-folder-name": ("invalid", "KS-31", "a file name that is not read", _RENAME),
    # Annex H, TensorFlow.js
    "tfjs-form": ("invalid", "KJ-2", "not a document of a TensorFlow.js model", _REPORT),
    "tfjs-path": ("unsafe", "KJ-3", "a file name that may lead out of the model's folder", _REPORT),
    "tfjs-data": ("integrity", "KJ-5", "files that do not hold what the manifest says", _COPY),
    "tfjs-dtype": ("unsupported", "KJ-6", "a dtype that is not read", "Convert the model again."),
    "tfjs-quantization": ("invalid", "KJ-8", "a quantization that does not give numbers", _REPORT),
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
    # Annex K, training in the core vocabulary
    "core-object": ("invalid", "CT-1", "an object that the core vocabulary does not define so", _REPORT),
    "core-optimizer": ("invalid", "CO-1", "an optimizer that the core vocabulary does not define so", _REPORT),
    "core-slots": ("invalid", "CO-3", "slots that are not those of the update rule", _REPORT),
    # Annex M, PyTorch
    "torch-file": ("malformed", "PT-60", "not a file of torch that can be read", _COPY),
    "torch-pickle": (
        "unsafe",
        "PT-61",
        "a file that asks for more than tensors and plain values",
        "Save the `state_dict` of the model where you trust the file.",
    ),
    "torch-content": ("unsupported", "PT-62", "content that is no state of a model", "Save a `state_dict`."),
    "foreign-safetensors": ("malformed", "PT-70", "a header that does not describe the file", _COPY),
    # Annex N, JAX: Orbax
    "orbax-form": ("invalid", "JX-80", "not an Orbax checkpoint of one tree", _COPY),
    "orbax-name": ("unsafe", "JX-81", "a leaf whose name may lead out of the checkpoint's folder", _REPORT),
    "orbax-data": ("malformed", "JX-83", "an Orbax checkpoint whose arrays cannot be read", _COPY),
    "orbax-leaf": ("unsupported", "JX-86", "a leaf of an Orbax checkpoint that is not read", _REPORT),
    # Annex Q, checkpoint series
    "series-form": ("invalid", "CS-1", "not a series of checkpoints", "Name the folder of a series."),
    "series-link": ("unsafe", "CS-4", "a link or a device in a series", "Remove it: a series is made of files alone."),
    "series-object": ("integrity", "CS-8", "an object of a series that is missing or of another size", _COPY),
    "layout-form": ("invalid", "CS-11", "not a layout", _REPORT),
    "series-layout": ("invalid", "CS-15", "a layout that does not fit the artifact or its objects", _REPORT),
    "limit-pieces": ("limit", "CS-18", "more pieces than a layout may have", _LIMIT),
    "step-form": ("invalid", "CS-19", "not a record of a step", _REPORT),
    "series-seal": ("integrity", "CS-21", "a record whose seal is broken", _COPY),
    # The library's own
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
    "writer-misuse": ("usage", None, "a writer used in another way than it allows", _CALLER),
    "reader-misuse": ("usage", None, "a reader used in another way than it allows", _CALLER),
    "config-source": ("usage", None, "a file without the config of a Keras model", "Name a file that holds one."),
    "tensor-promise": ("usage", None, "a tensor that is not what was promised", _CALLER),
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
        "a model without what a `.keras` file must hold",
        "Add what is missing; `--config FILE` gives weights their model.",
    ),
    "weights-layout": ("transfer", None, "weights without their places", "Convert the source again with --config."),
    "keras-h5-name": ("transfer", None, "a name that a legacy HDF5 file cannot hold", "Rename the layer."),
    "keras-variables": ("transfer", None, "variables that the layer cannot have", "Change the weights."),
    "tfjs-value": ("transfer", None, "a number that JavaScript's JSON has no form for", "Change the config."),
    "tfjs-graph": ("transfer", None, "a model without the graph of its weights", "Convert to another format."),
    "live-model": ("usage", None, "not a model of Keras 3 or tf_keras", _CALLER),
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
    "live-include": ("usage", None, "a choice that there is not", _CALLER),
    "live-target": (
        "usage",
        None,
        "an artifact under a name of another format",
        "Save it as `.etui`, and make the other file of it with `etui.convert`.",
    ),
    "live-layers": ("usage", None, "a layer that neither side has", _CALLER),
    "live-rename": ("usage", None, "a renaming that cannot be meant", _CALLER),
    "live-checkpoint": ("usage", None, "arguments of a checkpoint that make no sense", _CALLER),
    "live-nothing": ("transfer", None, "not one variable of the file is in the model", "Use `rename` or `layers`."),
    "jax-params": (
        "usage",
        None,
        "an optimizer that needs the parameters",
        "Call `tx.update(gradients, state, params)`.",
    ),
    "jax-argument": ("usage", None, "an argument that makes no sense here", _CALLER),
    "jax-leaf": ("transfer", None, "a leaf that no variable can hold", "Leave it out of the tree."),
    "jax-optimizer": ("transfer", None, "an optimizer that optax cannot continue", "See the report."),
    "jax-state": ("transfer", None, "a state of optax that contradicts itself", "Save the optimizers one by one."),
    "extra-jax": ("extra", None, "JAX or optax is not installed", 'Run `pip install "etui[jax]"`.'),
    "extra-flax": ("extra", None, "Flax is not installed", "Run `pip install flax`."),
    "extra-orbax": ("extra", None, "orbax-checkpoint is not installed", 'Run `pip install "etui[orbax]"`.'),
    # annex N.1, functions of JAX
    "jax-op": ("transfer", None, "what JAX cannot run", "Remove it from the model, or run it before the function."),
    "jax-parts": ("transfer", None, "a model that is no function", "Give a model with its config and weights."),
    "jax-variables": ("transfer", None, "variables that do not fit the function", "Pass its `params` and `state`."),
    "jax-inputs": ("usage", None, "other inputs than the model takes", _CALLER),
    "jax-rng": ("usage", None, "a random op that trains without a key", "Pass `rng=jax.random.key(…)`."),
    # Annex M.1, PyTorch: modules from core graphs
    "torch-op": (
        "transfer",
        None,
        "an op that no torch module stands for",
        "Replace the layer by ones of the core vocabulary, or keep the model in its own framework.",
    ),
    "torch-value": ("transfer", None, "an attribute that torch cannot honour", "Change the attribute."),
    "torch-variable": ("transfer", None, "variables that the module cannot have", "Change the weights."),
    "torch-dtype": ("transfer", None, "a dtype that the other side does not have", "Convert the weights."),
    "torch-optimizer": ("usage", None, "an optimizer that cannot be made so", _CALLER),
    "torch-optimizer-rule": (
        "transfer",
        None,
        "an optimizer that is none of the core vocabulary",
        "Load the module alone, or make an optimizer of torch.",
    ),
    "torch-module-type": ("usage", None, "not a module of torch", _CALLER),
    "torch-map": ("usage", None, "a map of names that cannot be meant", _CALLER),
    "torch-nothing": ("transfer", None, "not one variable for the other side", "Name the variables with `map`."),
    "extra-torch": ("extra", None, "PyTorch is not installed", 'Run `pip install "etui[torch]"`.'),
    "torch-loss": ("transfer", None, "a loss that is none of the core vocabulary", "Take a loss of torch."),
    "torch-module": ("usage", None, "not a module that `etui.torch.to_module` made", "Build it with `to_module`."),
    "torch-shape": ("transfer", None, "an array of another shape than its variable", "Change the array."),
    "torch-trace": (
        "transfer",
        None,
        "a torch module that has no core graph",
        "Save its weights alone, or write that part of it with layers and functions that are known.",
    ),
    "torch-call": (
        "usage",
        None,
        "inputs that the module does not take",
        "Pass them as the model's inputs are nested.",
    ),
    "core-op": (
        "transfer",
        None,
        "an op that the core vocabulary does not define",
        "Translate the model with `etui.to_core`; its report lists what has no core equal.",
    ),
    "core-input": ("usage", None, "other inputs than the model takes", _CALLER),
    "core-evaluate": ("usage", None, "tensors or arguments that the op cannot take", _CALLER),
    "box-form": ("usage", None, "a box that is not one slice of step 1 per dimension", _CALLER),
    # Series of checkpoints
    "series-step": ("usage", None, "a step that is not there", "`Series.steps()` lists those that are."),
    "series-exists": ("usage", None, "a step that is there already", "Pass `replace=True`, or take another number."),
    "series-number": ("usage", None, "no number of a step", "Pass an integer from 0 to 2^53 - 1."),
    "series-metric": ("usage", None, "a metric that is no number with a name", _CALLER),
    "series-busy": ("storage", None, "others work on the series", "Try again when they are done."),
    # Retention and the collection of garbage
    "series-retention": ("usage", None, "a rule of retention that cannot be meant", _CALLER),
    # Annex R, distributed writers
    "distributed-misuse": ("usage", None, "boxes or calls that no distributed save can be made of", _CALLER),
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
    "save-async-target": ("usage", None, "a save that does not fit its target", _CALLER),
    "save-async-within": ("usage", None, "a call of a saver within another one", _CALLER),
    "save-async-preemption": ("usage", None, "signals that cannot be watched", _CALLER),
    # Annex S.1, artifacts behind a URL
    "remote-url": ("usage", None, "a URL that no file system takes", "See fsspec's list of protocols."),
    "remote-failed": ("storage", None, "the store did not answer as it should", "Mend the reason and try again."),
    "remote-read": ("storage", None, "the store gave other bytes than were asked for", "Try again, or copy the file."),
    "remote-changed": ("storage", None, "a file that became another one while open", "Open it again."),
    "remote-ranges": ("storage", None, "a server that gives no ranges", "Download the file, and open the copy."),
    "remote-listing": ("storage", None, "a server that lists no folders", "Name a file, or download the folder."),
    "remote-readonly": ("storage", None, "a store that can only be read", "Save to a path, or to a store such as S3."),
    "remote-exists": (
        "storage",
        None,
        "a file or folder that is there, and cannot be replaced in one step",
        "Take a new name, the packed form, or a series of checkpoints.",
    ),
    "remote-busy": (
        "storage",
        None,
        "a folder into which another upload goes, or went not long ago",
        "Take a new name; or remove the files in the folder, where nobody writes.",
    ),
    "remote-write": ("storage", None, "the store has not kept what was sent", "Try again."),
    "extra-remote": ("extra", None, "a file system's package is not installed", 'Run `pip install "etui[remote]"`.'),
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
    # The Hub
    "hub-name": ("usage", None, "not the name of a repository", _CALLER),
    "hub-missing": (
        "storage",
        None,
        "what the Hub does not have, or does not show to this token",
        "Look at the name; for what is private, log in with `hf auth login`.",
    ),
    "hub-revision": ("storage", None, "no such branch, tag or commit", "Look at the revision."),
    "hub-access": (
        "storage",
        None,
        "what the Hub does not let this token do",
        "Log in with `hf auth login`, and a token that may.",
    ),
    "hub-visibility": (
        "storage",
        None,
        "a repository of another visibility than was asked for",
        "Change it in the repository's settings, or leave the option out.",
    ),
    "hub-target": (
        "storage",
        None,
        "a file of the repository that would be lost",
        "Remove it, or choose a folder with `path_in_repo`.",
    ),
    "hub-changed": (
        "storage",
        None,
        "a branch that others changed meanwhile",
        "Do it again: what is uploaded is not uploaded twice.",
    ),
    "hub-source": (
        "storage",
        None,
        "a model that changed while it was uploaded; nothing was committed",
        "Do it again.",
    ),
    "hub-incomplete": (
        "storage",
        None,
        "a commit without a part that was uploaded",
        "Look at the repository, and push again; its earlier commit has the earlier model.",
    ),
    "hub-busy": ("storage", None, "more requests than the Hub takes", "Wait, and do it again."),
    "hub-failed": ("storage", None, "a failure of the Hub", "Do it again: what was transferred is kept."),
    "hub-refused": ("storage", None, "what the Hub refuses", "Look at what it says."),
    "hub-unreachable": ("storage", None, "a Hub that cannot be reached", "Look at the network and at HF_ENDPOINT."),
    "extra-hub": ("extra", None, "huggingface_hub is not installed", 'Run `pip install "etui[hub]"`.'),
    # ONNX (annex T)
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
    "onnx-form": ("invalid", "PG-1", "a program of ONNX of another form", _REPORT),
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
    "onnx-file": ("usage", None, "no ONNX model that can be taken in", _CALLER),
    "extra-onnx": ("extra", None, "onnx or onnxruntime is not installed", 'Run `pip install "etui[onnx]"`.'),
    # Programs, and running them (annex T)
    "program-missing": ("usage", None, "no such program", "`etui programs list` names those that are there."),
    "program-name": ("usage", None, "a name that no program can have", "Use letters, digits, `_`, `-` and `.`."),
    "program-exists": ("usage", None, "a program of that name is there", "Take another name, or replace it."),
    "program-kind": ("usage", None, "a kind of program that cannot be used so", _CALLER),
    "program-option": ("usage", None, "an option that does not fit", _CALLER),
    "program-artifact": ("usage", None, "not an artifact", "Make one with `etui convert`."),
    "program-form": ("invalid", "PG-30", "a program that is not in the form of its kind", _REPORT),
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
    "run-input": ("usage", None, "an input that is not there, or not known", _CALLER),
    "run-input-file": (
        "usage",
        None,
        "not a file of inputs",
        "Give an .npz or .npy file of NumPy, or a small .json file.",
    ),
    "run-input-shape": ("usage", None, "an input of another shape", _CALLER),
    "run-input-dtype": ("usage", None, "an input of another dtype", _CALLER),
    "run-output": ("usage", None, "outputs that no such file can hold", "Write an .npz file."),
    "run-none": ("transfer", None, "a model that cannot be run here", "See the reasons."),
}

ERROR_CODES: dict[str, ErrorCode] = {code: ErrorCode(*row) for code, row in _ROWS.items()}
"""Every code that an error of Etui can carry."""
