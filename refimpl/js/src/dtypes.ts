// The data types of SPEC.md chapter 2.1.

import { isNatural } from './documents/names.js';
import { refuse, show } from './errors.js';
import type { Limits } from './limits.js';

/** A dtype: its width in bits (0: variable) and its name in safetensors (null: it needs an encoding). */
export interface Dtype {
  readonly bits: number;
  readonly safetensors: string | null;
}

/** Every dtype by its name. */
export const DTYPES: ReadonlyMap<string, Dtype> = new Map(
  (
    [
      ['bool', 8, 'BOOL'],
      ['int8', 8, 'I8'],
      ['int16', 16, 'I16'],
      ['int32', 32, 'I32'],
      ['int64', 64, 'I64'],
      ['uint8', 8, 'U8'],
      ['uint16', 16, 'U16'],
      ['uint32', 32, 'U32'],
      ['uint64', 64, 'U64'],
      ['float16', 16, 'F16'],
      ['float32', 32, 'F32'],
      ['float64', 64, 'F64'],
      ['bfloat16', 16, 'BF16'],
      ['float8_e4m3fn', 8, 'F8_E4M3'],
      ['float8_e5m2', 8, 'F8_E5M2'],
      ['float8_e8m0fnu', 8, 'F8_E8M0'],
      ['complex64', 64, null],
      ['complex128', 128, null],
      ['int4', 4, null],
      ['uint4', 4, null],
      ['string', 0, null],
      ['bytes', 0, null],
    ] as const
  ).map(([name, bits, safetensors]) => [name, { bits, safetensors }]),
);

/** dtype of safetensors -> width in bytes. */
export const SAFETENSORS_WIDTHS: ReadonlyMap<string, number> = new Map(
  [...DTYPES.values()].flatMap(({ bits, safetensors }) => (safetensors === null ? [] : [[safetensors, bits / 8]])),
);

export const FLOATS: readonly string[] = [...DTYPES.keys()].filter((name) => name.includes('float'));
export const INTEGERS: readonly string[] = [...DTYPES.keys()].filter((name) => /^u?int(?:8|16|32|64)$/.test(name));

/** Refuses what is no dtype (D-7). */
export function checkDtype(dtype: unknown, at: string): asserts dtype is string {
  if (typeof dtype !== 'string' || !DTYPES.has(dtype)) refuse('dtype-unknown', at, show(dtype));
}

/** Refuses what is no shape (D-10) or one of too many dimensions (chapter 19). */
export function checkShape(shape: unknown, at: string, limits: Limits): asserts shape is number[] {
  if (!Array.isArray(shape) || !shape.every(isNatural)) refuse('shape-form', at, show(shape));
  if (shape.length > limits.rank) refuse('limit-rank', at, `${shape.length} dimensions`);
}

/** Refuses a tensor of more bytes than chapter 19 allows; a zero dimension hides no other, and a string counts 8. */
export function checkTensorSize(dtype: string, shape: readonly number[], at: string, limits: Limits): void {
  const bits = widthOf(dtype) || 64;
  let size = 1;
  for (const dimension of shape) {
    size *= dimension || 1;
    // Below the limit every product is exact, so that no check can be missed by rounding.
    if (size * bits > limits.tensor * 8) refuse('limit-tensor', at, show(shape));
  }
  if (size * bits > limits.tensor * 8) refuse('limit-tensor', at, show(shape));
}

/** The width of a dtype in bits. */
export function widthOf(dtype: string): number {
  return (DTYPES.get(dtype) as Dtype).bits;
}

/** How many elements a shape has. Only for shapes that checkTensorSize let pass. */
export function count(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
