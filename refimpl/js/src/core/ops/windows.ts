// Spatial axes, their padding and their windows (SPEC.md J.3): what convolutions and pooling share.

import { allocate, moveAxis, type NDArray, sizeOf, stridesOf, view } from '../array.js';
import { refuseCall } from '../refusals.js';
import { type Attrs, numbersOrNull, text } from '../values.js';
import type { Call } from './context.js';

type Pair = readonly [number, number];

/** One spatial axis: its size, its stride, and its window. */
export interface Axis {
  readonly size: number;
  readonly stride: number;
  readonly window: number;
  readonly dilation: number;
  /** How far a window reaches. */
  readonly extent: number;
}

export function isChannelsFirst(attrs: Attrs): boolean {
  return text(attrs, 'data_format') === 'channels_first';
}

/** The first input with its channels last. */
export function channelsLast(call: Call): NDArray {
  const x = call.inputs[0]!.value;
  if (x.rank < 2) refuseCall(call.where, `shape [${x.shape}]`);
  return isChannelsFirst(call.attrs) ? moveAxis(x, 1, x.rank - 1) : x;
}

/** An output with its channels where the data format has them. */
export function inFormat(call: Call, y: NDArray): NDArray {
  return isChannelsFirst(call.attrs) ? moveAxis(y, y.rank - 1, 1) : y;
}

/** The spatial axes of x, whose channels are last, under windows of some sizes. */
export function spatialAxes(call: Call, x: NDArray, sizes: readonly number[], strides: readonly number[]): Axis[] {
  if (x.rank !== sizes.length + 2) refuseCall(call.where, `shape [${x.shape}] for windows of ${sizes.length} axes`);
  const dilations = numbersOrNull(call.attrs, 'dilation') ?? sizes.map(() => 1);
  return sizes.map((window, i) => {
    const [dilation, stride] = [dilations[i]!, strides[i]!];
    if (dilation === undefined || stride === undefined) refuseCall(call.where, `windows of ${sizes.length} axes`);
    return { size: x.shape[i + 1]!, stride, window, dilation, extent: (window - 1) * dilation + 1 };
  });
}

/** Elements before and after each axis (CV-16). */
export function paddings(call: Call, axes: readonly Axis[]): Pair[] {
  const padding = call.attrs.padding as string | readonly Pair[];
  return axes.map(({ size, stride, extent }, i) => {
    if (padding === 'valid') return [0, 0];
    if (padding === 'causal') return [extent - 1, 0];
    if (padding === 'same') {
      const whole = Math.max((Math.ceil(size / stride) - 1) * stride + extent - size, 0);
      return [Math.floor(whole / 2), whole - Math.floor(whole / 2)];
    }
    const pair = (padding as readonly Pair[])[i];
    return pair ?? refuseCall(call.where, `padding of another number of axes than ${axes.length}`);
  });
}

/** x with elements of one value before and after its axes. */
export function padded(x: NDArray, pairs: readonly Pair[], value: number): NDArray {
  if (pairs.every(([before, after]) => before === 0 && after === 0)) return x;
  const shape = x.shape.map((size, axis) => size + pairs[axis]![0] + pairs[axis]![1]);
  const data = allocate(shape).fill(value);
  const strides = stridesOf(shape);
  const offset = pairs.reduce((sum, [before], axis) => sum + before * strides[axis]!, 0);
  const own = stridesOf(x.shape);
  for (let i = 0; i < x.size; i++) {
    let place = offset;
    for (let axis = 0; axis < shape.length; axis++)
      place += (Math.floor(i / own[axis]!) % x.shape[axis]!) * strides[axis]!;
    data[place] = x.data[i]!;
  }
  return x.like(shape, data);
}

/** How many windows begin and end within each padded axis; one that has no room for any is refused (CV-45). */
export function windowCounts(call: Call, axes: readonly Axis[], pairs: readonly Pair[]): number[] {
  return axes.map(({ size, stride, extent }, i) => {
    const whole = size + pairs[i]![0] + pairs[i]![1];
    if (whole < extent) refuseCall(call.where, `a window of ${extent} over ${whole} elements`);
    return Math.floor((whole - extent) / stride) + 1;
  });
}

/** Every place within a window, as a vector over the spatial axes. */
export function* placesIn(sizes: readonly number[]): Generator<number[]> {
  const strides = stridesOf(sizes);
  const count = sizeOf(sizes);
  for (let i = 0; i < count; i++) yield sizes.map((size, axis) => Math.floor(i / strides[axis]!) % size);
}

/** The elements at one place of all windows: [batch, windows…, channels]. */
export function atPlace(
  x: NDArray,
  axes: readonly Axis[],
  counts: readonly number[],
  place: readonly number[],
): NDArray {
  const strides = stridesOf(x.shape);
  const shape = [x.shape[0]!, ...counts, x.shape[x.rank - 1]!];
  const steps = strides.map((stride, axis) => stride * (axes[axis - 1]?.stride ?? 1));
  const offset = place.reduce((sum, k, i) => sum + k * axes[i]!.dilation * strides[i + 1]!, 0);
  return view(x, shape, steps, offset);
}
