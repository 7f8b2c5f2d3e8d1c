// Normalization (SPEC.md J.4).

import {
  add,
  axesOf,
  axisOf,
  broadcastTo,
  div,
  expandDims,
  map,
  mean,
  moments,
  mul,
  NDArray,
  range,
  scalar,
  sub,
  sum,
  zip,
} from '../array.js';
import { refuseCall } from '../refusals.js';
import { type Attrs, axes, flag, number, type Plain, text } from '../values.js';
import { type Call, maskOf, type Op } from './context.js';

/** A variable along some axes of x, with size 1 along the others. */
function lying(call: Call, variable: NDArray, along: readonly number[], x: NDArray): NDArray {
  if (variable.rank !== along.length || variable.shape.some((size, i) => size !== x.shape[along[i]!])) {
    refuseCall(call.where, `shape [${x.shape}] for a variable [${variable.shape}]`);
  }
  return variable.reshape(x.shape.map((size, axis) => (along.includes(axis) ? size : 1)));
}

/** y · γ + β, of those that there are. */
function scaled(call: Call, y: NDArray, along: readonly number[]): NDArray {
  const { gamma, beta } = call.params;
  const multiplied = gamma === undefined ? y : mul(y, lying(call, gamma, along, y));
  return beta === undefined ? multiplied : add(multiplied, lying(call, beta, along, y));
}

function standardized(x: NDArray, center: NDArray, variance: NDArray, epsilon: number): NDArray {
  return mul(
    sub(x, center),
    map(variance, (v) => 1 / Math.sqrt(v + epsilon)),
  );
}

function batchNorm(call: Call): NDArray {
  const x = call.inputs[0]!.value;
  const axis = axisOf(number(call.attrs, 'axis'), x.rank);
  const epsilon = number(call.attrs, 'epsilon');
  const moving = (role: string): NDArray => lying(call, call.params[role]!, [axis], x);
  if (!call.training || !flag(call.attrs, 'trainable')) {
    const y = standardized(x, moving('moving_mean'), moving('moving_variance'), epsilon);
    return scaled(call, y, [axis]);
  }
  const batch = statistics(call, x, axis);
  const unbiased = text(call.attrs, 'moving_variance') === 'unbiased';
  const variance = unbiased ? zip(batch.variance, batch.count, (v, n) => (v * n) / (n - 1)) : batch.variance;
  const momentum = number(call.attrs, 'momentum');
  const move = (role: string, found: NDArray): void => {
    const old = call.params[role]!;
    call.assign(
      role,
      zip(old, found.reshape(old.shape), (before, now) => before * momentum + now * (1 - momentum)),
    );
  };
  move('moving_mean', batch.mean);
  move('moving_variance', variance);
  return scaled(call, standardized(x, batch.mean, batch.variance, epsilon), [axis]);
}

interface Statistics {
  readonly mean: NDArray;
  readonly variance: NDArray;
  /** How many elements of each channel counted. */
  readonly count: NDArray;
}

/** Mean and biased variance of the batch, of the steps that its mask leaves (CV-27). */
function statistics(call: Call, x: NDArray, axis: number): Statistics {
  const others = range(x.rank).filter((each) => each !== axis);
  const mask = maskOf(call);
  if (mask === null) return { ...moments(x, others), count: scalar(x.size / x.shape[axis]!) };
  let weights = mask;
  while (weights.rank < x.rank) weights = expandDims(weights, weights.rank);
  const spread = broadcastTo(weights, x.shape);
  const counts = sum(spread, others, true);
  const divisor = map(counts, (n) => n + 1e-7);
  const center = div(sum(mul(x, spread), others, true), divisor);
  const distance = sub(x, center);
  const variance = div(sum(mul(mul(distance, distance), spread), others, true), divisor);
  return { mean: center, variance, count: counts };
}

function layerNorm(call: Call): NDArray {
  const x = call.inputs[0]!.value;
  const over = axesOf(axes(call.attrs, 'axes'), x.rank);
  const { mean: center, variance } = moments(x, over);
  return scaled(call, standardized(x, center, variance, number(call.attrs, 'epsilon')), over);
}

function rmsNorm(call: Call): NDArray {
  const x = call.inputs[0]!.value;
  const over = axesOf(axes(call.attrs, 'axes'), x.rank);
  const squares = mean(mul(x, x), over, true);
  const y = mul(
    x,
    map(squares, (s) => 1 / Math.sqrt(s + number(call.attrs, 'epsilon'))),
  );
  const scale = call.params.scale;
  return scale === undefined ? y : mul(y, lying(call, scale, over, x));
}

function groupNorm(call: Call): NDArray {
  const x = call.inputs[0]!.value;
  const axis = axisOf(number(call.attrs, 'axis'), x.rank);
  const groups = number(call.attrs, 'groups');
  const run = x.shape[axis]! / groups;
  if (!Number.isInteger(run)) refuseCall(call.where, `${x.shape[axis]} channels in ${groups} groups`);
  const split = x.reshape([...x.shape.slice(0, axis), groups, run, ...x.shape.slice(axis + 1)]);
  const over = range(split.rank).filter((each) => each !== 0 && each !== axis);
  const { mean: center, variance } = moments(split, over);
  const y = standardized(split, center, variance, number(call.attrs, 'epsilon')).reshape(x.shape);
  return scaled(call, y, [axis]);
}

function unitNorm(call: Call): NDArray {
  const x = call.inputs[0]!.value;
  const squares = sum(mul(x, x), axes(call.attrs, 'axes'), true);
  const norms = map(squares, (s) => Math.max(Math.sqrt(s), number(call.attrs, 'epsilon')));
  return div(x, norms);
}

/** Numbers of an attribute, nested as the axes are. */
export function nested(value: Plain): NDArray {
  if (typeof value === 'number') return new NDArray([], Float64Array.of(value));
  const items = (value as readonly Plain[]).map(nested);
  const shape = items[0]!.shape;
  if (items.some((item) => item.shape.join() !== shape.join())) refuseCall('numbers', 'lists of different lengths');
  return new NDArray([items.length, ...shape], Float64Array.from(items.flatMap((item) => [...item.data])));
}

/** Statistics of `normalization`, aligned to its axes from the last one on. */
function given(call: Call, name: 'mean' | 'variance', own: readonly number[], x: NDArray): NDArray {
  const attribute = (call.attrs as Attrs)[name];
  const found = attribute === null ? call.params[name]! : nested(attribute!);
  const sizes = own.map((axis) => x.shape[axis]!);
  return lying(call, broadcastTo(found, sizes), own, x);
}

function normalization(call: Call): NDArray {
  const x = call.inputs[0]!.value;
  const own = axesOf(axes(call.attrs, 'axes'), x.rank);
  const center = given(call, 'mean', own, x);
  const deviation = map(given(call, 'variance', own, x), (v) => Math.max(Math.sqrt(v), 1e-7));
  return flag(call.attrs, 'invert') ? add(center, mul(x, deviation)) : div(sub(x, center), deviation);
}

export const NORMALIZATIONS: Readonly<Record<string, Op>> = {
  batch_norm: batchNorm,
  layer_norm: layerNorm,
  rms_norm: rmsNorm,
  group_norm: groupNorm,
  unit_norm: unitNorm,
  normalization,
};
