"""What the graphs of a SavedModel could do besides computing, found without running them (SPEC.md, annexes G and T)."""

from __future__ import annotations

import re

from etui.limits import Limits
from etui.storage.protobuf import Field, Schema, decode

_NODE = Schema("NodeDef", {2: Field("op", "string")})
_NAME = Schema("OpDef", {1: Field("name", "string")})
_FUNCTION = Schema(
    "FunctionDef",
    {1: Field("signature", "message", message=_NAME), 3: Field("node_def", "message", repeated=True, message=_NODE)},
)
_LIBRARY = Schema("FunctionDefLibrary", {1: Field("function", "bytes", repeated=True)})
_GRAPH = Schema(
    "GraphDef",
    {1: Field("node", "message", repeated=True, message=_NODE), 2: Field("library", "message", message=_LIBRARY)},
)
_META_GRAPH = Schema(
    "MetaGraphDef", {2: Field("graph_def", "message", message=_GRAPH), 7: Field("object_graph_def", "bytes")}
)
_SAVED_MODEL = Schema("SavedModel", {2: Field("meta_graphs", "message", repeated=True, message=_META_GRAPH)})
# The functions by which TensorFlow saves and restores the variables, which no signature has to call.
_SAVERS = ("__inference__traced_save", "__inference__traced_restore")
# What a bridge tells the user of: operations that run code outside of the graph, or read and write files that the graph
# names. What else may not be run unasked is told by words, so that an operation that is new counts too.
_NAMED = tuple(
    """PyFunc PyFuncStateless EagerPyFunc ReadFile WriteFile MatchingFiles TextLineReader TFRecordReader
    WholeFileReader FixedLengthRecordReader TextLineDataset TFRecordDataset FixedLengthRecordDataset
    InitializeTableFromTextFile LoadAndRemapMatrix PrintV2 DebugIdentity RpcCall RpcClient RpcServer LMDBReader
    LMDBDataset SqlDataset SnapshotDataset SaveDataset LoadDataset SaveSlices CacheDataset ReaderRead RecordInput
    DumpTensor CalibrationStatisticsSaver EncodeProto DecodeProto GenerateVocabRemapping FixedUnigramCandidateSampler
    RemoteCall XlaCallModule""".split()  # noqa: SIM905  (a list of words reads better as such)
)
# Words in the names of operations that reach files, other devices, processes or machines, or run code of others.
_WORDS = frozenset(
    """abort callback checkpoint checkpoints collective custom dataset debug dump ffi file filename filenames files
    heartbeat host immutable infeed lite lmdb nccl outfeed print proto py reader record recv remap remapping remote
    restore rpc save saver send socket sql summary tpu trt""".split()  # noqa: SIM905
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def effects_named(graph: bytes) -> list[str]:
    """Operations in a `GraphDef` that can run code or reach files, by their names anywhere in its bytes.

    Looking for the bytes of the name finds every such operation, however the message is written; that an author used
    the same word otherwise only makes the report longer. Those that every SavedModel has for its own variables do not
    count.
    """
    return sorted(name for name in _NAMED if name.encode() in graph)


def effects_when_run(saved_model: bytes, limits: Limits, where: str) -> list[str]:
    """The operations that can do more than compute, in the functions that loading or calling a SavedModel may run.

    That is every function but those of the saver, and those again if another one, or an object, has their name in it: a
    name is looked for in all of its bytes, wherever it may be hidden. Where there are no objects, as in the SavedModels
    of TensorFlow 1, or several graphs, TensorFlow runs nodes outside of functions, too: then all of these count.

    Raises:
        RejectError: ``protobuf-syntax``, it is not the file of a SavedModel.
    """
    functions: dict[str, bytes] = {}
    operations: dict[str, set[str]] = {}
    found: set[str] = set()
    objects = b""
    graphs = decode(_SAVED_MODEL, saved_model, where=where, limits=limits)["meta_graphs"]
    for graph in graphs:
        definition = graph["graph_def"]
        if definition is not None and (len(graphs) > 1 or "object_graph_def" not in graph):
            found.update(node["op"] for node in definition["node"])
        objects += graph["object_graph_def"]
        library = None if definition is None else definition["library"]
        for raw in () if library is None else library["function"]:
            function = decode(_FUNCTION, raw, where=where, limits=limits)
            name = function["signature"]["name"] if function["signature"] is not None else ""
            functions[name] = functions.get(name, b"") + bytes(raw)
            operations.setdefault(name, set()).update(node["op"] for node in function["node_def"])
    waiting = [name for name in functions if not name.startswith(_SAVERS) or name.encode() in objects]
    reached = set(waiting)
    savers = set(functions) - reached
    while waiting and savers:
        content = functions[waiting.pop()]
        called = {name for name in savers if name.encode() in content}
        savers -= called
        reached |= called
        waiting += called
    found.update(op for name in reached for op in operations[name])
    return sorted(filter(does_more, found))


def does_more(operation: str) -> bool:
    """Whether an operation can do more than compute: a bridge names it, or a word in its name tells it."""
    words = {word.lower() for word in _WORD.findall(operation)}
    # `Skipgram` reads a vocabulary from a file.
    return operation in _NAMED or operation == "Skipgram" or not words.isdisjoint(_WORDS)
