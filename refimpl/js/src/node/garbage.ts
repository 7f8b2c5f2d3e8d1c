// Removing steps of a series in a folder, and what no step needs any more (SPEC.md Q.5).

import { lstat, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { refuse, show } from '../errors.js';
import { type Limits, limitsOf } from '../limits.js';
import { checkSeries, stepsOf } from '../series/container.js';
import { neededBy } from '../series/needs.js';
import { objectName, recordName } from '../series/place.js';
import { locked } from './locks.js';
import { FolderPlace } from './series.js';
import { flushFolder } from './store.js';

/** Seconds for which a new object is left alone where a word stands in the place of a lock (CS-31): a day. */
const GRACE = 86_400;
const OBJECTS = 'objects/sha256';

/** How garbage is collected. */
export interface CleanOptions {
  /** Only say what would be removed. */
  readonly dry?: boolean;
  /** False says that nobody writes meanwhile, where files cannot be locked (CS-31). */
  readonly lock?: boolean;
  /** Seconds for which a new object is left alone; where it is left out, none, or without a lock a day. */
  readonly grace?: number;
  readonly limits?: Partial<Limits>;
}

/** What was removed, or with `dry` would be. */
export interface Cleaned {
  /** Numbers of steps, rising. */
  readonly steps: readonly number[];
  /** How many objects, and how many bytes in them. */
  readonly objects: number;
  readonly bytes: number;
  /** Objects that steps need. */
  readonly kept: number;
  /** Objects that no step needs, and that are too young to be removed. */
  readonly young: number;
}

/**
 * Removes the objects that no step of the series in a folder needs.
 *
 * @throws EtuiError `no-locks`, and what is wrong with a step that cannot be read: then nothing was removed (CS-29).
 */
export function collectGarbage(path: string, options: CleanOptions = {}): Promise<Cleaned> {
  return removeSteps(path, [], options);
}

/**
 * Removes steps of the series in a folder, and the objects that none of the others needs. What a step that is removed
 * refers to is not read, so that a damaged one can be removed.
 *
 * @throws EtuiError `step-missing`, and as `collectGarbage` does; then nothing was removed.
 */
export async function removeSteps(
  path: string,
  steps: readonly number[],
  { dry = false, lock = true, grace = lock ? 0 : GRACE, limits }: CleanOptions = {},
): Promise<Cleaned> {
  if (!(grace >= 0)) refuse('argument', 'the collection of garbage', `the grace ${show(grace)}`);
  const place = new FolderPlace(path);
  await checkSeries(place, limitsOf(limits));
  const unlock = lock ? await locked(path, 'exclusive') : null;
  try {
    const there = await stepsOf(place);
    const gone = [...new Set(steps)].sort((a, b) => a - b);
    const strange = gone.find((step) => !there.includes(step));
    if (strange !== undefined) refuse('step-missing', path, `no step ${show(strange)}`);
    const kept = there.filter((step) => !gone.includes(step));
    const needed = await neededBy(place, kept, limitsOf(limits));
    const found = await objectsOf(place);
    if (!dry && gone.length > 0) {
      for (const step of gone) await rm(join(path, ...recordName(step).split('/')), { force: true });
      await flushFolder(join(path, 'steps')); // before an object goes (CS-27)
    }
    return { steps: gone, ...(await sweep(path, found, needed, { dry, grace })) };
  } finally {
    await unlock?.();
  }
}

interface StoredObject {
  readonly digest: string;
  readonly size: number;
  /** Seconds since 1970. */
  readonly modified: number;
}

/** Every object that is there; files and folders of other names are passed over (CS-3), and links refused (CS-4). */
async function objectsOf(place: FolderPlace): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for (const folder of await place.list(OBJECTS)) {
    if (!/^[0-9a-f]{2}$/.test(folder)) continue;
    for (const name of await place.list(`${OBJECTS}/${folder}`)) {
      if (!/^[0-9a-f]{62}$/.test(name)) continue;
      const status = await lstat(join(place.path, ...OBJECTS.split('/'), folder, name));
      if (!status.isFile()) refuse('series-link', `${OBJECTS}/${folder}/${name}`, 'no file');
      found.push({ digest: `sha256:${folder}${name}`, size: status.size, modified: status.mtimeMs / 1000 });
    }
  }
  return found;
}

async function sweep(
  path: string,
  found: readonly StoredObject[],
  needed: ReadonlySet<string>,
  { dry, grace }: { dry: boolean; grace: number },
): Promise<Omit<Cleaned, 'steps'>> {
  const latest = Date.now() / 1000 - grace;
  const done = { objects: 0, bytes: 0, kept: 0, young: 0 };
  for (const { digest, size, modified } of found) {
    if (needed.has(digest)) done.kept += 1;
    else if (grace > 0 && modified > latest) done.young += 1;
    else {
      if (!dry) await rm(join(path, ...objectName(digest).split('/')), { force: true });
      done.objects += 1;
      done.bytes += size;
    }
  }
  return done;
}
