/** What two artifacts differ in: structure, attributes, training, and the numbers of each tensor. */

import { effect, signal } from '@preact/signals';
import type { Json, JsonMap, Model, Module } from '../../src/index.js';
import { canonicalText } from '../../src/index.js';
import type { Item, Opened } from './data/opened.js';
import { type Change, changes, sizes } from './diff-marks.js';
import { type Numeric, numericOf } from './diff-numbers.js';
import type { Payload } from './payload.js';
import { opened, other } from './state.js';

/** A place of a document at which the two sides differ; undefined where a side has nothing. */
export interface FieldChange {
  readonly field: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

export interface ModuleChange {
  readonly path: string;
  readonly change: Change;
  readonly op: string;
  readonly fields: readonly FieldChange[];
}

export interface TensorChange {
  readonly id: string;
  readonly before: Item | null;
  readonly after: Item | null;
  /** `values`: of the same shape, with other bytes. `unknown`: stored in another layout, and not compared yet. */
  readonly change: Change | 'values' | 'unknown';
  /** Changes of what the index says, such as the dtype. */
  readonly fields: readonly FieldChange[];
}

export interface Differences {
  readonly modules: readonly ModuleChange[];
  readonly tensors: readonly TensorChange[];
  /** Tensors that are the same in both. */
  readonly unchanged: number;
  /** Title -> changes of a document. */
  readonly documents: ReadonlyMap<string, readonly FieldChange[]>;
}

/** What the shown models differ in; null unless there are two. */
export const differences = signal<Differences | null>(null);
/** The numbers of changed tensors, by id. */
export const numeric = signal<ReadonlyMap<string, Numeric>>(new Map());

effect(() => {
  const [after, before] = [opened.value, other.value];
  numeric.value = new Map();
  differences.value = before && after ? compare(before, after) : null;
  changes.value = marksOf(differences.value?.modules ?? []);
});

effect(() => {
  const found = new Map<string, number>();
  const architecture = opened.value?.architecture;
  for (const [id, figures] of numeric.value) {
    if (figures.state !== 'known' || figures.rel === null || !id.startsWith('weight ')) continue;
    for (let place = architecture?.owner(id.slice('weight '.length)) ?? null; place; place = place.parent) {
      found.set(place.path, Math.max(found.get(place.path) ?? 0, figures.rel));
    }
  }
  sizes.value = found;
});

/** What became of each module; one that holds another that changed has changed too. */
function marksOf(modules: readonly ModuleChange[]): Map<string, Change> {
  const marks = new Map(modules.map(({ path, change }) => [path, change]));
  for (const { path } of modules) {
    for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
      const around = path.slice(0, end);
      if (!marks.has(around)) marks.set(around, 'changed');
    }
  }
  return marks;
}

export function changeCount(): number {
  const found = differences.value;
  if (!found) return 0;
  const documents = [...found.documents.values()].reduce((sum, fields) => sum + fields.length, 0);
  return found.modules.length + found.tensors.length + documents;
}

export function moduleChange(path: string): ModuleChange | null {
  return differences.value?.modules.find((module) => module.path === path) ?? null;
}

export function tensorChange(id: string): TensorChange | null {
  return differences.value?.tensors.find((tensor) => tensor.id === id) ?? null;
}

/** Takes over the numbers that the page brought along. */
export function loadDifferences(embedded: Payload['differences'] | null): void {
  const found = new Map<string, Numeric>();
  for (const [path, difference] of Object.entries(embedded?.weights ?? {}))
    found.set(`weight ${path}`, { state: 'known', ...difference });
  for (const [name, difference] of Object.entries(embedded?.optimizer ?? {}))
    found.set(`slot ${name}`, { state: 'known', ...difference });
  numeric.value = found;
}

/** Whether both sides of a tensor can be read and have the same shape. */
export function measurable({ before, after }: TensorChange): boolean {
  const readable = [other.value, opened.value].every((model) => model?.source != null);
  return readable && before !== null && after !== null && before.shape.join() === after.shape.join();
}

/** Has the numbers of a changed tensor computed, if both sides can be read. */
export async function measure(change: TensorChange): Promise<void> {
  const { id, before, after } = change;
  const models = [other.peek(), opened.peek()];
  if (!before || !after || numeric.peek().has(id) || !measurable(change)) return;
  const set = (value: Numeric) => {
    if (other.peek() === models[0] && opened.peek() === models[1])
      numeric.value = new Map([...numeric.peek(), [id, value]]);
  };
  set({ state: 'pending' });
  set(await numericOf(before.tensor, after.tensor));
}

export function compare(before: Opened, after: Opened): Differences {
  const tensors: TensorChange[] = [];
  let unchanged = 0;
  const ids = new Set([...after.items, ...before.items].map((item) => item.id));
  for (const id of ids) {
    const change = compareTensors(id, before.item(id) ?? null, after.item(id) ?? null);
    if (change) tensors.push(change);
    else unchanged += 1;
  }
  return {
    modules: compareModules(before.model, after.model),
    tensors,
    unchanged,
    documents: compareDocuments(before.model, after.model),
  };
}

function compareTensors(id: string, before: Item | null, after: Item | null): TensorChange | null {
  if (!before || !after) return { id, before, after, change: before ? 'removed' : 'added', fields: [] };
  const fields = leaves(facts(before), facts(after));
  const alike = before.dtype === after.dtype && before.shape.join() === after.shape.join();
  const [a, b] = [stored(before), stored(after)];
  if (alike && a.digests === b.digests && a.layout === b.layout)
    return fields.length > 0 ? { id, before, after, change: 'changed', fields } : null;
  // In other boxes the same elements have other digests.
  if (alike && fields.length === 0)
    return { id, before, after, change: a.layout === b.layout ? 'values' : 'unknown', fields };
  return { id, before, after, change: 'changed', fields };
}

function facts(item: Item): JsonMap {
  const found: JsonMap = new Map<string, Json>([
    ['dtype', item.dtype],
    ['shape', canonicalText([...item.shape])],
    ['role', item.role],
  ]);
  if (item.trainable !== null) found.set('trainable', item.trainable);
  if (item.kind === 'weight') found.set('order', item.order);
  if (item.aliases.length > 0) found.set('aliases', [...item.aliases].sort());
  return found;
}

function stored({ tensor }: Item): { digests: string; layout: string } {
  const layout = tensor.chunks.map((chunk) => `${chunk.offset ?? ''};${chunk.shape ?? ''}`).join('|');
  return { digests: tensor.chunks.map((chunk) => chunk.digest).join(), layout: `${tensor.encoding} ${layout}` };
}

function compareModules(before: Model, after: Model): ModuleChange[] {
  const [a, b] = [
    before.config?.modules ?? new Map<string, Module>(),
    after.config?.modules ?? new Map<string, Module>(),
  ];
  const found: ModuleChange[] = [];
  for (const path of new Set([...b.keys(), ...a.keys()])) {
    const [old, young] = [a.get(path), b.get(path)];
    if (!old || !young) {
      const module = (old ?? young)!;
      found.push({ path, change: old ? 'removed' : 'added', op: module.op, fields: [] });
      continue;
    }
    const fields = leaves(own(old), own(young));
    if (fields.length > 0) found.push({ path, change: 'changed', op: young.op, fields });
  }
  return found;
}

/** What a module says of itself, without what its children say; calls are told apart by their ids. */
function own(module: Module): JsonMap {
  const document = new Map(module.document);
  document.delete('modules');
  if (module.path === '') document.delete('name');
  const graph = document.get('graph');
  if (graph instanceof Map) {
    const calls = graph.get('calls');
    const named = Array.isArray(calls)
      ? new Map(calls.map((call) => [String((call as JsonMap).get('id')), call]))
      : calls;
    document.set('graph', new Map([...graph, ['calls', named ?? null]]));
  }
  return document;
}

/** The documents beside config and weights, without the index of their tensors. */
function compareDocuments(before: Model, after: Model): Map<string, readonly FieldChange[]> {
  const sides = (role: 'training' | 'optimizer' | 'state') =>
    [before, after].map((model) => without(model.document(role)));
  const found = new Map<string, readonly FieldChange[]>();
  const add = (title: string, [a, b]: (JsonMap | undefined)[]) => {
    const fields = leaves(a, b);
    if (fields.length > 0) found.set(title, fields);
  };
  add('Training', sides('training'));
  add('Optimizer', sides('optimizer'));
  add('State', sides('state'));
  add('Manifest', [before, after].map(manifestOf));
  return found;
}

function without(document: JsonMap | null): JsonMap | undefined {
  if (!document) return undefined;
  const kept = new Map(document);
  kept.delete('tensors');
  return kept;
}

function manifestOf({ manifest, natives, assets, programs }: Model): JsonMap {
  const parts = [...natives.values(), ...assets.values(), ...programs.values()].map((part): [string, Json] => [
    part.name,
    part.digest,
  ]);
  return new Map<string, Json>([
    ['profile', manifest.profile],
    ['requires', [...manifest.requires]],
    ['parts', new Map(parts)],
    ['metadata', manifest.document.get('metadata') ?? null],
  ]);
}

/** At most so many places of one document are told. */
const MOST = 500;

/** The places at which two values differ: in maps key by key, in lists of one length item by item. */
export function leaves(before: Json | undefined, after: Json | undefined): FieldChange[] {
  const found: FieldChange[] = [];
  const walk = (a: Json | undefined, b: Json | undefined, field: string): void => {
    if (found.length >= MOST || a === b) return;
    if (a instanceof Map && b instanceof Map && !isTagged(a) && !isTagged(b)) {
      for (const key of new Set([...a.keys(), ...b.keys()]))
        walk(a.get(key), b.get(key), field ? `${field}/${key}` : key);
    } else if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) {
      for (const [index, item] of a.entries()) walk(item, b[index], `${field}/${index}`);
    } else if (a === undefined || b === undefined || canonicalText(a) !== canonicalText(b)) {
      found.push({ field, before: a, after: b });
    }
  };
  walk(before, after, '');
  return found;
}

function isTagged(map: JsonMap): boolean {
  const [key] = map.keys();
  return map.size === 1 && key !== undefined && key.startsWith('$') && !key.startsWith('$$');
}
