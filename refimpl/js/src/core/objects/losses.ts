// Losses (SPEC.md K.1): the value of each sample.

import { div, fold, largest, map, mean, mul, type NDArray, sub, sum, zip } from '../array.js';
import { type Attrs, axes, number } from '../values.js';
import {
  binaryCrossentropy,
  binaryFocal,
  categoricalCrossentropy,
  categoricalFocal,
  generalized,
  sparseCrossentropy,
} from './crossentropies.js';
import { circle, ctc } from './pair_losses.js';
import { alike, clipped, EPSILON } from './samples.js';

/** The values of a loss, with a mask of its own where some do not count. */
export interface Values {
  readonly values: NDArray;
  readonly mask: NDArray | null;
}

/** A loss of targets and predictions that are alike; an automatic one makes them so. */
export type Loss = (y: NDArray, p: NDArray, parameters: Attrs) => NDArray | Values;

/** The mean along the last axis of a function of each pair of elements. */
const meanOf =
  (f: (y: number, p: number, parameters: Attrs) => number): Loss =>
  (y, p, parameters) =>
    mean(
      zip(y, p, (a, b) => f(a, b, parameters)),
      -1,
    );

/** x / √max(Σ x², 10⁻¹²). */
export function normalized(x: NDArray, axis: number | readonly number[] | null): NDArray {
  const norms = map(sum(mul(x, x), axis, true), (squares) => Math.sqrt(Math.max(squares, 1e-12)));
  return div(x, norms);
}

/** Σ ŷ p̂. */
export function cosine(y: NDArray, p: NDArray, parameters: Attrs): NDArray {
  const axis = axes(parameters, 'axis');
  return sum(mul(normalized(y, axis), normalized(p, axis)), axis);
}

function huber(y: number, p: number, parameters: Attrs): number {
  const [error, delta] = [Math.abs(y - p), number(parameters, 'delta')];
  return error <= delta ? error ** 2 / 2 : delta * error - delta ** 2 / 2;
}

function logCosh(y: number, p: number): number {
  const size = Math.abs(p - y);
  return size + Math.log1p(Math.exp(-2 * size)) - Math.LN2;
}

/** −1 and 1 for targets that are all 0 or 1. */
function signs(y: NDArray): NDArray {
  return y.data.every((value) => value === 0 || value === 1) ? map(y, (value) => 2 * value - 1) : y;
}

const hinge: Loss = (y, p) =>
  mean(
    zip(signs(y), p, (a, b) => Math.max(1 - a * b, 0)),
    -1,
  );

const squaredHinge: Loss = (y, p) =>
  mean(
    zip(signs(y), p, (a, b) => Math.max(1 - a * b, 0) ** 2),
    -1,
  );

const categoricalHinge: Loss = (y, p) => {
  const best = fold(
    zip(y, p, (a, b) => (1 - a) * b),
    -1,
    largest,
  );
  return map(sub(best, sum(mul(y, p), -1)), (x) => Math.max(1 + x, 0));
};

const klDivergence: Loss = (y, p) =>
  sum(
    zip(y, p, (a, b) => {
      const [target, found] = [clipped(a, EPSILON, 1), clipped(b, EPSILON, 1)];
      return target * Math.log(target / found);
    }),
    -1,
  );

const dice: Loss = (y, p, parameters) => {
  const axis = axes(parameters, 'axis');
  const whole = zip(sum(y, axis), sum(p, axis), (a, b) => a + b + EPSILON);
  return zip(sum(mul(y, p), axis), whole, (hits, all) => 1 - (2 * hits) / all);
};

const tversky: Loss = (y, p, parameters) => {
  const axis = axes(parameters, 'axis');
  const hits = sum(mul(y, p), axis);
  const missed = sum(
    zip(y, p, (a, b) => a * (1 - b)),
    axis,
  );
  const wrong = sum(
    zip(y, p, (a, b) => b * (1 - a)),
    axis,
  );
  const [alpha, beta] = [number(parameters, 'alpha'), number(parameters, 'beta')];
  const rest = zip(missed, wrong, (a, b) => alpha * a + beta * b);
  return zip(hits, rest, (s, others) => 1 - s / (s + others + EPSILON));
};

/** The loss that the shapes ask for, as they are given. */
const auto: Loss = (targets, predictions) => {
  const parameters = { from_logits: false, label_smoothing: 0, axis: -1, ignore_class: null };
  const kind = kindOfTargets(targets, predictions);
  const [y, p] = alike(targets, predictions);
  if (kind === 'binary') return binaryCrossentropy(y, p, parameters);
  return kind === 'sparse' ? sparseCrossentropy(y, p, parameters) : categoricalCrossentropy(y, p, parameters);
};

/** What targets say of predictions: the same shape rule serves the automatic loss and the automatic accuracy. */
export function kindOfTargets(targets: NDArray, predictions: NDArray): 'binary' | 'sparse' | 'categorical' {
  const [y, p] = alike(targets, predictions);
  // Also where the predictions lose this axis.
  if (predictions.shape[predictions.rank - 1] === 1 || p.shape[p.rank - 1] === 1) return 'binary';
  return y.rank < p.rank || y.shape[y.rank - 1] === 1 ? 'sparse' : 'categorical';
}

export const LOSSES: Readonly<Record<string, Loss>> = {
  mean_squared_error: meanOf((y, p) => (y - p) ** 2),
  mean_absolute_error: meanOf((y, p) => Math.abs(y - p)),
  mean_absolute_percentage_error: meanOf((y, p) => (100 * Math.abs(y - p)) / Math.max(Math.abs(y), EPSILON)),
  mean_squared_logarithmic_error: meanOf(
    (y, p) => (Math.log1p(Math.max(y, EPSILON)) - Math.log1p(Math.max(p, EPSILON))) ** 2,
  ),
  cosine_similarity: (y, p, parameters) => map(cosine(y, p, parameters), (x) => -x),
  huber: meanOf(huber),
  log_cosh: meanOf(logCosh),
  hinge,
  squared_hinge: squaredHinge,
  categorical_hinge: categoricalHinge,
  kl_divergence: klDivergence,
  poisson: meanOf((y, p) => p - y * Math.log(p + EPSILON)),
  binary_crossentropy: binaryCrossentropy,
  binary_focal_crossentropy: binaryFocal,
  categorical_crossentropy: categoricalCrossentropy,
  categorical_focal_crossentropy: categoricalFocal,
  sparse_categorical_crossentropy: sparseCrossentropy,
  categorical_generalized_cross_entropy: generalized,
  auto_crossentropy: auto,
  dice,
  tversky,
  circle,
  ctc,
};
