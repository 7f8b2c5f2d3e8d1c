// What an op of this package gets, and small help that several families share.

import type { T, TensorFlow } from '../tensorflow.js';

/** Attributes in camel case, as TensorFlow.js gives them to a layer. */
export type Attrs = Record<string, unknown>;

/** One call of an op. */
export interface Call {
  readonly tf: TensorFlow;
  /** The tensors in the order of the vocabulary; an absent one is a hole. */
  readonly inputs: T[];
  readonly attrs: Attrs;
  /** The variables by their roles, in snake case. */
  readonly params: Record<string, T>;
  readonly training: boolean;
  /** Tensors and constants that are given by name. */
  readonly named: Record<string, T | undefined>;
}

export type Ops = Record<string, (call: Call) => T | T[]>;

export function integers(value: unknown): number[] {
  return value as number[];
}

/** An axis counted from 0. */
export function axisOf(axis: unknown, rank: number): number {
  return ((axis as number) + rank) % rank;
}

/** Axes counted from 0; null stands for all. */
export function axesOf(axes: unknown, rank: number): number[] {
  if (axes == null) return Array.from({ length: rank }, (_, at) => at);
  return (Array.isArray(axes) ? axes : [axes]).map((axis) => axisOf(axis, rank));
}

/** A variable that lies along some axes of a tensor, in a shape that is broadcast to it. */
export function along(tf: TensorFlow, variable: T, x: T, axes: number[]): T {
  return tf.reshape(
    variable,
    x.shape.map((size, at) => (axes.includes(at) ? size : 1)),
  );
}

/** Sizes for each spatial axis; null is 1 for each. */
export function sizes(value: unknown, axes: number, fallback = 1): number[] {
  if (value == null) return new Array(axes).fill(fallback);
  return Array.isArray(value) ? (value as number[]) : new Array(axes).fill(value as number);
}

/** Work on a tensor with its channels last, whatever its format is. */
export function channelsLast(tf: TensorFlow, x: T, format: unknown, work: (x: T) => T): T {
  if (format !== 'channelsFirst') return work(x);
  const toLast = [0, ...Array.from({ length: x.rank - 2 }, (_, at) => at + 2), 1];
  const y = work(tf.transpose(x, toLast));
  const toFirst = [0, y.rank - 1, ...Array.from({ length: y.rank - 2 }, (_, at) => at + 1)];
  return tf.transpose(y, toFirst);
}

/** How many elements stand before and after each spatial axis (CV-16). */
export function paddingOf(
  padding: unknown,
  shape: number[],
  window: number[],
  strides: number[],
  dilation: number[],
): number[][] {
  return shape.map((n, at) => {
    if (Array.isArray(padding)) return padding[at] as number[];
    const extent = (window[at]! - 1) * dilation[at]! + 1;
    if (padding === 'causal') return [extent - 1, 0];
    if (padding !== 'same') return [0, 0];
    const total = Math.max((Math.ceil(n / strides[at]!) - 1) * strides[at]! + extent - n, 0);
    return [Math.floor(total / 2), total - Math.floor(total / 2)];
  });
}
