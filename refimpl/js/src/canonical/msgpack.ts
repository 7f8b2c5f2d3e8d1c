// Canonical MessagePack (SPEC.md chapter 4): what stands in its bytes, before the JSON view is made of it.
//
// Maps become Map; an integer beyond those of binary64 a bigint, a float a Float, a byte string a Uint8Array, an extension a
// Stored.

import { compareUtf8, concat, textOf, utf8, viewOf } from '../bytes.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { LIMITS } from '../limits.js';

/** A float of a document, which may be integral. */
export class Float {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A reference to a tensor: an extension of type 1 (B-9). */
export class Stored {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }
}

export type Packed = null | boolean | number | bigint | string | Float | Stored | Uint8Array | Packed[] | PackedMap;
export type PackedMap = Map<string, Packed>;

const NAN = 0x7ff8000000000000n;
/** Every empty map but the document itself; what is decoded is only looked at. */
const NOTHING: PackedMap = new Map();
const FIXED_EXTENSIONS = [1, 2, 4, 8, 16];

/** What a document holds: one map in canonical form. */
export function decodeMessagePack(bytes: Uint8Array, where: string, limits: Limits = LIMITS): PackedMap {
  const reader = new Reader(bytes, where, limits);
  const first = bytes[0];
  if (first === undefined || !((first & 0xf0) === 0x80 || first === 0xde || first === 0xdf)) {
    reader.syntax('no map at the root');
  }
  const value = reader.value(1) as PackedMap;
  if (reader.position !== bytes.length) reader.syntax('something after the map');
  return value;
}

class Reader {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly where: string;
  readonly limits: Limits;
  position = 0;

  constructor(bytes: Uint8Array, where: string, limits: Limits) {
    this.bytes = bytes;
    this.view = viewOf(bytes);
    this.where = where;
    this.limits = limits;
  }

  at(): string {
    return `${this.where} byte ${this.position}`;
  }

  syntax(found: string): never {
    refuse('msgpack-syntax', this.at(), found);
  }

  canonical(holds: boolean, found: string): void {
    if (!holds) refuse('msgpack-not-canonical', this.at(), found);
  }

  /** Goes on by `length` bytes, which must be there; gives where they begin. */
  skip(length: number): number {
    const left = this.bytes.length - this.position;
    if (length > left) this.syntax(`${length} bytes, of which ${left} are left`);
    this.position += length;
    return this.position - length;
  }

  /** A length of 1, 2 or 4 bytes that must not fit a shorter format; `least` is the first that does not. */
  length(size: 1 | 2 | 4, least: number): number {
    const place = this.skip(size);
    const value =
      size === 1 ? this.view.getUint8(place) : size === 2 ? this.view.getUint16(place) : this.view.getUint32(place);
    this.canonical(value >= least, 'a length in a longer format than it needs');
    return value;
  }

  value(depth: number): Packed {
    const code = this.view.getUint8(this.skip(1));
    if (code <= 0x7f) return code;
    if (code >= 0xe0) return code - 0x100;
    if (code <= 0x8f) return this.map(code & 0x0f, depth);
    if (code <= 0x9f) return this.list(code & 0x0f, depth);
    if (code <= 0xbf) return this.text(code & 0x1f);
    if (code >= 0xd4 && code <= 0xd8) return this.extension(FIXED_EXTENSIONS[code - 0xd4] as number);
    switch (code) {
      case 0xc0:
        return null;
      case 0xc2:
        return false;
      case 0xc3:
        return true;
      case 0xc4:
        return this.data(this.length(1, 0));
      case 0xc5:
        return this.data(this.length(2, 0x100));
      case 0xc6:
        return this.data(this.length(4, 0x10000));
      case 0xc7:
        return this.longExtension(this.length(1, 0));
      case 0xc8:
        return this.longExtension(this.length(2, 0x100));
      case 0xc9:
        return this.longExtension(this.length(4, 0x10000));
      case 0xca:
        refuse('msgpack-not-canonical', this.at(), 'a float 32');
        break;
      case 0xcb:
        return this.float();
      case 0xcc:
        return this.integer(this.view.getUint8(this.skip(1)), 0x80);
      case 0xcd:
        return this.integer(this.view.getUint16(this.skip(2)), 0x100);
      case 0xce:
        return this.integer(this.view.getUint32(this.skip(4)), 0x10000);
      case 0xcf:
        return this.integer(this.view.getBigUint64(this.skip(8)), 0x100000000);
      case 0xd0:
        return this.integer(this.view.getInt8(this.skip(1)), -0x20);
      case 0xd1:
        return this.integer(this.view.getInt16(this.skip(2)), -0x80);
      case 0xd2:
        return this.integer(this.view.getInt32(this.skip(4)), -0x8000);
      case 0xd3:
        return this.integer(this.view.getBigInt64(this.skip(8)), -0x80000000);
      case 0xd9:
        return this.text(this.length(1, 32));
      case 0xda:
        return this.text(this.length(2, 0x100));
      case 0xdb:
        return this.text(this.length(4, 0x10000));
      case 0xdc:
        return this.list(this.length(2, 16), depth);
      case 0xdd:
        return this.list(this.length(4, 0x10000), depth);
      case 0xde:
        return this.map(this.length(2, 16), depth);
      case 0xdf:
        return this.map(this.length(4, 0x10000), depth);
      default:
        return this.syntax(`the byte ${code}`);
    }
    return null;
  }

  /** An integer that a shorter format must not hold: `bound` is the first of its own, or the last below it if negative. */
  integer(value: number | bigint, bound: number): number | bigint {
    this.canonical(bound < 0 ? value < bound : value >= bound, 'an integer in a longer or another format');
    return Number.isSafeInteger(Number(value)) ? Number(value) : value;
  }

  float(): Float {
    const place = this.skip(8);
    const value = this.view.getFloat64(place);
    this.canonical(!Number.isNaN(value) || this.view.getBigUint64(place) === NAN, 'another NaN');
    return new Float(value);
  }

  text(length: number): string {
    const text = textOf(this.data(length));
    return text ?? refuse('msgpack-encoding', this.at(), 'bytes that are not UTF-8');
  }

  data(length: number): Uint8Array {
    const place = this.skip(length);
    if (length > this.limits.string) refuse('value-limit', this.where, `a string of ${length} bytes`);
    return this.bytes.subarray(place, place + length);
  }

  longExtension(length: number): Stored {
    this.canonical(!FIXED_EXTENSIONS.includes(length), 'an extension in a longer format than it needs');
    return this.extension(length);
  }

  extension(length: number): Stored {
    const type = this.view.getInt8(this.skip(1));
    if (type !== 1) refuse('msgpack-extension', this.at(), `type ${type}`);
    return new Stored(this.text(length));
  }

  enter(count: number, least: number, depth: number): void {
    if (depth > this.limits.depth) refuse('msgpack-depth', this.where, `more than ${this.limits.depth} levels`);
    if (count * least > this.bytes.length - this.position) {
      this.syntax(`${count} entries, for which too few bytes are left`);
    }
  }

  list(count: number, depth: number): Packed[] {
    this.enter(count, 1, depth);
    const items: Packed[] = [];
    for (let i = 0; i < count; i += 1) items.push(this.value(depth + 1));
    return items;
  }

  map(count: number, depth: number): PackedMap {
    this.enter(count, 2, depth);
    // One byte of a file each, and some hundred of memory: a million of them is one.
    if (count === 0 && depth > 1) return NOTHING;
    const members: PackedMap = new Map();
    let previous: string | null = null;
    for (let i = 0; i < count; i += 1) {
      const key = this.value(depth + 1);
      if (typeof key !== 'string') {
        refuse('msgpack-key', this.at(), key instanceof Object ? 'a key that is no text' : show(key));
      }
      if (previous !== null && compareUtf8(previous, key) >= 0) {
        if (members.has(key)) refuse('msgpack-duplicate-key', this.at(), show(key));
        this.canonical(false, 'a key out of order');
      }
      previous = key;
      members.set(key, this.value(depth + 1));
    }
    return members;
  }
}

/** Canonical bytes of a map. */
export function encodeMessagePack(value: PackedMap): Uint8Array {
  const pieces: Uint8Array[] = [];
  write(value, pieces);
  return concat(pieces);
}

function write(value: Packed, pieces: Uint8Array[]): void {
  if (value === null) pieces.push(Uint8Array.of(0xc0));
  else if (typeof value === 'boolean') pieces.push(Uint8Array.of(value ? 0xc3 : 0xc2));
  else if (typeof value === 'number' || typeof value === 'bigint') pieces.push(integerBytes(BigInt(value)));
  else if (typeof value === 'string') writeText(value, pieces);
  else if (value instanceof Float) pieces.push(floatBytes(value.value));
  else if (value instanceof Uint8Array) pieces.push(head(value.length, [], [0xc4, 0xc5, 0xc6]), value);
  else if (value instanceof Stored) {
    const name = utf8(value.name);
    const fixed = FIXED_EXTENSIONS.indexOf(name.length);
    pieces.push(
      fixed >= 0 ? Uint8Array.of(0xd4 + fixed) : head(name.length, [], [0xc7, 0xc8, 0xc9]),
      Uint8Array.of(1),
      name,
    );
  } else if (Array.isArray(value)) {
    pieces.push(head(value.length, [0x90, 16], [null, 0xdc, 0xdd]));
    for (const item of value) write(item, pieces);
  } else {
    pieces.push(head(value.size, [0x80, 16], [null, 0xde, 0xdf]));
    for (const key of [...value.keys()].sort(compareUtf8)) {
      writeText(key, pieces);
      write(value.get(key) as Packed, pieces);
    }
  }
}

function writeText(text: string, pieces: Uint8Array[]): void {
  const bytes = utf8(text);
  pieces.push(head(bytes.length, [0xa0, 32], [0xd9, 0xda, 0xdb]), bytes);
}

/** The bytes before a content: in the code itself below a bound, or behind a code for 1, 2 or 4 bytes of length. */
function head(length: number, [base, bound]: readonly number[], codes: readonly (number | null)[]): Uint8Array {
  if (base !== undefined && bound !== undefined && length < bound) return Uint8Array.of(base + length);
  const [one, two, four] = codes;
  if (one !== null && length < 0x100) return Uint8Array.of(one as number, length);
  const bytes = new Uint8Array(length < 0x10000 ? 3 : 5);
  bytes[0] = (length < 0x10000 ? two : four) as number;
  if (bytes.length === 3) viewOf(bytes).setUint16(1, length);
  else viewOf(bytes).setUint32(1, length);
  return bytes;
}

const FORMATS: readonly (readonly [bigint, number, number])[] = [
  [0x100n, 0xcc, 1],
  [0x10000n, 0xcd, 2],
  [0x100000000n, 0xce, 4],
  [0x10000000000000000n, 0xcf, 8],
];

function integerBytes(value: bigint): Uint8Array {
  if (value >= -32n && value < 128n) return Uint8Array.of(Number(BigInt.asUintN(8, value)));
  for (const [bound, code, size] of FORMATS) {
    const fits = value >= 0n ? value < bound : value >= -bound / 2n;
    if (!fits) continue;
    const bytes = new Uint8Array(1 + size);
    bytes[0] = value >= 0n ? code : code + 4;
    let rest = BigInt.asUintN(8 * size, value);
    for (let i = size; i > 0; i -= 1) {
      bytes[i] = Number(rest & 0xffn);
      rest >>= 8n;
    }
    return bytes;
  }
  return refuse('value-not-canonical', 'the document', `${value} as an integer of MessagePack`);
}

function floatBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(9);
  bytes[0] = 0xcb;
  if (Number.isNaN(value)) viewOf(bytes).setBigUint64(1, NAN);
  else viewOf(bytes).setFloat64(1, value);
  return bytes;
}
