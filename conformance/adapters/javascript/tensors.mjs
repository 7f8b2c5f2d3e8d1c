// The elements of tensors (SPEC.md chapters 11 and 12): boxes of them, each verified before it is handed out.

import { DTYPES, count, numberAt, writeFloat } from './dtypes.mjs';
import { refuse, show } from './errors.mjs';
import { digestOf, readHeader } from './safetensors.mjs';

/** Reads tensors from the data parts of an artifact. */
export class Tensors {
  constructor(artifact) {
    this.artifact = artifact;
    this.headers = new Map();
  }

  /**
   * A box of a tensor: {dtype, shape, data} or {dtype, shape, strings}; a quantized tensor that is read as a whole also
   * has its components.
   */
  read(name, entry, box = null) {
    const whole = entry.shape.map((size) => [0, size]);
    const place = box ?? whole;
    const fits = place.length === whole.length && place.every(([from, to], i) => from >= 0 && from <= to && to <= entry.shape[i]);
    if (!fits) throw new RangeError(`${show(place)} is no box of ${show(entry.shape)}`);
    const head = { dtype: entry.dtype, shape: place.map(([from, to]) => to - from) };
    const tensor = { ...head, ...this.elements(name, entry, place) };
    if (entry.encoding !== 'quantized' || box !== null) return tensor;
    const components = Object.entries(entry.components).map(([key, part]) => [key, this.read(`${name}#${key}`, part)]);
    return { ...tensor, components: Object.fromEntries(components) };
  }

  elements(name, entry, box) {
    switch (entry.encoding) {
      case null: return { data: this.plain(name, entry, box) };
      case 'complex': return { data: this.plain(name, entry.components.parts, [...box, [0, 2]]) };
      case 'packed4': return { data: this.nibbles(name, entry, box) };
      case 'string': return { strings: this.strings(name, entry, box) };
      default: return { data: this.dequantized(name, entry, box) };
    }
  }

  /** The header of a data part, read once. */
  header(part) {
    if (!this.headers.has(part)) {
      const header = this.artifact.manifest.parts.get(part).get('header');
      const wanted = { size: header.get('size'), digest: header.get('digest') };
      this.headers.set(part, readHeader(this.artifact.open(part), part, wanted));
    }
    return this.headers.get(part);
  }

  /** Refuses a chunk that names no tensor of its dtype and shape (W-4, W-9, W-10); gives the tensor's place. */
  find(name, { dtype }, chunk) {
    const at = `${chunk.part} ${show(chunk.tensor)}`;
    const tensor = this.header(chunk.part).get(chunk.tensor);
    if (tensor === undefined) refuse('reference-missing', at, `no such tensor, which ${show(name)} needs`);
    if (tensor.dtype !== DTYPES.get(dtype)[1]) refuse('chunk-mismatch', at, `${tensor.dtype} for ${dtype}`);
    if (tensor.shape.join() !== chunk.shape.join()) refuse('chunk-mismatch', at, `${show(tensor.shape)} for ${show(chunk.shape)}`);
    return tensor;
  }

  /** Bytes of a box of a plain tensor, from those chunks that meet it (W-13). */
  plain(name, entry, box) {
    const width = DTYPES.get(entry.dtype)[0] / 8;
    const target = { offset: box.map(([from]) => from), shape: box.map(([from, to]) => to - from) };
    target.data = Buffer.alloc(count(target.shape) * width);
    for (const chunk of entry.chunks) {
      const common = box.map(([from, to], i) => [Math.max(from, chunk.offset[i]), Math.min(to, chunk.offset[i] + chunk.shape[i])]);
      const meets = common.every(([from, to]) => from < to);
      if (meets || entry.chunks.length === 1) {
        const source = { offset: chunk.offset, shape: chunk.shape, data: this.chunk(name, entry, chunk) };
        if (meets) copyBox(source, target, common, width);
      }
    }
    if (entry.dtype === 'bool' && target.data.some((byte) => byte > 1)) {
      refuse('bool-value', name, 'a byte other than 0 and 1');
    }
    return target.data;
  }

  chunk(name, entry, chunk) {
    const { offset, size } = this.find(name, entry, chunk);
    const data = this.artifact.open(chunk.part).read(offset, size);
    if (digestOf(data) !== chunk.digest) refuse('digest-mismatch', `${chunk.part} ${show(chunk.tensor)}`, 'changed bytes');
    return data;
  }

  /** One byte an element, of which the artifact has two in each byte. */
  nibbles(name, entry, box) {
    const { from, to, indices } = rangeOf(entry.shape, box);
    const source = entry.components.nibbles;
    const packed = this.plain(`${name}#nibbles`, source, [[Math.floor(from / 2), Math.ceil(to / 2)]]);
    const total = count(entry.shape);
    if (to === total && total % 2 === 1 && from < to && packed.at(-1) > 0x0f) {
      refuse('encoding-content', name, 'the unused half of the last byte is not zero');
    }
    const first = Math.floor(from / 2);
    return Buffer.from(indices.map((i) => {
      const half = (packed[Math.floor(i / 2) - first] >> (i % 2 ? 4 : 0)) & 0x0f;
      return entry.dtype === 'int4' ? (half << 28) >> 28 : half;
    }));
  }

  strings(name, entry, box) {
    const { offsets, data } = entry.components;
    const bytes = this.plain(`${name}#offsets`, offsets, [[0, offsets.shape[0]]]);
    const places = Array.from({ length: offsets.shape[0] }, (_, i) => Number(bytes.readBigUInt64LE(8 * i)));
    const falls = places.some((place, i) => i > 0 && place < places[i - 1]);
    if (falls || places[0] !== 0 || places.at(-1) !== data.shape[0]) {
      refuse('encoding-content', name, 'offsets that fall, or do not go from 0 to the end of the data');
    }
    const { from, to, indices } = rangeOf(entry.shape, box);
    const start = places[from];
    const texts = this.plain(`${name}#data`, data, [[start, places[to]]]);
    return indices.map((i) => {
      const text = texts.subarray(places[i] - start, places[i + 1] - start);
      if (entry.dtype === 'string') checkUtf8(text, name);
      return text;
    });
  }

  /** (values - zero_point) × scale in binary64, rounded once (W-21). */
  dequantized(name, entry, box) {
    const { values, scale, zero_point: zero } = entry.components;
    const read = (key, component, part) => this.elements(`${name}#${key}`, component, part).data;
    const ratios = entry.shape.map((size, i) => size / scale.shape[i]);
    const blocks = box.map(([from, to], i) => [Math.floor(from / ratios[i]), Math.ceil(to / ratios[i])]);
    if (box.some(([from, to]) => from === to)) return Buffer.alloc(0);
    const [integers, scales] = [read('values', values, box), read('scale', scale, blocks)];
    const zeros = zero ? read('zero_point', zero, blocks) : null;
    const result = Buffer.alloc(count(box.map(([from, to]) => to - from)) * (DTYPES.get(entry.dtype)[0] / 8));
    let i = 0;
    for (const place of placesOf(box)) {
      const b = linear(place.map((p, d) => Math.floor(p / ratios[d]) - blocks[d][0]), blocks.map(([from, to]) => to - from));
      const shifted = numberAt(values.dtype, integers, i) - (zeros ? numberAt(zero.dtype, zeros, b) : 0);
      writeFloat(entry.dtype, result, i, shifted * numberAt(scale.dtype, scales, b));
      i += 1;
    }
    return result;
  }
}

/** Every index of a box, in row-major order; one array, which changes. */
function* placesOf(box) {
  const place = box.map(([from]) => from);
  if (box.some(([from, to]) => from >= to)) return;
  for (;;) {
    yield place;
    let d = box.length - 1;
    while (d >= 0 && place[d] + 1 === box[d][1]) {
      place[d] = box[d][0];
      d -= 1;
    }
    if (d < 0) return;
    place[d] += 1;
  }
}

function linear(place, shape) {
  return place.reduce((sum, p, d) => sum * shape[d] + p, 0);
}

/** The row-major numbers of a box's elements, and the range that holds them all. */
function rangeOf(shape, box) {
  const indices = Array.from(placesOf(box), (place) => linear(place, shape));
  return indices.length ? { from: indices[0], to: indices.at(-1) + 1, indices } : { from: 0, to: 0, indices };
}

/** Copies the elements that two boxes have in common; each box is {offset, shape, data}. */
function copyBox(source, target, common, width) {
  // Dimensions at the end that all three boxes have whole are one run of bytes.
  let inner = common.length;
  let run = width;
  let whole = true;
  while (inner > 0 && whole) {
    inner -= 1;
    const size = common[inner][1] - common[inner][0];
    run *= size;
    whole = size === source.shape[inner] && size === target.shape[inner];
  }
  for (const place of placesOf(common.slice(0, inner))) {
    const start = [...place, ...common.slice(inner).map(([from]) => from)];
    const [from, to] = [source, target].map(({ offset, shape }) => linear(start.map((p, d) => p - offset[d]), shape) * width);
    source.data.copy(target.data, to, from, from + run);
  }
}

function checkUtf8(text, name) {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(text);
  } catch {
    refuse('encoding-content', name, 'a string that is not UTF-8');
  }
}
