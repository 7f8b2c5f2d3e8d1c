// Writing artifacts of weights in their one form (SPEC.md chapters 7 to 12).

import { DTYPES, SAFETENSORS_WIDTHS, count } from './dtypes.mjs';
import { Unsupported, refuse, show } from './errors.mjs';
import { encode } from './json.mjs';
import { DOCUMENTS } from './manifest.mjs';
import { digestOf } from './safetensors.mjs';

const HEADER_LIMIT = 100_000_000;
const ALIGNMENT = 64;
const ENCODINGS = { // of the dtypes that have but one
  complex64: 'complex', complex128: 'complex', int4: 'packed4', uint4: 'packed4', string: 'string', bytes: 'string',
};

/**
 * The parts of an artifact, manifest included: a Map from name to bytes.
 *
 * `content` is {metadata, weights, tensors, parts}: documents as Maps, tensors of the variables as {dtype, shape, data or
 * strings, components}, parts as Maps with their bytes under `bytes`.
 */
export function writeParts({ metadata, weights, tensors, parts }, shardSize = null) {
  const written = new Map([...parts].map(([name, part]) => [name, part.get('bytes')]));
  const features = new Set([...parts.values()].some((part) => part.get('role') === 'program') ? ['programs'] : []);
  if (weights === undefined) refuse('profile-parts', 'the content', 'no weights');

  const plan = new Plan(features);
  const variables = [...weights.get('variables')].sort(([, a], [, b]) => a.get('order') - b.get('order'));
  const placed = new Map(variables.map(([path, variable]) => [path, plan.entry(path, variable, tensors.get(path))]));
  const shards = plan.shards(shardSize);
  const names = shards.map((_, i) => partName(i + 1, shards.length));
  shards.forEach((shard, i) => {
    for (const piece of shard) piece.chunk.set('part', names[i]);
    written.set(names[i], dataPart(shard));
  });
  written.set('weights.json', encode(new Map(weights).set('variables', placed)));

  const manifest = new Map([
    ['format', 'etui'],
    ['parts', new Map([...written].map(([name, bytes]) => [name, listing(name, bytes, parts.get(name))]))],
    ['profile', 'weights'],
    ['requires', [...features].sort()],
    ['version', weights.get('version')],
  ]);
  if (metadata !== undefined) manifest.set('metadata', metadata);
  return written.set('manifest.json', encode(manifest));
}

/** The tensors that go into data parts, in the order of the variables. */
class Plan {
  constructor(features) {
    this.features = features;
    this.pieces = []; // {name, dtype, shape, data, chunk}
  }

  /** What an index says of a tensor: the fields that it had, and where its bytes will be. */
  entry(name, fields, tensor) {
    if (tensor === undefined) refuse('reference-missing', name, 'no tensor of this variable');
    if (tensor.dtype !== fields.get('dtype') || String(tensor.shape) !== String(fields.get('shape'))) {
      refuse('chunk-mismatch', name, `a tensor of ${show(tensor.dtype)} ${show(tensor.shape)}`);
    }
    const encoding = fields.get('encoding') ?? ENCODINGS[tensor.dtype];
    if (encoding === undefined) return new Map(fields).set('chunks', [this.chunk(name, tensor)]);
    this.features.add(`encoding.${encoding}`);
    return new Map(fields).set('encoding', encoding).set('components', this.components(name, encoding, tensor));
  }

  components(name, encoding, tensor) {
    const parts = componentsOf(encoding, tensor);
    return new Map(Object.keys(parts).sort().map((key) => {
      const part = parts[key];
      return [key, this.entry(`${name}#${key}`, new Map([['dtype', part.dtype], ['shape', part.shape]]), part)];
    }));
  }

  chunk(name, { dtype, shape, data }) {
    const chunk = new Map([['digest', digestOf(data)], ['tensor', name]]);
    this.pieces.push({ name, dtype: DTYPES.get(dtype)?.[1], shape, data, chunk });
    return chunk;
  }

  /** The pieces of each data part (W-23 to W-25). */
  shards(size) {
    const shards = [];
    let [bytes, header] = [0, 0];
    for (const piece of this.pieces) {
      const more = Buffer.byteLength(JSON.stringify(piece.name)) + 128 + 20 * piece.shape.length;
      const full = (size !== null && bytes + piece.data.length > size) || header + more > HEADER_LIMIT;
      if (shards.length === 0 || full) {
        shards.push([]);
        [bytes, header] = [0, 0];
      }
      shards.at(-1).push(piece);
      bytes += piece.data.length;
      header += more;
    }
    return shards;
  }
}

/** Components of an encoding (chapter 12.3). */
function componentsOf(encoding, { dtype, shape, data, strings, components }) {
  switch (encoding) {
    case 'complex': return { parts: { dtype: dtype === 'complex64' ? 'float32' : 'float64', shape: [...shape, 2], data } };
    case 'packed4': return { nibbles: { dtype: 'uint8', shape: [Math.ceil(count(shape) / 2)], data: packed(data) } };
    case 'string': return stringComponents(strings);
    case 'quantized': return components ?? refuse('encoding-components', 'the content', 'a quantized tensor without components');
    default: return refuse('encoding-unknown', 'the content', show(encoding));
  }
}

function packed(data) {
  const nibbles = Buffer.alloc(Math.ceil(data.length / 2));
  data.forEach((value, i) => { nibbles[i >> 1] |= (value & 0x0f) << (i % 2 ? 4 : 0); });
  return nibbles;
}

function stringComponents(strings) {
  const offsets = Buffer.alloc(8 * (strings.length + 1));
  let place = 0;
  strings.forEach((text, i) => {
    place += text.length;
    offsets.writeBigUInt64LE(BigInt(place), 8 * (i + 1));
  });
  return {
    data: { dtype: 'uint8', shape: [place], data: Buffer.concat(strings) },
    offsets: { dtype: 'uint64', shape: [strings.length + 1], data: offsets },
  };
}

function partName(index, total) {
  if (total === 1) return 'weights.safetensors';
  const [i, n] = [index, total].map((number) => String(number).padStart(5, '0'));
  return `weights-${i}-of-${n}.safetensors`;
}

/** A data part (S-2, S-5). */
function dataPart(pieces) {
  const inOrder = [...pieces].sort((a, b) =>
    SAFETENSORS_WIDTHS.get(b.dtype) - SAFETENSORS_WIDTHS.get(a.dtype) || Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
  let place = 0;
  const header = new Map(inOrder.map(({ name, dtype, shape, data }) => {
    const offsets = [place, place + data.length];
    place += data.length;
    return [name, new Map([['data_offsets', offsets], ['dtype', dtype], ['shape', shape]])];
  }));
  const text = encode(header);
  const spaces = Buffer.alloc((ALIGNMENT - ((8 + text.length) % ALIGNMENT)) % ALIGNMENT, ' ');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length + spaces.length));
  return Buffer.concat([length, text, spaces, ...inOrder.map(({ data }) => data)]);
}

/** A part's entry in the manifest. */
function listing(name, bytes, part) {
  const size = ['size', bytes.length];
  if (part !== undefined) {
    const kept = [...part].filter(([field]) => field !== 'bytes');
    return new Map([...kept, ['digest', digestOf(bytes)], size]);
  }
  if (DOCUMENTS.has(name)) {
    return new Map([['digest', digestOf(bytes)], ['media_type', 'application/vnd.etui.weights+json'], ['role', 'weights'], size]);
  }
  const end = 8 + Number(bytes.readBigUInt64LE(0));
  const header = new Map([['digest', digestOf(bytes.subarray(0, end))], ['size', end]]);
  return new Map([['header', header], ['media_type', 'application/vnd.safetensors'], ['role', 'data'], size]);
}

/** Refuses a content with areas that this writer does not have. */
export function checkAreas(content) {
  for (const area of ['config', 'training', 'optimizer', 'state']) {
    if (content[area] !== undefined) throw new Unsupported(`area:${area}`);
  }
}
