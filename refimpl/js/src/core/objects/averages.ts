// Metrics that are a weighted average of values (SPEC.md K.2, CT-6).

import { axesOf, fold, map, mean, moments, mul, NDArray, range, sub, sum, total, zip } from '../array.js';
import { type Attrs, axes, flag, number } from '../values.js';
import { classOf } from './crossentropies.js';
import { cosine, kindOfTargets, LOSSES, type Values } from './losses.js';
import { alike, type Batch, EPSILON, joined, paired, spread } from './samples.js';

type Metric = (y: NDArray, p: NDArray, parameters: Attrs) => NDArray | Values;

const truth = (value: boolean): number => (value ? 1 : 0);

const accuracy: Metric = (y, p) => zip(y, p, (a, b) => truth(a === b));

const binaryAccuracy: Metric = (y, p, parameters) => {
  const threshold = number(parameters, 'threshold');
  return zip(y, p, (a, b) => truth(a === truth(b > threshold)));
};

/** The place of the first of the largest elements along the last axis. */
export function argmax(x: NDArray): NDArray {
  return fold(x, -1, (row) => row.reduce((best, value, i) => (value > row[best]! ? i : best), 0), false, 'int64');
}

/** Classes without the last axis of size 1 that they may have. */
const classes = (y: NDArray, p: NDArray): NDArray =>
  y.rank === p.rank && y.shape[y.rank - 1] === 1 ? y.reshape(y.shape.slice(0, -1)) : y;

const categoricalAccuracy: Metric = (y, p) => accuracy(argmax(y), argmax(p), {});
const sparseAccuracy: Metric = (y, p) => accuracy(classes(y, p), argmax(p), {});

const autoAccuracy: Metric = (targets, predictions) => {
  const kind = kindOfTargets(targets, predictions);
  const [y, p] = alike(targets, predictions);
  if (kind === 'binary') return binaryAccuracy(y, p, { threshold: 0.5 });
  return kind === 'sparse' ? sparseAccuracy(y, p, {}) : categoricalAccuracy(y, p, {});
};

/** Whether fewer than k predictions are larger than that of the class. */
const sparseTopK: Metric = (y, p, parameters) => {
  const k = number(parameters, 'k');
  const own = classes(y, p);
  const width = p.shape[p.rank - 1]!;
  const row = (i: number): Float64Array => p.data.subarray(i * width, (i + 1) * width);
  if (flag(parameters, 'from_sorted_ids')) {
    return own.like(
      own.shape,
      own.data.map((label, i) => truth(row(i).subarray(0, k).includes(label))),
    );
  }
  const picked = classOf(own, p, -1);
  const data = picked.data.map((value, i) => truth(row(i).filter((other) => other > value).length < k));
  return new NDArray(picked.shape, data);
};

const topK: Metric = (y, p, parameters) => sparseTopK(argmax(y), p, { ...parameters, from_sorted_ids: false });

/** Each with its mean taken off and divided by its deviation. */
function standardized(x: NDArray, over: readonly number[]): NDArray {
  const { mean: center, variance } = moments(x, over);
  return zip(sub(x, center), map(variance, Math.sqrt), (distance, deviation) => distance / deviation);
}

const pearson: Metric = (y, p, parameters) => {
  const over = axesOf(axes(parameters, 'axis'), p.rank);
  return mean(mul(standardized(y, over), standardized(p, over)), over);
};

const concordance: Metric = (y, p, parameters) => {
  const over = axesOf(axes(parameters, 'axis'), p.rank);
  const [ofY, ofP] = [moments(y, over), moments(p, over)];
  const together = mean(mul(sub(y, ofY.mean), sub(p, ofP.mean)), over, true);
  const apart = zip(ofY.mean, ofP.mean, (a, b) => (a - b) ** 2);
  const spreads = zip(ofY.variance, ofP.variance, (a, b) => a + b);
  const all = zip(spreads, apart, (a, b) => a + b + EPSILON);
  return sum(
    zip(together, all, (a, b) => (2 * a) / b),
    over,
  );
};

const AVERAGES: Readonly<Record<string, Metric>> = {
  ...LOSSES,
  log_cosh_error: LOSSES.log_cosh!,
  cosine_similarity: cosine,
  mean: (y) => y,
  sum: (y) => y,
  accuracy,
  binary_accuracy: binaryAccuracy,
  categorical_accuracy: categoricalAccuracy,
  sparse_categorical_accuracy: sparseAccuracy,
  auto_accuracy: autoAccuracy,
  top_k_categorical_accuracy: topK,
  sparse_top_k_categorical_accuracy: sparseTopK,
  root_mean_squared_error: (y, p) => zip(y, p, (a, b) => (a - b) ** 2),
  pearson_correlation: pearson,
  concordance_correlation: concordance,
};

/** The parameters of the vocabulary that a metric named as a loss does not have. */
const OF_LOSSES: Attrs = { from_logits: false, label_smoothing: 0, axis: -1, ignore_class: null };

/**
 * What a batch adds to `total` and `count`.
 *
 * A sample is an element of the first axis. Along the other axes the mean is taken of weight times value, and of the
 * weight, which a mask is too; `sum` takes sums.
 */
export function addedAverage(name: string, parameters: Attrs, batch: Batch): { total: number; count: number } {
  const [y, p] = paired(name, batch);
  const found = AVERAGES[name]!(y, p, { ...OF_LOSSES, ...parameters });
  const { values, mask } = 'values' in found ? found : { values: found, mask: null };
  const own = range(values.rank).slice(1);
  // Samples of an ignored class count with the value 0 where nothing is weighted.
  const weight = joined(batch.mask, batch.weight === null ? null : joined(batch.weight, mask));
  const weights = weight === null ? map(values, () => 1) : spread(weight, values);
  const reduce = (x: NDArray): NDArray => (name === 'sum' ? sum(x, own) : mean(x, own));
  return { total: total(reduce(mul(values, weights)).data), count: total(reduce(weights).data) };
}

/** The result of a metric with `total`, and mostly `count`. */
export function averageOf(name: string, whole: number, count: number): number {
  if (name === 'sum') return whole;
  const average = count === 0 ? 0 : whole / count;
  return name === 'root_mean_squared_error' ? Math.sqrt(average) : average;
}
