// Losses of samples held against each other, and of sequences (SPEC.md K.1).

import { along, map, NDArray, range } from '../array.js';
import { logSumExp, softplus } from '../functions.js';
import { refuseCall } from '../refusals.js';
import { type Attrs, flag, number } from '../values.js';
import type { Values } from './losses.js';

/** Each sample against the others of its class, and against those of other classes. */
export function circle(targets: NDArray, p: NDArray, parameters: Attrs): Values {
  const [gamma, margin] = [number(parameters, 'gamma'), number(parameters, 'margin')];
  const [samples, features] = p.shape as [number, number];
  const y = targets.data;
  if (p.rank !== 2 || y.length !== samples) refuseCall('circle', `targets [${targets.shape}] for [${p.shape}]`);
  const self = !flag(parameters, 'remove_diagonal');
  const values = range(samples).map((i) => {
    const same: number[] = [];
    const others: number[] = [];
    for (const j of range(samples)) {
      if (i === j && !self) continue;
      let product = 0;
      for (let f = 0; f < features; f++) product += p.data[i * features + f]! * p.data[j * features + f]!;
      const d = Math.max(1 - product, 0);
      if (y[i] === y[j]) same.push(-gamma * Math.max(margin + d, 0) * (margin - d));
      else others.push(gamma * Math.max(1 + margin - d, 0) * (1 - margin - d));
    }
    return softplus(logSumExp(same) + logSumExp(others));
  });
  const found = new NDArray([samples], Float64Array.from(values));
  return { values: found, mask: map(found, (value) => (value > 0 ? 1 : 0), 'bool') };
}

/** Minus the logarithm of the probability of the labels, over all alignments with blanks. */
export function ctc(targets: NDArray, p: NDArray): NDArray {
  if (targets.rank !== 2 || p.rank !== 3 || targets.shape[0] !== p.shape[0]) {
    refuseCall('ctc', `targets [${targets.shape}] for [${p.shape}]`);
  }
  const [batch, time, classes] = p.shape as [number, number, number];
  const width = targets.shape[1]!;
  const logs = along(p, 2, (row) => {
    const whole = logSumExp(row);
    return row.map((value) => value - whole);
  });
  const values = range(batch).map((b) => {
    const row = [...targets.data.subarray(b * width, (b + 1) * width)];
    const end = row.indexOf(0);
    const labels = end < 0 ? row : row.slice(0, end);
    for (const label of labels)
      if (!(label > 0 && label < classes)) refuseCall('ctc', `label ${label} of ${classes} classes`);
    return -alignments(labels, (t, c) => logs.data[(b * time + t) * classes + c]!, time);
  });
  return new NDArray([batch], Float64Array.from(values));
}

/**
 * The logarithm of the sum over all paths that read as the labels, with a blank (class 0) around each.
 *
 * Source: Graves et al., Connectionist Temporal Classification (2006), equations 6 to 8.
 */
function alignments(labels: readonly number[], log: (t: number, c: number) => number, time: number): number {
  const states = [0, ...labels.flatMap((label) => [label, 0])];
  const none = Number.NEGATIVE_INFINITY;
  if (time === 0) return labels.length === 0 ? 0 : none;
  let before = states.map((label, s) => (s < 2 ? log(0, label) : none));
  for (let t = 1; t < time; t++) {
    before = states.map((label, s) => {
      const ways = [before[s]!, before[s - 1] ?? none];
      if (label !== 0 && label !== states[s - 2]) ways.push(before[s - 2] ?? none);
      return logSumExp(ways) + log(t, label);
    });
  }
  return logSumExp(before.slice(-2));
}
