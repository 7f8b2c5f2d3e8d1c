// Ops that combine tensors (SPEC.md J.10).

import {
  allocate,
  axisOf,
  broadcastShapes,
  broadcastTo,
  commonDtype,
  div,
  expandDims,
  map,
  mul,
  NDArray,
  range,
  sum,
  zip,
} from '../array.js';
import { einsum, matmul } from '../einsum.js';
import { castTo } from '../numbers.js';
import { refuseCall } from '../refusals.js';
import { flag, text } from '../values.js';
import type { Call, Op, Tensor } from './context.js';

/** An input at the rank of all, with its mask. */
interface Input {
  readonly value: NDArray;
  readonly mask: NDArray | null;
}

/** Inputs of the same rank: one of a lower rank gets axes of size 1 behind the batch, and so does its mask. */
function aligned(call: Call): Input[] {
  if (call.inputs.length === 0) refuseCall(call.where, 'no tensor');
  const rank = Math.max(...call.inputs.map(({ value }) => value.rank));
  return call.inputs.map(({ value, mask }) => {
    const lacking = rank - value.rank;
    return { value: raised(value, lacking), mask: mask === null ? null : raised(mask, lacking) };
  });
}

function raised(x: NDArray, lacking: number): NDArray {
  return x.reshape([...x.shape.slice(0, 1), ...range(lacking).map(() => 1), ...x.shape.slice(1)]);
}

function atRank(mask: NDArray, rank: number): NDArray {
  let found = mask;
  while (found.rank < rank) found = expandDims(found, found.rank);
  return found;
}

/** The disjunction of the masks, and none where an input has none (CV-61). */
function mergedMask(inputs: readonly Input[]): NDArray | null {
  const masks = inputs.map(({ mask }) => mask);
  const rank = Math.max(...masks.map((mask) => mask?.rank ?? 0));
  return masks.reduce((one, two) => {
    if (one === null || two === null) return null;
    return zip(atRank(one, rank), atRank(two, rank), (a, b) => (a || b ? 1 : 0), 'bool');
  });
}

function merge(call: Call, join: (a: number, b: number) => number, dtype = dtypeOf(call)): Tensor {
  const inputs = aligned(call);
  const [first, ...rest] = inputs.map(({ value }) => value.as('float64'));
  const value = rest.reduce((one, two) => zip(one, two, join), first!);
  return { value: dtype === 'bool' ? castTo(value, dtype) : value.as(dtype), mask: mergedMask(inputs) };
}

/** What the inputs are together: booleans give booleans, and integers integers. */
function dtypeOf(call: Call): string {
  const dtype = commonDtype(call.inputs.map(({ value }) => value));
  return dtype === 'string' ? refuseCall(call.where, 'strings') : dtype;
}

/** A difference of booleans is an integer. */
function wholeDtypeOf(call: Call): string {
  const dtype = dtypeOf(call);
  return dtype === 'bool' ? 'int64' : dtype;
}

function mean(call: Call): Tensor {
  dtypeOf(call);
  const { value, mask } = merge(call, (a, b) => a + b, 'float64');
  return { value: map(value, (x) => x / call.inputs.length), mask };
}

/** As `merge`, without the elements that a mask excludes; where all are, `none` of the first input's is given (CV-69). */
function mergeKept(call: Call, join: (a: number, b: number) => number, none: (first: number) => number): Tensor {
  const inputs = aligned(call);
  if (inputs.every(({ mask }) => mask === null)) return merge(call, join);
  const shape = broadcastShapes(...inputs.map(({ value }) => value.shape));
  const spread = inputs.map(({ value, mask }) => ({
    values: broadcastTo(value, shape).data,
    kept: mask === null ? null : broadcastTo(atRank(mask, value.rank), shape).data,
  }));
  const data = allocate(shape);
  for (let i = 0; i < data.length; i++) {
    let found: number | null = null;
    for (const { values, kept } of spread) {
      if (kept !== null && kept[i] === 0) continue;
      found = found === null ? values[i]! : join(found, values[i]!);
    }
    data[i] = found ?? none(spread[0]!.values[i]!);
  }
  return { value: new NDArray(shape, data, commonDtype(inputs.map(({ value }) => value))), mask: mergedMask(inputs) };
}

function normalized(x: NDArray, axis: number): NDArray {
  const norms = map(sum(mul(x, x), axis, true), (squares) => Math.max(Math.sqrt(squares), 1e-7));
  return div(x, norms);
}

/** Sums of products over an axis of each, for every example. */
function dot(call: Call): NDArray {
  let [x, y] = call.inputs.map(({ value }) => value) as [NDArray, NDArray];
  const axes = call.attrs.axes as number | readonly [number, number];
  const pair = typeof axes === 'number' ? [axes, axes] : axes;
  const [one, two] = [axisOf(pair[0]!, x.rank), axisOf(pair[1]!, y.rank)];
  if (one === 0 || two === 0) refuseCall(call.where, 'a sum over the batch');
  if (flag(call.attrs, 'normalize')) [x, y] = [normalized(x, one), normalized(y, two)];
  const letters = (count: number, start: number): string[] => range(count).map((i) => String.fromCharCode(start + i));
  const ofX = letters(x.rank, 97);
  const ofY = letters(y.rank, 65);
  ofY[0] = ofX[0]!;
  ofY[two] = ofX[one]!;
  const stay = [...ofX.slice(1).filter((_, i) => i + 1 !== one), ...ofY.slice(1).filter((_, i) => i + 1 !== two)];
  const found = einsum(`${ofX.join('')},${ofY.join('')}->${[ofX[0], ...stay].join('')}`, [x, y]);
  return found.rank === 1 ? expandDims(found, 1) : found;
}

/** Sums of products, which are integers of integers and booleans of booleans. */
function ofProducts(call: Call, f: (values: NDArray[]) => NDArray): NDArray {
  const values = call.inputs.map(({ value }) => value);
  return castTo(f(values), commonDtype(values));
}

export const MERGINGS: Readonly<Record<string, Op>> = {
  add: (call) => merge(call, (a, b) => a + b),
  sub: (call) => merge(call, (a, b) => a - b, wholeDtypeOf(call)),
  mul: (call) =>
    mergeKept(
      call,
      (a, b) => a * b,
      () => 0,
    ),
  mean,
  max: (call) => mergeKept(call, Math.max, (first) => first),
  min: (call) => mergeKept(call, Math.min, (first) => first),
  dot,
  matmul: (call) => ofProducts(call, ([x, y]) => matmul(x!, y!)),
  einsum: (call) => ofProducts(call, (values) => einsum(text(call.attrs, 'equation'), values)),
};
