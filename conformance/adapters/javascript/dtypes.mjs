// The data types of SPEC.md chapter 2.1, and the arithmetic that dequantization needs.

import { refuse, show } from './errors.mjs';
import { isNatural } from './names.mjs';

/** dtype -> width in bits (0: variable) and the dtype of safetensors (null: needs an encoding). */
export const DTYPES = new Map([
  ['bool', [8, 'BOOL']],
  ['int8', [8, 'I8']], ['int16', [16, 'I16']], ['int32', [32, 'I32']], ['int64', [64, 'I64']],
  ['uint8', [8, 'U8']], ['uint16', [16, 'U16']], ['uint32', [32, 'U32']], ['uint64', [64, 'U64']],
  ['float16', [16, 'F16']], ['float32', [32, 'F32']], ['float64', [64, 'F64']], ['bfloat16', [16, 'BF16']],
  ['float8_e4m3fn', [8, 'F8_E4M3']], ['float8_e5m2', [8, 'F8_E5M2']], ['float8_e8m0fnu', [8, 'F8_E8M0']],
  ['complex64', [64, null]], ['complex128', [128, null]],
  ['int4', [4, null]], ['uint4', [4, null]],
  ['string', [0, null]], ['bytes', [0, null]],
]);

/** dtype of safetensors -> width in bytes. */
export const SAFETENSORS_WIDTHS = new Map(
  [...DTYPES.values()].filter(([, name]) => name !== null).map(([bits, name]) => [name, bits / 8]),
);

export const FLOATS = [...DTYPES.keys()].filter((name) => /float/.test(name));
export const INTEGERS = [...DTYPES.keys()].filter((name) => /^u?int(?:8|16|32|64)$/.test(name));

const RANK_LIMIT = 32;
const TENSOR_LIMIT = 2 ** 48;

/** Refuses what is no dtype (D-7). */
export function checkDtype(dtype, at) {
  if (!DTYPES.has(dtype)) refuse('dtype-unknown', at, show(dtype));
}

/** Refuses what is no shape (D-10) or one of too many dimensions (chapter 19). */
export function checkShape(shape, at) {
  if (!Array.isArray(shape) || !shape.every(isNatural)) refuse('shape-form', at, show(shape));
  if (shape.length > RANK_LIMIT) refuse('limit-rank', at, `${shape.length} dimensions`);
}

/** Refuses a tensor of more bytes than chapter 19 allows; a zero dimension hides no other, and a string is a byte at least. */
export function checkTensorSize(dtype, shape, at) {
  const bits = DTYPES.get(dtype)[0] || 8;
  let size = 1;
  for (const dimension of shape) {
    size *= dimension || 1;
    // Below the limit every product is exact, so that no check can be missed by rounding.
    if (size * bits > TENSOR_LIMIT * 8) refuse('limit-tensor', at, show(shape));
  }
}

/** How many elements a shape has. Only for shapes that checkTensorSize let pass. */
export function count(shape) {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

// Sign, exponent and fraction of the small floats. A format without infinity gives NaN for what is too large.
const SMALL = {
  float16: { exponent: 5, fraction: 10, infinity: true },
  bfloat16: { exponent: 8, fraction: 7, infinity: true },
  float8_e5m2: { exponent: 5, fraction: 2, infinity: true },
  float8_e4m3fn: { exponent: 4, fraction: 3, infinity: false },
};

/** Element i of a tensor of numbers, as binary64. */
export function numberAt(dtype, data, i) {
  switch (dtype) {
    case 'float64': return data.readDoubleLE(8 * i);
    case 'float32': return data.readFloatLE(4 * i);
    case 'float16': case 'bfloat16': return smallFloat(SMALL[dtype], data.readUInt16LE(2 * i));
    case 'float8_e5m2': case 'float8_e4m3fn': return smallFloat(SMALL[dtype], data[i]);
    case 'float8_e8m0fnu': return data[i] === 255 ? NaN : 2 ** (data[i] - 127);
    case 'int64': return Number(data.readBigInt64LE(8 * i));
    case 'uint64': return Number(data.readBigUInt64LE(8 * i));
    case 'int32': return data.readInt32LE(4 * i);
    case 'uint32': return data.readUInt32LE(4 * i);
    case 'int16': return data.readInt16LE(2 * i);
    case 'uint16': return data.readUInt16LE(2 * i);
    case 'int8': return data.readInt8(i);
    case 'uint8': return data[i];
    case 'int4': return data.readInt8(i) << 28 >> 28;
    case 'uint4': return data[i];
    default: throw new TypeError(`${dtype} has no numbers`);
  }
}

/** Writes a binary64 value as element i of a float tensor, rounded once, ties to even. */
export function writeFloat(dtype, data, i, value) {
  if (dtype === 'float64') data.writeDoubleLE(value, 8 * i);
  else if (dtype === 'float32') data.writeFloatLE(value, 4 * i);
  else if (dtype === 'float8_e8m0fnu') data[i] = powerOfTwoBits(value);
  else if (DTYPES.get(dtype)[0] === 16) data.writeUInt16LE(smallBits(SMALL[dtype], value), 2 * i);
  else data[i] = smallBits(SMALL[dtype], value);
}

function smallFloat({ exponent, fraction, infinity }, bits) {
  const sign = bits >> (exponent + fraction) ? -1 : 1;
  const power = (bits >> fraction) & ((1 << exponent) - 1);
  const digits = bits & ((1 << fraction) - 1);
  const largest = (1 << exponent) - 1;
  const bias = (1 << (exponent - 1)) - 1;
  if (infinity && power === largest) return digits ? NaN : sign * Infinity;
  if (!infinity && power === largest && digits === (1 << fraction) - 1) return NaN;
  if (power === 0) return sign * digits * 2 ** (1 - bias - fraction);
  return sign * (1 + digits * 2 ** -fraction) * 2 ** (power - bias);
}

function smallBits({ exponent, fraction, infinity }, value) {
  const sign = value < 0 || Object.is(value, -0) ? 1 << (exponent + fraction) : 0;
  const bias = (1 << (exponent - 1)) - 1;
  const nan = infinity ? (((1 << exponent) - 1) << fraction) | (1 << (fraction - 1)) : (1 << (exponent + fraction)) - 1;
  if (Number.isNaN(value)) return nan;
  const largest = infinity ? ((1 << exponent) - 1) << fraction : nan; // the bits of everything that is too large
  const size = Math.abs(value);
  if (size === Infinity) return sign | largest;
  const power = Math.max(exponentOf(size), 1 - bias);
  // In units of the last place; a carry out of the fraction runs into the exponent, as it should.
  const units = roundEven(size / 2 ** (power - fraction));
  const bits = units + ((power + bias - 1) << fraction);
  return sign | Math.min(bits, largest);
}

/** Powers of two have neither zero nor sign: NaN stands for both. Half way between two, the even code is taken. */
function powerOfTwoBits(value) {
  // Next below 2^-127 lies zero, which what is half way between them is rounded to.
  if (!(value > 2 ** -128) || value === Infinity) return 255;
  const power = exponentOf(value);
  const code = power + 127;
  const ratio = value / 2 ** power;
  const nearest = ratio > 1.5 || (ratio === 1.5 && code % 2 !== 0) ? code + 1 : code;
  return Math.min(Math.max(nearest, 0), 255);
}

function exponentOf(size) {
  if (size === 0) return -1074;
  let power = Math.floor(Math.log2(size));
  while (2 ** power > size) power -= 1;
  while (2 ** (power + 1) <= size) power += 1;
  return power;
}

function roundEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
