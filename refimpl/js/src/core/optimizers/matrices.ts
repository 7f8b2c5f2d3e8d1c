// Rules that see a variable as a matrix (SPEC.md K.5).

import { type Attrs, flag, number, numberOrNull, numbers } from '../values.js';
import { uncorrected } from './moments.js';
import { average, like, norm, type Rule, rms, type Target, type Update } from './rule.js';

/** Leading size, rows and columns of the last two axes. */
function matrixOf(shape: readonly number[]): [number, number, number] {
  const [rows, columns] = shape.slice(-2) as [number, number];
  return [shape.slice(0, -2).reduce((a, b) => a * b, 1), rows, columns];
}

/** The averages of the squares of rows and columns, and v made of them. */
function factored({ slots, shape }: Update, beta: number, s: Float64Array): Float64Array {
  const [lead, rows, columns] = matrixOf(shape);
  const [r, c] = [slots.r!, slots.c!];
  const at = (l: number, i: number, j: number): number => s[(l * rows + i) * columns + j]!;
  const meanOf = (count: number, value: (k: number) => number): number => {
    let sum = 0;
    for (let k = 0; k < count; k++) sum += value(k);
    return sum / count;
  };
  average(r, beta, (place) => meanOf(columns, (j) => at(Math.floor(place / rows), place % rows, j)));
  average(c, beta, (place) => meanOf(rows, (i) => at(Math.floor(place / columns), i, place % columns)));
  const means = Array.from({ length: lead }, (_, l) => meanOf(rows, (i) => r[l * rows + i]!));
  return s.map((_, place) => {
    const row = Math.floor(place / columns);
    const l = Math.floor(row / rows);
    return (r[row]! / means[l]!) * c[l * columns + (place % columns)]!;
  });
}

export const adafactor: Rule = {
  slots: (target) => {
    const { shape } = target;
    if (shape.length < 2) return [like(target, 'v')];
    return [
      { name: 'r', shape: shape.slice(0, -1), initial: 0 },
      { name: 'c', shape: [...shape.slice(0, -2), ...shape.slice(-1)], initial: 0 },
      like(target, 'v'),
    ];
  },
  update: (update) => {
    const { p, g, t, parameters, rate, shape, slots } = update;
    const beta = 1 - t ** number(parameters, 'beta_2_decay');
    const s = g.map((value) => value ** 2 + number(parameters, 'epsilon_1'));
    const v = slots.v!;
    if (shape.length < 2) average(v, beta, (i) => s[i]!);
    else v.set(factored(update, beta, s));
    const u = g.map((value, i) => value / Math.sqrt(v[i]!));
    const shorter = Math.max(1, rms(u) / number(parameters, 'clip_threshold'));
    const relative = flag(parameters, 'relative_step') ? Math.min(rate, 1 / Math.sqrt(t)) : rate;
    const scale = relative * Math.max(number(parameters, 'epsilon_2'), rms(p));
    for (let i = 0; i < p.length; i++) p[i]! -= (scale * u[i]!) / shorter;
  },
};

/** Whether `muon` treats a variable as `adam` does. */
export function isPlain({ path, shape, parameters }: Target): boolean {
  return shape.length !== 2 || (parameters.adam_variables as readonly string[]).includes(path);
}

/** The product of a matrix with the transpose of another, of `count` rows and as many columns as `width`. */
function timesTransposed(x: Float64Array, y: Float64Array, count: number, width: number): Float64Array {
  return Float64Array.from({ length: count * count }, (_, place) => {
    const [i, j] = [Math.floor(place / count) * width, (place % count) * width];
    let sum = 0;
    for (let k = 0; k < width; k++) sum += x[i + k]! * y[j + k]!;
    return sum;
  });
}

function times(x: Float64Array, y: Float64Array, count: number, width: number): Float64Array {
  return Float64Array.from({ length: count * width }, (_, place) => {
    const [i, j] = [Math.floor(place / width) * count, place % width];
    let sum = 0;
    for (let k = 0; k < count; k++) sum += x[i + k]! * y[k * width + j]!;
    return sum;
  });
}

function transposed(x: Float64Array, rows: number, columns: number): Float64Array {
  return x.map((_, place) => x[(place % rows) * columns + Math.floor(place / rows)]!);
}

/** N(x): steps of Newton and Schulz towards the nearest orthogonal matrix. */
function orthogonalized(x: Float64Array, rows: number, columns: number, parameters: Attrs): Float64Array {
  if (rows > columns) {
    const turned = orthogonalized(transposed(x, rows, columns), columns, rows, parameters);
    return transposed(turned, columns, rows);
  }
  const [a, b, c] = numbers(parameters, 'ns_coefficients') as [number, number, number];
  const length = norm(x) + 1e-7;
  let found = x.map((value) => value / length);
  for (let step = 0; step < number(parameters, 'ns_steps'); step++) {
    const square = timesTransposed(found, found, rows, columns);
    const fourth = times(square, square, rows, rows);
    const factor = square.map((value, i) => b * value + c * fourth[i]!);
    const more = times(factor, found, rows, columns);
    found = found.map((value, i) => a * value + more[i]!);
  }
  return found;
}

export const muon: Rule = {
  slots: (target) => [like(target, 'momentum'), ...(isPlain(target) ? [like(target, 'velocity')] : [])],
  update: (update) => {
    const { p, g, parameters, rate, shape, slots } = update;
    if (isPlain(update)) {
      const betas = { beta1: number(parameters, 'adam_beta_1'), beta2: number(parameters, 'adam_beta_2') };
      uncorrected(update, betas, rate);
      return;
    }
    const [rows, columns] = shape as [number, number];
    const mu = number(parameters, 'momentum');
    const m = slots.momentum!;
    for (let i = 0; i < m.length; i++) m[i] = mu * m[i]! + g[i]!;
    const x = flag(parameters, 'nesterov') ? g.map((value, i) => value + mu * m[i]!) : m;
    const share = numberOrNull(parameters, 'rms_rate');
    const scale = share === null ? rate : rate * share * Math.sqrt(Math.max(rows, columns));
    const direction = orthogonalized(x, rows, columns, parameters);
    for (let i = 0; i < p.length; i++) p[i]! -= scale * direction[i]!;
  },
};
