// Scores of classes: F, coefficients of determination, and intersections over unions (SPEC.md K.2, CT-8).

import { map, moveAxis, mul, NDArray, range, sum, total, zip } from '../array.js';
import { castTo } from '../numbers.js';
import { refuseCall } from '../refusals.js';
import { type Attrs, flag, number, numberOrNull, text } from '../values.js';
import { argmax } from './averages.js';
import { alike, type Batch, EPSILON, spread } from './samples.js';

type State = Readonly<Record<string, NDArray>>;

const quotient = (x: number, y: number): number => (y === 0 ? 0 : x / y);
const scalar = (x: number): NDArray => new NDArray([], Float64Array.of(x));

/** Weights of samples along the classes. A mask does nothing here. */
function weightsOf({ weight }: Batch, p: NDArray): NDArray {
  return weight === null ? map(p, () => 1) : spread(weight, p);
}

/** Which predictions say yes: those above the threshold, or else the largest. */
function yes(p: NDArray, threshold: number | null): NDArray {
  if (threshold !== null) return map(p, (value) => (value > threshold ? 1 : 0));
  const width = p.shape[p.rank - 1]!;
  const data = p.data.map((value, i) => {
    const row = p.data.subarray(i - (i % width), i - (i % width) + width);
    return value === Math.max(...row) && Math.abs(value) > 1e-9 ? 1 : 0;
  });
  return p.like(p.shape, data);
}

/** What a batch adds to the state of `f1_score` and `fbeta_score`. */
export function addedScores(parameters: Attrs, batch: Batch): State {
  const [y, given] = alike(batch.y, batch.p);
  const p = yes(given, numberOrNull(parameters, 'threshold'));
  const weight = weightsOf(batch, p);
  const over = parameters.average === 'micro' ? null : range(p.rank - 1);
  const count = (f: (y: number, p: number) => number): NDArray => sum(mul(zip(y, p, f), weight), over);
  return {
    true_positives: count((a, b) => a * b),
    false_positives: count((a, b) => (1 - a) * b),
    false_negatives: count((a, b) => a * (1 - b)),
    intermediate_weights: count((a) => a),
  };
}

export function scoreOf(parameters: Attrs, state: State): NDArray {
  const beta = (numberOrNull(parameters, 'beta') ?? 1) ** 2;
  const [hits, wrong, missed] = [state.true_positives!, state.false_positives!, state.false_negatives!];
  const precision = zip(hits, wrong, (a, b) => a / (a + b + EPSILON));
  const recall = zip(hits, missed, (a, b) => a / (a + b + EPSILON));
  const scores = zip(precision, recall, (q, r) => ((1 + beta) * q * r) / (beta * q + r + EPSILON));
  if (parameters.average === 'macro') return scalar(total(scores.data) / scores.size);
  if (parameters.average !== 'weighted') return scores;
  const weights = state.intermediate_weights!;
  return scalar(total(mul(scores, weights).data) / (total(weights.data) + EPSILON));
}

/** What a batch adds to the state of `r2_score`. */
export function addedSquares(batch: Batch): State {
  const [y, p] = alike(batch.y, batch.p);
  const weight = weightsOf(batch, p);
  const over = range(p.rank - 1);
  const weighted = (x: NDArray): NDArray => sum(mul(x, weight), over);
  return {
    num_samples: scalar(y.size),
    squared_sum: weighted(mul(y, y)),
    sum: weighted(y),
    residual: weighted(zip(y, p, (a, b) => (a - b) ** 2)),
    count: sum(weight, over),
  };
}

export function r2Of(parameters: Attrs, state: State): NDArray {
  const means = zip(state.sum!, state.count!, (whole, count) => quotient(whole ** 2, count));
  const totals = zip(state.squared_sum!, means, (squares, center) => squares - center);
  const raw = zip(state.residual!, totals, (rest, whole) => {
    const r = 1 - rest / whole;
    return Math.abs(r) === Number.POSITIVE_INFINITY ? 0 : r;
  });
  return adjusted(parameters, state, aggregated(parameters, raw, totals));
}

function aggregated(parameters: Attrs, raw: NDArray, totals: NDArray): NDArray {
  const kind = parameters.class_aggregation;
  if (kind === null) return raw;
  if (kind === 'uniform_average') return scalar(total(raw.data) / raw.size);
  if (kind === 'variance_weighted_average') return scalar(quotient(total(mul(raw, totals).data), total(totals.data)));
  return refuseCall('class_aggregation', String(kind));
}

function adjusted(parameters: Attrs, state: State, scores: NDArray): NDArray {
  const [k, n] = [number(parameters, 'num_regressors'), state.num_samples!.data[0]!];
  if (k === 0 || k >= n - 1) return scores;
  return map(scores, (r) => 1 - ((1 - r) * (n - 1)) / (n - k - 1));
}

/** How a metric of intersections takes targets and predictions. */
function classesOf(name: string, parameters: Attrs, batch: Batch): [NDArray, NDArray] {
  if (name === 'binary_iou') {
    const threshold = number(parameters, 'threshold');
    const [y, p] = alike(batch.y, batch.p);
    return [y, map(p, (value) => (value >= threshold ? 1 : 0))];
  }
  const axis = number(parameters, 'axis');
  const largest = (x: NDArray): NDArray => argmax(moveAxis(x, axis < 0 ? axis + x.rank : axis, x.rank - 1));
  const hot = name.startsWith('one_hot');
  const y = hot || !flag(parameters, 'sparse_y_true') ? largest(batch.y) : batch.y;
  const p = flag(parameters, 'sparse_y_pred') ? batch.p : largest(batch.p);
  return alike(y, p);
}

/** What a batch adds to the matrix of classes, a row for each target. */
export function addedMatrix(name: string, parameters: Attrs, batch: Batch): State {
  const size = name === 'binary_iou' ? 2 : number(parameters, 'num_classes');
  const ignored = (parameters.ignore_class ?? null) as number | null;
  const [y, p] = classesOf(name, parameters, batch);
  // Weights become of the dtype of the matrix before they are added.
  const weight = castTo(weightsOf(batch, p), text(parameters, 'dtype'));
  const data = new Float64Array(size * size);
  if (y.size !== p.size) refuseCall(name, `targets [${y.shape}] for predictions [${p.shape}]`);
  for (let i = 0; i < y.size; i++) {
    const [row, column] = [Math.trunc(y.data[i]!), Math.trunc(p.data[i]!)];
    if (row === ignored) continue;
    if (!(row >= 0 && row < size && column >= 0 && column < size)) {
      refuseCall(name, `the classes ${row} and ${column} of ${size}`);
    }
    data[row * size + column]! += weight.data[i]!;
  }
  return { total_confusion_matrix: new NDArray([size, size], data) };
}

/** The mean over the classes of diagonal / (row + column − diagonal). */
export function unionsOf(name: string, parameters: Attrs, state: State): NDArray {
  const matrix = state.total_confusion_matrix!;
  const size = matrix.shape[0]!;
  const all = name === 'mean_iou' || name === 'one_hot_mean_iou';
  const classes = all ? range(size) : (parameters.target_class_ids as readonly number[]);
  const cell = (row: number, column: number): number => matrix.data[row * size + column]!;
  const found = classes.flatMap((each) => {
    if (!(each >= 0 && each < size)) refuseCall('target_class_ids', `${each} of ${size} classes`);
    const union = range(size).reduce((sum, other) => sum + cell(each, other) + cell(other, each), 0) - cell(each, each);
    return union === 0 ? [] : [cell(each, each) / union];
  });
  return scalar(
    quotient(
      found.reduce((a, b) => a + b, 0),
      found.length,
    ),
  );
}
