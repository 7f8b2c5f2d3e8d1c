// Einstein's sums by matrix products: `tf.einsum` has no `...`, no single letter twice and no third tensor.

import type { T, TensorFlow } from '../tensorflow.js';

const SPARE = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ';

/** An equation whose `...` are letters of their own, for tensors of these ranks. */
export function spelled(equation: string, ranks: number[]): { terms: string[]; result: string } {
  const [left, right] = equation.replaceAll(' ', '').split('->') as [string, string | undefined];
  const given = left.split(',');
  const free = given.map((term, at) => (term.includes('...') ? ranks[at]! - (term.length - 3) : 0));
  const most = Math.max(...free, 0);
  const letters = [...SPARE]
    .filter((letter) => !equation.includes(letter))
    .slice(0, most)
    .join('');
  const terms = given.map((term, at) => term.replace('...', letters.slice(most - free[at]!)));
  if (right !== undefined) return { terms, result: right.replace('...', letters) };
  const all = [...terms.join('')];
  const once = [...new Set(all)].filter(
    (letter) => !letters.includes(letter) && all.filter((l) => l === letter).length === 1,
  );
  return { terms, result: letters + once.sort().join('') };
}

/** A tensor whose axes have other letters each, those of `keep`, in that order; the others are summed up. */
function reduced(tf: TensorFlow, x: T, term: string, keep: string): [T, string] {
  let result = x;
  let letters = term;
  for (let at = letters.length - 1; at >= 0; at--) {
    const first = letters.indexOf(letters[at]!);
    if (first === at) continue;
    // The diagonal of two axes of one letter: a product with the identity, summed up along the second.
    const size = result.shape[at]!;
    const shape = result.shape.map((_, axis) => (axis === first || axis === at ? size : 1));
    const indices = tf.tensor(
      Array.from({ length: size }, (_, place) => place),
      [size],
      'int32',
    );
    const identity = tf.reshape(tf.cast(tf.oneHot(indices, size), 'float32'), shape);
    result = tf.sum(tf.mul(result, identity), at);
    letters = letters.slice(0, at) + letters.slice(at + 1);
  }
  const gone = [...letters].map((letter, at) => (keep.includes(letter) ? -1 : at)).filter((at) => at >= 0);
  if (gone.length) result = tf.sum(result, gone);
  return [result, [...letters].filter((letter) => keep.includes(letter)).join('')];
}

function ordered(tf: TensorFlow, x: T, letters: string, order: string): T {
  return letters === order
    ? x
    : tf.transpose(
        x,
        [...order].map((letter) => letters.indexOf(letter)),
      );
}

function pair(tf: TensorFlow, x: T, first: string, y: T, second: string, keep: string): [T, string] {
  const [a, left] = reduced(tf, x, first, second + keep);
  const [b, right] = reduced(tf, y, second, first + keep);
  const shared = [...left].filter((letter) => right.includes(letter));
  const batch = shared.filter((letter) => keep.includes(letter)).join('');
  const summed = shared.filter((letter) => !keep.includes(letter)).join('');
  const rows = [...left].filter((letter) => !right.includes(letter)).join('');
  const columns = [...right].filter((letter) => !left.includes(letter)).join('');
  const ax = ordered(tf, a, left, batch + rows + summed);
  const bx = ordered(tf, b, right, batch + summed + columns);
  const length = (shape: number[]) => shape.reduce((product, size) => product * size, 1);
  const [p, q, r] = [batch.length, batch.length + rows.length, batch.length + summed.length];
  // An axis of size 1 in one of them is that of the other: broadcast before they are multiplied.
  const sizes = ax.shape.slice(0, p).map((size, at) => Math.max(size, bx.shape[at]!));
  const spread = (t: T) =>
    t.shape.slice(0, p).some((size, at) => size !== sizes[at]) ? tf.broadcastTo(t, [...sizes, ...t.shape.slice(p)]) : t;
  const [aw, bw] = [spread(ax), spread(bx)];
  const product = tf.matMul(
    tf.reshape(aw, [length(sizes), length(aw.shape.slice(p, q)), length(aw.shape.slice(q))]),
    tf.reshape(bw, [length(sizes), length(bw.shape.slice(p, r)), length(bw.shape.slice(r))]),
  );
  return [tf.reshape(product, [...sizes, ...aw.shape.slice(p, q), ...bw.shape.slice(r)]), batch + rows + columns];
}

/** The sum of products that an equation says. */
export function contract(tf: TensorFlow, equation: string, tensors: T[]): T {
  const { terms, result } = spelled(
    equation,
    tensors.map((tensor) => tensor.rank),
  );
  let [current, letters] = [tensors[0]!, terms[0]!];
  if (tensors.length === 1) [current, letters] = reduced(tf, current, letters, result);
  for (let at = 1; at < tensors.length; at++) {
    const keep = result + terms.slice(at + 1).join('');
    [current, letters] = pair(tf, current, letters, tensors[at]!, terms[at]!, keep);
  }
  return ordered(tf, current, letters, result);
}
