// Targets, predictions, weights and masks of a batch (SPEC.md K.1), which losses and metrics have in common.

import { broadcastTo, expandDims, mul, type NDArray, range } from '../array.js';
import { refuseCall } from '../refusals.js';

/** ε of annex K. */
export const EPSILON = 1e-7;

/** What is said of a batch. */
export interface Batch {
  readonly y: NDArray;
  readonly p: NDArray;
  readonly weight: NDArray | null;
  readonly mask: NDArray | null;
}

export const clipped = (x: number, low: number, high: number): number => Math.min(Math.max(x, low), high);

/** Targets and predictions that differ by a last axis of size 1, made alike (CT-2). */
export function alike(y: NDArray, p: NDArray): [NDArray, NDArray] {
  if (y.rank === p.rank + 1 && y.shape[p.rank] === 1) return widened(p, y).reverse() as [NDArray, NDArray];
  if (p.rank === y.rank + 1 && p.shape[y.rank] === 1) return widened(y, p);
  return [y, p];
}

/** Targets and predictions made alike, but for what chooses by their shapes as they are given. */
export function paired(name: string, { y, p }: Batch): [NDArray, NDArray] {
  return name.startsWith('auto_') ? [y, p] : alike(y, p);
}

/** The one without the axis gets it if it is a vector; the other loses it else. */
function widened(without: NDArray, wide: NDArray): [NDArray, NDArray] {
  if (without.rank === 1) return [expandDims(without, 1), wide];
  return [without, wide.reshape(wide.shape.slice(0, -1))];
}

/** A weight or mask spread over values, of which it has the leading axes. */
export function spread(weight: NDArray, values: NDArray): NDArray {
  let found = weight;
  while (found.rank > values.rank && found.shape[found.rank - 1] === 1) found = found.reshape(found.shape.slice(0, -1));
  if (found.rank > values.rank) refuseCall('weights', `shape [${weight.shape}] for values [${values.shape}]`);
  while (found.rank < values.rank) found = expandDims(found, found.rank);
  return broadcastTo(found, values.shape);
}

/** The product of what there is of two weights, the one of fewer axes spread over the other. */
export function joined(one: NDArray | null, two: NDArray | null): NDArray | null {
  if (one === null || two === null) return one ?? two;
  const rank = Math.max(one.rank, two.rank);
  const raised = (x: NDArray): NDArray => x.reshape([...x.shape, ...range(rank - x.rank).map(() => 1)]);
  return mul(raised(one), raised(two));
}
