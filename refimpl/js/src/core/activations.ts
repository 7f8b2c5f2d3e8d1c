// Activations (SPEC.md J.7): functions of a tensor.

import { along, axisOf, map, mul, type NDArray, sliceAxis } from './array.js';
import { erf, logSumExp, sigmoid, softplus } from './functions.js';
import { refuseCall } from './refusals.js';
import { type Attrs, CoreObject, flag, number, numberOrNull, type Plain } from './values.js';
import { withDefaults } from './vocabulary.js';

type Scalar = (x: number, attrs: Attrs) => number;

const clip = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);
const elu = (x: number, alpha: number): number => (x > 0 ? x : alpha * Math.expm1(x));

function gelu(x: number, attrs: Attrs): number {
  if (!flag(attrs, 'approximate')) return (x * (1 + erf(x / Math.SQRT2))) / 2;
  return (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2;
}

function relu(x: number, attrs: Attrs): number {
  const threshold = number(attrs, 'threshold');
  if (Number.isNaN(x)) return x;
  if (!(x > threshold)) return number(attrs, 'negative_slope') * (x - threshold);
  return clip(x, 0, numberOrNull(attrs, 'max_value') ?? Number.POSITIVE_INFINITY);
}

/** Of each element by itself. */
const SCALARS: Readonly<Record<string, Scalar>> = {
  linear: (x) => x,
  exponential: (x) => Math.exp(x),
  tanh: (x) => Math.tanh(x),
  relu,
  relu6: (x) => clip(x, 0, 6),
  hard_tanh: (x) => clip(x, -1, 1),
  leaky_relu: (x, attrs) => (x >= 0 ? x : number(attrs, 'negative_slope') * x),
  elu: (x, attrs) => elu(x, number(attrs, 'alpha')),
  celu: (x, attrs) => (x > 0 ? x : number(attrs, 'alpha') * Math.expm1(x / number(attrs, 'alpha'))),
  selu: (x) => 1.0507009873554805 * elu(x, 1.6732632423543772),
  sigmoid,
  log_sigmoid: (x) => -softplus(-x),
  hard_sigmoid: (x, attrs) => clip(number(attrs, 'slope') * x + 0.5, 0, 1),
  sparse_sigmoid: (x) => clip((x + 1) / 2, 0, 1),
  softplus,
  softsign: (x) => x / (1 + Math.abs(x)),
  silu: (x) => x * sigmoid(x),
  hard_silu: (x) => x * clip(x / 6 + 0.5, 0, 1),
  mish: (x) => x * Math.tanh(softplus(x)),
  gelu,
  tanh_shrink: (x) => x - Math.tanh(x),
  hard_shrink: (x, attrs) => (Math.abs(x) > number(attrs, 'threshold') ? x : 0),
  soft_shrink: (x, attrs) => Math.sign(x) * Math.max(Math.abs(x) - number(attrs, 'threshold'), 0),
  threshold: (x, attrs) => (x > number(attrs, 'threshold') ? x : number(attrs, 'default_value')),
  sparse_plus: (x) => (x >= 1 ? x : x <= -1 ? 0 : (x + 1) ** 2 / 4),
  squareplus: (x, attrs) => (x + Math.sqrt(x * x + number(attrs, 'b'))) / 2,
};

/** The softmax of a row. */
export function softmaxRow(row: Float64Array): Float64Array {
  const whole = logSumExp(row);
  return row.map((x) => Math.exp(x - whole));
}

function logSoftmaxRow(row: Float64Array): Float64Array {
  const whole = logSumExp(row);
  return row.map((x) => x - whole);
}

/** The nearest point of the simplex: τ is the mean excess of the k largest, k as many as stay above it. */
function sparsemaxRow(row: Float64Array): Float64Array {
  const sorted = Float64Array.from(row).sort().reverse();
  let sum = 0;
  let threshold = 0;
  sorted.forEach((x, i) => {
    sum += x;
    if (1 + (i + 1) * x > sum) threshold = (sum - 1) / (i + 1);
  });
  return row.map((x) => Math.max(x - threshold, 0));
}

function glu(x: NDArray, axis: number): NDArray {
  const place = axisOf(axis, x.rank);
  const half = x.shape[place]! / 2;
  if (!Number.isInteger(half)) refuseCall('glu', `an axis of ${2 * half} elements`);
  return mul(sliceAxis(x, place, 0, half), map(sliceAxis(x, place, half, half), sigmoid));
}

/** An activation by its name, with all its parameters. */
export function activateBy(name: string, parameters: Attrs, x: NDArray): NDArray {
  const scalar = SCALARS[name];
  if (scalar !== undefined) return map(x, (value) => scalar(value, parameters));
  const axis = number(parameters, 'axis');
  if (name === 'glu') return glu(x, axis);
  if (name === 'softmax') return along(x, axis, softmaxRow);
  if (name === 'log_softmax') return along(x, axis, logSoftmaxRow);
  if (name === 'sparsemax') return along(x, axis, sparsemaxRow);
  return refuseCall('activation', name);
}

/** The activation of an attribute: a name, or an object with parameters. */
export function activate(activation: Plain | undefined, x: NDArray): NDArray {
  const isObject = activation instanceof CoreObject;
  const name = isObject ? activation.nameAs('activations') : activation;
  if (typeof name !== 'string') return refuseCall('activation', String(name));
  if (name === 'linear' && x.kind === 'float') return x;
  return activateBy(name, withDefaults('activations', name, isObject ? activation.config : {}), x);
}
