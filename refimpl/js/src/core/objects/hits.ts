// Metrics of hits at thresholds (SPEC.md K.2, CT-7 and CT-8).

import { broadcastTo, map, mul, NDArray, range, sliceAxis, vector } from '../array.js';
import { sigmoid } from '../functions.js';
import { refuseCall } from '../refusals.js';
import { type Attrs, flag, number, numberOrNull, numbersOrNull, text } from '../values.js';
import { alike, type Batch, clipped, EPSILON, spread } from './samples.js';

export const COUNTS = ['true_positives', 'false_positives', 'true_negatives', 'false_negatives'] as const;
export type Count = (typeof COUNTS)[number];

/** The counts for each threshold, and for each label where they are counted by themselves. */
export type Counts = Readonly<Record<Count, NDArray>>;

/** The thresholds of a metric, and whether they divide [0, 1] evenly. */
function thresholdsOf(name: string, parameters: Attrs): { thresholds: number[]; even: boolean } {
  const given = parameters.thresholds ?? null;
  if (name === 'auc') {
    const own = numbersOrNull(parameters, 'thresholds');
    const inner =
      own === null ? evenly(number(parameters, 'num_thresholds')).slice(1, -1) : [...own].sort((a, b) => a - b);
    return { thresholds: [-EPSILON, ...inner, 1 + EPSILON], even: isEven([0, ...inner, 1]) };
  }
  if (given !== null) {
    const list = typeof given === 'number' ? [given] : [...(given as readonly number[])];
    return { thresholds: list, even: isEven(list) };
  }
  const count = numberOrNull(parameters, 'num_thresholds') ?? 1;
  if (count > 1) return { thresholds: evenly(count), even: true };
  return { thresholds: [(parameters.top_k ?? null) === null ? 0.5 : -1e10], even: false };
}

const evenly = (count: number): number[] => range(count).map((i) => i / (count - 1));

const isEven = (list: readonly number[]): boolean =>
  list.length > 2 && evenly(list.length).every((value, i) => Math.abs(value - list[i]!) <= EPSILON);

/** Predictions of which only the k largest of each row can pass; of equal ones the first. */
function largestOnly(p: NDArray, k: number): NDArray {
  const width = p.shape[p.rank - 1]!;
  const data = p.data.slice();
  for (let start = 0; start < data.length; start += width) {
    const order = range(width).sort((a, b) => data[start + b]! - data[start + a]!);
    for (const i of order.slice(k)) data[start + i] = Number.NEGATIVE_INFINITY;
  }
  return p.like(p.shape, data);
}

interface Elements {
  readonly y: NDArray;
  readonly p: NDArray;
  readonly weight: NDArray;
}

/** Targets, predictions and weights of all elements, or of those of one class. */
function elementsOf(parameters: Attrs, batch: Batch, even: boolean): Elements {
  let [y, p] = alike(batch.y, batch.p);
  if (flag(parameters, 'from_logits')) p = map(p, sigmoid);
  const topK = (parameters.top_k ?? null) as number | null;
  if (topK !== null) p = largestOnly(p, topK);
  if (even) p = map(p, (value) => clipped(value, 0, 1));
  // A mask does nothing here.
  let weight = batch.weight === null ? map(p, () => 1) : spread(batch.weight, p);
  const labels = (parameters.label_weights ?? null) as readonly number[] | null;
  if (labels !== null && !flag(parameters, 'multi_label')) weight = mul(weight, broadcastTo(vector(labels), p.shape));
  const classId = (parameters.class_id ?? null) as number | null;
  if (classId === null) return { y, p, weight };
  const size = p.shape[p.rank - 1]!;
  if (!(classId >= 0 && classId < size)) refuseCall('class_id', `${classId} of ${size} classes`);
  const pick = (x: NDArray): NDArray => sliceAxis(x, x.rank - 1, classId, 1);
  return { y: pick(y), p: pick(p), weight: pick(weight) };
}

/** What a batch adds to the counts. */
export function addedHits(name: string, parameters: Attrs, batch: Batch): Counts {
  const { thresholds, even } = thresholdsOf(name, parameters);
  const { y, p, weight } = elementsOf(parameters, batch, even);
  if (y.shape.join() !== p.shape.join()) refuseCall(name, `targets [${y.shape}] for predictions [${p.shape}]`);
  const labels = flag(parameters, 'multi_label') ? p.shape[p.rank - 1]! : 1;
  const shape = flag(parameters, 'multi_label') ? [thresholds.length, labels] : [thresholds.length];
  const data = Object.fromEntries(COUNTS.map((count) => [count, new Float64Array(thresholds.length * labels)]));
  for (let i = 0; i < p.size; i++) {
    thresholds.forEach((threshold, t) => {
      const passes = p.data[i]! > threshold;
      const hit: Count =
        y.data[i] !== 0
          ? passes
            ? 'true_positives'
            : 'false_negatives'
          : passes
            ? 'false_positives'
            : 'true_negatives';
      data[hit]![t * labels + (i % labels)]! += weight.data[i]!;
    });
  }
  return Object.fromEntries(COUNTS.map((count) => [count, new NDArray(shape, data[count]!)])) as Counts;
}

const quotient = (x: number, y: number): number => (y === 0 ? 0 : x / y);

type Rate = (tp: number, fp: number, tn: number, fn: number) => number;

const RATES: Readonly<Record<string, Rate>> = {
  precision: (tp, fp) => quotient(tp, tp + fp),
  recall: (tp, _fp, _tn, fn) => quotient(tp, tp + fn),
  sensitivity: (tp, _fp, _tn, fn) => quotient(tp, tp + fn),
  specificity: (_tp, fp, tn) => quotient(tn, tn + fp),
};

/** A rate at each threshold. The counts that it does not use may be missing. */
function rates(name: string, counts: Partial<Counts>): Float64Array {
  const size = counts.true_positives!.size;
  const at = (count: Count, i: number): number => counts[count]?.data[i] ?? 0;
  return Float64Array.from(range(size), (i) =>
    RATES[name]!(...(COUNTS.map((count) => at(count, i)) as [number, number, number, number])),
  );
}

/** A scalar where there is one threshold. */
export function byThreshold(values: Float64Array): NDArray {
  return new NDArray(values.length === 1 ? [] : [values.length], values);
}

/** The result of `precision`, `recall`, and the rates at a rate. */
export function rateOf(name: string, parameters: Attrs, counts: Partial<Counts>): NDArray {
  const [first, second] = name.split('_at_') as [string, string | undefined];
  const found = rates(first, counts);
  if (second === undefined) return byThreshold(found);
  const asked = number(parameters, second);
  const others = rates(second, counts);
  const best = found.filter((_, i) => others[i]! >= asked).reduce((most, value) => Math.max(most, value), 0);
  return new NDArray([], Float64Array.of(best));
}

interface Curve {
  readonly tp: number[];
  readonly fp: number[];
  readonly tn: number[];
  readonly fn: number[];
}

/** A point of the curve at a threshold. */
function point(curve: string, { tp, fp, tn, fn }: Curve, i: number): [number, number] {
  const [hits, wrong, right, missed] = [tp[i]!, fp[i]!, tn[i]!, fn[i]!];
  const recall = quotient(hits, hits + missed);
  if (curve === 'ROC') return [quotient(wrong, wrong + right), recall];
  if (curve === 'PR') return [recall, quotient(hits, hits + wrong)];
  if (hits === 0) return [0, 1];
  const odds = quotient(hits + missed, right + wrong);
  return [Math.max(1 - (odds * missed) / hits, 0), 1 - (odds * wrong) / hits];
}

const HEIGHTS: Readonly<Record<string, (a: number, b: number) => number>> = {
  interpolation: (a, b) => (a + b) / 2,
  minoring: Math.min,
  majoring: Math.max,
};

/** The area under the curve of one label. */
function area(parameters: Attrs, counts: Curve): number {
  const [curve, method] = [text(parameters, 'curve'), text(parameters, 'summation_method')];
  const pairs = range(counts.tp.length - 1);
  if (curve === 'PR' && method === 'interpolation') return pairs.reduce((sum, i) => sum + strip(counts, i), 0);
  return pairs.reduce((sum, i) => {
    const [x, y] = point(curve, counts, i);
    const [nextX, nextY] = point(curve, counts, i + 1);
    return sum + (x - nextX) * HEIGHTS[method]!(y, nextY);
  }, 0);
}

/**
 * The area between two thresholds of the curve of precision and recall, with the hits interpolated.
 *
 * Source: Davis and Goadrich, The relationship between Precision-Recall and ROC curves (2006).
 */
function strip({ tp, fp, fn }: Curve, i: number): number {
  const [before, after] = [tp[i]! + fp[i]!, tp[i + 1]! + fp[i + 1]!];
  const more = tp[i]! - tp[i + 1]!;
  const slope = quotient(more, before - after);
  const rest = tp[i + 1]! - slope * after;
  const log = before > 0 && after > 0 ? Math.log(before / after) : 0;
  return quotient(slope * (more + rest * log), tp[i + 1]! + fn[i + 1]!);
}

/** The result of `auc`: of its labels the mean, weighted if there are weights. */
export function aucOf(parameters: Attrs, counts: Counts): NDArray {
  const labels = flag(parameters, 'multi_label') ? counts.true_positives.shape[1]! : 1;
  const areas = range(labels).map((label) => {
    const of = (count: Count): number[] => [...counts[count].data.filter((_, i) => i % labels === label)];
    const [tp, fp, tn, fn] = COUNTS.map(of) as [number[], number[], number[], number[]];
    return area(parameters, { tp, fp, tn, fn });
  });
  const given = (parameters.label_weights ?? null) as readonly number[] | null;
  const weights = flag(parameters, 'multi_label') && given !== null ? given : areas.map(() => 1);
  const whole = weights.reduce((a, b) => a + b, 0);
  return new NDArray(
    [],
    Float64Array.of(
      quotient(
        areas.reduce((sum, each, i) => sum + each * weights[i]!, 0),
        whole,
      ),
    ),
  );
}
