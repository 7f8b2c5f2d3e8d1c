// Einstein's sums, with `...` for any axes, and the product of matrices that is one.

import { allocate, broadcastTo, NDArray, range, sizeOf, stridesOf, transpose } from './array.js';
import { refuseCall } from './refusals.js';

interface Term {
  readonly labels: string[];
  readonly array: NDArray;
}

/** The sum of an equation such as `abc,cde->abde`; without `->`, the labels that stand once, in the order of letters. */
export function einsum(equation: string, arrays: readonly NDArray[]): NDArray {
  const [left, right] = equation.replaceAll(' ', '').split('->');
  const inputs = left!.split(',');
  if (inputs.length !== arrays.length) refuseCall(`einsum ${equation}`, `${arrays.length} tensors`);
  const terms = inputs.map((input, i) => diagonal(termOf(input, arrays[i]!, equation)));
  const sizes = sizesOf(terms, equation);
  const output = right === undefined ? implicitOutput(terms) : outputLabels(right, terms);
  for (const label of output) if (!sizes.has(label)) refuseCall(`einsum ${equation}`, `no ${label} on the left`);
  const [first, ...rest] = terms;
  let result = first!;
  rest.forEach((next, i) => {
    const needed = new Set([...output, ...rest.slice(i + 1).flatMap((term) => term.labels)]);
    result = contract(result, next, needed);
  });
  const summed = contract(result, { labels: [], array: new NDArray([], Float64Array.of(1)) }, new Set(output));
  return transpose(
    summed.array,
    output.map((label) => summed.labels.indexOf(label)),
  );
}

/** The labels of one side, those of its ellipsis counted from the last: `.0` is the last of them. */
function labelsOf(text: string, ellipsis: number): string[] {
  const [before, after] = text.split('...');
  if (after === undefined) return [...text];
  return [...before!, ...range(ellipsis).map((i) => `.${ellipsis - 1 - i}`), ...after];
}

function termOf(input: string, array: NDArray, equation: string): Term {
  const ellipsis = array.rank - input.replace('...', '').length;
  if (ellipsis < 0 || (ellipsis > 0 && !input.includes('...'))) {
    refuseCall(`einsum ${equation}`, `shape [${array.shape}] for ${input}`);
  }
  return { labels: labelsOf(input, ellipsis), array };
}

/** A label that stands twice in a term takes the diagonal. */
function diagonal({ labels, array }: Term): Term {
  const unique = [...new Set(labels)];
  if (unique.length === labels.length) return { labels, array };
  const strides = stridesOf(array.shape);
  const places = unique.map((label) => range(labels.length).filter((axis) => labels[axis] === label));
  const shape = places.map((axes) => Math.max(...axes.map((axis) => array.shape[axis]!)));
  const steps = places.map((axes) =>
    axes.reduce((sum, axis) => sum + (array.shape[axis] === 1 ? 0 : strides[axis]!), 0),
  );
  const data = allocate(shape);
  const own = stridesOf(shape);
  for (let i = 0; i < data.length; i++) {
    data[i] =
      array.data[steps.reduce((sum, step, axis) => sum + step * (Math.floor(i / own[axis]!) % shape[axis]!), 0)]!;
  }
  return { labels: unique, array: new NDArray(shape, data) };
}

function sizesOf(terms: readonly Term[], equation: string): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const { labels, array } of terms) {
    labels.forEach((label, axis) => {
      const [size, known] = [array.shape[axis]!, sizes.get(label) ?? 1];
      if (size !== 1 && known !== 1 && size !== known)
        refuseCall(`einsum ${equation}`, `${label} is ${known} and ${size}`);
      sizes.set(label, known === 1 ? size : known);
    });
  }
  return sizes;
}

function ellipsisOf(terms: readonly Term[]): string[] {
  const found = terms.map((term) => term.labels.filter((label) => label.startsWith('.')));
  return found.reduce((longest, each) => (each.length > longest.length ? each : longest), []);
}

function outputLabels(right: string, terms: readonly Term[]): string[] {
  return labelsOf(right, ellipsisOf(terms).length);
}

function implicitOutput(terms: readonly Term[]): string[] {
  const all = terms.flatMap((term) => term.labels);
  const once = [...new Set(all)].filter(
    (label) => !label.startsWith('.') && all.filter((each) => each === label).length === 1,
  );
  return [...ellipsisOf(terms), ...once.sort()];
}

/** The product of two terms, summed over the labels that nothing needs any more. */
function contract(x: Term, y: Term, needed: ReadonlySet<string>): Term {
  const shared = x.labels.filter((label) => y.labels.includes(label));
  const batch = shared.filter((label) => needed.has(label));
  const gone = shared.filter((label) => !needed.has(label));
  const one = summedOut(x, [...shared, ...x.labels.filter((label) => needed.has(label))]);
  const two = summedOut(y, [...shared, ...y.labels.filter((label) => needed.has(label))]);
  const ownOne = one.labels.filter((label) => !shared.includes(label));
  const ownTwo = two.labels.filter((label) => !shared.includes(label));
  const size = (label: string): number =>
    Math.max(
      ...[one, two].map(({ labels, array }) => (labels.includes(label) ? array.shape[labels.indexOf(label)]! : 1)),
    );
  const sizes = (labels: readonly string[]): number[] => labels.map((label) => commonSize(one, two, label, size));
  const left = ordered(one, [...batch, ...ownOne, ...gone], sizes);
  const right = ordered(two, [...batch, ...ownTwo, ...gone], sizes);
  const [b, m, n, k] = [batch, ownOne, ownTwo, gone].map((labels) => sizeOf(sizes(labels))) as [
    number,
    number,
    number,
    number,
  ];
  const data = allocate([b, m, n]);
  for (let i = 0; i < b; i++) {
    for (let row = 0; row < m; row++) {
      const from = (i * m + row) * k;
      for (let column = 0; column < n; column++) {
        const other = (i * n + column) * k;
        let sum = 0;
        for (let l = 0; l < k; l++) sum += left[from + l]! * right[other + l]!;
        data[(i * m + row) * n + column] = sum;
      }
    }
  }
  const labels = [...batch, ...ownOne, ...ownTwo];
  return { labels, array: new NDArray(sizes(labels), data) };
}

/** A size of 1 beside another one is spread; a size of 0 stays. */
function commonSize(one: Term, two: Term, label: string, larger: (label: string) => number): number {
  const own = [one, two]
    .filter((term) => term.labels.includes(label))
    .map((term) => term.array.shape[term.labels.indexOf(label)]!);
  return own.includes(0) ? 0 : larger(label);
}

function ordered(
  { labels, array }: Term,
  order: readonly string[],
  sizes: (labels: readonly string[]) => number[],
): Float64Array {
  const turned = transpose(
    array,
    order.map((label) => labels.indexOf(label)),
  );
  return broadcastTo(turned, sizes(order)).data;
}

/** A term without the axes of the labels that are not kept. */
function summedOut({ labels, array }: Term, kept: readonly string[]): Term {
  const stay = labels.filter((label) => kept.includes(label));
  if (stay.length === labels.length) return { labels, array };
  const gone = labels.filter((label) => !kept.includes(label));
  const rows = transpose(
    array,
    [...stay, ...gone].map((label) => labels.indexOf(label)),
  );
  const shape = rows.shape.slice(0, stay.length);
  const length = sizeOf(rows.shape.slice(stay.length));
  const data = allocate(shape);
  for (let i = 0; i < data.length; i++) {
    let sum = 0;
    for (let j = 0; j < length; j++) sum += rows.data[i * length + j]!;
    data[i] = sum;
  }
  return { labels: stay, array: new NDArray(shape, data) };
}

/** Matrices multiplied, the axes before them broadcast; a vector is a row on the left and a column on the right. */
export function matmul(x: NDArray, y: NDArray): NDArray {
  if (x.rank === 0 || y.rank === 0) refuseCall('matmul', 'a scalar');
  if (x.shape[x.rank - 1] !== y.shape[Math.max(y.rank - 2, 0)]) refuseCall('matmul', `[${x.shape}] and [${y.shape}]`);
  if (x.rank === 1 && y.rank === 1) return einsum('k,k->', [x, y]);
  if (x.rank === 1) return einsum('k,...kn->...n', [x, y]);
  if (y.rank === 1) return einsum('...k,k->...', [x, y]);
  return einsum('...mk,...kn->...mn', [x, y]);
}
