// Putting parts into one of the two forms, so that whatever fails leaves what was there (SPEC.md F-6 to F-8, chapter 9).

import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';

const GROUPS = { data: 0, program: 1, native: 1, asset: 1 };
const ALL16 = 0xffff;
const ALL32 = 0xffffffff;
const ALIGNMENT = 64;

/** Writes parts at a path, in place of what is there. `roles` gives the role of each part but the manifest. */
export function store(parts, roles, form, path) {
  const beside = mkdtempSync(join(dirname(path), '.etui-'));
  try {
    const made = join(beside, 'new');
    if (form === 'packed') writeFile(made, packed(parts, roles));
    else writeFolder(made, parts);
    replace(made, path, join(beside, 'old'));
    flushFolder(dirname(path));
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}

function replace(made, path, old) {
  const there = statSync(path, { throwIfNoEntry: false });
  if (there === undefined || (there.isFile() && statSync(made).isFile())) renameSync(made, path);
  else {
    // A folder cannot be renamed onto another; the earlier one comes back if the new one cannot take its place.
    renameSync(path, old);
    try {
      renameSync(made, path);
    } catch (error) {
      renameSync(old, path);
      throw error;
    }
  }
}

function writeFolder(folder, parts) {
  mkdirSync(folder);
  const folders = new Set([folder]);
  for (const [name, data] of [...parts].sort(([a], [b]) => (a === 'manifest.json') - (b === 'manifest.json'))) {
    const path = join(folder, ...name.split('/'));
    mkdirSync(dirname(path), { recursive: true });
    folders.add(dirname(path));
    writeFile(path, [data]);
  }
  folders.forEach(flushFolder);
}

function writeFile(path, pieces) {
  const descriptor = openSync(path, 'wx');
  try {
    for (const piece of pieces) {
      for (let place = 0; place < piece.length;) place += writeSync(descriptor, piece, place);
    }
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function flushFolder(path) {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** The pieces of the packed form, one behind the other. */
export function packed(parts, roles) {
  const group = (name) => (name === 'manifest.json' ? 3 : GROUPS[roles.get(name)] ?? 2);
  const names = [...parts.keys()].sort((a, b) => group(a) - group(b) || (a < b ? -1 : 1));
  const pieces = [];
  const directory = [];
  let place = 0;
  for (const name of names) {
    const data = parts.get(name);
    const member = { name: Buffer.from(name), size: data.length, crc: crc32(data), offset: place };
    pieces.push(localHeader(member), data);
    place += pieces.at(-2).length + data.length;
    directory.push(centralHeader(member));
  }
  return [...pieces, ...directory, endRecords(names.length, Buffer.concat(directory).length, place)];
}

function localHeader({ name, size, crc, offset }) {
  const wide = size >= ALL32 ? extraField(1, [size, size]) : Buffer.alloc(0);
  const unpadded = offset + 30 + name.length + wide.length + 6;
  const zeros = (ALIGNMENT - (unpadded % ALIGNMENT)) % ALIGNMENT;
  const alignment = Buffer.alloc(6 + zeros);
  alignment.writeUInt16LE(0xd935, 0);
  alignment.writeUInt16LE(2 + zeros, 2);
  alignment.writeUInt16LE(ALIGNMENT, 4);
  const record = Buffer.alloc(30);
  record.writeUInt32LE(0x04034b50, 0);
  common(wide.length > 0, size, crc, name).copy(record, 4);
  record.writeUInt16LE(wide.length + alignment.length, 28);
  return Buffer.concat([record, name, wide, alignment]);
}

function centralHeader({ name, size, crc, offset }) {
  const values = [...(size >= ALL32 ? [size, size] : []), ...(offset >= ALL32 ? [offset] : [])];
  const wide = values.length ? extraField(1, values) : Buffer.alloc(0);
  const record = Buffer.alloc(46);
  record.writeUInt32LE(0x02014b50, 0);
  record.writeUInt16LE(wide.length ? 45 : 20, 4);
  common(wide.length > 0, size, crc, name).copy(record, 6);
  record.writeUInt16LE(wide.length, 30);
  record.writeUInt32LE(Math.min(offset, ALL32), 42);
  return Buffer.concat([record, name, wide]);
}

/** The fields that both kinds of header have in one order, from the version needed to the length of the name. */
function common(wide, size, crc, name) {
  const fields = Buffer.alloc(24);
  fields.writeUInt16LE(wide ? 45 : 20, 0);
  fields.writeUInt16LE(0x0021, 8);
  fields.writeUInt32LE(crc, 10);
  fields.writeUInt32LE(Math.min(size, ALL32), 14);
  fields.writeUInt32LE(Math.min(size, ALL32), 18);
  fields.writeUInt16LE(name.length, 22);
  return fields;
}

function extraField(id, values) {
  const field = Buffer.alloc(4 + 8 * values.length);
  field.writeUInt16LE(id, 0);
  field.writeUInt16LE(8 * values.length, 2);
  values.forEach((value, i) => field.writeBigUInt64LE(BigInt(value), 4 + 8 * i));
  return field;
}

function endRecords(members, size, offset) {
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(Math.min(members, ALL16), 8);
  end.writeUInt16LE(Math.min(members, ALL16), 10);
  end.writeUInt32LE(Math.min(size, ALL32), 12);
  end.writeUInt32LE(Math.min(offset, ALL32), 16);
  if (members < ALL16 && size < ALL32 && offset < ALL32) return end;
  const record = Buffer.alloc(56);
  record.writeUInt32LE(0x06064b50, 0);
  record.writeBigUInt64LE(44n, 4);
  record.writeUInt16LE(45, 12);
  record.writeUInt16LE(45, 14);
  [members, members, size, offset].forEach((value, i) => record.writeBigUInt64LE(BigInt(value), 24 + 8 * i));
  const locator = Buffer.alloc(20);
  locator.writeUInt32LE(0x07064b50, 0);
  locator.writeBigUInt64LE(BigInt(offset + size), 8);
  locator.writeUInt32LE(1, 16);
  return Buffer.concat([record, locator, end]);
}
