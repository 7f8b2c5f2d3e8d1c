/**
 * The shapes of what goes from call to call.
 *
 * A shape is the one that the reader of a tensor states (what it was built with), or else follows from the op where its rule
 * is simple; where neither says it, it stays unknown and nothing is shown.
 */

import type { Attrs, Graph, Module } from '../../src/index.js';
import type { Architecture } from './data/architecture.js';
import { isAttrs, numbersIn, outputsIn, shapeIn } from './data/values.js';
import { shortOp } from './ops.js';

export type Shape = readonly (number | null)[];
type Known = Shape | null;

const DEEPEST = 40;
/** Calls that are followed, those within a module at each of its calls: n levels of two calls each make 2^n of them. */
const MOST_CALLS = 100_000;

/** The shapes of the outputs of each call of a module's graph: id of the call -> index -> shape. */
export function shapesOf(architecture: Architecture, owner: Module): Map<string, Known[]> {
  return new Inference(architecture).within(owner, [], 0);
}

class Inference {
  readonly #architecture: Architecture;
  /** Outputs of a module that holds others, by the shapes of its inputs. */
  readonly #found = new Map<Module, Map<string, readonly Known[]>>();
  #calls = MOST_CALLS;

  constructor(architecture: Architecture) {
    this.#architecture = architecture;
  }

  within(owner: Module, inputs: readonly Known[], depth: number): Map<string, Known[]> {
    const shapes = new Map<string, Known[]>();
    const graph = owner.graph;
    if (!graph) return shapes;
    const modules = new Map(owner.modules.map((module) => [module.name, module]));
    const uses = new Map<string, number>();
    for (const call of graph.calls) uses.set(call.module, (uses.get(call.module) ?? 0) + 1);
    outputsIn(graph.inputs).forEach((input, index) => {
      if (inputs[index]) shapes.set(input.call, [inputs[index]]);
    });
    for (const call of graph.calls) {
      const module = this.#definition(modules.get(call.module));
      if (!module) continue;
      const sources = outputsIn(call.args);
      const stated = uses.get(call.module) === 1 ? statedInputs(module, sources.length) : [];
      sources.forEach((source, index) => {
        const known = shapes.get(source.call) ?? [];
        if (stated[index]) known[source.index] = stated[index];
        shapes.set(source.call, known);
      });
      if (!shapes.has(call.id)) {
        const given = sources.map((source) => shapes.get(source.call)?.[source.index] ?? null);
        shapes.set(call.id, this.#outputs(module, given, depth));
      }
    }
    return shapes;
  }

  #definition(module: Module | undefined): Module | undefined {
    return module?.kind === 'shared' && module.target ? this.#architecture.module(module.target) : module;
  }

  #outputs(module: Module, inputs: readonly Known[], depth: number): Known[] {
    if (depth > DEEPEST || --this.#calls < 0) return [];
    const name = shortOp(module.op).toLowerCase().replaceAll('_', '');
    if (module.graph || name === 'sequential') return this.#holder(module, inputs, depth);
    if (name === 'bidirectional') return [this.#bidirectional(module, inputs[0] ?? null)];
    if (name === 'timedistributed') return [this.#timeDistributed(module, inputs[0] ?? null, depth)];
    const rule = RULES.find(([pattern]) => pattern.test(name))?.[1];
    return [rule ? rule(inputs, module.attrs, name) : null];
  }

  /** The outputs of a graph or chain, which are found once for the same inputs. */
  #holder(module: Module, inputs: readonly Known[], depth: number): Known[] {
    const key = JSON.stringify(inputs);
    const known = this.#found.get(module) ?? new Map<string, readonly Known[]>();
    this.#found.set(module, known);
    const outputs =
      known.get(key) ??
      (module.graph ? this.#graph(module, module.graph, inputs, depth) : this.#chain(module, inputs, depth));
    known.set(key, outputs);
    return [...outputs];
  }

  #graph(module: Module, graph: Graph, inputs: readonly Known[], depth: number): Known[] {
    const inner = this.within(module, inputs, depth + 1);
    return outputsIn(graph.outputs).map((output) => inner.get(output.call)?.[output.index] ?? null);
  }

  #chain(module: Module, inputs: readonly Known[], depth: number): readonly Known[] {
    let shapes: readonly Known[] = inputs;
    for (const child of module.modules) {
      const inside = this.#definition(child);
      shapes = inside ? this.#outputs(inside, shapes, depth + 1) : [null];
    }
    return shapes;
  }

  #bidirectional(module: Module, input: Known): Known {
    const child = this.#definition(module.modules[0]);
    const one = child ? recurrent([input], child.attrs) : null;
    const merge = module.attrs.merge_mode ?? module.attrs.merge ?? 'concat';
    if (!one || merge === null || merge === 'none') return null;
    return merge === 'concat' ? [...one.slice(0, -1), times(one.at(-1)!, 2)] : one;
  }

  #timeDistributed(module: Module, input: Known, depth: number): Known {
    const child = this.#definition(module.modules[0]);
    if (!child || !input || input.length < 2) return null;
    const step = this.#outputs(child, [[input[0]!, ...input.slice(2)]], depth + 1)[0];
    return step ? [step[0]!, input[1]!, ...step.slice(1)] : null;
  }
}

/** The shapes of the inputs that a module was built with. */
function statedInputs(module: Module, count: number): Known[] {
  const build = isAttrs(module.build) ? module.build : {};
  const value = build.input_shape;
  const one = shapeIn(value);
  if (one && count === 1) return [one];
  if (!one && Array.isArray(value) && value.length === count) return Array.from(value, (item) => shapeIn(item));
  return [];
}

type Rule = (inputs: readonly Known[], attrs: Attrs, name: string) => Known;

const RULES: readonly [RegExp, Rule][] = [
  [
    /^input(layer)?$/,
    (_, attrs) => shapeIn(attrs.batch_shape) ?? shapeIn(attrs.batch_input_shape) ?? shapeIn(attrs.shape),
  ],
  [/^embedding$/, ([x], attrs) => (x && typeof attrs.output_dim === 'number' ? [...x, attrs.output_dim] : null)],
  [
    /^dense$/,
    ([x], attrs) => (x && x.length > 0 && typeof attrs.units === 'number' ? [...x.slice(0, -1), attrs.units] : null),
  ],
  [/^(conv|depthwiseconv|separableconv)(\dd)?$/, convolution],
  [/^global.*pool/, globalPool],
  [/^(max|avg|average)pool/, convolution],
  [/^(lstm|gru|simplernn)$/, ([x], attrs) => recurrent([x ?? null], attrs)],
  [/^flatten$/, ([x]) => (x ? [x[0] ?? null, product(x.slice(1))] : null)],
  [/^reshape$/, reshape],
  [/^permute$/, permute],
  [/^repeat(vector)?$/, ([x], attrs) => repeat(x ?? null, attrs.n ?? attrs.count)],
  [/^zeropadding|^pad$/, (inputs, attrs) => padded(inputs, attrs.padding, attrs, 1)],
  [/^crop/, (inputs, attrs) => padded(inputs, attrs.cropping, attrs, -1)],
  [/^upsampling/, upsampling],
  [/^concat(enate)?$/, concatenation],
  [/^(add|subtract|sub|multiply|mul|average|mean|maximum|max|minimum|min|binary)$/, broadcast],
  [/^multiheadattention$|^mha$|^groupedqueryattention$|^groupqueryattention$|^gqa$/, attention],
  [
    /norm|dropout|noise|activ|relu|elu|softmax|sigmoid|tanh|identity|masking|rescal|^cast$|^unary$|^clip$/,
    ([x]) => x ?? null,
  ],
];

function times(size: number | null, factor: number): number | null {
  return size === null ? null : size * factor;
}

function product(sizes: Shape): number | null {
  return sizes.reduce<number | null>((total, size) => (total === null || size === null ? null : total * size), 1);
}

function first(attrs: Attrs): boolean {
  return attrs.data_format === 'channels_first';
}

/** A shape apart: batch, spatial sizes, channels. */
function split(x: Shape, attrs: Attrs): { batch: number | null; spatial: (number | null)[]; channels: number | null } {
  const rest = x.slice(1);
  return first(attrs)
    ? { batch: x[0]!, spatial: rest.slice(1), channels: rest[0]! }
    : { batch: x[0]!, spatial: rest.slice(0, -1), channels: rest.at(-1)! };
}

function joined(batch: number | null, spatial: Shape, channels: number | null, attrs: Attrs): Shape {
  return first(attrs) ? [batch, channels, ...spatial] : [batch, ...spatial, channels];
}

function convolution([x]: readonly Known[], attrs: Attrs, name: string): Known {
  if (!x || x.length < 3) return null;
  const { batch, spatial, channels } = split(x, attrs);
  const rank = spatial.length;
  const window = numbersIn(attrs.kernel_size ?? attrs.pool_size, rank);
  if (!window) return null;
  const pooling = name.includes('pool');
  const strides = numbersIn(attrs.strides ?? (pooling ? window : 1), rank);
  const dilation = numbersIn(attrs.dilation_rate ?? attrs.dilation ?? 1, rank);
  const padding = attrs.padding ?? 'valid';
  if (!strides || !dilation || typeof padding !== 'string') return null;
  const sizes = spatial.map((size, axis) => {
    if (size === null) return null;
    const reach = padding === 'valid' ? (window[axis]! - 1) * dilation[axis]! : 0;
    return Math.max(0, Math.ceil((size - reach) / strides[axis]!));
  });
  const multiplier = attrs.depth_multiplier;
  const filters = pooling
    ? channels
    : name.startsWith('depthwise')
      ? times(channels, Number(multiplier ?? 1))
      : attrs.filters;
  return typeof filters === 'number' || filters === null ? joined(batch, sizes, filters, attrs) : null;
}

function globalPool([x]: readonly Known[], attrs: Attrs): Known {
  if (!x || x.length < 3) return null;
  const { batch, spatial, channels } = split(x, attrs);
  return attrs.keepdims === true
    ? joined(
        batch,
        spatial.map(() => 1),
        channels,
        attrs,
      )
    : [batch, channels];
}

function recurrent([x]: readonly Known[], attrs: Attrs): Known {
  if (x?.length !== 3 || typeof attrs.units !== 'number' || attrs.return_state === true) return null;
  return attrs.return_sequences === true ? [x[0]!, x[1]!, attrs.units] : [x[0]!, attrs.units];
}

function reshape([x]: readonly Known[], attrs: Attrs): Known {
  const target = attrs.target_shape ?? attrs.shape;
  if (!x || !Array.isArray(target) || !target.every((size) => typeof size === 'number')) return null;
  const sizes = Array.from(target as number[]);
  const rest = product(sizes.filter((size) => size !== -1)) ?? 0;
  const whole = product(x.slice(1));
  const open = whole === null || rest === 0 ? null : whole / rest;
  return [x[0] ?? null, ...sizes.map((size) => (size === -1 ? open : size))];
}

function permute([x]: readonly Known[], attrs: Attrs): Known {
  const keras = attrs.dims;
  const axes = Array.isArray(keras) ? [0, ...Array.from(keras)] : attrs.axes;
  if (!x || !Array.isArray(axes) || axes.length !== x.length) return null;
  return Array.from(axes, (axis) => x[Number(axis)] ?? null);
}

function repeat(x: Known, count: unknown): Known {
  return x && x.length === 2 && typeof count === 'number' ? [x[0]!, count, x[1]!] : null;
}

/** Sizes that grow or shrink at both ends of each spatial axis. */
function padded([x]: readonly Known[], amount: unknown, attrs: Attrs, sign: 1 | -1): Known {
  if (!x || x.length < 3 || !Array.isArray(amount)) return null;
  const pairs = Array.from(amount, (pair) => numbersIn(pair, 2));
  if (attrs.data_format === undefined) {
    if (pairs.length !== x.length - 1) return null;
    return [x[0]!, ...x.slice(1).map((size, axis) => grown(size, pairs[axis] ?? null, sign))];
  }
  const { batch, spatial, channels } = split(x, attrs);
  if (pairs.length !== spatial.length) return null;
  return joined(
    batch,
    spatial.map((size, axis) => grown(size, pairs[axis] ?? null, sign)),
    channels,
    attrs,
  );
}

function grown(size: number | null, pair: number[] | null, sign: 1 | -1): number | null {
  return size === null || pair === null ? null : size + sign * (pair[0]! + pair[1]!);
}

function upsampling([x]: readonly Known[], attrs: Attrs): Known {
  if (!x || x.length < 3) return null;
  const { batch, spatial, channels } = split(x, attrs);
  const factor = numbersIn(attrs.size, spatial.length);
  return factor
    ? joined(
        batch,
        spatial.map((size, axis) => times(size, factor[axis]!)),
        channels,
        attrs,
      )
    : null;
}

function concatenation(inputs: readonly Known[], attrs: Attrs): Known {
  const head = inputs[0];
  const axis = attrs.axis ?? -1;
  if (!head || typeof axis !== 'number' || inputs.some((input) => input?.length !== head.length)) return null;
  const at = axis < 0 ? head.length + axis : axis;
  const sum = inputs.reduce<number | null>(
    (total, input) => (total === null || input?.[at] == null ? null : total + input[at]),
    0,
  );
  return head.map((size, index) => (index === at ? sum : size));
}

function broadcast(inputs: readonly Known[]): Known {
  if (inputs.length === 0 || inputs.some((input) => !input)) return null;
  const rank = Math.max(...inputs.map((input) => input!.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = inputs.map((input) => input!.at(axis - rank)).filter((size) => size !== undefined && size !== 1);
    return sizes.length === 0 ? 1 : (sizes.find((size) => size !== null) ?? null);
  });
}

function attention([query]: readonly Known[], attrs: Attrs): Known {
  const asked = attrs.output_shape ?? attrs.output_dim;
  return asked === undefined || asked === null ? (query ?? null) : null;
}
