// Arrays of the evaluator from and to tensors: their stored elements, and what JavaScript has for them.

import { textOf, utf8, viewOf } from '../bytes.js';
import { FLOATS, INTEGERS, widthOf } from '../dtypes.js';
import { numberAt, writeFloat } from '../tensors/floats.js';
import type { Elements } from '../tensors/reader.js';
import { type Values, valuesOf } from '../tensors/values.js';
import { NDArray, type Shape, sizeOf } from './array.js';
import { refuseCall } from './refusals.js';

/** A tensor as JavaScript has it: `data` is of the type that `Tensor.values()` gives for the dtype. */
export interface TensorValues {
  readonly dtype: string;
  readonly shape: Shape;
  readonly data: Values;
}

/** What may be given for a tensor: one with its dtype and shape, or numbers, texts or booleans, nested as the axes are. */
export type TensorInput =
  | { readonly dtype: string; readonly shape: Shape; readonly data: ArrayLike<number | bigint | boolean | string> }
  | Nested;

/** Numbers, truths or texts, nested as the axes are. */
export type Nested = number | bigint | boolean | string | readonly Nested[];

const COMPUTED = new Set(['bool', 'int4', 'uint4', ...INTEGERS, ...FLOATS]);

/** Whether there is arithmetic for a dtype. */
export const isComputable = (dtype: string): boolean => COMPUTED.has(dtype) || dtype === 'string';

/** The array of a tensor's elements as they are stored. */
export function arrayOf({ dtype, shape, data, strings }: Elements): NDArray {
  if (dtype === 'string' && strings !== null) {
    return texts(
      shape,
      strings.map((each) => textOf(each) ?? refuseCall('string', 'bytes that are no UTF-8')),
    );
  }
  if (!COMPUTED.has(dtype)) refuseCall('dtype', `${dtype}, with which nothing is computed`);
  const bytes = data ?? new Uint8Array();
  const size = sizeOf(shape);
  if (bytes.length !== size * byteWidth(dtype)) refuseCall(`shape [${shape}]`, `${bytes.length} bytes of ${dtype}`);
  const view = viewOf(bytes);
  const values = Float64Array.from({ length: size }, (_, i) => numberAt(dtype, view, i));
  return checked(new NDArray(shape, values, dtype));
}

/** The elements of an array as they are stored. */
export function elementsOf(x: NDArray): Elements {
  const { dtype, shape, terms } = x;
  if (terms !== null) {
    return { dtype, shape, data: null, strings: Array.from(x.data, (index) => utf8(terms[index]!)) };
  }
  checked(x);
  const bytes = new Uint8Array(x.size * byteWidth(dtype));
  const view = viewOf(bytes);
  const write = WRITERS[dtype] ?? ((place: number, value: number) => writeFloat(dtype, view, place, value));
  for (let i = 0; i < x.size; i++) write.call(view, i, x.data[i]!);
  return { dtype, shape, data: bytes, strings: null };
}

/** How an integer or boolean is written; `this` is the view. */
const WRITERS: Readonly<Record<string, (this: DataView, i: number, value: number) => void>> = {
  bool(i, value) {
    this.setUint8(i, value);
  },
  int4(i, value) {
    this.setInt8(i, value);
  },
  uint4(i, value) {
    this.setUint8(i, value);
  },
  int8(i, value) {
    this.setInt8(i, value);
  },
  uint8(i, value) {
    this.setUint8(i, value);
  },
  int16(i, value) {
    this.setInt16(2 * i, value, true);
  },
  uint16(i, value) {
    this.setUint16(2 * i, value, true);
  },
  int32(i, value) {
    this.setInt32(4 * i, value, true);
  },
  uint32(i, value) {
    this.setUint32(4 * i, value, true);
  },
  int64(i, value) {
    this.setBigInt64(8 * i, BigInt(value), true);
  },
  uint64(i, value) {
    this.setBigUint64(8 * i, BigInt(value), true);
  },
};

const byteWidth = (dtype: string): number => Math.max(widthOf(dtype) / 8, 1);

/** Refuses integers that are none, or that binary64 does not keep apart from their neighbours. */
function checked(x: NDArray): NDArray {
  if (x.kind !== 'integer') return x;
  const bad = x.data.find((value) => !Number.isSafeInteger(value));
  if (bad !== undefined)
    refuseCall(x.dtype, `${bad}: no integer, or one beyond 2^53, which this evaluator does not keep`);
  return x;
}

function texts(shape: Shape, terms: readonly string[]): NDArray {
  return new NDArray(
    shape,
    Float64Array.from(terms, (_, i) => i),
    'string',
    terms,
  );
}

/** An array with what JavaScript has for its elements. */
export function valuesOfArray(x: NDArray): TensorValues {
  const { dtype, shape, data } = elementsOf(x);
  if (data === null) return { dtype, shape, data: Array.from(x.data, (index) => x.terms![index]!) };
  return { dtype, shape, data: valuesOf(dtype, data) };
}

/** The array of what a caller gave. */
export function givenArray(input: TensorInput, where: string): NDArray {
  if (typeof input === 'object' && !Array.isArray(input)) {
    const { dtype, shape, data } = input as Exclude<TensorInput, Nested>;
    if (!isComputable(dtype)) refuseCall(where, `the dtype ${dtype}`);
    const found = flatArray(Array.from(data), shape, where);
    return found.dtype === dtype ? found : checked(found.as(dtype));
  }
  const shape: number[] = [];
  for (let level: unknown = input; Array.isArray(level); level = level[0]) shape.push(level.length);
  return flatArray(flattened(input as Nested, shape, where), shape, where);
}

function flattened(input: Nested, shape: Shape, where: string): (number | bigint | boolean | string)[] {
  if (!Array.isArray(input))
    return shape.length === 0 ? [input as number] : refuseCall(where, 'lists of different depths');
  if (input.length !== shape[0]) refuseCall(where, 'lists of different lengths');
  return (input as readonly Nested[]).flatMap((item) => flattened(item, shape.slice(1), where));
}

/** Elements of one kind: texts, booleans, integers or numbers. */
function flatArray(items: readonly (number | bigint | boolean | string)[], shape: Shape, where: string): NDArray {
  if (items.length !== sizeOf(shape)) refuseCall(where, `${items.length} elements for the shape [${shape}]`);
  const kinds = new Set(items.map((item) => typeof item));
  if (kinds.has('string')) {
    if (kinds.size > 1) refuseCall(where, 'texts among other elements');
    return texts(shape, items as string[]);
  }
  const values = Float64Array.from(items, Number);
  if (kinds.size === 1 && kinds.has('boolean')) return new NDArray(shape, values, 'bool');
  const whole = items.length > 0 && items.every((item) => typeof item === 'bigint' || Number.isInteger(item));
  return whole ? checked(new NDArray(shape, values, 'int64')) : new NDArray(shape, values);
}
