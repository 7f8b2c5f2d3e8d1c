// Data parts (SPEC.md chapter 11).

import { compareUtf8, concat, utf8, viewOf } from '../bytes.js';
import type { Json, JsonMap } from '../canonical/json.js';
import { decodeJson, encodeJson } from '../canonical/json.js';
import { isNatural } from '../documents/names.js';
import { count, SAFETENSORS_WIDTHS } from '../dtypes.js';
import { EtuiError, refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { digestOf } from '../platform.js';
import type { Source } from './source.js';

const ALIGNMENT = 64;

/** A tensor of a data part; its dtype has the name of safetensors, its offset counts from the part's first byte. */
export interface StoredTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly size: number;
}

/** The tensors of a data part by name. `header` is what the manifest says of the bytes up to the data section. */
export async function readHeader(
  source: Source,
  where: string,
  header: { readonly size: number; readonly digest: string },
  limits: Limits,
): Promise<Map<string, StoredTensor>> {
  const start = await source.read(0, 8);
  const length = start.length === 8 ? viewOf(start).getBigUint64(0, true) : 0n;
  if (start.length < 8 || length > BigInt(Math.min(limits.header, source.size - 8))) {
    refuse('safetensors-header', where, `a header of ${length} bytes in a part of ${source.size}`);
  }
  const section = 8 + Number(length);
  if (header.size !== section) {
    refuse('digest-mismatch', where, `a header of ${section} bytes, where the manifest has ${header.size}`);
  }
  const bytes = await source.read(0, section);
  if (bytes.length !== section || (await digestOf(bytes)) !== header.digest) {
    refuse('digest-mismatch', where, 'changed bytes in the header');
  }
  return checkEntries(decodeHeader(bytes.subarray(8), where, limits), where, section, source.size);
}

function decodeHeader(bytes: Uint8Array, where: string, limits: Limits): JsonMap {
  let end = bytes.length;
  while (end > 0 && bytes[end - 1] === 0x20) end -= 1;
  const spaces = bytes.length - end;
  if (spaces >= ALIGNMENT || (8 + bytes.length) % ALIGNMENT !== 0) {
    refuse('safetensors-header', where, `${spaces} spaces behind the header`);
  }
  try {
    return decodeJson(bytes.subarray(0, end), where, limits);
  } catch (error) {
    if (error instanceof EtuiError) refuse('safetensors-header', error.where, error.found);
    throw error;
  }
}

function checkEntries(header: JsonMap, where: string, section: number, end: number): Map<string, StoredTensor> {
  if (header.size === 0) refuse('safetensors-header', where, 'no tensors');
  const read: [string, StoredTensor][] = [];
  for (const [name, entry] of header) {
    const at = (): string => `${where} ${show(name)}`;
    if (name === '__metadata__') refuse('safetensors-header', at(), 'metadata');
    if (!(entry instanceof Map) || [...entry.keys()].join() !== 'data_offsets,dtype,shape') {
      refuse('safetensors-header', at(), 'other fields than data_offsets, dtype and shape');
    }
    read.push([name, readTensor(entry, at)]);
  }
  read.sort(([a, { dtype: ofA }], [b, { dtype: ofB }]) => widthOf(ofB) - widthOf(ofA) || compareUtf8(a, b));
  const tensors = new Map<string, StoredTensor>();
  let place = 0;
  for (const [name, { dtype, shape, offset, size }] of read) {
    const at = (): string => `${where} ${show(name)}`;
    // A product that is too large for a number to hold exactly is also larger than any span.
    if (size !== count(shape) * widthOf(dtype))
      refuse('safetensors-layout', at(), `${size} bytes for ${dtype} ${show(shape)}`);
    if (offset !== place) refuse('safetensors-layout', at(), `begins at ${offset} instead of ${place}`);
    place += size;
    tensors.set(name, { dtype, shape, offset: section + offset, size });
  }
  if (place !== end - section)
    refuse('safetensors-layout', where, `${end - section} bytes of data for tensors of ${place}`);
  return tensors;
}

function readTensor(entry: JsonMap, at: () => string): StoredTensor {
  const [dtype, shape, span] = [entry.get('dtype'), entry.get('shape'), entry.get('data_offsets')];
  if (typeof dtype !== 'string') refuse('safetensors-header', at(), 'a dtype that is no text');
  if (!SAFETENSORS_WIDTHS.has(dtype)) refuse('safetensors-dtype', at(), show(dtype));
  if (!Array.isArray(shape) || !shape.every(isNatural)) refuse('safetensors-header', at(), `the shape ${show(shape)}`);
  if (!Array.isArray(span) || span.length !== 2 || !span.every(isNatural)) {
    refuse('safetensors-header', at(), `the offsets ${show(span)}`);
  }
  const [from, to] = span as [number, number];
  return { dtype, shape, offset: from, size: to - from };
}

function widthOf(dtype: string): number {
  return SAFETENSORS_WIDTHS.get(dtype) as number;
}

/** What a data part is made of: a tensor's name, its dtype in safetensors, its shape and how many bytes it has. */
export interface Piece {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly size: number;
}

/** The order of the tensors in a data section (S-5). */
export function inOrder<P extends Piece>(pieces: readonly P[]): P[] {
  return [...pieces].sort((a, b) => widthOf(b.dtype) - widthOf(a.dtype) || compareUtf8(a.name, b.name));
}

/** The bytes up to the data section, for tensors in their order (S-2). */
export function headerOf(pieces: readonly Piece[]): Uint8Array {
  let place = 0;
  const header: JsonMap = new Map();
  for (const { name, dtype, shape, size } of pieces) {
    const entry = new Map<string, Json>([
      ['data_offsets', [place, place + size]],
      ['dtype', dtype],
      ['shape', [...shape]],
    ]);
    header.set(name, entry);
    place += size;
  }
  const text = encodeJson(header);
  const spaces = utf8(' '.repeat((ALIGNMENT - ((8 + text.length) % ALIGNMENT)) % ALIGNMENT));
  const length = new Uint8Array(8);
  viewOf(length).setBigUint64(0, BigInt(text.length + spaces.length), true);
  return concat([length, text, spaces]);
}
