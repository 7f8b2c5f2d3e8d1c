// Crossentropies (SPEC.md K.1).

import { softmaxRow } from '../activations.js';
import { along, axisOf, map, mean, moveAxis, mul, NDArray, sum, total, zip } from '../array.js';
import { logSumExp, sigmoid, softplus } from '../functions.js';
import { refuseCall } from '../refusals.js';
import { type Attrs, axes, flag, number, numberOrNull } from '../values.js';
import type { Values } from './losses.js';
import { clipped, EPSILON } from './samples.js';

/** y · (1 − s) + s / n. */
function smoothed(y: NDArray, parameters: Attrs, classes: number): NDArray {
  const s = number(parameters, 'label_smoothing');
  return s === 0 ? y : map(y, (value) => value * (1 - s) + s / classes);
}

const certain = (p: number): number => clipped(p, EPSILON, 1 - EPSILON);

/** −(y log p + (1 − y) log(1 − p)) of a probability. */
const binaryEntropy = (y: number, p: number): number => -(y * Math.log(p) + (1 - y) * Math.log(1 - p));

/** The same of a logit, of which nothing is clipped. */
const logitEntropy = (y: number, x: number): number => y * softplus(-x) + (1 - y) * softplus(x);

export function binaryCrossentropy(targets: NDArray, p: NDArray, parameters: Attrs): NDArray {
  const y = smoothed(targets, parameters, 2);
  const entropy = flag(parameters, 'from_logits')
    ? logitEntropy
    : (a: number, b: number) => binaryEntropy(a, certain(b));
  return mean(zip(y, p, entropy), axes(parameters, 'axis'));
}

export function binaryFocal(targets: NDArray, given: NDArray, parameters: Attrs): NDArray {
  const y = smoothed(targets, parameters, 2);
  const [alpha, gamma] = [number(parameters, 'alpha'), number(parameters, 'gamma')];
  const logits = flag(parameters, 'from_logits');
  const balanced = flag(parameters, 'apply_class_balancing');
  const value = (a: number, b: number): number => {
    const p = logits ? sigmoid(b) : b;
    const q = a * p + (1 - a) * (1 - p);
    const focal = (1 - q) ** gamma * binaryEntropy(a, certain(p));
    return balanced ? focal * (a * alpha + (1 - a) * (1 - alpha)) : focal;
  };
  return mean(zip(y, given, value), axes(parameters, 'axis'));
}

/** Probabilities that sum to 1, clipped. */
function shares(p: NDArray, axis: number): NDArray {
  return along(p, axis, (row) => {
    const whole = total(row);
    return row.map((value) => certain(value / whole));
  });
}

/** The logarithms of the probabilities of the classes along an axis. */
function logShares(p: NDArray, axis: number, parameters: Attrs): NDArray {
  if (!flag(parameters, 'from_logits')) return map(shares(p, axis), Math.log);
  return along(p, axis, (row) => {
    const whole = logSumExp(row);
    return row.map((value) => value - whole);
  });
}

export function categoricalCrossentropy(targets: NDArray, p: NDArray, parameters: Attrs): NDArray {
  const axis = number(parameters, 'axis');
  // With an axis, too, the number is the size of the last one.
  const y = smoothed(targets, parameters, p.shape[p.rank - 1]!);
  return map(sum(mul(y, logShares(p, axis, parameters)), axis), (x) => -x);
}

export function categoricalFocal(targets: NDArray, given: NDArray, parameters: Attrs): NDArray {
  const axis = number(parameters, 'axis');
  const y = smoothed(targets, parameters, given.shape[given.rank - 1]!);
  const [alpha, gamma] = [number(parameters, 'alpha'), number(parameters, 'gamma')];
  const p = flag(parameters, 'from_logits') ? map(along(given, axis, softmaxRow), certain) : shares(given, axis);
  const parts = zip(y, p, (a, b) => (1 - b) ** gamma * a * Math.log(b));
  return map(sum(parts, axis), (x) => -alpha * x);
}

/** The element of each row along an axis that a class picks; 0 where the class is left out. */
export function classOf(classes: NDArray, p: NDArray, axis: number, ignored: number | null = null): NDArray {
  const place = axisOf(axis, p.rank);
  const rows = moveAxis(p, place, p.rank - 1);
  const y = classes.rank === p.rank && classes.shape[place] === 1 ? classes.reshape(rows.shape.slice(0, -1)) : classes;
  const count = p.shape[place]!;
  if (y.shape.join() !== rows.shape.slice(0, -1).join()) refuseCall('classes', `[${y.shape}] for [${p.shape}]`);
  const data = Float64Array.from(y.data, (label, i) => {
    const index = Math.trunc(label);
    if (index === ignored) return 0;
    return index >= 0 && index < count
      ? rows.data[i * count + index]!
      : refuseCall('classes', `class ${label} of ${count}`);
  });
  return new NDArray(y.shape, data);
}

/** Whether the class of a sample counts. */
function counted(y: NDArray, ignored: number | null): NDArray | null {
  return ignored === null ? null : map(y, (label) => (Math.trunc(label) === ignored ? 0 : 1), 'bool');
}

export function sparseCrossentropy(y: NDArray, p: NDArray, parameters: Attrs): Values {
  const axis = number(parameters, 'axis');
  const ignored = numberOrNull(parameters, 'ignore_class');
  const picked = classOf(y, logShares(p, axis, parameters), axis, ignored);
  const own = counted(y, ignored);
  return { values: map(picked, (x) => -x), mask: own === null ? null : own.reshape(picked.shape) };
}

export function generalized(y: NDArray, p: NDArray, parameters: Attrs): NDArray {
  const q = number(parameters, 'q');
  return map(classOf(y, p, -1), (share) => (1 - share ** q) / q);
}
