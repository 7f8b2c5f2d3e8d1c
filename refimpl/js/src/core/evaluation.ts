// The evaluation of a graph of the core vocabulary (SPEC.md annex J).

import type { Json, JsonMap } from '../canonical/json.js';
import { floatOf, isTag } from '../values/decode.js';
import { VOCABULARY } from '../vocabulary/data.js';
import { kindOf, type NDArray, scalar } from './array.js';
import type { Graph, GraphCall, Module } from './modules.js';
import { castTo } from './numbers.js';
import {
  type Argument,
  type Call,
  type Child,
  isTensor,
  maskOf,
  type Output,
  type Tensor,
  unmasked,
} from './ops/context.js';
import { OPS } from './ops/index.js';
import { refuseCall } from './refusals.js';
import { type Attrs, flag, plainOf, text } from './values.js';

/** Outputs of calls by their ids; null is an optional input that was left out. */
type Outputs = Map<string, readonly (Tensor | null)[]>;

/** The variables of a model, by path or alias. */
export interface Variables {
  /** The path behind an alias. */
  resolve(path: string): string;
  value(path: string): NDArray;
}

/** Calls of modules in one evaluation: graphs in graphs that each call two of the next would else take for ever. */
export const CALLS_LIMIT = 2 ** 22;

/** One evaluation of a model. */
export class Evaluation {
  readonly root: Module;
  readonly variables: Variables;
  /** What ops made of variables, by path. */
  readonly changed: Map<string, NDArray>;
  /** How many calls of modules it may still take. */
  private calls: number;

  constructor(root: Module, variables: Variables, calls = CALLS_LIMIT) {
    this.root = root;
    this.variables = variables;
    this.changed = new Map();
    this.calls = calls;
  }

  /** The flat list of the outputs of the model. */
  run(inputs: readonly (NDArray | null)[], training: boolean): NDArray[] {
    const given = inputs.map((value) => (value === null ? null : unmasked(value)));
    const outputs =
      this.root.graph === null ? this.module(this.root, given, {}, training) : this.graph(this.root, given, training);
    return outputs.map(({ value }) => value);
  }

  /** A graph, whose inputs bring their masks along. */
  graph(module: Module, inputs: readonly (Tensor | null)[], training: boolean): Tensor[] {
    const graph = module.graph as Graph;
    const where = module.path === '' ? 'the model' : module.path;
    if (inputs.length !== graph.inputs.length) refuseCall(where, `${inputs.length} inputs of ${graph.inputs.length}`);
    const bound = new Map(graph.inputs.map(({ call, index }, i) => [`${index} ${call}`, inputs[i]!]));
    const outputs: Outputs = new Map();
    for (const call of graph.calls) outputs.set(call.id, this.call(module, call, bound, outputs, training));
    return graph.outputs.map((place) => {
      const found = outputs.get(place.call)?.[place.index];
      return found ?? refuseCall(where, `no output ${place.index} of the call ${place.call}`);
    });
  }

  private call(
    parent: Module,
    call: GraphCall,
    bound: ReadonlyMap<string, Tensor | null>,
    outputs: Outputs,
    training: boolean,
  ): readonly (Tensor | null)[] {
    const module = parent.children.get(call.module)!;
    const first = `0 ${call.id}`;
    if (module.op === 'input') {
      return [bound.has(first) ? inputOf(module, bound.get(first)!) : refuseCall(module.path, 'an input of no graph')];
    }
    const kwargs = Object.fromEntries([...call.kwargs].map(([name, value]) => [name, argumentOf(value, outputs)]));
    const args = call.args.map((value) => argumentOf(value, outputs));
    const found = this.module(module, inputsOf(module, args), kwargs, trains(kwargs.training, training));
    return found.map((tensor, i) => bound.get(`${i} ${call.id}`) ?? tensor);
  }

  /** A call of a module. */
  private module(
    module: Module,
    inputs: readonly (Tensor | null)[],
    kwargs: Readonly<Record<string, Argument>>,
    training: boolean,
  ): Tensor[] {
    this.calls--;
    if (this.calls < 0) refuseCall(module.path, 'more calls of modules than an evaluation may take');
    if (module.graph !== null) return this.graph(module, remasked(module, inputs, kwargs.mask), training);
    if (module.op === 'sequential') return this.chain(module, remasked(module, inputs, kwargs.mask), training);
    checkInputs(module, inputs);
    const dtype = computeDtype(module.attrs);
    const call: Call = {
      where: module.path,
      op: module.op,
      attrs: module.attrs,
      params: Object.fromEntries(
        [...module.params].map(([role, path]) => [role, atPrecision(this.valueOf(path), dtype)]),
      ),
      inputs: inputs.filter((input) => input !== null).map((input) => tensorAt(input, dtype)),
      kwargs: Object.fromEntries(Object.entries(kwargs).map(([name, value]) => [name, argumentAt(value, dtype)])),
      training,
      memory: module.memory,
      assign: (role, value) => this.assign(module.params.get(role)!, value),
      child: (name) => this.child(module.children.get(name)!, training),
    };
    const found = (OPS[module.op] ?? refuseCall(module.path, `the op ${module.op}`))(call);
    const ownDtype = module.op === 'cast' ? text(module.attrs, 'dtype') : dtype;
    return [found].flat().map((output) => withMask(call, output, ownDtype));
  }

  /** Each module takes what the one before it gives. */
  private chain(module: Module, inputs: readonly (Tensor | null)[], training: boolean): Tensor[] {
    let tensors = inputs;
    for (const child of module.children.values()) {
      if (child.op === 'input') tensors = tensors.map((tensor) => inputOf(child, tensor));
      else tensors = this.module(child, inputsOf(child, tensors), {}, training);
    }
    return tensors.filter((tensor) => tensor !== null);
  }

  private child(module: Module, training: boolean): Child {
    return { attrs: module.attrs, run: (inputs, kwargs) => this.module(module, inputs, kwargs, training) };
  }

  private valueOf(path: string): NDArray {
    return this.changed.get(this.variables.resolve(path)) ?? this.variables.value(path);
  }

  private assign(path: string, value: NDArray): void {
    const own = this.variables.resolve(path);
    this.changed.set(own, castTo(value, this.variables.value(own).dtype));
  }
}

/** The flag of the call, or that of the graph that it belongs to (CV-11). */
function trains(own: Argument | undefined, outer: boolean): boolean {
  return own === undefined || own === null ? outer : own === true;
}

/** What a model is given for an input. */
function inputOf(module: Module, given: Tensor | null): Tensor | null {
  if (given === null) {
    return flag(module.attrs, 'optional')
      ? null
      : refuseCall(module.path, 'an input that is left out, and not optional');
  }
  const dtype = text(module.attrs, 'dtype');
  const shape = module.attrs.shape as readonly (number | null)[];
  const { value } = given;
  if (value.rank !== shape.length || shape.some((size, axis) => size !== null && size !== value.shape[axis])) {
    refuseCall(module.path, `an input [${value.shape}], where [${shape.map((size) => size ?? 'any')}] belongs`);
  }
  const [wanted, found] = [kindOf(dtype), value.kind];
  if (wanted === found && wanted !== 'float') return given;
  const fits = found !== 'string' && (wanted === 'float' || (wanted === 'integer' && found === 'bool'));
  if (!fits) refuseCall(module.path, `an input of ${value.dtype}, where ${dtype} belongs`);
  return { value: castTo(value, dtype), mask: given.mask };
}

function computeDtype(attrs: Attrs): string {
  const precision = attrs.precision as Attrs | null;
  return precision === null ? 'float32' : text(precision, 'compute_dtype');
}

/** A floating array in another precision; others stay as they are (CV-10). */
function atPrecision(x: NDArray, dtype: string): NDArray {
  return x.kind === 'float' ? castTo(x, dtype) : x;
}

const tensorAt = (tensor: Tensor, dtype: string): Tensor => ({ ...tensor, value: atPrecision(tensor.value, dtype) });

function argumentAt(argument: Argument, dtype: string): Argument {
  if (isTensor(argument)) return tensorAt(argument, dtype);
  return Array.isArray(argument) ? argument.map((item: Argument) => argumentAt(item, dtype)) : argument;
}

/** An output in its precision, with the mask of the vocabulary's rule where the op has not said which (CV-12). */
function withMask(call: Call, output: Output, dtype: string): Tensor {
  if ('mask' in output) return { value: finished(output.value, dtype), mask: output.mask };
  const mask = VOCABULARY.ops[call.op]!.mask === 'keep' ? maskOf(call) : null;
  return { value: finished(output, dtype), mask };
}

function finished(x: NDArray, dtype: string): NDArray {
  return x.kind !== 'float' || kindOf(dtype) !== 'float' ? x : castTo(x.as('float64'), dtype);
}

/** An argument of a call: outputs of calls before it, numbers as tensors, and all else as it is. */
function argumentOf(json: Json, outputs: Outputs): Argument {
  if (typeof json === 'number') return unmasked(scalar(json, Number.isInteger(json) ? 'int64' : 'float64'));
  if (Array.isArray(json)) return json.map((item) => argumentOf(item, outputs));
  if (!(json instanceof Map)) return json;
  const [first] = json.keys();
  if (json.size !== 1 || first === undefined || !isTag(first)) {
    return Object.fromEntries([...json].map(([key, item]) => [key, argumentOf(item, outputs)]));
  }
  return taggedArgument(first, json.get(first) as Json, json, outputs);
}

function taggedArgument(tag: string, content: Json, json: JsonMap, outputs: Outputs): Argument {
  if (tag === '$output') {
    const [call, index] = content as [string, number];
    const found = outputs.get(call)![index];
    return found === undefined ? refuseCall(`call ${call}`, `no output ${index}`) : found;
  }
  if (tag === '$float') return unmasked(scalar(floatOf(content as string)));
  if (tag === '$tuple') return argumentOf(content, outputs);
  return plainOf(json) as Argument;
}

/** The inputs of a call in the order of the vocabulary (CV-9); null stands for one that is optional. */
function inputsOf(module: Module, args: readonly Argument[]): (Tensor | null)[] {
  if (module.graph !== null || module.op === 'sequential') return leaves(module, args);
  const names = VOCABULARY.ops[module.op]!.inputs;
  if (names[0] === 'xs*') {
    const list = args.length === 1 && Array.isArray(args[0]) ? (args[0] as readonly Argument[]) : args;
    return list.map((item) => (isTensor(item) ? item : refuseCall(module.path, 'an input that is no tensor')));
  }
  return leaves(module, args);
}

/** The tensors in a structure of lists and maps, in its order. */
function leaves(module: Module, argument: Argument): (Tensor | null)[] {
  if (argument === null || isTensor(argument)) return [argument];
  if (Array.isArray(argument)) return argument.flatMap((item: Argument) => leaves(module, item));
  if (typeof argument === 'object' && Object.getPrototypeOf(argument) === Object.prototype) {
    return Object.values(argument).flatMap((item: Argument) => leaves(module, item));
  }
  return refuseCall(module.path, `an input that is no tensor: ${String(argument)}`);
}

/** The inputs of a module of modules, with the masks that its call gives in the place of theirs (CV-13). */
function remasked(
  module: Module,
  inputs: readonly (Tensor | null)[],
  argument: Argument | undefined,
): readonly (Tensor | null)[] {
  if (argument === undefined || argument === null) return inputs;
  const masks = leaves(module, argument);
  if (masks.length !== inputs.length) refuseCall(module.path, `${masks.length} masks of ${inputs.length} inputs`);
  return inputs.map((input, i) => {
    const mask = masks[i] ?? null;
    return input === null || mask === null ? input : { value: input.value, mask: mask.value };
  });
}

/** Refuses another number of inputs than the op takes; what else a call has was looked at when the config was read. */
function checkInputs(module: Module, inputs: readonly (Tensor | null)[]): void {
  const { inputs: names } = VOCABULARY.ops[module.op]!;
  const needed = names.filter((name) => !/[?*.]$/.test(name)).length;
  const open = names.some((name) => /[*.]$/.test(name));
  const given = inputs.slice(0, needed).filter((input) => input !== null).length;
  if (given < needed || (inputs.length > names.length && !open)) {
    refuseCall(module.path, `${inputs.length} inputs for ${names.join(', ') || 'none'}`);
  }
}
