// What the surroundings do for this library: digests and check sums.
//
// A browser gives SHA-256 of whole byte strings (WebCrypto), and to secure pages alone. Node.js can do more: `etui/node` says so.

import { hex } from './bytes.js';
import { refuse } from './errors.js';

export interface Hasher {
  update(bytes: Uint8Array): void;
  /** The hexadecimal digits of the digest. */
  finish(): string;
}

export interface Platform {
  /** The hexadecimal digits of a SHA-256 digest. */
  sha256(bytes: Uint8Array): string | Promise<string>;
  /** SHA-256 of bytes that come in pieces; null where there is none. */
  hasher: (() => Hasher) | null;
  crc32(bytes: Uint8Array, value: number): number;
}

const browser: Platform = {
  async sha256(bytes) {
    const subtle = globalThis.crypto?.subtle;
    if (subtle === undefined) refuse('no-digests', 'this page', 'no crypto.subtle, so that nothing can be verified');
    return hex(new Uint8Array(await subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>)));
  },
  hasher: null,
  crc32: sliced,
};

let current = browser;

export function platform(): Platform {
  return current;
}

/** Takes other surroundings; those of before where `null` is given. */
export function setPlatform(next: Platform | null): void {
  current = next ?? browser;
}

/** `algorithm:hex` of some bytes (H-1, H-2). */
export async function digestOf(bytes: Uint8Array): Promise<string> {
  return `sha256:${await current.sha256(bytes)}`;
}

let tables: Int32Array | null = null;

/** Tables for eight bytes at a time, made where they are first needed. */
function makeTables(): Int32Array {
  const made = new Int32Array(8 * 256);
  for (let i = 0; i < 256; i += 1) {
    let value = i;
    for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    made[i] = value;
  }
  for (let i = 256; i < made.length; i += 1) {
    const before = made[i - 256] as number;
    made[i] = (before >>> 8) ^ (made[before & 0xff] as number);
  }
  return made;
}

/** CRC-32 of APPNOTE, eight bytes at a time. */
function sliced(bytes: Uint8Array, start: number): number {
  tables ??= makeTables();
  const t = tables;
  let value = ~start;
  let i = 0;
  for (const end = bytes.length - 7; i < end; i += 8) {
    const low =
      value ^
      ((bytes[i] as number) |
        ((bytes[i + 1] as number) << 8) |
        ((bytes[i + 2] as number) << 16) |
        ((bytes[i + 3] as number) << 24));
    value =
      (t[0x700 | (low & 0xff)] as number) ^
      (t[0x600 | ((low >>> 8) & 0xff)] as number) ^
      (t[0x500 | ((low >>> 16) & 0xff)] as number) ^
      (t[0x400 | (low >>> 24)] as number) ^
      (t[0x300 | (bytes[i + 4] as number)] as number) ^
      (t[0x200 | (bytes[i + 5] as number)] as number) ^
      (t[0x100 | (bytes[i + 6] as number)] as number) ^
      (t[bytes[i + 7] as number] as number);
  }
  for (; i < bytes.length; i += 1) value = (value >>> 8) ^ (t[(value ^ (bytes[i] as number)) & 0xff] as number);
  return ~value >>> 0;
}

export function crc32(bytes: Uint8Array, value = 0): number {
  return current.crc32(bytes, value);
}
