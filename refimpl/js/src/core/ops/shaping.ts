// Shapes (SPEC.md J.9).

import {
  axesOf,
  axisOf,
  broadcastTo,
  concat,
  expandDims,
  map,
  moveAxis,
  type NDArray,
  range,
  scalar,
  sizeOf,
  sliceAxis,
  stridesOf,
  takeAxis,
  transpose,
  view,
} from '../array.js';
import { castTo } from '../numbers.js';
import { refuseCall } from '../refusals.js';
import { axes, number, numberOrNull, numbers, numbersOrNull, type Plain, text } from '../values.js';
import { type Call, type Op, type Output, type Tensor, unmasked } from './context.js';
import { isChannelsFirst, padded } from './windows.js';

const input = (call: Call): NDArray => call.inputs[0]!.value;

function flatten(call: Call): NDArray {
  const x = input(call);
  const last = isChannelsFirst(call.attrs) && x.rank > 2 ? moveAxis(x, 1, x.rank - 1) : x;
  return last.reshape([x.shape[0] ?? 1, sizeOf(x.shape.slice(1))]);
}

function reshape(call: Call): NDArray {
  const x = input(call);
  const shape = numbers(call.attrs, 'shape');
  const known = shape.filter((size) => size >= 0).reduce((a, b) => a * b, 1);
  const each = sizeOf(x.shape.slice(1));
  const open = shape.filter((size) => size < 0).length;
  if (open > 1 || (open === 0 ? known !== each : known === 0 || each % known !== 0)) {
    refuseCall(call.where, `[${x.shape}] in the shape [${shape}]`);
  }
  return x.reshape([x.shape[0] ?? 1, ...shape.map((size) => (size < 0 ? each / known : size))]);
}

function permute(call: Call): NDArray {
  const x = input(call);
  const order = numbers(call.attrs, 'axes').map((axis) => axisOf(axis, x.rank));
  if (order.length !== x.rank || new Set(order).size !== x.rank)
    refuseCall(call.where, `axes [${order}] of [${x.shape}]`);
  return transpose(x, order);
}

function repeat(call: Call): NDArray {
  const x = input(call);
  if (x.rank !== 2) refuseCall(call.where, `shape [${x.shape}] for [batch, features]`);
  const [batch, features] = x.shape as [number, number];
  return broadcastTo(expandDims(x, 1), [batch, number(call.attrs, 'count'), features]);
}

type Pair = readonly [number, number];

/** Pairs of an attribute for all axes but the batch. */
function pairs(call: Call, name: string): readonly Pair[] {
  const found = call.attrs[name] as unknown as readonly Pair[];
  if (found.length !== input(call).rank - 1) refuseCall(call.where, `${found.length} pairs for [${input(call).shape}]`);
  return found;
}

function pad(call: Call): NDArray {
  const mode = text(call.attrs, 'mode');
  const each = pairs(call, 'padding');
  if (mode === 'constant') return padded(input(call), [[0, 0], ...each], number(call.attrs, 'value'));
  let x = input(call);
  each.forEach(([before, after], i) => {
    const n = x.shape[i + 1]!;
    const edge = mode === 'symmetric' ? 0 : 1;
    if (Math.max(before, after) > n - edge) refuseCall(call.where, `padding [${before}, ${after}] of ${n} elements`);
    const places = range(before + n + after).map((place) => {
      const own = place - before;
      if (own < 0) return -own - 1 + edge;
      return own < n ? own : 2 * n - 1 - own - edge;
    });
    x = takeAxis(x, i + 1, places);
  });
  return x;
}

function crop(call: Call): NDArray {
  let x = input(call);
  pairs(call, 'cropping').forEach(([before, after], i) => {
    const left = x.shape[i + 1]! - before - after;
    if (left < 0) refuseCall(call.where, `[${before}, ${after}] of ${x.shape[i + 1]} elements`);
    x = sliceAxis(x, i + 1, before, left);
  });
  return x;
}

/** Tensors one after the other, and their masks likewise (CV-52). */
function concatenated(call: Call): Tensor {
  const first = call.inputs[0] ?? refuseCall(call.where, 'no tensor');
  const axis = axisOf(number(call.attrs, 'axis'), first.value.rank);
  const value = concat(
    call.inputs.map((each) => each.value),
    axis,
  );
  if (call.inputs.every((each) => each.mask === null)) return unmasked(value);
  const masks = call.inputs.map((each) => {
    let mask = each.mask ?? scalar(1, 'bool');
    while (each.mask !== null && mask.rank < each.value.rank) mask = expandDims(mask, mask.rank);
    return broadcastTo(mask, each.value.shape);
  });
  const joined = concat(masks, axis);
  const width = joined.shape[joined.rank - 1]!;
  const rows = range(width).map((i) => sliceAxis(joined, joined.rank - 1, i, 1).data);
  const shape = joined.shape.slice(0, -1);
  const any = Float64Array.from({ length: sizeOf(shape) }, (_, i) => (rows.some((row) => row[i] !== 0) ? 1 : 0));
  return { value, mask: joined.like(shape, any) };
}

function stack(call: Call): NDArray {
  const values = call.inputs.map((each) => each.value);
  const rank = (values[0] ?? refuseCall(call.where, 'no tensor')).rank;
  const axis = axisOf(number(call.attrs, 'axis'), rank + 1);
  return concat(
    values.map((value) => expandDims(value, axis)),
    axis,
  );
}

function split(call: Call): Output[] {
  const x = input(call);
  const axis = axisOf(number(call.attrs, 'axis'), x.rank);
  const sections = call.attrs.sections as number | readonly number[];
  const size = x.shape[axis]!;
  if (typeof sections === 'number' && sections > size)
    refuseCall(call.where, `${size} elements in ${sections} sections`);
  const sizes = typeof sections === 'number' ? range(sections).map(() => size / sections) : sections;
  if (!sizes.every(Number.isInteger) || sizes.reduce((a, b) => a + b, 0) !== size) {
    refuseCall(call.where, `${size} elements in sections ${sections}`);
  }
  let start = 0;
  return sizes.map((count) => {
    start += count;
    return sliceAxis(x, axis, start - count, count);
  });
}

/** An axis of x, or the place of one that is new. */
function slice(call: Call): NDArray {
  const x = input(call);
  const index = call.attrs.index as readonly Plain[];
  const taken = index.filter((entry) => entry !== 'newaxis' && entry !== '...').length;
  if (taken > x.rank || index.filter((entry) => entry === '...').length > 1) {
    refuseCall(call.where, `${taken} entries for [${x.shape}]`);
  }
  const strides = stridesOf(x.shape);
  const shape: number[] = [];
  const steps: number[] = [];
  let axis = 0;
  let offset = 0;
  const keep = (count: number, start: number, step: number): void => {
    shape.push(count);
    steps.push(strides[axis]! * step);
    offset += count === 0 ? 0 : strides[axis]! * start;
    axis++;
  };
  const rest = (): void => keep(x.shape[axis]!, 0, 1);
  for (const entry of index) {
    if (entry === 'newaxis') {
      shape.push(1);
      steps.push(0);
    } else if (entry === '...') {
      for (let left = x.rank - taken; left > 0; left--) rest();
    } else if (typeof entry === 'number') {
      offset += strides[axis]! * axisOf(entry, x.shape[axis]!);
      axis++;
    } else {
      const { start, count, step } = span(entry as readonly (number | null)[], x.shape[axis]!);
      keep(count, start, step);
    }
  }
  while (axis < x.rank) rest();
  return view(x, shape, steps, offset);
}

/** Where a range begins and how many elements it takes of n. */
function span(entry: readonly (number | null)[], n: number): { start: number; count: number; step: number } {
  const step = entry[2] ?? 1;
  if (step === 0) refuseCall('slice', 'a step of 0');
  const [low, high] = step > 0 ? [0, n] : [-1, n - 1];
  const bound = (value: number | null | undefined, open: number): number => {
    if (value === null || value === undefined) return open;
    return Math.min(Math.max(value < 0 ? value + n : value, low), high);
  };
  const start = bound(entry[0], step > 0 ? low : high);
  const stop = bound(entry[1], step > 0 ? high : low);
  return { start, count: Math.max(Math.ceil((stop - start) / step), 0), step };
}

function expand(call: Call): NDArray {
  const x = input(call);
  const list = numbersOrNull(call.attrs, 'axes') ?? refuseCall(call.where, 'no axes');
  const rank = x.rank + list.length;
  const places = axesOf(list, rank);
  if (places.length !== list.length) refuseCall(call.where, `axes [${list}]`);
  const sizes = [...x.shape];
  return x.reshape(range(rank).map((axis) => (places.includes(axis) ? 1 : sizes.shift()!)));
}

function squeeze(call: Call): NDArray {
  const x = input(call);
  const list = axes(call.attrs, 'axes');
  const gone = list === null ? range(x.rank).filter((axis) => x.shape[axis] === 1) : axesOf(list, x.rank);
  if (gone.some((axis) => x.shape[axis] !== 1)) refuseCall(call.where, `axes [${gone}] of [${x.shape}]`);
  return x.reshape(x.shape.filter((_, axis) => !gone.includes(axis)));
}

function take(call: Call): NDArray {
  const [x, indices] = [input(call), call.inputs[1]!.value];
  const axis = numberOrNull(call.attrs, 'axis');
  const flat = axis === null ? x.reshape([x.size]) : x;
  const place = axis === null ? 0 : axisOf(axis, x.rank);
  const size = flat.shape[place]!;
  const found = takeAxis(flat, place, map(indices, (index) => axisOf(Math.trunc(index), size)).data);
  return found.reshape([...flat.shape.slice(0, place), ...indices.shape, ...flat.shape.slice(place + 1)]);
}

export const SHAPINGS: Readonly<Record<string, Op>> = {
  identity: input,
  flatten,
  reshape,
  permute,
  repeat,
  pad,
  crop,
  slice,
  concat: concatenated,
  stack,
  split,
  expand_dims: expand,
  squeeze,
  cast: (call) => castTo(input(call), text(call.attrs, 'dtype')),
  broadcast_to: (call) => broadcastTo(input(call), numbers(call.attrs, 'shape')),
  take,
};
