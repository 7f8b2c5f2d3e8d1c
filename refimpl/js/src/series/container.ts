// A step of a series as the artifact that it is (SPEC.md annex Q).

import { concat } from '../bytes.js';
import type { Manifest, PartEntry } from '../documents/manifest.js';
import { refuse } from '../errors.js';
import type { Limits } from '../limits.js';
import { once } from '../once.js';
import { digestOf, platform } from '../platform.js';
import type { Container } from '../storage/container.js';
import { BytesSource, type Source } from '../storage/source.js';
import {
  LAYOUT_LIMIT,
  type Layout,
  RECORD_LIMIT,
  readLayout,
  readMark,
  readRecord,
  type StepRecord,
} from './documents.js';
import { fileAt, numberOf, objectName, openObject, recordName, type SeriesPlace } from './place.js';

const PIECE = 1 << 22;

/** Refuses a place that is no series (CS-1). */
export async function checkSeries(place: SeriesPlace, limits: Limits): Promise<void> {
  const size = await fileAt(place, 'series.json');
  if (size === null) refuse('series-form', 'series.json', 'no such file');
  readMark(await readAll(await place.open('series.json'), limits.document, 'series.json', 'limit-document'), limits);
}

/** The numbers of the steps, rising. */
export async function stepsOf(place: SeriesPlace): Promise<number[]> {
  const found: number[] = [];
  for (const name of await place.list('steps')) {
    const number = numberOf(name);
    if (number !== null && (await fileAt(place, `steps/${name}`)) !== null) found.push(number);
  }
  return found.sort((a, b) => a - b);
}

/** The record of a step. */
export async function recordOf(place: SeriesPlace, step: number, limits: Limits): Promise<StepRecord> {
  const name = recordName(step);
  const size = await fileAt(place, name);
  if (size === null) refuse('step-missing', name, 'no such step');
  return readRecord(await readAll(await place.open(name), RECORD_LIMIT, name, 'limit-document'), step, limits);
}

async function readAll(source: Source, limit: number, where: string, code: string): Promise<Uint8Array> {
  try {
    if (source.size > limit) refuse(code, where, `${source.size} bytes`);
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}

/** A manifest or layout: an object that names others, held against its digest (CS-14). */
export async function documentOf(
  place: SeriesPlace,
  digest: string,
  { limit, code, where, owner }: { limit: number; code: string; where: string; owner: string },
): Promise<Uint8Array> {
  const bytes = await readAll(await openObject(place, digest, null, owner), limit, where, code);
  if ((await digestOf(bytes)) !== digest) refuse('digest-mismatch', where, 'changed bytes');
  return bytes;
}

export class StepContainer implements Container {
  readonly form = 'series';
  readonly remote: boolean;
  readonly record: StepRecord;
  readonly #place: SeriesPlace;
  readonly #limits: Limits;
  readonly #layouts = new Map<string, Layout>();
  #parts: ReadonlyMap<string, PartEntry> = new Map();

  private constructor(place: SeriesPlace, record: StepRecord, limits: Limits) {
    this.#place = place;
    this.#limits = limits;
    this.record = record;
    this.remote = place.remote;
  }

  static async open(place: SeriesPlace, step: number, limits: Limits): Promise<StepContainer> {
    await checkSeries(place, limits);
    return new StepContainer(place, await recordOf(place, step, limits), limits);
  }

  async manifest(): Promise<Source> {
    const { identity } = this.record;
    const what = { limit: this.#limits.document, code: 'limit-document', where: 'manifest.json', owner: 'the step' };
    return new BytesSource(await documentOf(this.#place, identity, what));
  }

  async checkParts({ parts }: Manifest): Promise<void> {
    this.#parts = parts;
    for (const [name, { role, size, digest }] of parts) {
      if (role === 'data') await this.#readLayout(name);
      else await (await openObject(this.#place, digest as string, size, name)).close();
    }
    for (const name of this.record.layouts.keys()) {
      if (parts.get(name)?.role !== 'data') {
        refuse('series-layout', recordName(this.record.step), `a layout of ${name}, which is no data part`);
      }
    }
  }

  async #readLayout(name: string): Promise<void> {
    const digest = this.record.layouts.get(name);
    if (digest === undefined) refuse('series-layout', recordName(this.record.step), `no layout of ${name}`);
    const where = `the layout of ${name}`;
    const what = { limit: LAYOUT_LIMIT, code: 'limit-pieces', where, owner: name };
    const bytes = await documentOf(this.#place, digest, what);
    const layout = readLayout(bytes, where, this.#limits);
    const { size, header } = this.#parts.get(name) as PartEntry;
    const section = size - (header as { size: number }).size;
    const sum = layout.pieces.reduce((total, piece) => total + piece.size, 0);
    if (sum !== section) refuse('series-layout', where, `pieces of ${sum} bytes for ${section}`);
    this.#layouts.set(name, layout);
  }

  async open(name: string): Promise<Source> {
    const { role, size, digest, header } = this.#parts.get(name) as PartEntry;
    if (role !== 'data') return openObject(this.#place, digest as string, size, name);
    const start = header as { size: number; digest: string };
    const find = (): Promise<Source> => openObject(this.#place, start.digest, start.size, `the header of ${name}`);
    // Tensors can be read without it, so that it is no request of theirs (RM-4).
    const head = this.remote ? new LateSource(start.size, find) : await find();
    return new LayoutSource(this.#place, this.#layouts.get(name) as Layout, head, size, name);
  }

  /** The object that holds a range of a data section, or null where it lies in several pieces. */
  rangeOf(name: string, offset: number, size: number): { object: string; offset: number; size: number } | null {
    const { objects, pieces } = this.#layouts.get(name) as Layout;
    const starts = this.#startsOf(name, pieces);
    const i = pieceAt(starts, offset);
    const [piece, start] = [pieces[i], starts[i]];
    if (piece === undefined || start === undefined || offset + size > start + piece.size) return null;
    return { object: objects[piece.object] as string, offset: piece.offset + offset - start, size };
  }

  readonly #starts = new Map<string, readonly number[]>();

  #startsOf(name: string, pieces: Layout['pieces']): readonly number[] {
    let starts = this.#starts.get(name);
    if (starts === undefined) {
      starts = startsOf(pieces, 0);
      this.#starts.set(name, starts);
    }
    return starts;
  }

  crc(): null {
    return null;
  }

  /** Checks each object that a layout names against the digest of its name (CS-32); the others are parts or headers. */
  async verify(): Promise<void> {
    const checked = new Set<string>();
    for (const [name, { objects, pieces }] of this.#layouts) {
      const sizes = new Map<number, number>();
      for (const { object, offset, size } of pieces) sizes.set(object, Math.max(sizes.get(object) ?? 0, offset + size));
      for (const [i, digest] of objects.entries()) {
        const source = await openObject(this.#place, digest, null, name);
        try {
          if ((sizes.get(i) ?? 0) > source.size) {
            refuse('series-layout', `the layout of ${name}`, `a piece beyond the end of ${objectName(digest)}`);
          }
          if (!checked.has(digest) && (await digestOfSource(source)) !== digest) {
            refuse('digest-mismatch', objectName(digest), 'changed bytes');
          }
          checked.add(digest);
        } finally {
          await source.close();
        }
      }
    }
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function digestOfSource(source: Source): Promise<string> {
  const hasher = platform().hasher?.();
  const pieces: Uint8Array[] = [];
  for (let place = 0; place < source.size; place += PIECE) {
    const piece = await source.read(place, PIECE);
    if (hasher) hasher.update(piece);
    else pieces.push(piece);
  }
  return hasher ? `sha256:${hasher.finish()}` : digestOf(concat(pieces));
}

/** Where each piece begins; the first one at `start`. */
function startsOf(pieces: Layout['pieces'], start: number): number[] {
  let place = start;
  return pieces.map(({ size }) => {
    place += size;
    return place - size;
  });
}

/** The number of the piece that holds a byte. */
function pieceAt(starts: readonly number[], place: number): number {
  let [low, high] = [0, starts.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((starts[middle] as number) <= place) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A source that is opened when it is first read. */
class LateSource implements Source {
  readonly size: number;
  readonly #open: () => Promise<Source>;
  readonly #opened = new Map<'source', Promise<Source>>();

  constructor(size: number, open: () => Promise<Source>) {
    this.size = size;
    this.#open = open;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    return (await once(this.#opened, 'source', this.#open)).read(offset, length);
  }

  async close(): Promise<void> {
    await (await this.#opened.get('source'))?.close();
  }
}

/** A data part: its header, and its data section out of objects. */
class LayoutSource implements Source {
  readonly size: number;
  readonly #place: SeriesPlace;
  readonly #layout: Layout;
  readonly #head: Source;
  readonly #name: string;
  /** Where each piece begins in the part. */
  readonly #starts: readonly number[];
  readonly #objects = new Map<number, Promise<Source>>();

  constructor(place: SeriesPlace, layout: Layout, head: Source, size: number, name: string) {
    this.#place = place;
    this.#layout = layout;
    this.#head = head;
    this.size = size;
    this.#name = name;
    this.#starts = startsOf(layout.pieces, head.size);
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    const stop = Math.min(this.size, offset + length);
    const parts: Uint8Array[] = [];
    if (offset < this.#head.size) {
      parts.push(await this.#head.read(offset, Math.min(stop, this.#head.size) - offset));
      if (stop <= this.#head.size) return parts[0] as Uint8Array;
    }
    const from = Math.max(offset, this.#head.size);
    const [first, last] = [pieceAt(this.#starts, from), pieceAt(this.#starts, stop - 1)];
    if (from >= stop) return new Uint8Array(0);
    if (last > first) await this.#checkRange(first, last, stop - from);
    for (let i = first; i <= last; i += 1) {
      const piece = this.#layout.pieces[i] as { object: number; offset: number; size: number };
      const start = this.#starts[i] as number;
      const [begin, end] = [Math.max(from, start), Math.min(stop, start + piece.size)];
      const source = await this.#object(piece.object);
      if (piece.offset + piece.size > source.size) {
        refuse('series-layout', `the layout of ${this.#name}`, `the piece ${i} reaches beyond the end of its object`);
      }
      parts.push(await source.read(piece.offset + begin - start, end - begin));
    }
    return concat(parts);
  }

  /** Refuses a range that repeats objects so that it is larger than they are (CS-33). */
  async #checkRange(first: number, last: number, size: number): Promise<void> {
    const objects = new Set(this.#layout.pieces.slice(first, last + 1).map(({ object }) => object));
    let there = 0;
    for (const object of objects) there += (await this.#object(object)).size;
    if (size > there) {
      refuse('series-layout', `the layout of ${this.#name}`, `a range of ${size} bytes out of objects of ${there}`);
    }
  }

  #object(number: number): Promise<Source> {
    const digest = this.#layout.objects[number] as string;
    return once(this.#objects, number, () => openObject(this.#place, digest, null, this.#name));
  }

  async close(): Promise<void> {
    await this.#head.close();
    for (const source of this.#objects.values()) await (await source).close();
    this.#objects.clear();
  }
}
