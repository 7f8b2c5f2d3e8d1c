// The bytes of tensors that a series has already (SPEC.md CS-10).

import { Artifact } from '../artifact.js';
import { plainOf } from '../documents/entries.js';
import type { PartEntry } from '../documents/manifest.js';
import { EtuiError } from '../errors.js';
import { LIMITS } from '../limits.js';
import { StepContainer, stepsOf } from '../series/container.js';
import { fileAt, objectName, type SeriesPlace } from '../series/place.js';

/** Bytes of an object. */
export interface Range {
  readonly object: string;
  readonly offset: number;
  readonly size: number;
}

/** Digest of a tensor -> where its bytes are: those of the step before, and those that are written. */
export class Reusable {
  readonly #ranges = new Map<string, Range>();

  /** What the step before a number has; nothing where there is none that can be read. */
  static async of(place: SeriesPlace, step: number): Promise<Reusable> {
    const reusable = new Reusable();
    const steps = await stepsOf(place);
    const before = steps.filter((each) => each < step).at(-1) ?? steps.at(-1);
    if (before === undefined) return reusable;
    try {
      await reusable.#take(place, before);
    } catch (error) {
      // A step that cannot be read is no reason not to save another; its bytes are not referred to.
      if (!(error instanceof EtuiError)) throw error;
      reusable.#ranges.clear();
    }
    return reusable;
  }

  async #take(place: SeriesPlace, step: number): Promise<void> {
    const container = await StepContainer.open(place, step, LIMITS);
    const artifact = await Artifact.open(container, LIMITS);
    try {
      for (const [, name, entry] of artifact.entries()) {
        for (const [each, plain] of plainOf(name, entry)) {
          for (const chunk of plain.chunks) {
            const { offset, size } = await artifact.find(each, plain, chunk);
            const header = (artifact.manifest.parts.get(chunk.part) as PartEntry).header as { size: number };
            const range = container.rangeOf(chunk.part, offset - header.size, size);
            if (range !== null && (await this.#isThere(place, range))) this.#ranges.set(chunk.digest, range);
          }
        }
      }
    } finally {
      await artifact.close();
    }
  }

  /** Whether the object is long enough to hold the range. */
  async #isThere(place: SeriesPlace, { object, offset, size }: Range): Promise<boolean> {
    const found = this.#sizes.get(object) ?? (await fileAt(place, objectName(object))) ?? 0;
    this.#sizes.set(object, found);
    return offset + size <= found;
  }

  readonly #sizes = new Map<string, number>();

  find(digest: string, size: number): Range | null {
    const range = this.#ranges.get(digest);
    return range?.size === size ? range : null;
  }

  add(digest: string, range: Range): void {
    this.#ranges.set(digest, range);
  }
}
