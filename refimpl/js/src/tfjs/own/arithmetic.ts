// Arithmetic of the core vocabulary (J.10), its merges and preprocessing (J.12).

import type { T, TensorFlow } from '../tensorflow.js';
import { contract } from './einsum.js';
import type { Call, Ops } from './ops.js';
import { axesOf, axisOf } from './ops.js';

type Unary = (tf: TensorFlow, x: T) => T;
type Binary = (tf: TensorFlow, x: T, y: T) => T;

const float = (tf: TensorFlow, x: T) => (x.dtype === 'float32' ? x : tf.cast(x, 'float32'));

const UNARY: Record<string, Unary> = {
  abs: (tf, x) => tf.abs(x),
  neg: (tf, x) => tf.neg(x),
  sign: (tf, x) => tf.sign(x),
  exp: (tf, x) => tf.exp(float(tf, x)),
  expm1: (tf, x) => tf.expm1(float(tf, x)),
  log: (tf, x) => tf.log(float(tf, x)),
  log1p: (tf, x) => tf.log1p(float(tf, x)),
  log2: (tf, x) => tf.div(tf.log(float(tf, x)), Math.LN2),
  log10: (tf, x) => tf.div(tf.log(float(tf, x)), Math.LN10),
  sqrt: (tf, x) => tf.sqrt(float(tf, x)),
  rsqrt: (tf, x) => tf.rsqrt(float(tf, x)),
  square: (tf, x) => tf.square(x),
  reciprocal: (tf, x) => tf.reciprocal(float(tf, x)),
  sin: (tf, x) => tf.sin(float(tf, x)),
  cos: (tf, x) => tf.cos(float(tf, x)),
  tan: (tf, x) => tf.tan(float(tf, x)),
  asin: (tf, x) => tf.asin(float(tf, x)),
  acos: (tf, x) => tf.acos(float(tf, x)),
  atan: (tf, x) => tf.atan(float(tf, x)),
  sinh: (tf, x) => tf.sinh(float(tf, x)),
  cosh: (tf, x) => tf.cosh(float(tf, x)),
  asinh: (tf, x) => tf.asinh(float(tf, x)),
  acosh: (tf, x) => tf.acosh(float(tf, x)),
  atanh: (tf, x) => tf.atanh(float(tf, x)),
  floor: (tf, x) => (x.dtype === 'float32' ? tf.floor(x) : x),
  ceil: (tf, x) => (x.dtype === 'float32' ? tf.ceil(x) : x),
  round: (tf, x) => (x.dtype === 'float32' ? tf.round(x) : x),
  erf: (tf, x) => tf.erf(float(tf, x)),
  isnan: (tf, x) => tf.isNaN(x),
  isinf: (tf, x) => tf.isInf(x),
  isfinite: (tf, x) => tf.isFinite(x),
  logicalNot: (tf, x) => tf.logicalNot(tf.cast(x, 'bool')),
};

function logical(name: 'logicalAnd' | 'logicalOr' | 'logicalXor'): Binary {
  return (tf, x, y) => tf[name](tf.notEqual(x, 0), tf.notEqual(y, 0));
}

const BINARY: Record<string, Binary> = {
  add: (tf, x, y) => tf.add(x, y),
  sub: (tf, x, y) => tf.sub(x, y),
  mul: (tf, x, y) => tf.mul(x, y),
  div: (tf, x, y) => tf.div(float(tf, x), float(tf, y)),
  floorDiv: (tf, x, y) => tf.floor(tf.div(float(tf, x), float(tf, y))),
  mod: (tf, x, y) => tf.sub(x, tf.mul(tf.floor(tf.div(float(tf, x), float(tf, y))), y)),
  pow: (tf, x, y) => tf.pow(x, y),
  max: (tf, x, y) => tf.maximum(x, y),
  min: (tf, x, y) => tf.minimum(x, y),
  equal: (tf, x, y) => tf.equal(x, y),
  notEqual: (tf, x, y) => tf.notEqual(x, y),
  less: (tf, x, y) => tf.less(x, y),
  lessEqual: (tf, x, y) => tf.lessEqual(x, y),
  greater: (tf, x, y) => tf.greater(x, y),
  greaterEqual: (tf, x, y) => tf.greaterEqual(x, y),
  logicalAnd: logical('logicalAnd'),
  logicalOr: logical('logicalOr'),
  logicalXor: logical('logicalXor'),
  atan2: (tf, x, y) => tf.atan2(float(tf, x), float(tf, y)),
};

/** Tensors of one rank: one of a lower rank gets axes of size 1 behind the batch (CV-60). */
function aligned(tf: TensorFlow, xs: T[]): T[] {
  const most = Math.max(...xs.map((x) => x.rank));
  const [first, ...others] = xs.map((x) => {
    if (x.rank === most || x.rank === 0) return x;
    return tf.reshape(x, [x.shape[0]!, ...new Array(most - x.rank).fill(1), ...x.shape.slice(1)]);
  });
  return [first!, ...others];
}

function merge(combine: (tf: TensorFlow, x: T, y: T) => T): (call: Call) => T {
  return ({ tf, inputs }) => aligned(tf, inputs).reduce((x, y) => combine(tf, x, y));
}

function dot({ tf, inputs, attrs }: Call): T {
  const [first, second] = Array.isArray(attrs.axes) ? (attrs.axes as number[]) : [attrs.axes, attrs.axes];
  const letters = (rank: number, axis: number, from: string) =>
    [...new Array(rank).keys()].map((at) => (at === 0 ? 'b' : at === axis ? 'z' : from[at]!));
  let [x, y] = inputs as [T, T];
  const [p, q] = [axisOf(first, x.rank), axisOf(second, y.rank)];
  if (attrs.normalize) {
    const unit = (t: T, axis: number) => tf.div(t, tf.maximum(tf.sqrt(tf.sum(tf.square(t), axis, true)), 1e-7));
    [x, y] = [unit(x, p), unit(y, q)];
  }
  const left = letters(x.rank, p, 'acdefghi');
  const right = letters(y.rank, q, 'jklmnopq');
  const result = [...left, ...right.slice(1)].filter((letter) => letter !== 'z');
  const product = contract(tf, `${left.join('')},${right.join('')}->${result.join('')}`, [x, y]);
  return product.rank === 1 ? tf.expandDims(product, 1) : product;
}

function matmul({ tf, inputs, attrs }: Call): T {
  const turned = (t: T, around: unknown) =>
    around
      ? tf.transpose(
          t,
          [...t.shape.keys()].map((at) => (at < t.rank - 2 ? at : 2 * t.rank - 3 - at)),
        )
      : t;
  const [x, y] = [turned(inputs[0]!, attrs.transposeX), turned(inputs[1]!, attrs.transposeY)];
  if (y!.rank === 1) return contract(tf, '...i,i->...', [x!, y!]);
  if (x!.rank === 1) return contract(tf, 'i,...ij->...j', [x!, y!]);
  return contract(tf, '...ij,...jk->...ik', [x!, y!]);
}

function reduce({ tf, inputs: [x], attrs }: Call): T {
  const axes = axesOf(attrs.axes, x!.rank);
  const keep = Boolean(attrs.keepdims);
  const name = attrs.function as string;
  if (name === 'var' || name === 'std') {
    const variance = tf.mean(tf.square(tf.sub(x!, tf.mean(x!, axes, true))), axes, keep);
    return name === 'var' ? variance : tf.sqrt(variance);
  }
  if (name === 'any' || name === 'all') return tf[name](tf.notEqual(x!, 0), axes, keep);
  if (name === 'logsumexp') return tf.logSumExp(x!, axes, keep);
  return tf[name as 'sum' | 'mean' | 'max' | 'min' | 'prod'](x!, axes, keep);
}

function argReduce({ tf, inputs: [x], attrs }: Call): T {
  const work = attrs.function === 'argmin' ? tf.argMin : tf.argMax;
  if (attrs.axis == null) return work(tf.reshape(x!, [-1]), 0);
  const axis = axisOf(attrs.axis, x!.rank);
  const found = work(x!, axis);
  return attrs.keepdims ? tf.expandDims(found, axis) : found;
}

function clip({ tf, inputs: [x], attrs }: Call): T {
  const above = attrs.low == null ? x! : tf.maximum(x!, attrs.low as number);
  return attrs.high == null ? above : tf.minimum(above, attrs.high as number);
}

function oneHot({ tf, inputs: [x], attrs, named }: Call): T {
  const mode = (attrs.outputMode as string | undefined) ?? 'multiHot';
  const depth = attrs.numTokens as number;
  const indices = tf.cast(x!, 'int32');
  const flat = tf.reshape(indices, [-1]);
  const vectors = tf.reshape(tf.cast(tf.oneHot(flat, depth), 'float32'), [...indices.shape, depth]);
  if (mode === 'oneHot') {
    const single = !attrs.keepAxis && indices.rank > 1 && indices.shape.at(-1) === 1;
    return single ? tf.squeeze(vectors, [indices.rank - 1]) : vectors;
  }
  const weights = named.countWeights;
  const weighted = weights && mode === 'count' ? tf.mul(vectors, tf.expandDims(weights, -1)) : vectors;
  return mode === 'count' ? tf.sum(weighted, indices.rank - 1) : tf.max(weighted, indices.rank - 1);
}

function discretize({ tf, inputs: [x], attrs }: Call): T {
  const bounds = tf.tensor(attrs.boundaries, undefined, 'float32');
  return tf.sum(tf.cast(tf.greaterEqual(tf.expandDims(float(tf, x!), -1), bounds), 'int32'), x!.rank);
}

function rescale({ tf, inputs: [x], attrs }: Call): T {
  const value = (given: unknown) => (typeof given === 'number' ? given : tf.tensor(given, undefined, 'float32'));
  return tf.add(tf.mul(float(tf, x!), value(attrs.scale)), value(attrs.offset ?? 0));
}

export const ARITHMETIC: Ops = {
  add: merge((tf, x, y) => tf.add(x, y)),
  argReduce,
  binary: ({ tf, inputs: [x, y], attrs }) => BINARY[attrs.function as string]!(tf, x!, y!),
  clip,
  discretize,
  dot,
  matmul,
  max: merge((tf, x, y) => tf.maximum(x, y)),
  mean: (call) => call.tf.div(merge((tf, x, y) => tf.add(x, y))(call), call.inputs.length),
  min: merge((tf, x, y) => tf.minimum(x, y)),
  mul: merge((tf, x, y) => tf.mul(x, y)),
  oneHot,
  reduce,
  rescale,
  sub: merge((tf, x, y) => tf.sub(x, y)),
  unary: ({ tf, inputs: [x], attrs }) => {
    const given = x!.dtype === 'bool' && attrs.function !== 'logicalNot' ? tf.cast(x!, 'int32') : x!;
    return UNARY[attrs.function as string]!(tf, given);
  },
  where: ({ tf, inputs: [condition, x, y] }) => {
    const chosen = tf.cast(tf.notEqual(condition!, 0), 'float32');
    const spread = tf.add(tf.mul(tf.zerosLike(x!), 0), tf.zerosLike(y!));
    const shape = tf.add(spread, tf.zerosLike(chosen)).shape;
    return tf.where(
      tf.cast(tf.broadcastTo(chosen, shape), 'bool'),
      tf.broadcastTo(x!, shape),
      tf.broadcastTo(y!, shape),
    );
  },
};

/** The functions of `unary` and `binary` in the vocabulary's names. */
export const FUNCTIONS = { unary: Object.keys(UNARY), binary: Object.keys(BINARY) };
