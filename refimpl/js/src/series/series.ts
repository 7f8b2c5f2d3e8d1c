// Series of checkpoints, wherever they are (SPEC.md annex Q).

import { refuse, show } from '../errors.js';
import { limitsOf } from '../limits.js';
import type { Model } from '../model/model.js';
import { type OpenOptions, openContainer, urlOf, type VerifyOptions, type VerifyResult, verify } from '../open.js';
import { Client } from '../storage/http.js';
import { checkSeries, recordOf, StepContainer, stepsOf } from './container.js';
import type { StepRecord } from './documents.js';
import type { SeriesPlace } from './place.js';
import { FilesPlace, HttpPlace } from './places.js';

/** The URL of a series, or the files of its folder by their names. */
export type SeriesSource = string | URL | ReadonlyMap<string, Blob | Uint8Array>;

/** What a source is as a place; nothing is asked for yet. */
export function seriesPlaceOf(source: SeriesSource, options: OpenOptions = {}): SeriesPlace {
  if (source instanceof Map) return new FilesPlace(source);
  if (typeof source === 'string' || source instanceof URL) return new HttpPlace(new Client(options), urlOf(source));
  return refuse('argument', 'a series', `${show(source)}, which is none`);
}

/** A series of checkpoints. */
export class Series {
  readonly place: SeriesPlace;
  readonly #options: OpenOptions;

  constructor(place: SeriesPlace, options: OpenOptions = {}) {
    this.place = place;
    this.#options = options;
  }

  /**
   * Opens a series.
   *
   * @param source its URL, with or without `series.json` at its end, or the files of a folder by their names.
   * @throws EtuiError `series-form` where there is none, and what reading it meets.
   */
  static async open(source: SeriesSource, options: OpenOptions = {}): Promise<Series> {
    const place = seriesPlaceOf(source, options);
    await checkSeries(place, limitsOf(options.limits));
    return new Series(place, options);
  }

  /**
   * The numbers of the steps, rising.
   *
   * @throws EtuiError `argument` behind a URL: a web server does not list what it has.
   */
  steps(): Promise<number[]> {
    return stepsOf(this.place);
  }

  /**
   * The record of a step: its metrics, and when it was saved.
   *
   * @throws EtuiError `step-missing`, and what is wrong with the record.
   */
  async record(step: number): Promise<StepRecord> {
    return recordOf(this.place, checked(step), limitsOf(this.#options.limits));
  }

  /**
   * Opens a step as the artifact that it is: reads its documents, and of its tensors nothing.
   *
   * @throws EtuiError `step-missing`, and what is wrong with the step.
   */
  async openStep(step: number, options: OpenOptions = {}): Promise<Model> {
    const all = { ...this.#options, ...options };
    return openContainer(await StepContainer.open(this.place, checked(step), limitsOf(all.limits)), all);
  }

  /** Verifies every step, and each object that a step needs (CS-32); gives what was found by the steps' numbers. */
  async verify(options: VerifyOptions = {}): Promise<Map<number, VerifyResult>> {
    await checkSeries(this.place, limitsOf({ ...this.#options, ...options }.limits));
    const found = new Map<number, VerifyResult>();
    for (const step of await this.steps()) {
      const model = await this.openStep(step, { ...options, verify: true });
      try {
        found.set(step, await verify(model, options));
      } finally {
        await model.close();
      }
    }
    return found;
  }
}

/** Opens a step of the series behind a URL, or of the files of its folder; see `Series.openStep`. */
export async function openStep(source: SeriesSource, step: number, options: OpenOptions = {}): Promise<Model> {
  const place = seriesPlaceOf(source, options);
  return openContainer(await StepContainer.open(place, checked(step), limitsOf(options.limits)), options);
}

/** A number that a step may have: it becomes the name of a file. */
function checked(step: number): number {
  if (!Number.isSafeInteger(step) || step < 0) refuse('argument', 'the series', `the step ${show(step)}`);
  return step;
}
