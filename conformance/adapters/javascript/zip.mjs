// The packed form (SPEC.md chapter 9): a ZIP archive in which nothing is left to choice.

import { refuse, show } from './errors.mjs';
import { SliceSource } from './source.mjs';

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const END_SIZE = 22;
const END64_SIZE = 56;
const LOCATOR_SIZE = 20;
const ALL16 = 0xffff;
const ALL32 = 0xffffffff;
const ALIGNMENT_ID = 0xd935;
const ALIGNMENT = 64;
const DATE = 0x0021;
const FILE = 'the archive';

/** The archive's members: a Map from name to {source, crc, size}, in the archive's order. Reads headers only. */
export function readMembers(file) {
  const end = readEnd(file);
  const members = new Map();
  let place = 0; // of the next local header, of which none may leave a gap (Z-8)
  for (const header of readDirectory(file, end)) {
    if (header.offset !== place) refuse('zip-layout', FILE, `a local header at ${header.offset} instead of ${place}`);
    const start = checkLocal(file, header, end.offset);
    place = start + header.size;
    if (place > end.offset) refuse('zip-layout', FILE, `${show(header.name)} runs into the directory`);
    if (members.has(header.name)) refuse('zip-members', FILE, `${show(header.name)} twice`);
    members.set(header.name, { source: new SliceSource(file, start, header.size), crc: header.crc, size: header.size });
  }
  if (place !== end.offset) refuse('zip-layout', FILE, `${end.offset - place} bytes before the directory`);
  return members;
}

/** Where the central directory is, and how many members it has: {offset, size, count}. */
function readEnd(file) {
  const record = file.read(file.size - END_SIZE, END_SIZE);
  if (record.length < END_SIZE || record.readUInt32LE(0) !== END) refuseTail(file);
  const stored = { count: record.readUInt16LE(10), size: record.readUInt32LE(12), offset: record.readUInt32LE(16) };
  const disks = [record.readUInt16LE(4), record.readUInt16LE(6)];
  if (disks[0] || disks[1] || record.readUInt16LE(8) !== stored.count) refuse('zip-field', FILE, 'a second disk');
  if (record.readUInt16LE(20)) refuse('zip-field', FILE, 'a comment');

  const locator = file.read(file.size - END_SIZE - LOCATOR_SIZE, LOCATOR_SIZE);
  const hasLocator = file.size >= END_SIZE + LOCATOR_SIZE && locator.readUInt32LE(0) === LOCATOR64;
  const needsIt = stored.count === ALL16 || stored.size === ALL32 || stored.offset === ALL32;
  if (hasLocator !== needsIt) refuse('zip-zip64', FILE, needsIt ? 'no zip64 end record' : 'a zip64 end record without need');
  const end = needsIt ? readEnd64(file, locator, stored) : { ...stored, behind: file.size - END_SIZE };
  if (end.offset + end.size !== end.behind) refuse('zip-layout', FILE, 'the directory does not end where the end record begins');
  return end;
}

function readEnd64(file, locator, stored) {
  const behind = file.size - END_SIZE - LOCATOR_SIZE - END64_SIZE;
  if (locator.readUInt32LE(4) || locator.readUInt32LE(16) !== 1) refuse('zip-field', FILE, 'a second disk');
  const record = behind < 0 ? Buffer.alloc(0) : file.read(behind, END64_SIZE);
  if (record.length < END64_SIZE || record.readUInt32LE(0) !== END64 || wide(locator, 8) !== behind) {
    refuse('zip-zip64', FILE, 'no zip64 end record where one belongs');
  }
  if (wide(record, 4) !== END64_SIZE - 12) refuse('zip-zip64', FILE, 'extensible data');
  if (record.readUInt16LE(12) !== 45 || record.readUInt16LE(14) !== 45) refuse('zip-zip64', FILE, 'other versions than 45');
  if (record.readUInt32LE(16) || record.readUInt32LE(20)) refuse('zip-field', FILE, 'a second disk');
  const end = { count: wide(record, 32), size: wide(record, 40), offset: wide(record, 48), behind };
  if (wide(record, 24) !== end.count) refuse('zip-field', FILE, 'a second disk');
  const needed = end.count >= ALL16 || end.size >= ALL32 || end.offset >= ALL32;
  const kept = Math.min(end.count, ALL16) === stored.count && Math.min(end.size, ALL32) === stored.size;
  if (!needed || !kept || Math.min(end.offset, ALL32) !== stored.offset) refuse('zip-zip64', FILE, 'fields that differ');
  return end;
}

/** No end record where it belongs: one with something behind it, or none (Z-10, Z-11). */
function refuseTail(file) {
  const size = Math.min(file.size, END_SIZE + ALL16);
  const tail = file.read(file.size - size, size);
  for (let i = tail.length - END_SIZE; i >= 0; i -= 1) {
    if (tail.readUInt32LE(i) === END && i + END_SIZE + tail.readUInt16LE(i + 20) === tail.length) {
      refuse('zip-field', FILE, 'a comment');
    }
  }
  refuse('zip-truncated', FILE, 'no end record at the end');
}

function* readDirectory(file, end) {
  if (end.size > file.size || end.offset > file.size) refuse('zip-layout', FILE, 'a directory outside of the file');
  const data = file.read(end.offset, end.size);
  let place = 0;
  for (let i = 0; i < end.count; i += 1) {
    if (place + 46 > data.length || data.readUInt32LE(place) !== CENTRAL) refuse('zip-layout', FILE, 'no central header');
    const lengths = [28, 30, 32].map((field) => data.readUInt16LE(place + field));
    const next = place + 46 + lengths[0] + lengths[1] + lengths[2];
    if (next > data.length) refuse('zip-layout', FILE, 'a central header that ends behind the directory');
    yield readCentral(data.subarray(place, next), lengths);
    place = next;
  }
  if (place !== data.length) refuse('zip-layout', FILE, 'bytes behind the last central header');
}

function readCentral(record, [nameLength, extraLength, commentLength]) {
  const name = record.toString('latin1', 46, 46 + nameLength);
  const at = `${FILE}, member ${show(name)}`;
  const field = (wanted, found, what) => wanted === found || refuse('zip-field', at, `${what} ${found}`);
  field(0, commentLength, 'length of the comment');
  checkCommon(record.subarray(8), at);
  field(0, record.readUInt16LE(34), 'disk');
  field(0, record.readUInt16LE(36), 'internal attributes');
  field(0, record.readUInt32LE(38), 'external attributes');
  const extra = readExtra(record.subarray(46 + nameLength, 46 + nameLength + extraLength), at, [1]);
  const stored = { packed: record.readUInt32LE(20), size: record.readUInt32LE(24), offset: record.readUInt32LE(42) };
  const { size, offset } = widen(stored, extra.get(1), at);
  const version = extra.has(1) ? 45 : 20;
  field(version, record.readUInt16LE(6), 'version needed');
  field(version, record.readUInt16LE(4), 'version made by');
  return { name, size, offset, crc: record.readUInt32LE(16), shared: record.subarray(8, 28), at };
}

/** Checks a member's local header; gives the offset of its data. `limit` is where the central directory begins. */
function checkLocal(file, header, limit) {
  const { at, offset } = header;
  const nameLength = Buffer.byteLength(header.name, 'latin1');
  const start = file.read(offset, 30);
  if (offset + 30 > limit || start.readUInt32LE(0) !== LOCAL) refuse('zip-layout', at, `no local header at ${offset}`);
  const extraLength = start.readUInt16LE(28);
  if (start.readUInt16LE(26) !== nameLength) refuse('zip-field', at, 'names that differ');
  const dataStart = offset + 30 + nameLength + extraLength;
  if (dataStart > limit) refuse('zip-layout', at, 'a local header that ends behind the members');
  const rest = file.read(offset + 30, nameLength + extraLength);
  if (rest.toString('latin1', 0, nameLength) !== header.name) refuse('zip-field', at, 'names that differ');
  checkCommon(start.subarray(6), at);

  const extra = readExtra(rest.subarray(nameLength), at, [1, ALIGNMENT_ID]);
  const stored = { packed: start.readUInt32LE(18), size: start.readUInt32LE(22), offset: 0 };
  const { size } = widen(stored, extra.get(1), at);
  const version = extra.has(1) ? 45 : 20;
  if (start.readUInt16LE(4) !== version) refuse('zip-field', at, `version needed ${start.readUInt16LE(4)}`);
  if (size !== header.size || start.readUInt32LE(14) !== header.crc) refuse('zip-field', at, 'headers that differ');
  checkAlignment(extra, dataStart, at);
  return dataStart;
}

/** Flags, method, time and date, which stand in one order in both kinds of header (Z-3). */
function checkCommon(fields, at) {
  const names = ['flags', 'method', 'time', 'date'];
  [0, 0, 0, DATE].forEach((wanted, i) => {
    const found = fields.readUInt16LE(2 * i);
    if (found !== wanted) refuse('zip-field', at, `${names[i]} ${found}`);
  });
}

/** The extra fields by id, in their order; only those of `known` may be there (Z-10). */
function readExtra(data, at, known) {
  const fields = new Map();
  let place = 0;
  while (place < data.length) {
    const length = place + 4 <= data.length ? data.readUInt16LE(place + 2) : ALL16;
    if (place + 4 + length > data.length) refuse('zip-field', at, 'an extra field that is cut off');
    const id = data.readUInt16LE(place);
    if (!known.includes(id) || fields.has(id)) refuse('zip-field', at, `the extra field 0x${id.toString(16)}`);
    fields.set(id, data.subarray(place + 4, place + 4 + length));
    place += 4 + length;
  }
  return fields;
}

/** Sizes and offset of a member, from the header's fields and its zip64 field (Z-5). */
function widen({ packed, size, offset }, field, at) {
  const wideSizes = packed === ALL32 || size === ALL32;
  const wideOffset = offset === ALL32;
  if ((field?.length ?? 0) !== (wideSizes ? 16 : 0) + (wideOffset ? 8 : 0) || (field && field.length === 0)) {
    refuse('zip-zip64', at, 'a zip64 field that is missing, without need, or of another length');
  }
  const sizes = wideSizes ? [wide(field, 8), wide(field, 0)] : [packed, size];
  if (sizes[0] !== sizes[1] || packed !== size) refuse('zip-field', at, 'sizes that differ');
  const full = { size: sizes[1], offset: wideOffset ? wide(field, wideSizes ? 16 : 0) : offset };
  if ((wideSizes && full.size < ALL32) || (wideOffset && full.offset < ALL32)) {
    refuse('zip-zip64', at, 'a zip64 field without need');
  }
  return full;
}

function checkAlignment(extra, dataStart, at) {
  const field = extra.get(ALIGNMENT_ID);
  const zeros = field?.subarray(2) ?? [];
  const fits = field !== undefined && field.length >= 2 && field.readUInt16LE(0) === ALIGNMENT && zeros.every((byte) => byte === 0);
  const last = [...extra.keys()].at(-1) === ALIGNMENT_ID;
  if (!fits || !last || zeros.length >= ALIGNMENT || dataStart % ALIGNMENT !== 0) {
    refuse('zip-alignment', at, `data at ${dataStart} behind ${field?.length ?? 'no'} bytes of alignment`);
  }
}

function wide(data, offset) {
  const value = data.readBigUInt64LE(offset);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}
