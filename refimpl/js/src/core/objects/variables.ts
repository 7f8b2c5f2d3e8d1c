// Initializers without chance, regularizers and constraints (SPEC.md J.13).

import { allocate, broadcastTo, full, map, mul, NDArray, range, sum, transpose, zip } from '../array.js';
import { nested } from '../ops/normalization.js';
import { refuseCall, refuseChance } from '../refusals.js';
import { type Attrs, axes, number, text } from '../values.js';

/** A variable as it begins. */
export function initial(name: string, parameters: Attrs, shape: readonly number[]): NDArray {
  if (name === 'zeros') return full(shape, 0);
  if (name === 'ones') return full(shape, 1);
  if (name === 'constant') return broadcastTo(nested(parameters.value!), shape);
  if (name === 'identity') return diagonal(number(parameters, 'gain'), shape);
  return refuseChance(`core:initializers.${name}`);
}

function diagonal(gain: number, shape: readonly number[]): NDArray {
  if (shape.length !== 2) refuseCall('core:initializers.identity', `shape [${shape}]`);
  const data = allocate(shape);
  for (let i = 0; i < Math.min(shape[0]!, shape[1]!); i++) data[i * shape[1]! + i] = gain;
  return new NDArray(shape, data);
}

/** The penalty of a variable. */
export function penalty(name: string, parameters: Attrs, x: NDArray): number {
  if (name === 'orthogonal_regularizer') return orthogonality(parameters, x);
  const { l1 = 0, l2 = 0 } = parameters as { l1?: number; l2?: number };
  return x.data.reduce((whole, value) => whole + l1 * Math.abs(value) + l2 * value * value, 0);
}

/** The mean of the cosines between different rows, or columns. */
function orthogonality(parameters: Attrs, x: NDArray): number {
  if (x.rank !== 2) refuseCall('core:regularizers.orthogonal_regularizer', `shape [${x.shape}]`);
  const rows = text(parameters, 'mode') === 'rows' ? x : transpose(x, [1, 0]);
  const [count, width] = rows.shape as [number, number];
  const row = (i: number): Float64Array => rows.data.subarray(i * width, (i + 1) * width);
  const product = (a: Float64Array, b: Float64Array): number => a.reduce((whole, value, i) => whole + value * b[i]!, 0);
  const norms = range(count).map((i) => Math.sqrt(product(row(i), row(i))));
  let whole = 0;
  for (let i = 0; i < count; i++) {
    for (let j = 0; j < i; j++) whole += Math.abs(product(row(i), row(j)) / (norms[i]! * norms[j]!));
  }
  return (number(parameters, 'factor') * whole) / ((count * (count - 1)) / 2);
}

const bounded = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/** What a constraint makes of a variable. */
export function constrained(name: string, parameters: Attrs, x: NDArray): NDArray {
  if (name === 'non_neg') return map(x, (value) => Math.max(value, 0));
  const norms = map(sum(mul(x, x), axes(parameters, 'axis'), true), Math.sqrt);
  return zip(
    x,
    map(norms, (n) => wanted(name, parameters, n) / (n + 1e-7)),
    (value, factor) => value * factor,
  );
}

/** The norm that a constraint asks for in the place of another. */
function wanted(name: string, parameters: Attrs, n: number): number {
  if (name === 'unit_norm') return 1;
  if (name === 'max_norm') return Math.min(n, number(parameters, 'max_value'));
  const rate = number(parameters, 'rate');
  return rate * bounded(n, number(parameters, 'min_value'), number(parameters, 'max_value')) + (1 - rate) * n;
}
