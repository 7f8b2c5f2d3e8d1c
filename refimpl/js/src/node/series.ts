// Series of checkpoints in a folder (SPEC.md annex Q).

import { access, link, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { concat } from '../bytes.js';
import { encodeJson, type Json, type JsonMap } from '../canonical/json.js';
import { refuse, show } from '../errors.js';
import { LIMITS, limitsOf } from '../limits.js';
import type { Model } from '../model/model.js';
import type { OpenOptions } from '../open.js';
import { digestOf } from '../platform.js';
import { checkSeries } from '../series/container.js';
import { readRecord, sealOf } from '../series/documents.js';
import { fileAt, objectName, recordName, type SeriesPlace } from '../series/place.js';
import { Series as AnySeries, type SeriesSource, seriesPlaceOf } from '../series/series.js';
import type { Source } from '../storage/source.js';
import { viewOfFloat } from '../values/view.js';
import type { Planned, PlannedPart } from '../write/artifact.js';
import type { Content } from '../write/content.js';
import { loadPiece, type PlannedData } from '../write/plan.js';
import { planOf } from '../write.js';
import { FileSource, look } from './files.js';
import { locked } from './locks.js';
import { type Range, Reusable } from './reuse.js';
import { flushFolder, writeDurably } from './store.js';

/** A tensor of this size or more is an object of its own, and smaller ones fill objects up to the other (CS-9). */
const OWN = 1 << 20;
const PACK = 16 << 20;

/** A folder as the place of a series. */
export class FolderPlace implements SeriesPlace {
  readonly path: string;
  readonly remote = false;

  constructor(path: string) {
    this.path = path;
  }

  look(name: string): ReturnType<SeriesPlace['look']> {
    return look(this.path, name);
  }

  open(name: string): Promise<Source> {
    return FileSource.open(join(this.path, ...name.split('/')));
  }

  async list(folder: string): Promise<string[]> {
    const { kind } = await this.look(folder);
    if (kind === 'missing') return [];
    if (kind !== 'a folder') refuse('series-link', folder, kind);
    return readdir(join(this.path, ...folder.split('/')));
  }
}

/** A series of checkpoints: of a folder by its path, and of what a browser may have. */
export class Series extends AnySeries {
  /** Opens the series in a folder, behind a URL, or of the files of a folder by their names. */
  static override async open(source: SeriesSource, options: OpenOptions = {}): Promise<Series> {
    const place = typeof source === 'string' ? new FolderPlace(source) : seriesPlaceOf(source, options);
    await checkSeries(place, limitsOf(options.limits));
    return new Series(place, options);
  }
}

/** How a step is saved. */
export interface SaveOptions {
  /** Whether a step of that number is replaced. */
  readonly replace?: boolean;
  /** Numbers by name, which are kept as floats; in a Map, the JSON view of a record. */
  readonly metrics?: Readonly<Record<string, number>> | JsonMap;
  /** When it was saved, in any form that Date takes; now where it is left out. */
  readonly time?: string | Date;
  /** Bytes of data in a data part at most. */
  readonly shardSize?: number;
  /** False says that nobody collects garbage meanwhile, where files cannot be locked (CS-31). */
  readonly lock?: boolean;
}

/**
 * Saves a model as a step of the series in a folder, which begins there if nothing is there; gives the identity.
 *
 * @throws EtuiError `step-exists`, `no-locks`, `series-form` of a folder of something else, and as `write` does.
 */
export async function saveStep(
  path: string,
  step: number,
  model: Model | Content,
  options: SaveOptions = {},
): Promise<string> {
  if (!Number.isSafeInteger(step) || step < 0) refuse('argument', 'saveStep', `the step ${show(step)}`);
  const shards = options.shardSize === undefined ? {} : { shardSize: options.shardSize };
  const planned = await planOf(model, shards, false);
  await begin(path);
  const unlock = options.lock === false ? null : await locked(path, 'shared');
  const scratch = await mkdtemp(join(path, '.etui-'));
  try {
    const place = new FolderPlace(path);
    if (!options.replace && (await fileAt(place, recordName(step))) !== null) {
      refuse('step-exists', recordName(step), 'a step that was not to be replaced');
    }
    const saver = new Saver(place, scratch, await Reusable.of(place, step));
    const layouts = await saver.save(planned);
    await saver.commit(await recordFor(step, planned.identity, layouts, options), step, options.replace ?? false);
    return planned.identity;
  } finally {
    await rm(scratch, { recursive: true, force: true });
    await unlock?.();
  }
}

/** Makes a series where nothing is, and refuses a folder of something else (CS-1). */
async function begin(path: string): Promise<void> {
  const there = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  const fresh = there === null || there.length === 0;
  if (!fresh) {
    await checkSeries(new FolderPlace(path), LIMITS);
    return;
  }
  await mkdir(path, { recursive: true });
  const mark = encodeJson(
    new Map([
      ['format', 'etui-series'],
      ['version', '1.0'],
    ]),
  );
  const scratch = await mkdtemp(join(path, '.etui-'));
  try {
    const made = join(scratch, 'series.json');
    await writeDurably(made, [mark]);
    await rename(made, join(path, 'series.json'));
    await flushFolder(path);
    await flushFolder(dirname(path));
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

async function recordFor(
  step: number,
  identity: string,
  layouts: ReadonlyMap<string, string>,
  { metrics = {}, time = new Date() }: SaveOptions,
): Promise<Uint8Array> {
  const given: [string, Json][] =
    metrics instanceof Map
      ? [...(metrics as JsonMap)]
      : Object.entries(metrics as Record<string, number>).map(([name, value]) => [
          name.startsWith('$') ? `$${name}` : name,
          viewOfFloat(value),
        ]);
  const moment = new Date(time);
  if (Number.isNaN(moment.getTime())) refuse('argument', 'saveStep', `the time ${show(time)}`);
  const record: JsonMap = new Map<string, Json>([
    ['format', 'etui-step'],
    ['identity', identity],
  ]);
  if (layouts.size > 0) record.set('layouts', new Map(layouts));
  if (given.length > 0) record.set('metrics', new Map(given));
  record.set('step', step).set('time', moment.toISOString()).set('version', '1.0');
  record.set('seal', await sealOf(record));
  const bytes = encodeJson(record);
  await readRecord(bytes, step, LIMITS); // what a reader refuses is not written
  return bytes;
}

/** Writes what a step needs, and its record last (CS-24). */
class Saver {
  readonly place: FolderPlace;
  readonly scratch: string;
  readonly reusable: Reusable;
  readonly folders = new Set<string>();
  #count = 0;

  constructor(place: FolderPlace, scratch: string, reusable: Reusable) {
    this.place = place;
    this.scratch = scratch;
    this.reusable = reusable;
  }

  /** Writes the objects; gives the digest of each data part's layout. */
  async save({ parts, data }: Planned): Promise<Map<string, string>> {
    const layouts = new Map<string, string>();
    await this.#tensors(data);
    for (const part of data) {
      await this.object([part.header], await digestOf(part.header));
      const layout = this.#layout(part);
      const digest = await digestOf(layout);
      await this.object([layout], digest);
      layouts.set(part.name, digest);
    }
    for (const part of parts) {
      if (part.role !== 'data') await this.#part(part);
    }
    return layouts;
  }

  async #part(part: PlannedPart): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of part.pieces()) pieces.push(piece);
    const bytes = concat(pieces);
    await this.object([bytes], await digestOf(bytes));
  }

  /** Writes the tensors that no object has yet: large ones alone, small ones together (CS-9, CS-10). */
  async #tensors(data: readonly PlannedData[]): Promise<void> {
    let pack: { digest: string; bytes: Uint8Array }[] = [];
    let size = 0;
    const flush = async (): Promise<void> => {
      const bytes = concat(pack.map((each) => each.bytes));
      const object = await digestOf(bytes);
      await this.object([bytes], object);
      let offset = 0;
      for (const each of pack) {
        this.reusable.add(each.digest, { object, offset, size: each.bytes.length });
        offset += each.bytes.length;
      }
      pack = [];
      size = 0;
    };
    for (const piece of data.flatMap(({ pieces }) => pieces)) {
      const digest = piece.chunk.get('digest') as string;
      if (piece.size === 0 || this.reusable.find(digest, piece.size) !== null) continue;
      if (pack.some((each) => each.digest === digest)) continue;
      if (piece.size >= OWN) {
        await this.object([await loadPiece(piece)], digest);
        this.reusable.add(digest, { object: digest, offset: 0, size: piece.size });
        continue;
      }
      if (size + piece.size > PACK) await flush();
      pack.push({ digest, bytes: await loadPiece(piece) });
      size += piece.size;
    }
    if (pack.length > 0) await flush();
  }

  /** The pieces of a data section, neighbours as one (CS-12, CS-13, CS-17). */
  #layout({ pieces }: PlannedData): Uint8Array {
    const objects = new Map<string, number>();
    const found: [number, number, number][] = [];
    for (const piece of pieces) {
      if (piece.size === 0) continue;
      const range = this.reusable.find(piece.chunk.get('digest') as string, piece.size) as Range;
      const object = objects.get(range.object) ?? objects.size;
      objects.set(range.object, object);
      const last = found.at(-1);
      if (last !== undefined && last[0] === object && last[1] + last[2] === range.offset) last[2] += range.size;
      else found.push([object, range.offset, range.size]);
    }
    const layout: JsonMap = new Map<string, Json>([
      ['format', 'etui-layout'],
      ['version', '1.0'],
    ]);
    return encodeJson(layout.set('objects', [...objects.keys()]).set('pieces', found));
  }

  /** Gives bytes the name of their digest, once they are durable, unless an object has it (CS-6). */
  async object(pieces: readonly Uint8Array[], digest: string): Promise<void> {
    const name = objectName(digest);
    const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if ((await fileAt(this.place, name)) === size) return;
    const path = join(this.place.path, ...name.split('/'));
    await this.#folder(dirname(path));
    await rename(await this.#made(pieces), path);
    this.folders.add(dirname(path));
  }

  /** Makes the record visible, after all objects are durable under their names. */
  async commit(record: Uint8Array, step: number, replace: boolean): Promise<void> {
    for (const folder of this.folders) await flushFolder(folder);
    const path = join(this.place.path, ...recordName(step).split('/'));
    await this.#folder(dirname(path));
    const made = await this.#made([record]);
    if (replace) await rename(made, path);
    else {
      // Another writer may have saved the step meanwhile: a link takes no name that is taken.
      await link(made, path).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') refuse('step-exists', recordName(step), 'a step that was not to be replaced');
        throw error;
      });
    }
    await flushFolder(dirname(path));
  }

  async #made(pieces: readonly Uint8Array[]): Promise<string> {
    this.#count += 1;
    const path = join(this.scratch, String(this.#count));
    await writeDurably(path, pieces);
    return path;
  }

  /** Makes a folder of the series, and those above it; what holds a new one is flushed with the objects. */
  async #folder(path: string): Promise<void> {
    if (this.folders.has(path)) return;
    const there = await access(path).then(
      () => true,
      () => false,
    );
    if (there) {
      const found = await stat(path);
      if (!found.isDirectory()) refuse('series-link', path, 'no folder');
      return;
    }
    await this.#folder(dirname(path));
    await mkdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
    this.folders.add(dirname(path));
  }
}
