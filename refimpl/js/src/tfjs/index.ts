// Models of Keras, or of the core vocabulary, as layers models of TensorFlow.js.

import { EtuiError } from '../errors.js';
import type { Model } from '../model/model.js';
import type { Variable } from '../model/tensor.js';
import { Modules } from './modules.js';
import { registerActivation, registerLayers } from './own/layers.js';
import { Report, type Status } from './report.js';
import type { LayersModel, ModelArtifacts, TensorFlow, WeightSpec } from './tensorflow.js';
import { type Topology, topologyOf } from './topology.js';

export { registerLayers } from './own/layers.js';
export type { Entry, Status } from './report.js';
export { Report } from './report.js';
export type { LayersModel, ModelArtifacts, TensorFlow } from './tensorflow.js';

export interface LayersOptions {
  /** Called with the share of the weights that was read, from 0 to 1. */
  onProgress?: (fraction: number) => void;
}

/** A layer that TensorFlow.js cannot have. */
export interface Refused {
  readonly path: string;
  readonly op: string;
  readonly reason: string;
}

/** A model that TensorFlow.js cannot have: `refused` lists every layer that is to blame. */
export class LayersError extends EtuiError {
  readonly refused: readonly Refused[];

  constructor(refused: readonly Refused[]) {
    const words = refused.map(({ path, op, reason }) => `${path} (${op}): ${reason}`);
    super('tfjs-layers', 'config.json', words.join('; '));
    this.name = 'LayersError';
    this.refused = refused;
  }
}

/** What a float32 does not hold without a loss, or not at all. */
const EXACT = new Set(['float32', 'float16', 'bfloat16', 'int8', 'uint8', 'int16', 'uint16', 'bool']);

function numbersOf(values: unknown, variable: Variable): Float32Array {
  if (values instanceof Float32Array) return values;
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) return Float32Array.from(values, Number);
  if (ArrayBuffer.isView(values) && !variable.dtype.startsWith('complex'))
    return Float32Array.from(values as unknown as ArrayLike<number>);
  throw new EtuiError(
    'tfjs-weights',
    variable.path,
    `elements of ${variable.dtype}, which no layer of TensorFlow.js has`,
  );
}

/** A weight: the sum of its variables, mostly of one, and what the report says of them. */
interface Read {
  readonly data: Float32Array;
  readonly shape: number[];
  readonly entries: [status: Status, path: string, detail: string][];
}

async function elements(model: Model, paths: string[]): Promise<Read> {
  let total: Float32Array | null = null;
  let shape: readonly number[] = [];
  const entries: Read['entries'] = [];
  for (const path of paths) {
    const variable = variableOf(model, path);
    const values = numbersOf(await variable.tensor.values(), variable);
    if (total === null) total = values;
    else total = total.map((value, at) => value + values[at]!);
    shape = variable.shape;
    const { dtype } = variable;
    const shared = path === variable.path ? '' : `shares ${variable.path}`;
    if (dtype !== 'float32')
      entries.push(['cast', path, `${dtype} as float32${EXACT.has(dtype) ? ', which is exact' : ''}`]);
    else entries.push([paths.length > 1 ? 'translated' : 'restored', path, shared]);
  }
  return { data: total!, shape: [...shape], entries };
}

function variableOf(model: Model, path: string): Variable {
  const found = model.weights?.find(path);
  if (!found) throw new EtuiError('tfjs-weights', 'weights.json', `no variable ${path}`);
  return found;
}

/** Everything of a model but the tensors; refuses, with all reasons at once, what TensorFlow.js cannot have. */
function translated(model: Model): Topology {
  if (model.config === null)
    throw new EtuiError('tfjs-model', 'manifest.json', 'no config: there is no architecture to build');
  if (model.weights === null) throw new EtuiError('tfjs-model', 'manifest.json', 'no weights');
  const topology = topologyOf(new Modules(model.config), (path) => variableOf(model, path).shape);
  if (topology.refused.length) throw new LayersError(topology.refused);
  return topology;
}

function account(model: Model, topology: Topology, report: Report): void {
  for (const [path, name] of topology.renamed)
    report.add('module', 'translated', path, `is named ${name} in TensorFlow.js`);
  for (const { path, detail } of topology.notes) report.add('module', 'left-out', path, detail);
  const used = new Set(topology.weights.flatMap(({ paths }) => paths.map((path) => variableOf(model, path).path)));
  for (const path of model.weights!.keys()) {
    if (!used.has(path)) report.add('variable', 'left-out', path, 'no layer of TensorFlow.js reads it');
  }
  if (model.training)
    report.add('training', 'left-out', 'training.json', 'compile the model in TensorFlow.js to train it');
  if (model.optimizer)
    report.add('optimizer', 'left-out', 'optimizer.msgpack', 'an optimizer of TensorFlow.js begins anew');
}

/**
 * The artifacts of a layers model, as handlers of `tf.io` take and save them.
 *
 * Layers and activations of this package may be among the layers; `registerLayers(tf)` makes the layers known, and
 * `toLayersModel` does all of it.
 *
 * @param model an open artifact with a config and weights; every tensor is read and verified.
 * @throws LayersError with the list of layers that TensorFlow.js cannot have.
 */
export async function layersArtifacts(
  model: Model,
  options: LayersOptions = {},
): Promise<{ artifacts: ModelArtifacts; report: Report }> {
  const topology = translated(model);
  return artifactsOf(model, topology, options);
}

/** How many tensors are asked for at a time: over a network each is a request of its own. */
const AT_A_TIME = 8;

async function together<T>(items: readonly T[], work: (item: T, at: number) => Promise<void>): Promise<void> {
  let next = 0;
  const runner = async (): Promise<void> => {
    while (next < items.length) {
      const at = next++;
      await work(items[at]!, at);
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, runner));
}

async function artifactsOf(
  model: Model,
  topology: Topology,
  { onProgress }: LayersOptions,
): Promise<{ artifacts: ModelArtifacts; report: Report }> {
  const report = new Report(model.identity, 'tfjs-layers');
  account(model, topology, report);
  const weightSpecs: WeightSpec[] = [];
  const buffers: ArrayBuffer[] = [];
  const said: Read['entries'][] = [];
  let done = 0;
  const read = async ({ name, paths }: Topology['weights'][number], at: number): Promise<void> => {
    const { data, shape, entries } = await elements(model, paths);
    said[at] = entries;
    weightSpecs[at] = { name, shape, dtype: 'float32' };
    const whole = data.byteOffset === 0 && data.byteLength === data.buffer.byteLength;
    buffers[at] = (whole ? data.buffer : data.slice().buffer) as ArrayBuffer;
    done += 1;
    onProgress?.(done / topology.weights.length);
  };
  await together(topology.weights, read);
  for (const [status, path, detail] of said.flat()) report.add('variable', status, path, detail);
  const artifacts: ModelArtifacts = {
    format: 'layers-model',
    generatedBy: 'keras v2',
    convertedBy: 'etui',
    modelTopology: { keras_version: '2.15.0', backend: 'tensorflow', model_config: topology.model },
    weightSpecs,
    weightData: buffers,
  };
  return { artifacts, report };
}

async function loaded(tf: TensorFlow, artifacts: ModelArtifacts): Promise<LayersModel> {
  try {
    return await tf.loadLayersModel({ load: async () => artifacts });
  } catch (refusal) {
    const words = refusal instanceof Error ? refusal.message : String(refusal);
    throw new EtuiError('tfjs-build', 'config.json', `TensorFlow.js does not build it: ${words.slice(0, 500)}`);
  }
}

/**
 * A model of TensorFlow.js that computes what the artifact's model computes, with its weights.
 *
 * @param tf the module `@tensorflow/tfjs`, of the version 4; layers and activations of this package are registered in it.
 * @param model an open artifact with a config in `keras:` or `core:`, and weights; every tensor is read and verified.
 * @returns the model, and the report, which accounts for each variable and for what training would miss.
 * @throws LayersError with the list of layers that TensorFlow.js cannot have.
 */
export async function toLayersModel<M = LayersModel>(
  tf: { loadLayersModel(...given: never[]): Promise<M> },
  model: Model,
  options: LayersOptions = {},
): Promise<{ model: M; report: Report }> {
  const tensorflow = tf as unknown as TensorFlow;
  const topology = translated(model);
  registerLayers(tensorflow);
  for (const { name, parameters } of topology.activations) registerActivation(tensorflow, name, parameters);
  const { artifacts, report } = await artifactsOf(model, topology, options);
  const built = await loaded(tensorflow, artifacts);
  return { model: built as M, report };
}
