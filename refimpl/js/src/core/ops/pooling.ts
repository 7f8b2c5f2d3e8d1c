// Pooling and resizing (SPEC.md J.8).

import {
  allocate,
  average,
  commonDtype,
  concat,
  div,
  ELEMENTS_LIMIT,
  expandDims,
  fold,
  largest,
  map,
  mul,
  NDArray,
  range,
  sliceAxis,
  sum,
} from '../array.js';
import { sinc } from '../functions.js';
import { castTo } from '../numbers.js';
import { refuseCall } from '../refusals.js';
import { flag, numbers, numbersOrNull, text } from '../values.js';
import { type Call, maskOf, type Op } from './context.js';
import { atPlace, channelsLast, inFormat, padded, paddings, placesIn, spatialAxes, windowCounts } from './windows.js';

/** `max_pool` and `avg_pool`: `join` takes the elements at each place of all windows in turn. */
function pool(call: Call, start: number, join: (before: number, now: number) => number): NDArray {
  const sizes = numbers(call.attrs, 'pool_size');
  const x = channelsLast(call);
  const axes = spatialAxes(call, x, sizes, numbersOrNull(call.attrs, 'strides') ?? sizes);
  const pairs = paddings(call, axes);
  const counts = windowCounts(call, axes, pairs);
  const within = padded(x, [[0, 0], ...pairs, [0, 0]], start);
  const shape = [x.shape[0]!, ...counts, x.shape[x.rank - 1]!];
  const data = allocate(shape).fill(start);
  for (const place of placesIn(sizes)) {
    const seen = atPlace(within, axes, counts, place).data;
    for (let i = 0; i < data.length; i++) data[i] = join(data[i]!, seen[i]!);
  }
  return new NDArray(shape, data);
}

/** The largest of integers is one. */
const ofInput = (call: Call, y: NDArray): NDArray => castTo(y, commonDtype([call.inputs[0]!.value]));

const maxPool = (call: Call): NDArray => ofInput(call, inFormat(call, pool(call, Number.NEGATIVE_INFINITY, Math.max)));

function avgPool(call: Call): NDArray {
  const sums = pool(call, 0, (a, b) => a + b);
  if (flag(call.attrs, 'count_padding')) {
    const count = numbers(call.attrs, 'pool_size').reduce((a, b) => a * b, 1);
    return inFormat(
      call,
      map(sums, (x) => x / count),
    );
  }
  const ones = { ...call, inputs: [{ value: map(call.inputs[0]!.value, () => 1), mask: null }] };
  return inFormat(
    call,
    div(
      sums,
      pool(ones, 0, (a, b) => a + b),
    ),
  );
}

/** Each spatial axis replaced, one after the other, by `each` of it. */
function overSpatial(call: Call, x: NDArray, each: (x: NDArray, axis: number) => NDArray): NDArray {
  let result = x;
  for (const axis of range(x.rank).slice(1, -1)) result = each(result, axis);
  return inFormat(call, result);
}

/** Windows from ⌊o·n/m⌋ to before ⌈(o+1)·n/m⌉ (CV-42). */
function adaptive(call: Call, f: (values: Float64Array) => number): NDArray {
  const sizes = numbers(call.attrs, 'output_size');
  const x = channelsLast(call);
  if (x.rank !== sizes.length + 2) refuseCall(call.where, `shape [${x.shape}] for ${sizes.length} sizes`);
  return overSpatial(call, x, (before, axis) => {
    const [n, m] = [before.shape[axis]!, sizes[axis - 1]!];
    const windows = range(m).map((o) => {
      const start = Math.floor((o * n) / m);
      const window = sliceAxis(before, axis, start, Math.ceil(((o + 1) * n) / m) - start);
      return fold(window, axis, f, true);
    });
    return concat(windows, axis);
  });
}

function global(call: Call, f: (values: Float64Array) => number): NDArray {
  const x = channelsLast(call);
  const spatial = range(x.rank).slice(1, -1);
  const keep = flag(call.attrs, 'keepdims');
  const y = fold(x, spatial, f, true);
  return keep ? inFormat(call, y) : y.reshape([x.shape[0]!, x.shape[x.rank - 1]!]);
}

function globalAvgPool(call: Call): NDArray {
  const x = channelsLast(call);
  const mask = x.rank === 3 ? maskOf(call) : null;
  if (mask === null) return global(call, average);
  if (mask.shape.join() !== x.shape.slice(0, 2).join())
    refuseCall(call.where, `a mask [${mask.shape}] of [${x.shape}]`);
  const weights = expandDims(mask, 2);
  const y = div(sum(mul(x, weights), 1, true), sum(weights, 1, true));
  return flag(call.attrs, 'keepdims') ? inFormat(call, y) : y.reshape([x.shape[0]!, x.shape[2]!]);
}

/** The weight of an element at a distance, by the interpolation. */
const KERNELS: Readonly<Record<string, (distance: number) => number>> = {
  bilinear: (d) => Math.max(1 - d, 0),
  bicubic: (d) => {
    if (d < 1) return 1.5 * d ** 3 - 2.5 * d ** 2 + 1;
    return d < 2 ? -0.5 * d ** 3 + 2.5 * d ** 2 - 4 * d + 2 : 0;
  },
  lanczos3: (d) => (d < 3 ? sinc(d) * sinc(d / 3) : 0),
  lanczos5: (d) => (d < 5 ? sinc(d) * sinc(d / 5) : 0),
};

/** Row o of the result: how much each of n elements counts in element o of m. */
function weights(n: number, m: number, interpolation: string, antialias: boolean): Float64Array[] {
  if (n * m > ELEMENTS_LIMIT) refuseCall('resize', `${n} elements to ${m}`);
  return range(m).map((o) => {
    const row = new Float64Array(n);
    if (interpolation === 'nearest') {
      row[Math.min(Math.floor(((o + 0.5) * n) / m), n - 1)] = 1;
      return row;
    }
    const wide = antialias ? Math.max(n / m, 1) : 1;
    const kernel = KERNELS[interpolation]!;
    for (let i = 0; i < n; i++) row[i] = kernel(Math.abs(i - ((o + 0.5) * n) / m + 0.5) / wide);
    const whole = row.reduce((a, b) => a + b, 0);
    return row.map((weight) => weight / whole);
  });
}

function resize(call: Call): NDArray {
  const x = channelsLast(call);
  const size = numbersOrNull(call.attrs, 'size');
  const scale = numbersOrNull(call.attrs, 'scale');
  const given = size ?? scale;
  if (given === null || given.length !== x.rank - 2 || (size !== null && scale !== null)) {
    refuseCall(call.where, `size or scale for a shape [${x.shape}]`);
  }
  const interpolation = text(call.attrs, 'interpolation');
  const y = overSpatial(call, x, (before, axis) => {
    const n = before.shape[axis]!;
    const m = size === null ? n * scale![axis - 1]! : size[axis - 1]!;
    if (m === n) return before;
    if (n === 0) refuseCall(call.where, 'an axis without elements');
    return resized(before, axis, weights(n, m, interpolation, flag(call.attrs, 'antialias')));
  });
  return interpolation === 'nearest' ? ofInput(call, y) : y.as('float64');
}

function resized(x: NDArray, axis: number, rows: readonly Float64Array[]): NDArray {
  const n = x.shape[axis]!;
  const shape = x.shape.map((size, i) => (i === axis ? rows.length : size));
  const inner = x.shape.slice(axis + 1).reduce((a, b) => a * b, 1);
  const data = allocate(shape);
  const outer = x.size / (n * inner);
  for (let o = 0; o < outer; o++) {
    rows.forEach((row, r) => {
      const target = (o * rows.length + r) * inner;
      row.forEach((weight, i) => {
        if (weight === 0) return;
        const from = (o * n + i) * inner;
        for (let j = 0; j < inner; j++) data[target + j]! += weight * x.data[from + j]!;
      });
    });
  }
  return new NDArray(shape, data);
}

export const POOLINGS: Readonly<Record<string, Op>> = {
  max_pool: maxPool,
  avg_pool: avgPool,
  adaptive_max_pool: (call) => ofInput(call, adaptive(call, largest)),
  adaptive_avg_pool: (call) => adaptive(call, average),
  global_max_pool: (call) => ofInput(call, global(call, largest)),
  global_avg_pool: globalAvgPool,
  resize,
};
