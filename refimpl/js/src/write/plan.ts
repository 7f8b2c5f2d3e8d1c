// The tensors of one document, laid out in data parts (SPEC.md chapter 12.4).

import { textOf, utf8Length, viewOf } from '../bytes.js';
import type { Json, JsonMap } from '../canonical/json.js';
import { count, DTYPES, widthOf } from '../dtypes.js';
import { refuse, show } from '../errors.js';
import { LIMITS } from '../limits.js';
import { digestOf } from '../platform.js';
import { headerOf, inOrder, type Piece } from '../storage/safetensors.js';
import type { TensorContent } from './content.js';

/** A piece of a tensor, and what the index says of it. */
interface PlannedPiece extends Piece {
  readonly chunk: JsonMap;
  load(): Promise<Uint8Array>;
}

/** A data part: its header is known, its tensors are loaded one by one. */
export interface PlannedData {
  readonly name: string;
  readonly header: Uint8Array;
  readonly size: number;
  readonly pieces: readonly PlannedPiece[];
}

/** The encodings of the dtypes that have but one. */
const ENCODINGS: Readonly<Record<string, string>> = {
  complex64: 'complex',
  complex128: 'complex',
  int4: 'packed4',
  uint4: 'packed4',
  string: 'string',
  bytes: 'string',
};

/** Where tensors go; `base` names the data parts of the document. */
export class Plan {
  readonly base: string;
  readonly features: Set<string>;
  readonly pieces: PlannedPiece[] = [];

  constructor(base: string, features: Set<string>) {
    this.base = base;
    this.features = features;
  }

  /** What an index says of a tensor: the fields that it had, and where its bytes will be. */
  async entry(name: string, fields: JsonMap, tensor: TensorContent | undefined): Promise<JsonMap> {
    if (tensor === undefined) refuse('reference-missing', name, 'no tensor of this name');
    const shape = fields.get('shape');
    if (tensor.dtype !== fields.get('dtype') || !Array.isArray(shape) || String(tensor.shape) !== String(shape)) {
      refuse('chunk-mismatch', name, `a tensor of ${show(tensor.dtype)} ${show(tensor.shape)}`);
    }
    if (!DTYPES.has(tensor.dtype)) refuse('dtype-unknown', name, show(tensor.dtype));
    const encoding = (fields.get('encoding') as string | undefined) ?? ENCODINGS[tensor.dtype];
    if (encoding === undefined) return new Map(fields).set('chunks', await this.#chunks(name, tensor));
    this.features.add(`encoding.${encoding}`);
    const components = new Map<string, Json>();
    const parts = tensor.components ?? (await componentsOf(name, encoding, tensor));
    for (const key of [...parts.keys()].sort()) {
      const part = parts.get(key) as TensorContent;
      const own =
        part.fields ??
        new Map<string, Json>([
          ['dtype', part.dtype],
          ['shape', [...part.shape]],
        ]);
      components.set(key, await this.entry(`${name}#${key}`, own, part));
    }
    return new Map(fields).set('encoding', encoding).set('components', components);
  }

  async #chunks(name: string, tensor: TensorContent): Promise<Json[]> {
    const { boxes } = tensor;
    const check = (bytes: Uint8Array | null, shape: readonly number[]): Uint8Array =>
      checked(name, tensor.dtype, shape, bytes);
    if (boxes === undefined || boxes.length === 1) {
      return [
        this.#chunk(name, tensor.dtype, tensor.shape, async () => check((await tensor.load()).data, tensor.shape)),
      ];
    }
    this.features.add('chunks');
    return boxes.map(({ offset, shape, load }) => {
      const chunk = this.#chunk(`${name}@${offset.join()}`, tensor.dtype, shape, async () =>
        check(await load(), shape),
      );
      return chunk.set('offset', [...offset]).set('shape', [...shape]);
    });
  }

  #chunk(name: string, dtype: string, shape: readonly number[], load: () => Promise<Uint8Array>): JsonMap {
    const chunk: JsonMap = new Map([['tensor', name]]);
    const safetensors =
      DTYPES.get(dtype)?.safetensors ?? refuse('encoding-components', name, `${dtype} without an encoding`);
    this.pieces.push({ name, dtype: safetensors, shape, size: (count(shape) * widthOf(dtype)) / 8, chunk, load });
    return chunk;
  }

  /** The data parts (W-23 to W-25); each chunk learns its part. `size` is that of a shard's data at most. */
  parts(size: number | null): PlannedData[] {
    const shards: PlannedPiece[][] = [];
    let [bytes, header] = [0, 0];
    for (const piece of this.pieces) {
      const more = utf8Length(JSON.stringify(piece.name)) + 128 + 20 * piece.shape.length;
      const full = (size !== null && bytes + piece.size > size) || header + more > LIMITS.header;
      if (shards.length === 0 || full) {
        shards.push([]);
        [bytes, header] = [0, 0];
      }
      shards.at(-1)?.push(piece);
      bytes += piece.size;
      header += more;
    }
    return shards.map((shard, i) => {
      const name = partName(this.base, i + 1, shards.length);
      for (const { chunk } of shard) chunk.set('part', name);
      const pieces = inOrder(shard);
      const start = headerOf(pieces);
      return { name, header: start, pieces, size: pieces.reduce((sum, piece) => sum + piece.size, start.length) };
    });
  }
}

/** Loads a piece, and notes its digest where it has none yet. */
export async function loadPiece(piece: PlannedPiece): Promise<Uint8Array> {
  const bytes = await piece.load();
  const digest = await digestOf(bytes);
  const before = piece.chunk.get('digest');
  if (before !== undefined && before !== digest)
    refuse('digest-mismatch', piece.name, 'elements that changed while they were written');
  piece.chunk.set('digest', digest);
  return bytes;
}

function partName(base: string, index: number, total: number): string {
  if (total === 1) return `${base}.safetensors`;
  const [i, n] = [index, total].map((number) => String(number).padStart(5, '0'));
  return `${base}-${i}-of-${n}.safetensors`;
}

/** Refuses elements that are not as many as dtype and shape say, or that are none of the dtype (D-8). */
function checked(name: string, dtype: string, shape: readonly number[], bytes: Uint8Array | null): Uint8Array {
  const wanted = (count(shape) * widthOf(dtype)) / 8;
  if (bytes === null || bytes.length !== wanted) {
    refuse('chunk-mismatch', name, `${bytes?.length ?? 'no'} bytes, where ${dtype} ${show(shape)} has ${wanted}`);
  }
  if (dtype === 'bool' && bytes.some((byte) => byte > 1)) refuse('bool-value', name, 'a byte other than 0 and 1');
  return bytes;
}

/** What a tensor of an encoding is made of (chapter 12.3). */
async function componentsOf(
  name: string,
  encoding: string,
  tensor: TensorContent,
): Promise<Map<string, TensorContent>> {
  const { dtype, shape } = tensor;
  const data = async (): Promise<Uint8Array> => {
    const width = Math.max(1, widthOf(dtype) / 8);
    const bytes = (await tensor.load()).data;
    if (bytes?.length === count(shape) * width) return bytes;
    return refuse('chunk-mismatch', name, `${bytes?.length ?? 'no'} bytes for ${dtype} ${show(shape)}`);
  };
  switch (encoding) {
    case 'complex': {
      const parts = { dtype: dtype === 'complex64' ? 'float32' : 'float64', shape: [...shape, 2] };
      return new Map([['parts', { ...parts, load: async () => ({ data: await data(), strings: null }) }]]);
    }
    case 'packed4': {
      const load = async () => ({ data: packed(await data()), strings: null });
      return new Map([['nibbles', { dtype: 'uint8', shape: [Math.ceil(count(shape) / 2)], load }]]);
    }
    case 'string':
      return stringComponents(name, dtype, shape, (await tensor.load()).strings);
    case 'quantized':
      return refuse('encoding-components', name, 'a quantized tensor without components');
    default:
      return refuse('encoding-unknown', name, show(encoding));
  }
}

function packed(data: Uint8Array): Uint8Array {
  const nibbles = new Uint8Array(Math.ceil(data.length / 2));
  data.forEach((value, i) => {
    nibbles[i >> 1] = (nibbles[i >> 1] as number) | ((value & 0x0f) << (i % 2 ? 4 : 0));
  });
  return nibbles;
}

function stringComponents(
  name: string,
  dtype: string,
  shape: readonly number[],
  strings: readonly Uint8Array[] | null,
): Map<string, TensorContent> {
  if (strings === null || strings.length !== count(shape)) {
    refuse('chunk-mismatch', name, `${strings?.length ?? 'no'} strings for ${show(shape)}`);
  }
  const offsets = new Uint8Array(8 * (strings.length + 1));
  const view = viewOf(offsets);
  let place = 0;
  strings.forEach((text, i) => {
    if (dtype === 'string' && textOf(text) === null) refuse('encoding-content', name, 'a string that is not UTF-8');
    place += text.length;
    view.setBigUint64(8 * (i + 1), BigInt(place), true);
  });
  const whole = new Uint8Array(place);
  let start = 0;
  for (const text of strings) {
    whole.set(text, start);
    start += text.length;
  }
  const of = (type: string, size: number, data: Uint8Array): TensorContent => ({
    dtype: type,
    shape: [size],
    load: () => Promise.resolve({ data, strings: null }),
  });
  return new Map([
    ['data', of('uint8', place, whole)],
    ['offsets', of('uint64', strings.length + 1, offsets)],
  ]);
}
