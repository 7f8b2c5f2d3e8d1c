// Numbers of the small floats, and the rounding that dequantization needs (SPEC.md W-21).

import { widthOf } from '../dtypes.js';

interface Format {
  readonly exponent: number;
  readonly fraction: number;
  /** A format without infinity gives NaN for what is too large. */
  readonly infinity: boolean;
}

const SMALL: Readonly<Record<string, Format>> = {
  float16: { exponent: 5, fraction: 10, infinity: true },
  bfloat16: { exponent: 8, fraction: 7, infinity: true },
  float8_e5m2: { exponent: 5, fraction: 2, infinity: true },
  float8_e4m3fn: { exponent: 4, fraction: 3, infinity: false },
};

/** Element i of a tensor of numbers, as binary64. */
export function numberAt(dtype: string, view: DataView, i: number): number {
  switch (dtype) {
    case 'float64':
      return view.getFloat64(8 * i, true);
    case 'float32':
      return view.getFloat32(4 * i, true);
    case 'int64':
      return Number(view.getBigInt64(8 * i, true));
    case 'uint64':
      return Number(view.getBigUint64(8 * i, true));
    case 'int32':
      return view.getInt32(4 * i, true);
    case 'uint32':
      return view.getUint32(4 * i, true);
    case 'int16':
      return view.getInt16(2 * i, true);
    case 'uint16':
      return view.getUint16(2 * i, true);
    case 'int8':
    case 'int4':
      return view.getInt8(i);
    case 'uint8':
    case 'uint4':
    case 'bool':
      return view.getUint8(i);
    case 'float8_e8m0fnu': {
      const code = view.getUint8(i);
      return code === 255 ? Number.NaN : 2 ** (code - 127);
    }
    default:
      return smallFloat(SMALL[dtype] as Format, widthOf(dtype) === 16 ? view.getUint16(2 * i, true) : view.getUint8(i));
  }
}

/** Writes a binary64 value as element i of a float tensor, rounded once, ties to even. */
export function writeFloat(dtype: string, view: DataView, i: number, value: number): void {
  if (dtype === 'float64') view.setFloat64(8 * i, value, true);
  else if (dtype === 'float32') view.setFloat32(4 * i, value, true);
  else if (dtype === 'float8_e8m0fnu') view.setUint8(i, powerOfTwoBits(value));
  else if (widthOf(dtype) === 16) view.setUint16(2 * i, smallBits(SMALL[dtype] as Format, value), true);
  else view.setUint8(i, smallBits(SMALL[dtype] as Format, value));
}

/** Float32 of every code of a float of 8 or 16 bits: each is exact. */
export function tableOf(dtype: string): Float32Array {
  const known = TABLES.get(dtype);
  if (known !== undefined) return known;
  const bits = widthOf(dtype);
  const table = new Float32Array(2 ** bits);
  const code = new DataView(new ArrayBuffer(2));
  for (let i = 0; i < table.length; i += 1) {
    code.setUint16(0, i, true);
    table[i] = numberAt(dtype, code, 0);
  }
  TABLES.set(dtype, table);
  return table;
}

const TABLES = new Map<string, Float32Array>();

function smallFloat({ exponent, fraction, infinity }: Format, bits: number): number {
  const sign = bits >> (exponent + fraction) ? -1 : 1;
  const power = (bits >> fraction) & ((1 << exponent) - 1);
  const digits = bits & ((1 << fraction) - 1);
  const largest = (1 << exponent) - 1;
  const bias = (1 << (exponent - 1)) - 1;
  if (infinity && power === largest) return digits ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  if (!infinity && power === largest && digits === (1 << fraction) - 1) return Number.NaN;
  if (power === 0) return sign * digits * 2 ** (1 - bias - fraction);
  return sign * (1 + digits * 2 ** -fraction) * 2 ** (power - bias);
}

function smallBits({ exponent, fraction, infinity }: Format, value: number): number {
  const sign = value < 0 || Object.is(value, -0) ? 1 << (exponent + fraction) : 0;
  const bias = (1 << (exponent - 1)) - 1;
  const nan = infinity ? (((1 << exponent) - 1) << fraction) | (1 << (fraction - 1)) : (1 << (exponent + fraction)) - 1;
  if (Number.isNaN(value)) return nan;
  const largest = infinity ? ((1 << exponent) - 1) << fraction : nan; // the bits of everything that is too large
  const size = Math.abs(value);
  if (size === Number.POSITIVE_INFINITY) return sign | largest;
  const power = Math.max(exponentOf(size), 1 - bias);
  // In units of the last place; a carry out of the fraction runs into the exponent, as it should.
  const units = roundEven(size / 2 ** (power - fraction));
  const bits = units + ((power + bias - 1) << fraction);
  return sign | Math.min(bits, largest);
}

/** Powers of two have neither zero nor sign: NaN stands for both. Half way between two, the even code is taken. */
function powerOfTwoBits(value: number): number {
  // Next below 2^-127 lies zero, which what is half way between them is rounded to.
  if (!(value > 2 ** -128) || value === Number.POSITIVE_INFINITY) return 255;
  const power = exponentOf(value);
  const code = power + 127;
  const ratio = value / 2 ** power;
  const nearest = ratio > 1.5 || (ratio === 1.5 && code % 2 !== 0) ? code + 1 : code;
  return Math.min(Math.max(nearest, 0), 255);
}

function exponentOf(size: number): number {
  if (size === 0) return -1074;
  let power = Math.floor(Math.log2(size));
  while (2 ** power > size) power -= 1;
  while (2 ** (power + 1) <= size) power += 1;
  return power;
}

function roundEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
