// Elements as JavaScript has them.

import { textOf, viewOf } from '../bytes.js';
import { widthOf } from '../dtypes.js';
import { refuse } from '../errors.js';
import { tableOf } from './floats.js';

/** Elements of a tensor in row-major order. Complex ones take two places each; strings are texts, or bytes. */
export type Values =
  | Float32Array
  | Float64Array
  | Int8Array
  | Int16Array
  | Int32Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array
  | string[]
  | Uint8Array[];

const ARRAYS = {
  bool: Uint8Array,
  int4: Int8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint4: Uint8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float32: Float32Array,
  float64: Float64Array,
  complex64: Float32Array,
  complex128: Float64Array,
} as const;

const littleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** The elements of a tensor of numbers from its bytes. float16, bfloat16 and float8 become float32, which is exact. */
export function valuesOf(dtype: string, bytes: Uint8Array): Values {
  if (Object.hasOwn(ARRAYS, dtype)) {
    const type = ARRAYS[dtype as keyof typeof ARRAYS];
    // A copy of its own: the bytes may be a part of something larger, at an odd place.
    return new type(ordered(bytes, type.BYTES_PER_ELEMENT).buffer as ArrayBuffer);
  }
  const table = tableOf(dtype);
  const wide = widthOf(dtype) === 16;
  const values = new Float32Array(wide ? bytes.length / 2 : bytes.length);
  const view = viewOf(bytes);
  for (let i = 0; i < values.length; i += 1) {
    values[i] = table[wide ? view.getUint16(2 * i, true) : (bytes[i] as number)] as number;
  }
  return values;
}

function ordered(bytes: Uint8Array, width: number): Uint8Array {
  const copy = bytes.slice();
  if (!littleEndian && width > 1) {
    for (let place = 0; place < copy.length; place += width) copy.subarray(place, place + width).reverse();
  }
  return copy;
}

/** The text of an element of the dtype `string`. */
export function textOfElement(bytes: Uint8Array, where: string): string {
  return textOf(bytes) ?? refuse('encoding-content', where, 'a string that is not UTF-8');
}
