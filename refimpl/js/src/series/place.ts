// The place of a series (SPEC.md annex Q.1), whatever it is: names below it, and what is there.

import { refuse } from '../errors.js';
import type { Source } from '../storage/source.js';

export interface Found {
  /** `file`, `missing`, or a word for something that is no file. */
  readonly kind: string;
  readonly size: number;
}

/** What gives the files of a series by their names below it. */
export interface SeriesPlace {
  /** Whether each look is a request over a network. */
  readonly remote: boolean;
  /** What is at a name. No link is followed on the way. */
  look(name: string): Promise<Found>;
  open(name: string): Promise<Source>;
  /** Names in a folder; none where it is not there. */
  list(folder: string): Promise<string[]>;
}

/** The name of an object by its digest (CS-5). */
export function objectName(digest: string): string {
  const digits = digest.slice(digest.indexOf(':') + 1);
  return `objects/sha256/${digits.slice(0, 2)}/${digits.slice(2)}`;
}

/** The name of a record (CS-2). */
export function recordName(step: number): string {
  return `steps/${step}.json`;
}

/** The number of a record's name, or null where it is none (CS-3). */
export function numberOf(name: string): number | null {
  const match = /^(0|[1-9][0-9]*)\.json$/.exec(name);
  const number = match === null ? Number.NaN : Number(match[1]);
  return Number.isSafeInteger(number) ? number : null;
}

/** What is at a name: a file or nothing; a link, a device or a folder is refused (CS-4). */
export async function fileAt(place: SeriesPlace, name: string): Promise<number | null> {
  const { kind, size } = await place.look(name);
  if (kind === 'missing') return null;
  if (kind !== 'file') refuse('series-link', name, kind);
  return size;
}

/** An object, of the size that it must have where that is known (CS-8). */
export async function openObject(
  place: SeriesPlace,
  digest: string,
  size: number | null,
  for_: string,
): Promise<Source> {
  const name = objectName(digest);
  const found = await fileAt(place, name);
  if (found === null) refuse('series-object', name, `no such object, which ${for_} needs`);
  if (size !== null && found !== size) refuse('series-object', name, `${found} bytes, where ${for_} has ${size}`);
  return place.open(name);
}
