"""The messages of a SavedModel as far as the bridge looks into them; the rest stays bytes (SPEC.md, annex G).

Field numbers are those of `tensorflow/core/protobuf/saved_model.proto`, `meta_graph.proto`,
`saved_object_graph.proto`, `core/framework/tensor_shape.proto` and of Keras' `saved_metadata.proto`.
"""

from __future__ import annotations

from etui.storage.protobuf import Field, Schema

VERSION = Schema("VersionDef", {1: Field("producer", "int32"), 2: Field("min_consumer", "int32")})

_DIM = Schema("Dim", {1: Field("size", "int64"), 2: Field("name", "string")})
SHAPE = Schema(
    "TensorShapeProto",
    {2: Field("dim", "message", repeated=True, message=_DIM), 3: Field("unknown_rank", "bool")},
)

_CHILD = Schema("ObjectReference", {1: Field("node_id", "int32"), 2: Field("local_name", "string")})
_SLOT = Schema(
    "SlotVariableReference",
    {
        1: Field("original_variable_node_id", "int32"),
        2: Field("slot_name", "string"),
        3: Field("slot_variable_node_id", "int32"),
    },
)
USER_OBJECT = Schema(
    "SavedUserObject",
    {1: Field("identifier", "string"), 2: Field("version", "message", message=VERSION), 3: Field("metadata", "bytes")},
)
_VARIABLE = Schema(
    "SavedVariable",
    {
        1: Field("dtype", "int32"),
        2: Field("shape", "message", message=SHAPE),
        3: Field("trainable", "bool"),
        4: Field("synchronization", "int32"),
        5: Field("aggregation", "int32"),
        6: Field("name", "string"),
    },
)
_FUNCTION = Schema("SavedFunction", {1: Field("concrete_functions", "string", repeated=True)})
_CONSTANT = Schema("SavedConstant", {1: Field("operation", "string")})
_ASSET = Schema("SavedAsset", {1: Field("asset_file_def_index", "int32")})
OBJECT = Schema(
    "SavedObject",
    {
        1: Field("children", "message", repeated=True, message=_CHILD),
        3: Field("slot_variables", "message", repeated=True, message=_SLOT),
        4: Field("user_object", "message", message=USER_OBJECT),
        5: Field("asset", "message", message=_ASSET),
        6: Field("function", "message", message=_FUNCTION),
        7: Field("variable", "message", message=_VARIABLE),
        8: Field("bare_concrete_function", "bytes"),
        9: Field("constant", "message", message=_CONSTANT),
        10: Field("resource", "bytes"),
    },
)
_CONCRETE = Schema("SavedConcreteFunction", {2: Field("bound_inputs", "int32", repeated=True)})
_CONCRETE_ENTRY = Schema(
    "ConcreteFunctionsEntry", {1: Field("key", "string"), 2: Field("value", "message", message=_CONCRETE)}
)
OBJECT_GRAPH = Schema(
    "SavedObjectGraph",
    {
        1: Field("nodes", "message", repeated=True, message=OBJECT),
        2: Field("concrete_functions", "message", repeated=True, message=_CONCRETE_ENTRY),
    },
)

_TENSOR = Schema(
    "TensorProto",
    {
        1: Field("dtype", "int32"),
        2: Field("tensor_shape", "message", message=SHAPE),
        4: Field("tensor_content", "bytes"),
        8: Field("string_val", "bytes", repeated=True),
        10: Field("int64_val", "int64", repeated=True),
    },
)
_ATTR_VALUE = Schema("AttrValue", {8: Field("tensor", "message", message=_TENSOR)})
_ATTR_ENTRY = Schema("AttrEntry", {1: Field("key", "string"), 2: Field("value", "message", message=_ATTR_VALUE)})
_NODE = Schema(
    "NodeDef",
    {
        1: Field("name", "string"),
        2: Field("op", "string"),
        5: Field("attr", "message", repeated=True, message=_ATTR_ENTRY),
    },
)
GRAPH = Schema("GraphDef", {1: Field("node", "message", repeated=True, message=_NODE)})

_TENSOR_INFO = Schema(
    "TensorInfo",
    {1: Field("name", "string"), 2: Field("dtype", "int32"), 3: Field("tensor_shape", "message", message=SHAPE)},
)
_TENSOR_ENTRY = Schema("TensorEntry", {1: Field("key", "string"), 2: Field("value", "message", message=_TENSOR_INFO)})
_SIGNATURE = Schema(
    "SignatureDef",
    {
        1: Field("inputs", "message", repeated=True, message=_TENSOR_ENTRY),
        2: Field("outputs", "message", repeated=True, message=_TENSOR_ENTRY),
        3: Field("method_name", "string"),
    },
)
_SIGNATURE_ENTRY = Schema(
    "SignatureDefEntry", {1: Field("key", "string"), 2: Field("value", "message", message=_SIGNATURE)}
)
META_INFO = Schema("MetaInfoDef", {4: Field("tags", "string", repeated=True), 5: Field("tensorflow_version", "string")})
_ASSET_FILE = Schema(
    "AssetFileDef", {1: Field("tensor_info", "message", message=_TENSOR_INFO), 2: Field("filename", "string")}
)
META_GRAPH = Schema(
    "MetaGraphDef",
    {
        1: Field("meta_info_def", "message", message=META_INFO),
        2: Field("graph_def", "bytes"),
        5: Field("signature_def", "message", repeated=True, message=_SIGNATURE_ENTRY),
        6: Field("asset_file_def", "message", repeated=True, message=_ASSET_FILE),
        7: Field("object_graph_def", "message", message=OBJECT_GRAPH),
    },
)
SAVED_MODEL = Schema(
    "SavedModel",
    {
        1: Field("saved_model_schema_version", "int64"),
        2: Field("meta_graphs", "message", repeated=True, message=META_GRAPH),
    },
)

KERAS_OBJECT = Schema(
    "KerasObject",
    {
        2: Field("node_id", "int32"),
        3: Field("node_path", "string"),
        4: Field("identifier", "string"),
        5: Field("metadata", "string"),
        6: Field("version", "message", message=VERSION),
    },
)
KERAS_METADATA = Schema("SavedMetadata", {1: Field("nodes", "message", repeated=True, message=KERAS_OBJECT)})

_KEPT = Schema(
    "KeptTensor",
    {
        1: Field("key", "string"),
        2: Field("dtype", "string"),
        3: Field("shape", "int64", repeated=True),
        4: Field("data", "bytes"),
    },
)
KEPT_TENSORS = Schema("KeptTensors", {1: Field("tensors", "message", repeated=True, message=_KEPT)})
"""Etui's own: the tensors of a SavedModel's variables that are no variables of the model."""
KEPT_TENSOR = _KEPT
