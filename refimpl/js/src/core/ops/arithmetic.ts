// Elementwise functions, reductions and choices (SPEC.md J.10).

import {
  axesOf,
  axisOf,
  commonDtype,
  fold,
  largest,
  map,
  type NDArray,
  smallest,
  total,
  where,
  zip,
} from '../array.js';
import { erf, logSumExp, roundEven } from '../functions.js';
import { castTo } from '../numbers.js';
import { refuseCall } from '../refusals.js';
import { axes, flag, numberOrNull, text } from '../values.js';
import type { Call, Op } from './context.js';

const truth = (value: boolean): number => (value ? 1 : 0);

/** Functions that give integers of integers. */
const WHOLE: Readonly<Record<string, (x: number) => number>> = {
  abs: Math.abs,
  neg: (x) => -x,
  sign: Math.sign,
  square: (x) => x * x,
  floor: Math.floor,
  ceil: Math.ceil,
  round: roundEven,
};

const REAL: Readonly<Record<string, (x: number) => number>> = {
  exp: Math.exp,
  expm1: Math.expm1,
  log: Math.log,
  log1p: Math.log1p,
  log2: Math.log2,
  log10: Math.log10,
  sqrt: Math.sqrt,
  rsqrt: (x) => 1 / Math.sqrt(x),
  reciprocal: (x) => 1 / x,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  asin: Math.asin,
  acos: Math.acos,
  atan: Math.atan,
  sinh: Math.sinh,
  cosh: Math.cosh,
  asinh: Math.asinh,
  acosh: Math.acosh,
  atanh: Math.atanh,
  erf,
};

const TESTS: Readonly<Record<string, (x: number) => boolean>> = {
  isnan: Number.isNaN,
  isinf: (x) => Math.abs(x) === Number.POSITIVE_INFINITY,
  isfinite: Number.isFinite,
  logical_not: (x) => x === 0,
};

/** A tensor of numbers. */
function numeric(call: Call, index: number): NDArray {
  const x = call.inputs[index]!.value;
  return x.kind === 'string' ? refuseCall(call.where, 'strings') : x;
}

/** Integers stay integers, and booleans become them. */
const wholeDtype = (dtype: string): string => (dtype === 'float64' ? dtype : 'int64');

function unary(call: Call): NDArray {
  const x = numeric(call, 0);
  const name = text(call.attrs, 'function');
  const [whole, test] = [WHOLE[name], TESTS[name]];
  if (whole !== undefined) return map(x, whole, wholeDtype(commonDtype([x])));
  if (test !== undefined) return map(x, (value) => truth(test(value)), 'bool');
  return map(x, REAL[name]!);
}

const PAIRS: Readonly<Record<string, (x: number, y: number) => number>> = {
  add: (x, y) => x + y,
  sub: (x, y) => x - y,
  mul: (x, y) => x * y,
  floor_div: (x, y) => Math.floor(x / y),
  mod: (x, y) => x - Math.floor(x / y) * y,
  pow: (x, y) => x ** y,
  max: Math.max,
  min: Math.min,
};

/** Functions that give booleans of booleans. */
const LOGICAL = new Set(['add', 'mul', 'max', 'min']);

const COMPARISONS: Readonly<Record<string, (x: number, y: number) => boolean>> = {
  equal: (x, y) => x === y,
  not_equal: (x, y) => x !== y,
  less: (x, y) => x < y,
  less_equal: (x, y) => x <= y,
  greater: (x, y) => x > y,
  greater_equal: (x, y) => x >= y,
  logical_and: (x, y) => x !== 0 && y !== 0,
  logical_or: (x, y) => x !== 0 || y !== 0,
  logical_xor: (x, y) => (x !== 0) !== (y !== 0),
};

/** Strings as numbers that are equal where the strings are. */
function comparable(call: Call, name: string): [NDArray, NDArray] {
  const [x, y] = call.inputs.map(({ value }) => value) as [NDArray, NDArray];
  if (x.kind !== 'string' || y.kind !== 'string' || !['equal', 'not_equal'].includes(name)) {
    return [numeric(call, 0), numeric(call, 1)];
  }
  const terms = [...new Set([...x.terms!, ...y.terms!])];
  const places = new Map(terms.map((term, i) => [term, i]));
  const coded = (each: NDArray): NDArray => map(each, (index) => places.get(each.terms![index]!)!, 'int64');
  return [coded(x), coded(y)];
}

function binary(call: Call): NDArray {
  const name = text(call.attrs, 'function');
  const [x, y] = comparable(call, name);
  const compare = COMPARISONS[name];
  if (compare !== undefined) return zip(x, y, (a, b) => truth(compare(a, b)), 'bool');
  if (name === 'div') return zip(x, y, (a, b) => a / b);
  if (name === 'atan2') return zip(x, y, Math.atan2);
  const dtype = commonDtype([x, y]);
  const found = zip(x, y, PAIRS[name]!, wholeDtype(dtype));
  return dtype === 'bool' && LOGICAL.has(name) ? castTo(found, 'bool') : found;
}

function clip(call: Call): NDArray {
  const x = numeric(call, 0);
  const low = numberOrNull(call.attrs, 'low') ?? Number.NEGATIVE_INFINITY;
  const high = numberOrNull(call.attrs, 'high') ?? Number.POSITIVE_INFINITY;
  const clipped = map(x, (value) => Math.min(Math.max(value, low), high));
  // Integers stay integers, whatever the bounds are.
  return x.kind === 'float' ? clipped : map(clipped, Math.trunc, 'int64');
}

const variance = (values: Float64Array): number => {
  const center = total(values) / values.length;
  return values.reduce((sum, value) => sum + (value - center) ** 2, 0) / values.length;
};

const REDUCTIONS: Readonly<Record<string, (values: Float64Array) => number>> = {
  sum: total,
  mean: (values) => total(values) / values.length,
  max: largest,
  min: smallest,
  prod: (values) => values.reduce((a, b) => a * b, 1),
  var: variance,
  std: (values) => Math.sqrt(variance(values)),
  any: (values) => truth(values.some((value) => value !== 0)),
  all: (values) => truth(values.every((value) => value !== 0)),
  logsumexp: logSumExp,
};

function reduce(call: Call): NDArray {
  const x = numeric(call, 0);
  const name = text(call.attrs, 'function');
  const dtype = commonDtype([x]);
  const results: Readonly<Record<string, string>> = {
    sum: wholeDtype(dtype),
    prod: wholeDtype(dtype),
    max: dtype,
    min: dtype,
    any: 'bool',
    all: 'bool',
  };
  const over = axes(call.attrs, 'axes');
  if (sizeless(x, over) && (name === 'max' || name === 'min')) refuseCall(call.where, `${name} of no elements`);
  return fold(x, over, REDUCTIONS[name]!, flag(call.attrs, 'keepdims'), results[name] ?? 'float64');
}

const sizeless = (x: NDArray, over: number | readonly number[] | null): boolean =>
  axesOf(over, x.rank).some((axis) => x.shape[axis] === 0);

/** The place of the first of the largest, or smallest, elements; a NaN is both. */
function firstBest(values: Float64Array, better: (a: number, b: number) => boolean): number {
  let best = 0;
  for (let i = 1; i < values.length && !Number.isNaN(values[best]!); i++) {
    if (better(values[i]!, values[best]!) || Number.isNaN(values[i]!)) best = i;
  }
  return best;
}

function argReduce(call: Call): NDArray {
  const x = numeric(call, 0);
  const axis = numberOrNull(call.attrs, 'axis');
  const over = axis === null ? null : axisOf(axis, x.rank);
  if (sizeless(x, over)) refuseCall(call.where, 'no elements');
  const better =
    text(call.attrs, 'function') === 'argmax' ? (a: number, b: number) => a > b : (a: number, b: number) => a < b;
  return fold(x, over, (values) => firstBest(values, better), flag(call.attrs, 'keepdims'), 'int64');
}

export const ARITHMETIC: Readonly<Record<string, Op>> = {
  unary,
  binary,
  clip,
  where: (call) => where(numeric(call, 0), numeric(call, 1), numeric(call, 2)),
  reduce,
  arg_reduce: argReduce,
};
