// The evaluator of the core vocabulary: models, optimizers and objects by their mathematics (SPEC.md annexes J and K).

import type { Json, JsonMap } from '../canonical/json.js';
import { refuse } from '../errors.js';
import type { Model } from '../model/model.js';
import type { Elements } from '../tensors/reader.js';
import { ObjectValue, Tuple, type Value } from '../values/classes.js';
import { type Content, contentOf, type TensorContent } from '../write/content.js';
import type { NDArray } from './array.js';
import { constraintsOf } from './constraints.js';
import { CALLS_LIMIT, Evaluation, type Variables } from './evaluation.js';
import { type Module, modulesOf } from './modules.js';
import { castTo } from './numbers.js';
import { compute as computeArrays } from './objects/index.js';
import { copied, Entry } from './optimizers/document.js';
import { takeStep, variablesOf } from './optimizers/step.js';
import { refuseCall } from './refusals.js';
import {
  arrayOf,
  elementsOf,
  givenArray,
  isComputable,
  type TensorInput,
  type TensorValues,
  valuesOfArray,
} from './tensors.js';
import { type Attrs, CoreObject, type Plain } from './values.js';

export { ELEMENTS_LIMIT, NDArray } from './array.js';
export { compute as computeArrays } from './objects/index.js';
export { arrayOf, elementsOf, type Nested, type TensorInput, type TensorValues } from './tensors.js';
export { CoreObject } from './values.js';

/** How an evaluation is done. */
export interface EvaluateOptions {
  /** Compute as in training: batch_norm by the statistics of the batch. What would have to draw numbers is refused. */
  readonly training?: boolean;
  /** Calls of modules that it may take, lest graphs in graphs take for ever: 2^22 where it is left out. */
  readonly calls?: number;
}

/** What a model gives. */
export interface Evaluated {
  /** In the order of the flattened structure of the graph's outputs. */
  readonly outputs: TensorValues[];
  /** Variables that ops changed, such as the moving statistics of batch_norm, by path. */
  readonly variables: ReadonlyMap<string, TensorValues>;
}

/**
 * Computes a model whose ops are all of the core vocabulary, in binary64, rounded to the precision of each module.
 *
 * @param model An open artifact with config and weights.
 * @param inputs Tensors in the order of the graph's inputs, null for an optional one that is left out; or by the names of
 *   the modules that take them.
 * @throws EtuiError `core-evaluate` where an op is of a framework, or inputs do not fit; `core-random` where a number would
 *   have to be drawn.
 */
export async function evaluate(model: Model, inputs: Inputs, options: EvaluateOptions = {}): Promise<Evaluated> {
  return (await Evaluator.of(model)).evaluate(inputs, options);
}

/** A model with its variables in memory, to be evaluated more than once. */
export class Evaluator {
  readonly #root: Module;
  readonly #variables: Variables;

  private constructor(root: Module, variables: Variables) {
    this.#root = root;
    this.#variables = variables;
  }

  /** Reads the variables of a model. */
  static async of(model: Model): Promise<Evaluator> {
    const config = model.document('config') ?? refuseCall('the artifact', 'no config');
    const root = modulesOf(config.get('model') as JsonMap);
    return new Evaluator(root, await variablesOfModel(model, root));
  }

  /** As `evaluate`. Recurrent ops that are stateful go on from the states that the evaluation before ended with. */
  evaluate(inputs: Inputs, { training = false, calls = CALLS_LIMIT }: EvaluateOptions = {}): Evaluated {
    const list = isList(inputs) ? inputs : byName(this.#root, inputs);
    const arrays = list.map((input, i) => (input === null ? null : givenArray(input, `input ${i}`)));
    const { outputs, variables } = this.evaluateArrays(arrays, training, calls);
    return {
      outputs: outputs.map(valuesOfArray),
      variables: new Map([...variables].map(([path, value]) => [path, valuesOfArray(value)])),
    };
  }

  /** As `evaluate`, of arrays. */
  evaluateArrays(inputs: readonly (NDArray | null)[], training: boolean, calls = CALLS_LIMIT): EvaluatedArrays {
    const evaluation = new Evaluation(this.#root, this.#variables, calls);
    const outputs = evaluation.run(inputs, training);
    return { outputs, variables: evaluation.changed };
  }

  /** Forgets the states of recurrent ops. */
  reset(): void {
    forget(this.#root);
  }
}

/** What a model gives, as arrays. */
export interface EvaluatedArrays {
  readonly outputs: NDArray[];
  readonly variables: ReadonlyMap<string, NDArray>;
}

/** Tensors in the order of the graph's inputs, or by the names of the modules that take them. */
export type Inputs = readonly (TensorInput | null)[] | Readonly<Record<string, TensorInput | null>>;

function forget(module: Module): void {
  module.memory.states = null;
  for (const child of module.children.values()) forget(child);
}

const isList = (inputs: object): inputs is readonly (TensorInput | null)[] => Array.isArray(inputs);

function byName(root: Module, inputs: Readonly<Record<string, TensorInput | null>>): (TensorInput | null)[] {
  const graph = root.graph ?? refuseCall('the model', 'inputs by name, of a model without a graph');
  const names = graph.inputs.map(({ call }) => call);
  const unknown = Object.keys(inputs).find((name) => !names.includes(name));
  if (unknown !== undefined) refuseCall('the model', `an input ${unknown}, where its inputs are ${names.join(', ')}`);
  return names.map((name) => inputs[name] ?? null);
}

/** The variables that modules have, read. */
async function variablesOfModel(model: Model, root: Module): Promise<Variables> {
  const weights = model.weights;
  const values = new Map<string, NDArray>();
  const read = async (module: Module): Promise<void> => {
    for (const path of module.params.values()) {
      const variable = weights?.find(path) ?? refuseCall(path, 'a variable, of an artifact without weights');
      if (!values.has(variable.path)) values.set(variable.path, arrayOf(await variable.tensor.read()));
    }
    for (const child of module.children.values()) await read(child);
  };
  await read(root);
  const resolve = (path: string): string => weights?.aliases.get(path) ?? path;
  return { resolve, value: (path) => values.get(resolve(path))! };
}

/** What a step of the optimizers gives. */
export interface Stepped<T> {
  /** The variables of the optimizers by path. */
  readonly weights: ReadonlyMap<string, T>;
  /** The document after the step, its entries of `tensors` without chunks. */
  readonly optimizer: JsonMap;
  /** The tensors of that document by name. */
  readonly tensors: ReadonlyMap<string, T>;
  /** The artifact after the step, which `write` takes. */
  readonly content: Content;
}

/**
 * Takes a step of the optimizers of an artifact, which are all of the core vocabulary; the artifact stays as it is.
 *
 * @param gradients By the paths of variables; those that have none stay as they are.
 * @throws EtuiError `core-slots` where the slots are not those of the algorithm; `core-evaluate` where gradients do not fit.
 */
export async function step(
  model: Model,
  gradients: ReadonlyMap<string, TensorInput> | Readonly<Record<string, TensorInput>>,
): Promise<Stepped<TensorValues>> {
  const given = gradients instanceof Map ? [...gradients] : Object.entries(gradients as Record<string, TensorInput>);
  const arrays = new Map(given.map(([path, value]) => [path, givenArray(value, path)]));
  const { weights, optimizer, tensors, content } = await stepElements(model, arrays);
  const values = (all: ReadonlyMap<string, Elements>): Map<string, TensorValues> =>
    new Map([...all].map(([name, each]) => [name, valuesOfArray(arrayOf(each))]));
  return { weights: values(weights), optimizer, tensors: values(tensors), content };
}

/** As `step`, of arrays, with the elements as they are stored. */
export async function stepElements(model: Model, gradients: ReadonlyMap<string, NDArray>): Promise<Stepped<Elements>> {
  const own = model.optimizer ?? refuseCall('the artifact', 'no optimizer');
  const weights = model.weights ?? refuseCall('the artifact', 'no weights');
  const document = copied(own.document) as JsonMap;
  const tensors = new Map<string, NDArray>();
  const untouched = new Map<string, Elements>();
  const slots = slotNames(document);
  for (const [name, tensor] of own.tensors) {
    const elements = await tensor.read();
    if (slots.has(name) && isComputable(tensor.dtype)) tensors.set(name, arrayOf(elements));
    else untouched.set(name, elements);
  }
  const entries = [...(document.get('optimizers') as Map<string, JsonMap>)].map(
    ([path, json]) => new Entry(json, path, tensors),
  );
  const paths = entries.flatMap(variablesOf);
  for (const path of gradients.keys()) {
    if (!paths.includes(path)) refuseCall(path, 'a gradient of a variable that no optimizer has');
  }
  const variables = new Map<string, NDArray>();
  for (const path of paths) {
    const variable = weights.find(path) ?? refuse('reference-missing', path, 'no variable');
    variables.set(path, arrayOf(await variable.tensor.read()));
  }
  const constraints = constraintsOfModel(model);
  for (const entry of entries) takeStep(entry, { variables, gradients, constraints });
  const after = new Map([...untouched, ...[...tensors].map(([name, value]) => [name, elementsOf(value)] as const)]);
  document.set('tensors', indexOf(own.document, after));
  const stored = new Map([...variables].map(([path, value]) => [path, elementsOf(value)] as const));
  return {
    weights: stored,
    optimizer: document,
    tensors: after,
    content: contentAfter(model, stored, document, after),
  };
}

/** The content of a model with other variables and another optimizer. */
function contentAfter(
  model: Model,
  weights: ReadonlyMap<string, Elements>,
  optimizer: JsonMap,
  tensors: ReadonlyMap<string, Elements>,
): Content {
  const before = contentOf(model.artifact);
  const given = (all: ReadonlyMap<string, Elements>): (readonly [string, TensorContent])[] =>
    [...all].map(([name, each]) => [name, { dtype: each.dtype, shape: each.shape, load: () => Promise.resolve(each) }]);
  const variables = new Map([...(before.tensors.weights ?? []), ...given(weights)]);
  return {
    ...before,
    optimizer,
    tensors: { ...before.tensors, weights: variables, optimizer: new Map(given(tensors)) },
  };
}

/** The names of the tensors that are slots. */
function slotNames(json: Json): Set<string> {
  const names = new Set<string>();
  const collect = (optimizer: JsonMap): void => {
    const all = [optimizer.get('shared_slots'), ...((optimizer.get('slots') as JsonMap | undefined)?.values() ?? [])];
    for (const named of all) {
      if (!(named instanceof Map)) continue;
      for (const reference of named.values()) names.add((reference as JsonMap).get('$stored') as string);
    }
    const inner = optimizer.get('inner');
    if (inner instanceof Map) collect(inner);
  };
  for (const optimizer of ((json as JsonMap).get('optimizers') as Map<string, JsonMap>).values()) collect(optimizer);
  return names;
}

/** The index of the tensors of a document: what it said of them before, or dtype and shape. */
function indexOf(before: JsonMap, tensors: ReadonlyMap<string, Elements>): JsonMap {
  const known = before.get('tensors') as Map<string, JsonMap>;
  const index: JsonMap = new Map();
  for (const [name, { dtype, shape }] of tensors) {
    const fields = [...(known.get(name) ?? [])].filter(([field]) => field !== 'chunks' && field !== 'components');
    index.set(name, new Map<string, Json>([...fields, ['dtype', dtype], ['shape', [...shape]]]));
  }
  return index;
}

function constraintsOfModel(model: Model): Map<string, CoreObject> {
  const config = model.document('config');
  if (config === null) return new Map();
  const found = constraintsOf(config.get('model') as JsonMap);
  return new Map([...found].map(([path, constraint]) => [model.weights?.aliases.get(path) ?? path, constraint]));
}

/**
 * Computes an object of the core vocabulary: a loss, metric, schedule, activation, constraint, regularizer, or an
 * initializer without chance.
 *
 * @param object As a training configuration or a module has it.
 * @param inputs By the names of `compute` in annex P: `y_true` and `y_pred` of a loss or metric, `x`, `clock`, `shape`.
 */
export function compute(
  object: ObjectValue,
  inputs: Readonly<Record<string, TensorInput>>,
): Record<string, TensorValues> {
  const arrays = Object.entries(inputs).map(([name, value]) => [name, atLeastFloat(name, givenArray(value, name))]);
  const outputs = computeArrays(plainObject(object), Object.fromEntries(arrays) as Record<string, NDArray>);
  return Object.fromEntries(Object.entries(outputs).map(([name, value]) => [name, valuesOfArray(value)]));
}

/** Predictions and the like are floats even where a caller wrote whole numbers. */
function atLeastFloat(name: string, value: NDArray): NDArray {
  return value.kind === 'integer' && (name === 'x' || name === 'y_pred') ? castTo(value, 'float64') : value;
}

function plainObject({ className, config }: ObjectValue): CoreObject {
  return new CoreObject(className, (plainValue(config) ?? {}) as Attrs);
}

/** A value of the library's own interface as the evaluator has it. */
function plainValue(value: Value): Plain {
  if (value instanceof ObjectValue) return plainObject(value);
  if (Array.isArray(value) || value instanceof Tuple) return (value as Value[]).map(plainValue);
  if (value === null || typeof value !== 'object') return value;
  if ([null, Object.prototype].includes(Object.getPrototypeOf(value))) {
    return Object.fromEntries(
      Object.entries(value as Record<string, Value>).map(([key, item]) => [key, plainValue(item)]),
    );
  }
  return refuseCall('a value', `${value.constructor.name}, which no object of the core vocabulary has`);
}
