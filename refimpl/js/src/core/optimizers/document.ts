// The document of the optimizers, as a step reads and changes it (SPEC.md chapter 15).

import type { Json, JsonMap } from '../../canonical/json.js';
import { escapeKey } from '../../documents/references.js';
import { viewOfFloat } from '../../values/view.js';
import type { NDArray } from '../array.js';
import { type Attrs, attrsOf, CoreObject, plainOf } from '../values.js';

/** A document with the tensors of its index by name; a step changes both. */
export interface OptimizerState {
  readonly document: JsonMap;
  readonly tensors: Map<string, NDArray>;
}

/** A copy of a document. */
export function copied(json: Json): Json {
  if (Array.isArray(json)) return json.map(copied);
  if (json instanceof Map) return new Map([...json].map(([key, item]) => [key, copied(item)]));
  return json;
}

/** One optimizer of a document, at its place there. */
export class Entry {
  readonly json: JsonMap;
  /** Below `optimizers`. */
  readonly place: string;
  readonly tensors: Map<string, NDArray>;

  constructor(json: JsonMap, place: string, tensors: Map<string, NDArray>) {
    this.json = json;
    this.place = place;
    this.tensors = tensors;
  }

  /** Of the core vocabulary, without its namespace; null for one of a framework. */
  get algorithm(): string | null {
    const name = this.json.get('algorithm') as string;
    return name.startsWith('core:') ? name.slice(5) : null;
  }

  get hyperparameters(): Attrs {
    return attrsOf(this.json.get('hyperparameters'));
  }

  get groups(): readonly { variables: readonly string[]; hyperparameters: Attrs }[] {
    return ((this.json.get('groups') as JsonMap[] | undefined) ?? []).map((group) => ({
      variables: group.get('variables') as string[],
      hyperparameters: attrsOf(group.get('hyperparameters')),
    }));
  }

  get inner(): Entry | null {
    const inner = this.json.get('inner') as JsonMap | undefined;
    return inner === undefined ? null : new Entry(inner, `${this.place}/inner`, this.tensors);
  }

  get schedule(): CoreObject | null {
    const found = plainOf(this.json.get('schedule') ?? null);
    return found instanceof CoreObject ? found : null;
  }

  get learningRate(): number | null {
    return plainOf(this.json.get('learning_rate') ?? null) as number | null;
  }

  set learningRate(rate: number) {
    this.json.set('learning_rate', viewOfFloat(rate));
  }

  isFresh(path: string): boolean {
    return ((this.json.get('fresh') as string[] | undefined) ?? []).includes(path);
  }

  /** A count: an integer of up to 64 bits. */
  count(name: 'step' | 'micro_step'): bigint {
    return BigInt(plainOf(this.json.get(name) as Json) as number | bigint);
  }

  setCount(name: 'step' | 'micro_step', value: bigint): void {
    const safe = value <= BigInt(Number.MAX_SAFE_INTEGER);
    this.json.set(name, safe ? Number(value) : new Map([['$int', String(value)]]));
  }

  slot(path: string, name: string): NDArray | null {
    return this.stored(['slots', path, name]);
  }

  sharedSlot(name: string): NDArray | null {
    return this.stored(['shared_slots', name]);
  }

  private stored(keys: readonly string[]): NDArray | null {
    let found: Json | undefined = this.json;
    for (const key of keys) found = found instanceof Map ? found.get(key) : undefined;
    const name = found instanceof Map ? found.get('$stored') : undefined;
    return typeof name === 'string' ? (this.tensors.get(name) ?? null) : null;
  }

  /** Keeps the slots of a variable, which is then not fresh any more. */
  setSlots(path: string, slots: ReadonlyMap<string, NDArray>): void {
    const fresh = ((this.json.get('fresh') as string[] | undefined) ?? []).filter((each) => each !== path);
    if (fresh.length > 0) this.json.set('fresh', fresh);
    else this.json.delete('fresh');
    if (slots.size === 0) return;
    const all = (this.json.get('slots') as JsonMap | undefined) ?? new Map<string, Json>();
    const own = (all.get(path) as JsonMap | undefined) ?? new Map<string, Json>();
    for (const [name, value] of slots)
      own.set(name, this.store(`${this.place}/slots/${path}/${escapeKey(name)}`, value));
    all.set(path, own);
    this.json.set('slots', all);
  }

  setSharedSlot(name: string, value: NDArray): void {
    const all = (this.json.get('shared_slots') as JsonMap | undefined) ?? new Map<string, Json>();
    all.set(name, this.store(`${this.place}/shared_slots/${escapeKey(name)}`, value));
    this.json.set('shared_slots', all);
  }

  private store(name: string, value: NDArray): JsonMap {
    this.tensors.set(name, value);
    return new Map([['$stored', name]]);
  }
}
