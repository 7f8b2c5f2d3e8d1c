// What the steps of a series need (SPEC.md CS-24, CS-28): the objects that no collection of garbage may remove.

import { readManifest } from '../documents/manifest.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { documentOf, recordOf } from './container.js';
import { LAYOUT_LIMIT, readLayout } from './documents.js';
import { recordName, type SeriesPlace } from './place.js';

/** The version whose documents refer to objects in fields that are all known. */
const VERSION = '1.0';

/**
 * The digests of all objects that steps need.
 *
 * @throws EtuiError where a record, a manifest or a layout cannot be read, or is of a newer minor version, which may refer to
 *   objects in fields that are not known (CS-29).
 */
export async function neededBy(place: SeriesPlace, steps: readonly number[], limits: Limits): Promise<Set<string>> {
  const needed = new Set<string>();
  const read = new Set<string>();
  for (const step of steps) await addStep(place, step, limits, needed, read);
  return needed;
}

/** Adds what a step needs; manifests and layouts that were `read` have added theirs. */
async function addStep(
  place: SeriesPlace,
  step: number,
  limits: Limits,
  needed: Set<string>,
  read: Set<string>,
): Promise<void> {
  const { document, identity, layouts } = await recordOf(place, step, limits);
  checkVersion(document.get('version'), recordName(step));
  for (const [name, digest] of layouts) {
    needed.add(digest);
    if (read.has(digest)) continue;
    const where = `the layout of ${name} of step ${step}`;
    const what = { limit: LAYOUT_LIMIT, code: 'limit-pieces', where, owner: name };
    const layout = readLayout(await documentOf(place, digest, what), where, limits);
    checkVersion(layout.version, where);
    for (const object of layout.objects) needed.add(object);
    read.add(digest);
  }
  needed.add(identity);
  if (read.has(identity)) return;
  const where = `the manifest of step ${step}`;
  const what = { limit: limits.document, code: 'limit-document', where, owner: 'the step' };
  const manifest = readManifest(await documentOf(place, identity, what), limits);
  checkVersion(manifest.document.get('version'), where);
  const data = [...manifest.parts].filter(([, { role }]) => role === 'data').map(([name]) => name);
  if (data.length !== layouts.size || !data.every((name) => layouts.has(name))) {
    refuse(
      'series-layout',
      recordName(step),
      `layouts of ${show([...layouts.keys()])}, and the data parts ${show(data)}`,
    );
  }
  for (const { digest, header } of manifest.parts.values())
    needed.add(header === null ? (digest as string) : header.digest);
  read.add(identity);
}

function checkVersion(version: unknown, where: string): void {
  if (version !== VERSION)
    refuse('version-unsupported', where, `${show(version)}, which may need objects in new fields`);
}
