// The packed form (SPEC.md chapter 9): a ZIP archive in which nothing is left to choice.

import { viewOf } from '../bytes.js';
import type { Manifest, Role } from '../documents/manifest.js';
import { refuse, show } from '../errors.js';
import { crc32 } from '../platform.js';
import type { Container } from './container.js';
import { SliceSource, type Source } from './source.js';

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
/** The groups of Z-2; documents are 2 and the manifest is 3. */
const GROUPS: Readonly<Partial<Record<Role, number>>> = { data: 0, program: 1, native: 1, asset: 1 };

interface Member {
  readonly name: string;
  readonly crc: number;
  readonly size: number;
  /** Of its local header. */
  readonly offset: number;
  /** Of its data. */
  readonly start: number;
}

interface End {
  readonly count: number;
  readonly size: number;
  readonly offset: number;
  /** Where the records behind the directory begin. */
  readonly behind: number;
}

/** A packed file (chapter 9). */
export class PackedContainer implements Container {
  readonly form = 'packed';
  readonly file: Source;
  readonly members: ReadonlyMap<string, Member>;
  /** Whether local headers are left to the full verification, since each would be a request (RM-5). */
  readonly remote: boolean;
  readonly end: End;

  private constructor(file: Source, end: End, members: ReadonlyMap<string, Member>, remote: boolean) {
    this.file = file;
    this.end = end;
    this.members = members;
    this.remote = remote;
  }

  /** Reads the directory, and the local headers too unless that is left to the full verification. */
  static async open(file: Source, remote = false): Promise<PackedContainer> {
    const end = await readEnd(file);
    const members = new Map<string, Member>();
    let place = 0; // of the next local header, of which none may leave a gap (Z-8)
    for (const header of await readDirectory(file, end)) {
      const at = `${FILE}, member ${show(header.name)}`;
      if (header.offset !== place) refuse('zip-layout', FILE, `a local header at ${header.offset} instead of ${place}`);
      const start = remote ? startOf(header) : await checkLocal(file, header, end.offset);
      place = start + header.size;
      if (place > end.offset) refuse('zip-layout', at, 'data that runs into the directory');
      if (members.has(header.name)) refuse('zip-members', FILE, `${show(header.name)} twice`);
      members.set(header.name, { name: header.name, crc: header.crc, size: header.size, offset: header.offset, start });
    }
    if (place !== end.offset) refuse('zip-layout', FILE, `${end.offset - place} bytes before the directory`);
    return new PackedContainer(file, end, members, remote);
  }

  async manifest(): Promise<Source> {
    const member = this.members.get('manifest.json');
    if (member === undefined) refuse('zip-members', FILE, 'no manifest.json');
    const source = await this.open('manifest.json');
    if (crc32(await source.read(0, Math.min(member.size, 512 * 1024 * 1024))) !== member.crc) {
      refuse('zip-crc', 'manifest.json', 'another CRC-32');
    }
    return source;
  }

  checkParts({ parts }: Manifest): Promise<void> {
    for (const [name, { size }] of parts) {
      const member = this.members.get(name);
      if (member === undefined) refuse('zip-members', FILE, `no ${name}`);
      if (member.size !== size) refuse('part-size', name, `${member.size} bytes, where the manifest has ${size}`);
    }
    let last: readonly [number, string] = [-1, ''];
    for (const name of this.members.keys()) {
      const role = parts.get(name)?.role;
      if (name !== 'manifest.json' && role === undefined)
        refuse('zip-members', FILE, `${show(name)}, which is not listed`);
      const group = role === undefined ? 3 : (GROUPS[role] ?? 2);
      if (group < last[0] || (group === last[0] && name < last[1]))
        refuse('zip-order', FILE, `${name} behind ${last[1]}`);
      last = [group, name];
    }
    return Promise.resolve();
  }

  open(name: string): Promise<Source> {
    const member = this.members.get(name);
    if (member === undefined) refuse('part-missing', name, 'no such member');
    return Promise.resolve(new SliceSource(this.file, member.start, member.size));
  }

  crc(name: string): number | null {
    return this.members.get(name)?.crc ?? null;
  }

  /** Where the first document lies: what follows is all that opening reads. */
  firstDocument(): number {
    const starts = [...this.members.values()].filter(({ name }) => !isBulk(name)).map(({ offset }) => offset);
    return Math.min(this.end.offset, ...starts);
  }

  async verify(): Promise<void> {
    if (!this.remote) return;
    for (const header of await readDirectory(this.file, this.end)) await checkLocal(this.file, header, this.end.offset);
  }

  close(): Promise<void> {
    return this.file.close();
  }
}

function isBulk(name: string): boolean {
  return /^(?:programs|native|assets)\//.test(name) || name.endsWith('.safetensors');
}

interface Header {
  readonly name: string;
  readonly at: string;
  readonly crc: number;
  readonly size: number;
  readonly offset: number;
}

async function readEnd(file: Source): Promise<End> {
  const size = Math.min(file.size, END_SIZE + LOCATOR_SIZE);
  const tail = viewOf(await file.read(file.size - size, size));
  const start = size - END_SIZE;
  if (start < 0 || tail.getUint32(start, true) !== END) return refuseTail(file);
  const field = (offset: number): number => tail.getUint16(start + offset, true);
  const stored = { count: field(10), size: tail.getUint32(start + 12, true), offset: tail.getUint32(start + 16, true) };
  if (field(4) || field(6) || field(8) !== stored.count) refuse('zip-field', FILE, 'a second disk');
  if (field(20)) refuse('zip-field', FILE, 'a comment');
  const hasLocator = start === LOCATOR_SIZE && tail.getUint32(0, true) === LOCATOR64;
  const needsIt = stored.count === ALL16 || stored.size === ALL32 || stored.offset === ALL32;
  if (hasLocator !== needsIt) {
    refuse('zip-zip64', FILE, needsIt ? 'no zip64 end record' : 'a zip64 end record without need');
  }
  const end = needsIt ? await readEnd64(file, tail, stored) : { ...stored, behind: file.size - END_SIZE };
  if (end.offset + end.size !== end.behind) {
    refuse('zip-layout', FILE, 'the directory does not end where the end record begins');
  }
  return end;
}

async function readEnd64(file: Source, locator: DataView, stored: Omit<End, 'behind'>): Promise<End> {
  const behind = file.size - END_SIZE - LOCATOR_SIZE - END64_SIZE;
  if (locator.getUint32(4, true) || locator.getUint32(16, true) !== 1) refuse('zip-field', FILE, 'a second disk');
  const record = viewOf(behind < 0 ? new Uint8Array(0) : await file.read(behind, END64_SIZE));
  if (record.byteLength < END64_SIZE || record.getUint32(0, true) !== END64 || wide(locator, 8) !== behind) {
    refuse('zip-zip64', FILE, 'no zip64 end record where one belongs');
  }
  if (wide(record, 4) !== END64_SIZE - 12) refuse('zip-zip64', FILE, 'extensible data');
  if (record.getUint16(12, true) !== 45 || record.getUint16(14, true) !== 45) {
    refuse('zip-zip64', FILE, 'other versions than 45');
  }
  if (record.getUint32(16, true) || record.getUint32(20, true)) refuse('zip-field', FILE, 'a second disk');
  const end = { count: wide(record, 32), size: wide(record, 40), offset: wide(record, 48), behind };
  if (wide(record, 24) !== end.count) refuse('zip-field', FILE, 'a second disk');
  const needed = end.count >= ALL16 || end.size >= ALL32 || end.offset >= ALL32;
  const kept = Math.min(end.count, ALL16) === stored.count && Math.min(end.size, ALL32) === stored.size;
  if (!needed || !kept || Math.min(end.offset, ALL32) !== stored.offset) {
    refuse('zip-zip64', FILE, 'fields that differ');
  }
  return end;
}

/** No end record where it belongs: one with something behind it, or none (Z-10, Z-11). */
async function refuseTail(file: Source): Promise<never> {
  const size = Math.min(file.size, END_SIZE + ALL16);
  const tail = viewOf(await file.read(file.size - size, size));
  for (let i = tail.byteLength - END_SIZE; i >= 0; i -= 1) {
    if (tail.getUint32(i, true) === END && i + END_SIZE + tail.getUint16(i + 20, true) === tail.byteLength) {
      refuse('zip-field', FILE, 'a comment');
    }
  }
  refuse('zip-truncated', FILE, 'no end record at the end');
}

async function readDirectory(file: Source, end: End): Promise<Header[]> {
  if (end.size > file.size || end.offset > file.size) refuse('zip-layout', FILE, 'a directory outside of the file');
  const data = await file.read(end.offset, end.size);
  const view = viewOf(data);
  const headers: Header[] = [];
  let place = 0;
  for (let i = 0; i < end.count; i += 1) {
    if (place + 46 > data.length || view.getUint32(place, true) !== CENTRAL)
      refuse('zip-layout', FILE, 'no central header');
    const [name, extra, comment] = [28, 30, 32].map((field) => view.getUint16(place + field, true)) as [
      number,
      number,
      number,
    ];
    const next = place + 46 + name + extra + comment;
    if (next > data.length) refuse('zip-layout', FILE, 'a central header that ends behind the directory');
    headers.push(readCentral(data.subarray(place, next), name, extra, comment));
    place = next;
  }
  if (place !== data.length) refuse('zip-layout', FILE, 'bytes behind the last central header');
  return headers;
}

function readCentral(record: Uint8Array, nameLength: number, extraLength: number, commentLength: number): Header {
  const view = viewOf(record);
  const name = latin1(record.subarray(46, 46 + nameLength));
  const at = `${FILE}, member ${show(name)}`;
  const field = (wanted: number, found: number, what: string): void => {
    if (wanted !== found) refuse('zip-field', at, `${what} ${found}`);
  };
  field(0, commentLength, 'length of the comment');
  checkCommon(view, 8, at);
  field(0, view.getUint16(34, true), 'disk');
  field(0, view.getUint16(36, true), 'internal attributes');
  field(0, view.getUint32(38, true), 'external attributes');
  const extra = readExtra(record.subarray(46 + nameLength, 46 + nameLength + extraLength), at, [1]);
  const stored = { packed: view.getUint32(20, true), size: view.getUint32(24, true), offset: view.getUint32(42, true) };
  const { size, offset } = widen(stored, extra.get(1), at);
  const version = extra.has(1) ? 45 : 20;
  field(version, view.getUint16(6, true), 'version needed');
  field(version, view.getUint16(4, true), 'version made by');
  return { name, size, offset, crc: view.getUint32(16, true), at };
}

/** Where the data of a member begins, if its local header is as it must be (Z-4, Z-5). */
function startOf({ name, size, offset }: Header): number {
  const unpadded = offset + 30 + name.length + (size >= ALL32 ? 20 : 0) + 6;
  return Math.ceil(unpadded / ALIGNMENT) * ALIGNMENT;
}

/** Checks a member's local header; gives the offset of its data. `limit` is where the central directory begins. */
async function checkLocal(file: Source, header: Header, limit: number): Promise<number> {
  const { at, offset, name } = header;
  const bytes = await file.read(offset, 30 + name.length + 128);
  const start = viewOf(bytes);
  if (offset + 30 > limit || start.getUint32(0, true) !== LOCAL)
    refuse('zip-layout', at, `no local header at ${offset}`);
  const extraLength = start.getUint16(28, true);
  if (start.getUint16(26, true) !== name.length) refuse('zip-field', at, 'names that differ');
  const dataStart = offset + 30 + name.length + extraLength;
  if (dataStart > limit) refuse('zip-layout', at, 'a local header that ends behind the members');
  const length = name.length + extraLength;
  const rest = 30 + length <= bytes.length ? bytes.subarray(30, 30 + length) : await file.read(offset + 30, length);
  if (latin1(rest.subarray(0, name.length)) !== name) refuse('zip-field', at, 'names that differ');
  checkCommon(start, 6, at);
  const extra = readExtra(rest.subarray(name.length), at, [1, ALIGNMENT_ID]);
  const stored = { packed: start.getUint32(18, true), size: start.getUint32(22, true), offset: 0 };
  const { size } = widen(stored, extra.get(1), at);
  const version = extra.has(1) ? 45 : 20;
  if (start.getUint16(4, true) !== version) refuse('zip-field', at, `version needed ${start.getUint16(4, true)}`);
  if (size !== header.size || start.getUint32(14, true) !== header.crc) refuse('zip-field', at, 'headers that differ');
  checkAlignment(extra, dataStart, at);
  return dataStart;
}

/** Flags, method, time and date, which stand in one order in both kinds of header (Z-3). */
function checkCommon(view: DataView, offset: number, at: string): void {
  const names = ['flags', 'method', 'time', 'date'];
  [0, 0, 0, DATE].forEach((wanted, i) => {
    const found = view.getUint16(offset + 2 * i, true);
    if (found !== wanted) refuse('zip-field', at, `${names[i]} ${found}`);
  });
}

/** The extra fields by id, in their order; only those of `known` may be there (Z-10). */
function readExtra(data: Uint8Array, at: string, known: readonly number[]): Map<number, Uint8Array> {
  const fields = new Map<number, Uint8Array>();
  const view = viewOf(data);
  let place = 0;
  while (place < data.length) {
    const length = place + 4 <= data.length ? view.getUint16(place + 2, true) : ALL16;
    if (place + 4 + length > data.length) refuse('zip-field', at, 'an extra field that is cut off');
    const id = view.getUint16(place, true);
    if (!known.includes(id) || fields.has(id)) refuse('zip-field', at, `the extra field 0x${id.toString(16)}`);
    fields.set(id, data.subarray(place + 4, place + 4 + length));
    place += 4 + length;
  }
  return fields;
}

interface Sizes {
  readonly packed: number;
  readonly size: number;
  readonly offset: number;
}

/** Size and offset of a member, from the header's fields and its zip64 field (Z-5). */
function widen(
  { packed, size, offset }: Sizes,
  field: Uint8Array | undefined,
  at: string,
): { size: number; offset: number } {
  const wideSizes = packed === ALL32 || size === ALL32;
  const wideOffset = offset === ALL32;
  if ((field?.length ?? 0) !== (wideSizes ? 16 : 0) + (wideOffset ? 8 : 0) || field?.length === 0) {
    refuse('zip-zip64', at, 'a zip64 field that is missing, without need, or of another length');
  }
  const view = viewOf(field ?? new Uint8Array(0));
  const full = {
    packed: wideSizes ? wide(view, 8) : packed,
    size: wideSizes ? wide(view, 0) : size,
    offset: wideOffset ? wide(view, wideSizes ? 16 : 0) : offset,
  };
  if (full.packed !== full.size || packed !== size) refuse('zip-field', at, 'sizes that differ');
  if ((wideSizes && full.size < ALL32) || (wideOffset && full.offset < ALL32)) {
    refuse('zip-zip64', at, 'a zip64 field without need');
  }
  return full;
}

function checkAlignment(extra: ReadonlyMap<number, Uint8Array>, dataStart: number, at: string): void {
  const field = extra.get(ALIGNMENT_ID);
  const zeros = field?.subarray(2) ?? new Uint8Array(0);
  const states = field !== undefined && field.length >= 2 && viewOf(field).getUint16(0, true) === ALIGNMENT;
  const last = [...extra.keys()].at(-1) === ALIGNMENT_ID;
  const aligned = zeros.length < ALIGNMENT && dataStart % ALIGNMENT === 0 && zeros.every((byte) => byte === 0);
  if (!states || !last || !aligned) {
    refuse('zip-alignment', at, `data at ${dataStart} behind ${field?.length ?? 'no'} bytes of alignment`);
  }
}

function latin1(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

function wide(view: DataView, offset: number): number {
  const value = view.getBigUint64(offset, true);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}
