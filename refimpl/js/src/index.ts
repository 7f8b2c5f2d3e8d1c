// Etui: reads, verifies and writes artifacts of neural-network models and training state. Nothing here needs Node.js.

export type { Json, JsonMap } from './canonical/json.js';
export { canonicalText, decodeJson, encodeJson } from './canonical/json.js';
export type { Chunk } from './documents/entries.js';
export type { Manifest, PartEntry, Role } from './documents/manifest.js';
export { DOCUMENTS, FEATURES } from './documents/manifest.js';
export { DTYPES } from './dtypes.js';
export type { ErrorClass } from './errors.js';
export { EtuiError } from './errors.js';
export type { Limits } from './limits.js';
export { LIMITS } from './limits.js';
export type { ModuleKind } from './model/config.js';
export { Call, Config, Graph, Module } from './model/config.js';
export { Model, Part } from './model/model.js';
export { Tensor, Variable, Weights } from './model/tensor.js';
export type { Generator, Group } from './model/training.js';
export { Optimizer, OptimizerEntry, State, Training } from './model/training.js';
export type { ArtifactSource, OpenOptions, VerifyOptions, VerifyResult } from './open.js';
export { open, openContainer, openDocuments, verify } from './open.js';
export type { StepRecord } from './series/documents.js';
export type { SeriesPlace } from './series/place.js';
export { openStep, Series, type SeriesSource } from './series/series.js';
export type { Container, Form } from './storage/container.js';
export { FilesContainer } from './storage/container.js';
export type { Source } from './storage/source.js';
export { BlobSource, BytesSource, SliceSource } from './storage/source.js';
export { PackedContainer } from './storage/zip.js';
export type { Ranges } from './tensors/boxes.js';
export type { Elements } from './tensors/reader.js';
export type { Values } from './tensors/values.js';
export { valuesOf as decodeValues } from './tensors/values.js';
export type { Attrs, Value } from './values/classes.js';
export {
  AssetRef,
  Complex,
  DtypeRef,
  Ellipsis,
  ModuleRef,
  ObjectValue,
  OutputRef,
  Pairs,
  Slice,
  StoredRef,
  TensorValue,
  Tuple,
  VariableRef,
} from './values/classes.js';
export { attrsOf, decodeValue } from './values/decode.js';
export type { Progress } from './verification.js';
export { VOCABULARY } from './vocabulary/data.js';
export type { Content, PartContent, TensorBox, TensorContent } from './write/content.js';
export type { WriteOptions } from './write.js';
export { contentOfModel, write, writePieces } from './write.js';
