// Canonical MessagePack (SPEC.md chapter 4). This reader looks into such documents for their index of tensors only.
//
// Maps become Map, an integer beyond those of binary64 a BigInt, a float an object {float}, an extension {stored}.

import { refuse, show } from './errors.mjs';
import { DEPTH_LIMIT } from './json.mjs';

const STRING_LIMIT = 64 * 1024 * 1024;
const NAN = 0x7ff8000000000000n;
const FIXED_EXTENSIONS = [1, 2, 4, 8, 16];

/** The value of a document: one map in canonical form. */
export function decode(bytes, where) {
  const reader = new Reader(bytes, where);
  if (bytes.length === 0 || !((bytes[0] & 0xf0) === 0x80 || bytes[0] === 0xde || bytes[0] === 0xdf)) {
    reader.syntax('no map at the root');
  }
  const value = reader.value(1);
  if (reader.position !== bytes.length) reader.syntax('something after the map');
  return value;
}

class Reader {
  constructor(bytes, where) {
    this.bytes = bytes;
    this.where = where;
    this.position = 0;
  }

  syntax(found) {
    refuse('msgpack-syntax', `${this.where} byte ${this.position}`, found);
  }

  canonical(holds, found) {
    if (!holds) refuse('msgpack-not-canonical', `${this.where} byte ${this.position}`, found);
  }

  take(length) {
    if (length > this.bytes.length - this.position) this.syntax(`${length} bytes, of which ${this.bytes.length - this.position} are left`);
    this.position += length;
    return this.bytes.subarray(this.position - length, this.position);
  }

  /** A length of 1, 2 or 4 bytes that must not fit a shorter format; `least` is the first that does not. */
  length(size, least) {
    const value = this.take(size).readUIntBE(0, size);
    this.canonical(value >= least, 'a length in a longer format than it needs');
    return value;
  }

  value(depth) {
    const code = this.take(1)[0];
    if (code <= 0x7f) return code;
    if (code >= 0xe0) return code - 0x100;
    if (code <= 0x8f) return this.map(code & 0x0f, depth);
    if (code <= 0x9f) return this.list(code & 0x0f, depth);
    if (code <= 0xbf) return this.text(code & 0x1f);
    if (code >= 0xd4 && code <= 0xd8) return this.extension(FIXED_EXTENSIONS[code - 0xd4]);
    switch (code) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: return this.data(this.length(1, 0));
      case 0xc5: return this.data(this.length(2, 0x100));
      case 0xc6: return this.data(this.length(4, 0x10000));
      case 0xc7: return this.longExtension(1, 0);
      case 0xc8: return this.longExtension(2, 0x100);
      case 0xc9: return this.longExtension(4, 0x10000);
      case 0xca: return this.canonical(false, 'a float 32');
      case 0xcb: return this.float();
      case 0xcc: return this.integer(1, false, 0x80n);
      case 0xcd: return this.integer(2, false, 0x100n);
      case 0xce: return this.integer(4, false, 0x10000n);
      case 0xcf: return this.integer(8, false, 0x100000000n);
      case 0xd0: return this.integer(1, true, -0x20n);
      case 0xd1: return this.integer(2, true, -0x80n);
      case 0xd2: return this.integer(4, true, -0x8000n);
      case 0xd3: return this.integer(8, true, -0x80000000n);
      case 0xd9: return this.text(this.length(1, 32));
      case 0xda: return this.text(this.length(2, 0x100));
      case 0xdb: return this.text(this.length(4, 0x10000));
      case 0xdc: return this.list(this.length(2, 16), depth);
      case 0xdd: return this.list(this.length(4, 0x10000), depth);
      case 0xde: return this.map(this.length(2, 16), depth);
      case 0xdf: return this.map(this.length(4, 0x10000), depth);
      default: return this.syntax(`the byte ${code}`);
    }
  }

  /** An integer of `size` bytes beyond `bound`, the last that a shorter format holds. */
  integer(size, signed, bound) {
    const unsigned = BigInt(`0x${this.take(size).toString('hex')}`);
    const value = signed ? BigInt.asIntN(8 * size, unsigned) : unsigned;
    this.canonical(signed ? value < bound : value >= bound, 'an integer in a longer or another format');
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  float() {
    const data = this.take(8);
    const float = data.readDoubleBE(0);
    this.canonical(!Number.isNaN(float) || data.readBigUInt64BE(0) === NAN, 'another NaN');
    return { float };
  }

  text(length) {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.data(length));
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      return refuse('msgpack-encoding', `${this.where} byte ${this.position}`, 'bytes that are not UTF-8');
    }
  }

  data(length) {
    const data = this.take(length);
    if (length > STRING_LIMIT) refuse('value-limit', this.where, `a string of ${length} bytes`);
    return data;
  }

  longExtension(size, least) {
    const length = this.length(size, least);
    this.canonical(!FIXED_EXTENSIONS.includes(length), 'an extension in a longer format than it needs');
    return this.extension(length);
  }

  extension(length) {
    const type = this.take(1).readInt8(0);
    if (type !== 1) refuse('msgpack-extension', `${this.where} byte ${this.position}`, `type ${type}`);
    return { stored: this.text(length) };
  }

  enter(count, least, depth) {
    if (depth > DEPTH_LIMIT) refuse('msgpack-depth', this.where, `more than ${DEPTH_LIMIT} levels`);
    if (count * least > this.bytes.length - this.position) this.syntax(`${count} entries, for which too few bytes are left`);
  }

  list(count, depth) {
    this.enter(count, 1, depth);
    return Array.from({ length: count }, () => this.value(depth + 1));
  }

  map(count, depth) {
    this.enter(count, 2, depth);
    const members = new Map();
    let previous = null;
    for (let i = 0; i < count; i += 1) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string') refuse('msgpack-key', `${this.where} byte ${this.position}`, show(key));
      if (members.has(key)) refuse('msgpack-duplicate-key', `${this.where} byte ${this.position}`, show(key));
      const bytes = Buffer.from(key);
      this.canonical(previous === null || Buffer.compare(previous, bytes) < 0, 'a key out of order');
      previous = bytes;
      members.set(key, this.value(depth + 1));
    }
    return members;
  }
}
