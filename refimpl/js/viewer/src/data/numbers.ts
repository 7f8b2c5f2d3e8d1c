/** Statistics and values of tensors: those that the page brought along, or else computed from the bytes when asked for. */

import { type Signal, signal } from '@preact/signals';
import { decodeValues } from '../../../src/index.js';
import { bytesOf, type EmbeddedStatistics, type StatisticsTables } from '../payload.js';
import { type Elements, magnitudes, type Statistics, statisticsOf, statisticsOfTexts } from '../statistics.js';
import type { Item } from './opened.js';

/** What is known of the numbers of a tensor. */
export type Known =
  | { readonly state: 'unknown' }
  | { readonly state: 'pending' }
  | { readonly state: 'absent' }
  | { readonly state: 'failed'; readonly error: unknown }
  | { readonly state: 'known'; readonly statistics: Statistics; readonly values: Elements | null };

/** Tensors of at most so many bytes are read without being asked for. */
export const UNASKED = 4 * 1024 * 1024;
/** Larger tensors are not read at all: a page has not the memory for them. */
export const LARGEST = 1024 * 1024 * 1024;
/** Values are kept for pictures up to so many elements. */
const KEPT = 1 << 20;
/** So many elements of computed tensors are kept in all. */
const ROOM = 4 * KEPT;

const UNKNOWN: Known = { state: 'unknown' };
const ABSENT: Known = { state: 'absent' };
const TABLES = { weight: 'weights', slot: 'optimizer', state: 'state' } as const;

export class Numbers {
  readonly #tables: StatisticsTables | null;
  readonly #readable: boolean;
  readonly #known = new Map<string, Signal<Known>>();
  readonly #queue: Item[] = [];
  readonly #kept = new Map<string, number>();
  #working = false;

  /**
   * @param readable whether the bytes of the data parts can be had.
   */
  constructor(tables: StatisticsTables | null, readable: boolean) {
    this.#tables = tables;
    this.#readable = readable;
  }

  /** Whether numbers are there, or can be computed. */
  get available(): boolean {
    return this.#readable || this.#tables !== null;
  }

  /** What is known; changes as it is read. */
  of(item: Item): Signal<Known> {
    let known = this.#known.get(item.id);
    if (!known) {
      const table = this.#tables?.[TABLES[item.kind]];
      const embedded = table && Object.hasOwn(table, item.name) ? table[item.name] : undefined;
      known = signal(embedded ? this.#embedded(item, embedded) : this.#readable ? UNKNOWN : ABSENT);
      this.#known.set(item.id, known);
    }
    return known;
  }

  /** Have the numbers of a tensor computed, after those asked for before; those asked for last come first. */
  want(item: Item): void {
    const known = this.of(item);
    if (known.peek().state !== 'unknown') return;
    known.value = { state: 'pending' };
    this.#queue.push(item);
    void this.#work();
  }

  /** Have the values of a small tensor read again, if they were let go. */
  wantValues(item: Item): void {
    const state = this.of(item).peek();
    const gone = state.state === 'known' && state.values === null && !this.#kept.has(item.id);
    if (!this.#readable || !gone || item.count > KEPT || item.dtype === 'string' || item.dtype === 'bytes') return;
    this.#queue.push(item);
    void this.#work();
  }

  async #work(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (let item = this.#queue.pop(); item; item = this.#queue.pop()) {
      const known = this.of(item);
      try {
        known.value = await this.#computed(item);
      } catch (error) {
        known.value = { state: 'failed', error };
      }
      await new Promise((resolve) => setTimeout(resolve));
    }
    this.#working = false;
  }

  #embedded(item: Item, { values, ...statistics }: EmbeddedStatistics): Known {
    const elements = values === null ? null : decodeValues(item.dtype, bytesOf(values));
    return { state: 'known', statistics, values: isNumeric(elements) && !isComplex(item) ? elements : null };
  }

  async #computed(item: Item): Promise<Known> {
    const values = await item.tensor.values();
    if (!isNumeric(values)) return { state: 'known', statistics: statisticsOfTexts(values as string[]), values: null };
    const numbers = isComplex(item) ? magnitudes(values as Float64Array) : values;
    const statistics = await statisticsOf(numbers);
    if (numbers.length > KEPT) return { state: 'known', statistics, values: null };
    this.#keep(item.id, numbers.length);
    return { state: 'known', statistics, values: numbers };
  }

  /** Lets go of the values that were computed longest ago, if those kept are too many. */
  #keep(id: string, elements: number): void {
    this.#kept.delete(id);
    this.#kept.set(id, elements);
    let total = [...this.#kept.values()].reduce((sum, count) => sum + count, 0);
    for (const [oldest, count] of this.#kept) {
      if (total <= ROOM) return;
      this.#kept.delete(oldest);
      total -= count;
      const known = this.#known.get(oldest);
      const state = known?.peek();
      if (known && state?.state === 'known') known.value = { ...state, values: null };
    }
  }
}

function isComplex(item: Item): boolean {
  return item.dtype.startsWith('complex');
}

function isNumeric(values: unknown): values is Elements {
  return ArrayBuffer.isView(values) && !(values instanceof DataView);
}
