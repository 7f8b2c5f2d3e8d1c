// The bytes of the packed form (SPEC.md chapter 9).

import { concat, utf8, viewOf } from '../bytes.js';
import type { Planned } from './artifact.js';

const ALL16 = 0xffff;
const ALL32 = 0xffffffff;
const ALIGNMENT = 64;
const DATE = 0x0021;

interface Member {
  readonly name: Uint8Array;
  readonly size: number;
  readonly crc: number;
  /** Of its local header. */
  readonly offset: number;
}

/** The packed form, one piece behind the other. */
export async function* packedPieces({ parts }: Planned): AsyncGenerator<Uint8Array> {
  const directory: Uint8Array[] = [];
  let place = 0;
  for (const part of parts) {
    const member = { name: utf8(part.name), size: part.size, crc: part.crc, offset: place };
    const header = localHeader(member);
    yield header;
    yield* part.pieces();
    place += header.length + part.size;
    directory.push(centralHeader(member));
  }
  const central = concat(directory);
  yield central;
  yield endRecords(parts.length, central.length, place);
}

function localHeader({ name, size, crc, offset }: Member): Uint8Array {
  const wide = size >= ALL32 ? wideField([size, size]) : new Uint8Array(0);
  const unpadded = offset + 30 + name.length + wide.length + 6;
  const zeros = (ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT;
  const alignment = new Uint8Array(6 + zeros);
  const field = viewOf(alignment);
  field.setUint16(0, 0xd935, true);
  field.setUint16(2, 2 + zeros, true);
  field.setUint16(4, ALIGNMENT, true);
  const record = new Uint8Array(30);
  const view = viewOf(record);
  view.setUint32(0, 0x04034b50, true);
  common(view, 4, wide.length > 0, size, crc, name);
  view.setUint16(28, wide.length + alignment.length, true);
  return concat([record, name, wide, alignment]);
}

function centralHeader({ name, size, crc, offset }: Member): Uint8Array {
  const values = [...(size >= ALL32 ? [size, size] : []), ...(offset >= ALL32 ? [offset] : [])];
  const wide = values.length > 0 ? wideField(values) : new Uint8Array(0);
  const record = new Uint8Array(46);
  const view = viewOf(record);
  view.setUint32(0, 0x02014b50, true);
  view.setUint16(4, wide.length > 0 ? 45 : 20, true);
  common(view, 6, wide.length > 0, size, crc, name);
  view.setUint16(30, wide.length, true);
  view.setUint32(42, Math.min(offset, ALL32), true);
  return concat([record, name, wide]);
}

/** The fields that both kinds of header have in one order, from the version needed to the length of the name. */
function common(view: DataView, at: number, wide: boolean, size: number, crc: number, name: Uint8Array): void {
  view.setUint16(at, wide ? 45 : 20, true);
  view.setUint16(at + 8, DATE, true);
  view.setUint32(at + 10, crc, true);
  view.setUint32(at + 14, Math.min(size, ALL32), true);
  view.setUint32(at + 18, Math.min(size, ALL32), true);
  view.setUint16(at + 22, name.length, true);
}

function wideField(values: readonly number[]): Uint8Array {
  const field = new Uint8Array(4 + 8 * values.length);
  const view = viewOf(field);
  view.setUint16(0, 1, true);
  view.setUint16(2, 8 * values.length, true);
  values.forEach((value, i) => void view.setBigUint64(4 + 8 * i, BigInt(value), true));
  return field;
}

function endRecords(members: number, size: number, offset: number): Uint8Array {
  const end = new Uint8Array(22);
  const view = viewOf(end);
  view.setUint32(0, 0x06054b50, true);
  view.setUint16(8, Math.min(members, ALL16), true);
  view.setUint16(10, Math.min(members, ALL16), true);
  view.setUint32(12, Math.min(size, ALL32), true);
  view.setUint32(16, Math.min(offset, ALL32), true);
  if (members < ALL16 && size < ALL32 && offset < ALL32) return end;
  const record = new Uint8Array(56);
  const wide = viewOf(record);
  wide.setUint32(0, 0x06064b50, true);
  wide.setBigUint64(4, 44n, true);
  wide.setUint16(12, 45, true);
  wide.setUint16(14, 45, true);
  [members, members, size, offset].forEach((value, i) => void wide.setBigUint64(24 + 8 * i, BigInt(value), true));
  const locator = new Uint8Array(20);
  const pointer = viewOf(locator);
  pointer.setUint32(0, 0x07064b50, true);
  pointer.setBigUint64(8, BigInt(offset + size), true);
  pointer.setUint32(16, 1, true);
  return concat([record, locator, end]);
}
