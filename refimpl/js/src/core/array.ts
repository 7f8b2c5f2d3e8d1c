// The arrays that the evaluator computes with: row-major, every number in binary64 whatever its dtype.

import { refuseCall } from './refusals.js';

export type Shape = readonly number[];
export type Kind = 'float' | 'integer' | 'bool' | 'string';

/** Elements that one array of the evaluator may have: a gibibyte of binary64. */
export const ELEMENTS_LIMIT = 2 ** 27;

/** Elements of a list that a number of a config asks for, such as thresholds. */
const RANGE_LIMIT = 2 ** 24;

/** An array. Booleans are 0 and 1; a string is its index in `terms`. */
export class NDArray {
  readonly shape: Shape;
  readonly data: Float64Array;
  readonly dtype: string;
  readonly terms: readonly string[] | null;

  constructor(shape: Shape, data: Float64Array, dtype = 'float64', terms: readonly string[] | null = null) {
    if (sizeOf(shape) !== data.length) {
      refuseCall(`shape [${shape}]`, `${data.length} elements`);
    }
    this.shape = shape;
    this.data = data;
    this.dtype = dtype;
    this.terms = terms;
  }

  get rank(): number {
    return this.shape.length;
  }

  get size(): number {
    return this.data.length;
  }

  get kind(): Kind {
    return kindOf(this.dtype);
  }

  /** The same elements in another shape. */
  reshape(shape: Shape): NDArray {
    return new NDArray(shape, this.data, this.dtype, this.terms);
  }

  /** The same elements, taken as of another dtype. */
  as(dtype: string): NDArray {
    return dtype === this.dtype ? this : new NDArray(this.shape, this.data, dtype, this.terms);
  }

  /** Other elements in a shape of their own, of this dtype. */
  like(shape: Shape, data: Float64Array): NDArray {
    return new NDArray(shape, data, this.dtype, this.terms);
  }
}

export function kindOf(dtype: string): Kind {
  if (dtype === 'bool' || dtype === 'string') return dtype;
  return /^u?int\d+$/.test(dtype) ? 'integer' : 'float';
}

export function sizeOf(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** Zeros for a shape, which is checked before memory is taken. */
export function allocate(shape: Shape): Float64Array<ArrayBuffer> {
  const size = sizeOf(shape);
  if (!(size <= ELEMENTS_LIMIT)) refuseCall(`shape [${shape}]`, `more than ${ELEMENTS_LIMIT} elements`);
  return new Float64Array(size);
}

/** How far apart neighbours along each axis are. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= shape[axis]!;
  }
  return strides;
}

export function scalar(value: number, dtype = 'float64'): NDArray {
  return new NDArray([], Float64Array.of(value), dtype);
}

export function vector(values: readonly number[], dtype = 'float64'): NDArray {
  return new NDArray([values.length], Float64Array.from(values), dtype);
}

export function full(shape: Shape, value: number, dtype = 'float64'): NDArray {
  return new NDArray(shape, allocate(shape).fill(value), dtype);
}

/** Axis counted from the end made one from the front. */
export function axisOf(axis: number, rank: number): number {
  const found = axis < 0 ? axis + rank : axis;
  if (!(found >= 0 && found < rank)) refuseCall(`axis ${axis}`, `${rank} axes`);
  return found;
}

/** Different axes from the front, in rising order; null is all. */
export function axesOf(axes: number | readonly number[] | null, rank: number): number[] {
  if (axes === null) return range(rank);
  const list = typeof axes === 'number' ? [axes] : axes;
  return [...new Set(list.map((axis) => axisOf(axis, rank)))].sort((a, b) => a - b);
}

export function range(count: number): number[] {
  if (count > RANGE_LIMIT) refuseCall('a list', `${count} elements, more than ${RANGE_LIMIT}`);
  return Array.from({ length: count }, (_, i) => i);
}

/** The elements at `offset` + index · strides for every index of a shape. */
export function view(x: NDArray, shape: Shape, strides: readonly number[], offset = 0): NDArray {
  const data = allocate(shape);
  if (data.length === 0) return x.like(shape, data);
  const index = new Array<number>(shape.length).fill(0);
  let place = offset;
  for (let i = 0; i < data.length; i++) {
    data[i] = x.data[place]!;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      place += strides[axis]!;
      index[axis]!++;
      if (index[axis]! < shape[axis]!) break;
      place -= strides[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return x.like(shape, data);
}

/** Axis i of the result is axis `order[i]` of x. */
export function transpose(x: NDArray, order: readonly number[]): NDArray {
  if (order.every((axis, i) => axis === i)) return x;
  const strides = stridesOf(x.shape);
  return view(
    x,
    order.map((axis) => x.shape[axis]!),
    order.map((axis) => strides[axis]!),
  );
}

/** x with one axis at another place. */
export function moveAxis(x: NDArray, from: number, to: number): NDArray {
  const order = range(x.rank).filter((axis) => axis !== from);
  order.splice(to, 0, from);
  return transpose(x, order);
}

export function expandDims(x: NDArray, axis: number): NDArray {
  return x.reshape([...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)]);
}

/** The shape that arrays have together (J.10). */
export function broadcastShapes(...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  return range(rank).map((axis) => {
    let size = 1;
    for (const shape of shapes) {
      const own = shape[axis - rank + shape.length] ?? 1;
      if (own !== 1 && size !== 1 && own !== size) {
        refuseCall('broadcasting', shapes.map((each) => `[${each}]`).join(' and '));
      }
      if (own !== 1) size = own;
    }
    return size;
  });
}

export function broadcastTo(x: NDArray, shape: Shape): NDArray {
  if (x.rank === shape.length && x.shape.every((size, axis) => size === shape[axis])) return x;
  const lacking = shape.length - x.rank;
  const strides = stridesOf(x.shape);
  const spread = shape.map((size, axis) => {
    if (axis < lacking) return 0;
    const own = x.shape[axis - lacking]!;
    if (own !== size && own !== 1) refuseCall('broadcasting', `[${x.shape}] to [${shape}]`);
    return own === 1 ? 0 : strides[axis - lacking]!;
  });
  if (lacking < 0) refuseCall('broadcasting', `[${x.shape}] to [${shape}]`);
  return view(x, shape, spread);
}

/** A function of each element. */
export function map(x: NDArray, f: (value: number) => number, dtype = 'float64'): NDArray {
  const data = new Float64Array(x.size);
  for (let i = 0; i < data.length; i++) data[i] = f(x.data[i]!);
  return new NDArray(x.shape, data, dtype);
}

/** A function of each pair of elements, with broadcasting. */
export function zip(x: NDArray, y: NDArray, f: (a: number, b: number) => number, dtype = 'float64'): NDArray {
  const shape = broadcastShapes(x.shape, y.shape);
  const [one, two] = [broadcastTo(x, shape), broadcastTo(y, shape)];
  const data = allocate(shape);
  for (let i = 0; i < data.length; i++) data[i] = f(one.data[i]!, two.data[i]!);
  return new NDArray(shape, data, dtype);
}

export const add = (x: NDArray, y: NDArray): NDArray => zip(x, y, (a, b) => a + b);
export const sub = (x: NDArray, y: NDArray): NDArray => zip(x, y, (a, b) => a - b);
export const mul = (x: NDArray, y: NDArray): NDArray => zip(x, y, (a, b) => a * b);
export const div = (x: NDArray, y: NDArray): NDArray => zip(x, y, (a, b) => a / b);

/** x where the condition is not 0, and else y. */
export function where(condition: NDArray, x: NDArray, y: NDArray): NDArray {
  const shape = broadcastShapes(condition.shape, x.shape, y.shape);
  const [test, one, two] = [broadcastTo(condition, shape), broadcastTo(x, shape), broadcastTo(y, shape)];
  const data = allocate(shape);
  for (let i = 0; i < data.length; i++) data[i] = test.data[i] ? one.data[i]! : two.data[i]!;
  return new NDArray(shape, data, commonDtype([x, y]));
}

/** A number for all elements along some axes together; `f` gets them in row-major order. */
export function fold(
  x: NDArray,
  axes: number | readonly number[] | null,
  f: (values: Float64Array) => number,
  keepdims = false,
  dtype = 'float64',
): NDArray {
  const gone = axesOf(axes, x.rank);
  const stay = range(x.rank).filter((axis) => !gone.includes(axis));
  const rows = transpose(x, [...stay, ...gone]);
  const length = sizeOf(gone.map((axis) => x.shape[axis]!));
  const data = allocate(stay.map((axis) => x.shape[axis]!));
  for (let i = 0; i < data.length; i++) data[i] = f(rows.data.subarray(i * length, (i + 1) * length));
  const shape = keepdims
    ? x.shape.map((size, axis) => (gone.includes(axis) ? 1 : size))
    : stay.map((axis) => x.shape[axis]!);
  return new NDArray(shape, data, dtype);
}

export function total(values: Float64Array): number {
  let result = 0;
  for (const value of values) result += value;
  return result;
}

export const average = (values: Float64Array): number => total(values) / values.length;

/** The largest element, or NaN where one is. */
export function largest(values: Float64Array): number {
  let result = Number.NEGATIVE_INFINITY;
  for (const value of values) result = Math.max(result, value);
  return result;
}

export function smallest(values: Float64Array): number {
  let result = Number.POSITIVE_INFINITY;
  for (const value of values) result = Math.min(result, value);
  return result;
}

export const sum = (x: NDArray, axes: number | readonly number[] | null = null, keepdims = false): NDArray =>
  fold(x, axes, total, keepdims);
export const mean = (x: NDArray, axes: number | readonly number[] | null = null, keepdims = false): NDArray =>
  fold(x, axes, average, keepdims);

/** The biased variance along axes, kept with size 1, beside the mean. */
export function moments(x: NDArray, axes: readonly number[]): { mean: NDArray; variance: NDArray } {
  const center = mean(x, axes, true);
  const distance = sub(x, center);
  return { mean: center, variance: mean(mul(distance, distance), axes, true) };
}

/** Each row along an axis replaced by another one, of any one length. */
export function along(x: NDArray, axis: number, f: (row: Float64Array) => ArrayLike<number>): NDArray {
  const place = axisOf(axis, x.rank);
  const rows = moveAxis(x, place, x.rank - 1);
  const length = x.shape[place]!;
  const count = length === 0 ? 0 : rows.size / length;
  const found = range(count).map((i) => f(rows.data.subarray(i * length, (i + 1) * length)));
  const shape = [...rows.shape.slice(0, -1), found[0]?.length ?? length];
  const data = allocate(shape);
  found.forEach((row, i) => {
    data.set(row, i * row.length);
  });
  return moveAxis(new NDArray(shape, data, 'float64'), x.rank - 1, place);
}

/** The elements from `start` to before `start` + `count` · `step` along an axis. */
export function sliceAxis(x: NDArray, axis: number, start: number, count: number, step = 1): NDArray {
  const strides = stridesOf(x.shape);
  const shape = x.shape.map((size, i) => (i === axis ? count : size));
  const steps = strides.map((stride, i) => (i === axis ? stride * step : stride));
  return view(x, shape, steps, start * strides[axis]!);
}

export function flip(x: NDArray, axis: number): NDArray {
  const size = x.shape[axis]!;
  return sliceAxis(x, axis, size - 1, size, -1);
}

/** The elements at some places along an axis. */
export function takeAxis(x: NDArray, axis: number, places: ArrayLike<number>): NDArray {
  const size = x.shape[axis]!;
  const inner = sizeOf(x.shape.slice(axis + 1));
  const outer = sizeOf(x.shape.slice(0, axis));
  const shape = x.shape.map((each, i) => (i === axis ? places.length : each));
  const data = allocate(shape);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < places.length; i++) {
      const from = (o * size + places[i]!) * inner;
      data.set(x.data.subarray(from, from + inner), (o * places.length + i) * inner);
    }
  }
  return x.like(shape, data);
}

/** Arrays one after the other along an axis. */
export function concat(arrays: readonly NDArray[], axis: number): NDArray {
  const first = arrays[0];
  if (first === undefined) return refuseCall('concat', 'no array');
  const place = axisOf(axis, first.rank);
  for (const each of arrays) {
    if (each.rank !== first.rank || each.shape.some((size, i) => i !== place && size !== first.shape[i])) {
      refuseCall('concat', arrays.map((one) => `[${one.shape}]`).join(' and '));
    }
  }
  const lengths = arrays.map((each) => each.shape[place]!);
  const shape = first.shape.map((size, i) => (i === place ? lengths.reduce((a, b) => a + b) : size));
  const data = allocate(shape);
  const outer = sizeOf(shape.slice(0, place));
  const { values, terms } = withCommonTerms(arrays);
  let written = 0;
  for (let o = 0; o < outer; o++) {
    values.forEach((each) => {
      const chunk = each.length / outer;
      data.set(each.subarray(o * chunk, (o + 1) * chunk), written);
      written += chunk;
    });
  }
  return new NDArray(shape, data, commonDtype(arrays), terms);
}

/** Strings of several arrays as indices into one list. */
function withCommonTerms(arrays: readonly NDArray[]): { values: Float64Array[]; terms: string[] | null } {
  if (arrays.every((each) => each.terms === null)) return { values: arrays.map((each) => each.data), terms: null };
  const terms: string[] = [];
  const values = arrays.map((each) => {
    if (each.terms === null) return refuseCall('concat', 'strings and numbers');
    const base = terms.length;
    terms.push(...each.terms);
    return each.data.map((index) => index + base);
  });
  return { values, terms };
}

/** What arrays are together: floats before integers before booleans. */
export function commonDtype(arrays: readonly NDArray[]): string {
  const kinds = arrays.map((each) => each.kind);
  if (kinds.includes('string')) return 'string';
  if (kinds.includes('float')) return 'float64';
  return kinds.includes('integer') ? 'int64' : 'bool';
}
