// What the dtypes of chapter 2.1 can hold, for arrays whose numbers are all in binary64.

import { FLOATS, widthOf } from '../dtypes.js';
import { numberAt, writeFloat } from '../tensors/floats.js';
import { kindOf, map, type NDArray } from './array.js';
import { refuseCall } from './refusals.js';

/** The nearest number of a float dtype, ties to even. */
export function roundTo(dtype: string): (value: number) => number {
  if (dtype === 'float64') return (value) => value;
  if (dtype === 'float32') return Math.fround;
  if (!FLOATS.includes(dtype)) refuseCall('dtype', `${dtype}, with which nothing is computed`);
  const view = new DataView(new ArrayBuffer(2));
  return (value) => {
    writeFloat(dtype, view, 0, value);
    return numberAt(dtype, view, 0);
  };
}

/** The least and the largest integer of a dtype. */
function boundsOf(dtype: string): [number, number] {
  const bits = dtype.endsWith('int4') ? 4 : widthOf(dtype);
  return dtype.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1];
}

/** The nearest values of another dtype (`cast`): towards zero for integers, and true where it is not 0. */
export function castTo(x: NDArray, dtype: string): NDArray {
  if (x.dtype === dtype) return x;
  const kind = kindOf(dtype);
  if (x.kind === 'string' || kind === 'string') refuseCall('cast', `${x.dtype} to ${dtype}`);
  if (kind === 'bool') return map(x, (value) => (value !== 0 ? 1 : 0), dtype);
  if (kind === 'float') return map(x, roundTo(dtype), dtype);
  const [least, most] = boundsOf(dtype);
  return map(x, (value) => (Number.isNaN(value) ? 0 : Math.min(Math.max(Math.trunc(value), least), most)), dtype);
}
