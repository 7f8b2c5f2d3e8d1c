// The elements of tensors (SPEC.md chapters 11 and 12): boxes of them, each verified before it is handed out.

import { textOf, viewOf } from '../bytes.js';
import type { Chunk, EncodedEntry, Entry, PlainEntry } from '../documents/entries.js';
import { isNatural } from '../documents/names.js';
import { count, DTYPES, type Dtype, widthOf } from '../dtypes.js';
import { refuse, show } from '../errors.js';
import type { StoredTensor } from '../storage/safetensors.js';
import { copyBox, linear, placesOf, type Ranges, spanOf } from './boxes.js';
import { numberAt, writeFloat } from './floats.js';

/** What a reader of tensors takes from the artifact. */
export interface Data {
  /** The place of a chunk's tensor, after W-4, W-9 and W-10 were checked. */
  find(name: string, entry: PlainEntry, chunk: Chunk): Promise<StoredTensor>;
  /** Bytes of a data part. */
  bytes(part: string, offset: number, size: number): Promise<Uint8Array>;
  /** Whether bytes have the digest that they must have. */
  accepts(bytes: Uint8Array, digest: string): Promise<boolean>;
}

/** A tensor as it was read: logical elements, row-major, little-endian; those of strings one by one. */
export interface Elements {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data: Uint8Array | null;
  readonly strings: readonly Uint8Array[] | null;
}

/** The whole of a tensor as a box. */
export function wholeOf(shape: readonly number[]): Ranges {
  return shape.map((size) => [0, size] as const);
}

/** Reads a box of a tensor; all of it where `box` is null. */
export async function readTensor(data: Data, name: string, entry: Entry, box: Ranges | null = null): Promise<Elements> {
  const place = box ?? wholeOf(entry.shape);
  const fits =
    place.length === entry.shape.length &&
    place.every(([from, to], i) => isNatural(from) && isNatural(to) && from <= to && to <= (entry.shape[i] as number));
  if (!fits) refuse('argument', name, `${show(place)}, which is no box of ${show(entry.shape)}`);
  const shape = place.map(([from, to]) => to - from);
  const head = { dtype: entry.dtype, shape };
  if (entry.encoding === 'string') {
    return { ...head, data: null, strings: await readStrings(data, name, entry, place) };
  }
  return { ...head, data: await readNumbers(data, name, entry, place), strings: null };
}

function readNumbers(data: Data, name: string, entry: Entry, box: Ranges): Promise<Uint8Array> {
  if (entry.encoding === null) return readPlain(data, name, entry, box);
  if (entry.encoding === 'complex') return readPlain(data, `${name}#parts`, plain(entry, 'parts'), [...box, [0, 2]]);
  return entry.encoding === 'packed4' ? readNibbles(data, name, entry, box) : dequantize(data, name, entry, box);
}

function plain(entry: EncodedEntry, component: string): PlainEntry {
  return entry.components.get(component) as PlainEntry;
}

/** Bytes of a box of a plain tensor, from those chunks that meet it (W-13). */
async function readPlain(data: Data, name: string, entry: PlainEntry, box: Ranges): Promise<Uint8Array> {
  const bytes = await gather(data, name, entry, box);
  if (entry.dtype === 'bool') {
    const wrong = bytes.find((byte) => byte > 1);
    if (wrong !== undefined) refuse('bool-value', name, `the byte ${wrong}`);
  }
  return bytes;
}

async function gather(data: Data, name: string, entry: PlainEntry, box: Ranges): Promise<Uint8Array> {
  const shape = box.map(([from, to]) => to - from);
  const [only] = entry.chunks as readonly [Chunk];
  if (entry.chunks.length === 1) {
    const bytes = await readChunk(data, name, entry, only);
    if (shape.every((size, i) => size === entry.shape[i])) return bytes;
    return cut(bytes, only, box, shape, widthOf(entry.dtype) / 8);
  }
  const meeting: [Chunk, Ranges][] = [];
  for (const chunk of entry.chunks) {
    const common = box.map(([from, to], i): [number, number] => {
      const start = chunk.offset[i] as number;
      return [Math.max(from, start), Math.min(to, start + (chunk.shape[i] as number))];
    });
    if (common.some(([from, to]) => from >= to)) continue;
    // Memory is taken when all that it is for is known to be there.
    await data.find(name, entry, chunk);
    meeting.push([chunk, common]);
  }
  const width = widthOf(entry.dtype) / 8;
  const target = { offset: box.map(([from]) => from), shape, data: new Uint8Array(count(shape) * width) };
  for (const [chunk, common] of meeting) {
    const source = { offset: chunk.offset, shape: chunk.shape, data: await readChunk(data, name, entry, chunk) };
    copyBox(source, target, common, width);
  }
  return target.data;
}

function cut(bytes: Uint8Array, chunk: Chunk, box: Ranges, shape: readonly number[], width: number): Uint8Array {
  const target = { offset: box.map(([from]) => from), shape, data: new Uint8Array(count(shape) * width) };
  if (target.data.length > 0) copyBox({ offset: chunk.offset, shape: chunk.shape, data: bytes }, target, box, width);
  return target.data;
}

async function readChunk(data: Data, name: string, entry: PlainEntry, chunk: Chunk): Promise<Uint8Array> {
  const { offset, size } = await data.find(name, entry, chunk);
  const bytes = await data.bytes(chunk.part, offset, size);
  if (bytes.length !== size || !(await data.accepts(bytes, chunk.digest))) {
    refuse('digest-mismatch', `${chunk.part} ${show(chunk.tensor)}`, 'changed bytes');
  }
  return bytes;
}

/** Refuses a chunk that names no tensor of its dtype and shape (W-4, W-9, W-10); gives the tensor's place. */
export function findTensor(
  header: ReadonlyMap<string, StoredTensor>,
  name: string,
  { dtype }: PlainEntry,
  chunk: Chunk,
): StoredTensor {
  const at = `${chunk.part} ${show(chunk.tensor)}`;
  const tensor = header.get(chunk.tensor);
  if (tensor === undefined) refuse('reference-missing', at, `no such tensor, which ${show(name)} needs`);
  if (tensor.dtype !== (DTYPES.get(dtype) as Dtype).safetensors) {
    refuse('chunk-mismatch', at, `${tensor.dtype} for ${dtype}`);
  }
  const same = tensor.shape.length === chunk.shape.length && tensor.shape.every((size, i) => size === chunk.shape[i]);
  if (!same) refuse('chunk-mismatch', at, `${show(tensor.shape)} for ${show(chunk.shape)}`);
  return tensor;
}

/** One byte an element, of which the artifact has two in each byte. */
async function readNibbles(data: Data, name: string, entry: EncodedEntry, box: Ranges): Promise<Uint8Array> {
  const { from, to } = spanOf(entry.shape, box);
  const first = Math.floor(from / 2);
  const packed = await readPlain(data, `${name}#nibbles`, plain(entry, 'nibbles'), [[first, Math.ceil(to / 2)]]);
  const total = count(entry.shape);
  if (to === total && total % 2 === 1 && from < to && (packed.at(-1) as number) > 0x0f) {
    refuse('encoding-content', name, 'the unused half of the last byte is not zero');
  }
  const result = new Uint8Array(count(box.map(([start, stop]) => stop - start)));
  const signed = entry.dtype === 'int4';
  const contiguous = result.length === to - from;
  let k = 0;
  const put = (i: number): void => {
    const half = ((packed[(i >> 1) - first] as number) >> (i % 2 ? 4 : 0)) & 0x0f;
    result[k] = signed ? (half << 28) >> 28 : half;
    k += 1;
  };
  if (contiguous) for (let i = from; i < to; i += 1) put(i);
  else for (const place of placesOf(box)) put(linear(place, entry.shape));
  return result;
}

async function readStrings(data: Data, name: string, entry: EncodedEntry, box: Ranges): Promise<Uint8Array[]> {
  const [offsets, texts] = [plain(entry, 'offsets'), plain(entry, 'data')];
  const view = viewOf(await readPlain(data, `${name}#offsets`, offsets, wholeOf(offsets.shape)));
  const places = Array.from({ length: offsets.shape[0] as number }, (_, i) => Number(view.getBigUint64(8 * i, true)));
  const falls = places.some((place, i) => i > 0 && place < (places[i - 1] as number));
  if (falls || places[0] !== 0 || places.at(-1) !== texts.shape[0]) {
    refuse('encoding-content', name, 'offsets that fall, or do not go from 0 to the end of the data');
  }
  const { from, to } = spanOf(entry.shape, box);
  const start = places[from] as number;
  const bytes = await readPlain(data, `${name}#data`, texts, [[start, places[to] as number]]);
  return Array.from(placesOf(box), (place) => {
    const i = linear(place, entry.shape);
    const text = bytes.subarray((places[i] as number) - start, (places[i + 1] as number) - start);
    if (entry.dtype === 'string' && textOf(text) === null)
      refuse('encoding-content', name, 'a string that is not UTF-8');
    return text;
  });
}

/** (values - zero_point) × scale in binary64, rounded once (W-21). */
async function dequantize(data: Data, name: string, entry: EncodedEntry, box: Ranges): Promise<Uint8Array> {
  const [values, scale] = [entry.components.get('values') as Entry, entry.components.get('scale') as Entry];
  const zero = entry.components.get('zero_point');
  const length = count(box.map(([from, to]) => to - from));
  if (length === 0) return new Uint8Array(0);
  const ratios = entry.shape.map((size, i) => size / (scale.shape[i] as number));
  const blocks = box.map(([from, to], i): [number, number] => {
    const ratio = ratios[i] as number;
    return [Math.floor(from / ratio), Math.ceil(to / ratio)];
  });
  const extent = blocks.map(([from, to]) => to - from);
  const integers = viewOf(await readNumbers(data, `${name}#values`, values, box));
  const scales = viewOf(await readNumbers(data, `${name}#scale`, scale, blocks));
  const zeros = zero && viewOf(await readNumbers(data, `${name}#zero_point`, zero, blocks));
  const result = new Uint8Array(length * (widthOf(entry.dtype) / 8));
  const target = viewOf(result);
  let i = 0;
  for (const place of placesOf(box)) {
    let b = 0;
    for (let d = 0; d < extent.length; d += 1) {
      b =
        b * (extent[d] as number) +
        Math.floor((place[d] as number) / (ratios[d] as number)) -
        (blocks[d] as number[])[0]!;
    }
    const shifted = numberAt(values.dtype, integers, i) - (zero && zeros ? numberAt(zero.dtype, zeros, b) : 0);
    writeFloat(entry.dtype, target, i, shifted * numberAt(scale.dtype, scales, b));
    i += 1;
  }
  return result;
}
