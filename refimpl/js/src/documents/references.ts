// The tensors that a document of MessagePack refers to, and the places that their names are (O-14, O-16, O-17).

import { utf8 } from '../bytes.js';
import type { Json, JsonMap } from '../canonical/json.js';
import { canonicalText } from '../canonical/json.js';
import { refuse, show } from '../errors.js';
import { isTag } from '../values/decode.js';
import { type Entry, type EntryRules, readEntry } from './entries.js';
import { checkCollisions, checkPath } from './names.js';

/** The index of tensors of a document. */
export function readTensors(document: JsonMap, where: string, rules: EntryRules): Map<string, Entry> {
  const at = `${where} /tensors`;
  const tensors = document.get('tensors');
  if (!(tensors instanceof Map)) refuse(rules.form, at, show(tensors));
  if (tensors.size > rules.limits.variables) refuse('limit-variables', at, `${tensors.size} tensors`);
  const entries = new Map<string, Entry>();
  for (const [name, object] of tensors) {
    checkPath(name, at, rules.limits);
    if (!(object instanceof Map)) refuse(rules.form, `${at}/${name}`, show(object));
    entries.set(name, readEntry(object, `${at}/${name}`, rules));
  }
  checkCollisions(tensors.keys(), at);
  return entries;
}

/** What a document refers to, as it is read: each tensor once, under the name of its place. */
export class References {
  readonly where: string;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly named = new Set<string>();

  constructor(where: string, entries: ReadonlyMap<string, Entry>) {
    this.where = where;
    this.entries = entries;
  }

  /** Notes a `$stored` at a place, which is a path. */
  note(name: string, place: string): void {
    const at = `${this.where} /${place}`;
    if (!this.entries.has(name)) refuse('reference-missing', at, `no tensor ${show(name)}`);
    if (this.named.has(name)) refuse('tensor-unreferenced', at, `the tensor ${show(name)} a second time`);
    if (name !== place) refuse('tensor-name', at, `the name ${show(name)}, where ${show(place)} is the place`);
    this.named.add(name);
  }

  /** Notes what a value refers to. */
  value(value: Json, place: string): void {
    if (Array.isArray(value)) value.forEach((item, i) => void this.value(item, `${place}/${i}`));
    else if (value instanceof Map) {
      const [first] = value.keys();
      if (value.size === 1 && first !== undefined && isTag(first)) this.tagged(first, value.get(first) as Json, place);
      else this.entriesOf(value, place);
    }
  }

  /** Notes what the values of a map refer to. */
  entriesOf(map: JsonMap, place: string): void {
    for (const [key, item] of map) this.value(item, `${place}/${escapeKey(key.startsWith('$') ? key.slice(1) : key)}`);
  }

  tagged(tag: string, content: Json, place: string): void {
    if (tag === '$stored') this.note(content as string, place);
    else if (tag === '$map') {
      for (const [key, item] of content as [Json, Json][]) {
        const step = `${place}/${escapeKey(canonicalText(key))}`;
        this.value(key, step);
        this.value(item, step);
      }
    } else if (tag === '$tuple' || tag === '$slice') this.value(content, place);
    else if (tag === '$object') {
      // The fields of an object are no values, and their keys are escaped in no document.
      this.value((content as JsonMap).get('config') as Json, `${place}/config`);
      const residue = (content as JsonMap).get('residue');
      if (residue instanceof Map) this.residue(residue, `${place}/residue`);
    }
  }

  residue(residue: JsonMap, place: string): void {
    for (const [framework, facts] of residue) this.entriesOf(facts as JsonMap, `${place}/${escapeKey(framework)}`);
  }

  /** Refuses tensors that nothing refers to. */
  finish(): void {
    for (const name of this.entries.keys()) {
      if (!this.named.has(name))
        refuse('tensor-unreferenced', `${this.where} /tensors/${name}`, 'nothing refers to it');
    }
  }
}

/** A key as a segment of a path (D-3). */
export function escapeKey(key: string): string {
  if (key === '') return '%';
  if (key === '.' || key === '..') return key.replaceAll('.', '%2E');
  return key.replace(/[\u0000-\u001f\u007f/\\#@%]/g, (character) =>
    [...utf8(character)].map((byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  );
}
