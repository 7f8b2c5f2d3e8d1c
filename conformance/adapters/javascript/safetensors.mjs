// Data parts (SPEC.md chapter 11).

import { createHash } from 'node:crypto';

import { SAFETENSORS_WIDTHS, count } from './dtypes.mjs';
import { Refusal, refuse, show } from './errors.mjs';
import { decode } from './json.mjs';
import { isNatural } from './names.mjs';

const HEADER_LIMIT = 100_000_000;
const ALIGNMENT = 64;

/** `algorithm:hex` of some bytes (H-1, H-2). */
export function digestOf(data) {
  return digestOfPieces((sink) => sink(data));
}

/** The same of bytes that come in pieces: `source` gives them to the function that it is called with. */
export function digestOfPieces(source) {
  const hash = createHash('sha256');
  source((piece) => hash.update(piece));
  return `sha256:${hash.digest('hex')}`;
}

/**
 * The tensors of a data part: a Map from name to {dtype, shape, offset, size}, offset from the part's first byte.
 *
 * `header` is what the manifest says of the bytes up to the data section.
 */
export function readHeader(source, where, header) {
  const start = source.read(0, 8);
  const length = start.length === 8 ? start.readBigUInt64LE(0) : 0n;
  if (start.length < 8 || length > BigInt(Math.min(HEADER_LIMIT, source.size - 8))) {
    refuse('safetensors-header', where, `a header of ${length} bytes in a part of ${source.size}`);
  }
  const section = 8 + Number(length);
  if (header.size !== section) refuse('digest-mismatch', where, `a header of ${section} bytes, where the manifest has ${header.size}`);
  const bytes = source.read(0, section);
  if (digestOf(bytes) !== header.digest) refuse('digest-mismatch', where, 'changed bytes in the header');
  const tensors = checkEntries(decodeHeader(bytes.subarray(8), where), where);
  checkLayout(tensors, source.size - section, where);
  for (const tensor of tensors.values()) tensor.offset += section;
  return tensors;
}

function decodeHeader(bytes, where) {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0x20) end -= 1;
  const spaces = bytes.length - end;
  if (spaces >= ALIGNMENT || (8 + bytes.length) % ALIGNMENT !== 0) {
    refuse('safetensors-header', where, `${spaces} spaces behind the header`);
  }
  try {
    return decode(bytes.subarray(0, end), where);
  } catch (error) {
    if (error instanceof Refusal) refuse('safetensors-header', error.at, error.message);
    throw error;
  }
}

function checkEntries(header, where) {
  if (header.size === 0) refuse('safetensors-header', where, 'no tensors');
  const tensors = new Map();
  for (const [name, entry] of header) {
    const at = `${where} ${show(name)}`;
    if (name === '__metadata__') refuse('safetensors-header', at, 'metadata');
    if (!(entry instanceof Map) || [...entry.keys()].join() !== 'data_offsets,dtype,shape') {
      refuse('safetensors-header', at, 'other fields than data_offsets, dtype and shape');
    }
    const [dtype, shape, span] = ['dtype', 'shape', 'data_offsets'].map((field) => entry.get(field));
    if (typeof dtype !== 'string') refuse('safetensors-header', at, 'a dtype that is no text');
    if (!SAFETENSORS_WIDTHS.has(dtype)) refuse('safetensors-dtype', at, show(dtype));
    if (!Array.isArray(shape) || !shape.every(isNatural)) refuse('safetensors-header', at, `the shape ${show(shape)}`);
    if (!Array.isArray(span) || span.length !== 2 || !span.every(isNatural)) {
      refuse('safetensors-header', at, `the offsets ${show(span)}`);
    }
    tensors.set(name, { dtype, shape, offset: span[0], size: span[1] - span[0] });
  }
  return tensors;
}

function checkLayout(tensors, sectionSize, where) {
  const inOrder = [...tensors].sort(([a, { dtype: ofA }], [b, { dtype: ofB }]) =>
    SAFETENSORS_WIDTHS.get(ofB) - SAFETENSORS_WIDTHS.get(ofA) || Buffer.compare(Buffer.from(a), Buffer.from(b)));
  let place = 0;
  for (const [name, { dtype, shape, offset, size }] of inOrder) {
    // A product that is too large for a number to hold exactly is also larger than any span.
    const needed = count(shape) * SAFETENSORS_WIDTHS.get(dtype);
    if (size !== needed) refuse('safetensors-layout', `${where} ${show(name)}`, `${size} bytes for ${dtype} ${show(shape)}`);
    if (offset !== place) refuse('safetensors-layout', `${where} ${show(name)}`, `begins at ${offset} instead of ${place}`);
    place += size;
  }
  if (place !== sectionSize) refuse('safetensors-layout', where, `${sectionSize} bytes of data for tensors of ${place}`);
}
