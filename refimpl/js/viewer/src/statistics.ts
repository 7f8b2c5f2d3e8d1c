/**
 * What the elements of a tensor are like: the same numbers that `etui view` puts into its pages (`view.schema.json`).
 *
 * Every element is looked at three times, in slices between which the page stays alive.
 */

/** Counts, extremes, mean, spread and histogram of the elements; numbers are of the finite ones. */
export interface Statistics {
  readonly count: number;
  readonly nan: number;
  readonly inf: number;
  readonly zeros: number;
  readonly min: number | null;
  readonly max: number | null;
  readonly mean: number | null;
  readonly std: number | null;
  readonly histogram: { readonly edges: readonly [number, number]; readonly counts: readonly number[] } | null;
}

export type Elements = ArrayLike<number> | ArrayLike<bigint>;

export const BINS = 64;
const SLICE = 1 << 17;

/** Between these magnitudes squares neither overflow nor vanish; other numbers are scaled by a power of two. */
const [LEAST, MOST] = [1e-140, 1e140];

/**
 * The statistics of numbers.
 *
 * @param alive is awaited between slices.
 */
export async function statisticsOf(numbers: Elements, alive: () => Promise<void> = pause): Promise<Statistics> {
  let [nan, inf, zeros, finite] = [0, 0, 0, 0];
  let [min, max] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
  await each(numbers, alive, (value) => {
    if (value === 0) zeros += 1;
    if (Number.isNaN(value)) nan += 1;
    else if (!Number.isFinite(value)) inf += 1;
    else {
      finite += 1;
      if (value < min) min = value;
      if (value > max) max = value;
    }
  });
  const counts = { count: numbers.length, nan, inf, zeros };
  if (finite === 0) return { ...counts, min: null, max: null, mean: null, std: null, histogram: null };
  // -0 and 0 are one number, and JSON has no sign for the former.
  [min, max] = [min + 0, max + 0];
  const largest = Math.max(Math.abs(min), Math.abs(max));
  const scale = largest === 0 || (largest > LEAST && largest < MOST) ? 1 : 2 ** Math.floor(Math.log2(largest));
  const bins = new Bins(min, max);
  const sum = new Sum();
  await each(numbers, alive, (value) => {
    if (!Number.isFinite(value)) return;
    bins.add(value);
    sum.add(value / scale);
  });
  const mean = sum.value / finite;
  const squares = new Sum();
  await each(numbers, alive, (value) => {
    if (Number.isFinite(value)) squares.add((value / scale - mean) ** 2);
  });
  const histogram = { edges: [min, max] as const, counts: bins.counts };
  return { ...counts, min, max, mean: mean * scale, std: Math.sqrt(squares.value / finite) * scale, histogram };
}

/** Calls a function for each number, and lets the page live now and then. */
async function each(numbers: Elements, alive: () => Promise<void>, take: (value: number) => void): Promise<void> {
  for (let start = 0; start < numbers.length; start += SLICE) {
    if (start > 0) await alive();
    const end = Math.min(numbers.length, start + SLICE);
    for (let index = start; index < end; index += 1) take(Number(numbers[index]));
  }
}

/** Equal bins from the least to the greatest number; of equal numbers there is one. */
class Bins {
  readonly counts: number[];
  readonly #half: number;
  readonly #low: number;
  readonly #width: number;

  constructor(min: number, max: number) {
    this.counts = new Array<number>(min < max ? BINS : 1).fill(0);
    this.#half = Number.isFinite(max - min) ? 1 : 0.5;
    this.#low = min * this.#half;
    this.#width = max * this.#half - this.#low;
  }

  add(value: number): void {
    const place = this.counts.length === 1 ? 0 : BINS * ((value * this.#half - this.#low) / this.#width);
    this.counts[Math.min(BINS - 1, Math.floor(place))]! += 1;
  }
}

/** A sum that keeps what rounding loses (Neumaier). */
class Sum {
  #sum = 0;
  #lost = 0;

  add(value: number): void {
    const next = this.#sum + value;
    this.#lost += Math.abs(this.#sum) >= Math.abs(value) ? this.#sum - next + value : value - next + this.#sum;
    this.#sum = next;
  }

  get value(): number {
    return this.#sum + this.#lost;
  }
}

/** Lets the page draw and answer before the next slice. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/** The statistics of texts or byte strings: counts alone, in which an empty one is a zero. */
export function statisticsOfTexts(texts: readonly { readonly length: number }[]): Statistics {
  const zeros = texts.filter((text) => text.length === 0).length;
  return { count: texts.length, nan: 0, inf: 0, zeros, min: null, max: null, mean: null, std: null, histogram: null };
}

/** The absolute values of complex numbers, which lie as real and imaginary part beside each other. */
export function magnitudes(parts: ArrayLike<number>): Float64Array {
  const result = new Float64Array(parts.length / 2);
  for (let index = 0; index < result.length; index += 1) {
    const [re, im] = [parts[2 * index]!, parts[2 * index + 1]!];
    // NaN decides even beside an infinite part, for which hypot gives infinity.
    result[index] = Number.isNaN(re) || Number.isNaN(im) ? Number.NaN : Math.hypot(re, im);
  }
  return result;
}
