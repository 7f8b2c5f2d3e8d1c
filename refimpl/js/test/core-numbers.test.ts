// The arithmetic below the ops: functions, dtypes, arrays, Einstein's sums.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { concat, NDArray, range, sliceAxis, transpose, vector, view } from '../src/core/array.js';
import { einsum, matmul } from '../src/core/einsum.js';
import { erf, logSumExp, roundEven, sigmoid, softplus } from '../src/core/functions.js';
import { castTo, roundTo } from '../src/core/numbers.js';

const counted = (...shape: number[]): NDArray =>
  new NDArray(
    shape,
    Float64Array.from(range(shape.reduce((a, b) => a * b, 1)), (i) => i),
  );

test('the error function agrees with that of the C library', () => {
  const known: readonly [number, number][] = [
    [0, 0],
    [1e-8, 1.1283791670955126e-8],
    [0.5, 0.5204998778130465],
    [1, 0.8427007929497149],
    [2, 0.9953222650189527],
    [2.999, 0.9999777698314002],
    [3.5, 0.9999992569016276],
    [7, 1],
  ];
  for (const [x, value] of known) {
    assert.ok(Math.abs(erf(x) - value) <= 4e-16 * value, `erf(${x}) = ${erf(x)}`);
    assert.equal(erf(-x), -erf(x));
  }
  assert.ok(Number.isNaN(erf(Number.NaN)));
  // The series and the continued fraction meet without a step.
  assert.ok(Math.abs(erf(3 - 1e-12) - erf(3)) < 1e-15);
});

test('functions stay finite where their exponentials do not', () => {
  assert.deepEqual([800, 0], [softplus(800), softplus(-800)]);
  assert.deepEqual([1, 0], [sigmoid(800), sigmoid(-800)]);
  assert.equal(1000 + Math.log(2), logSumExp([1000, 1000]));
  assert.equal(Number.NEGATIVE_INFINITY, logSumExp([]));
  assert.deepEqual(
    [0, 2, 2, -2, 4],
    [0.5, 1.5, 2.5, -1.5, 3.5].map(roundEven).map((x) => x + 0),
  );
});

test('numbers are rounded to their dtype, ties to even', () => {
  const rounded: readonly [string, number, number][] = [
    ['float32', 0.1, Math.fround(0.1)],
    ['float16', 1 + 2 ** -11, 1],
    ['float16', 1 + 3 * 2 ** -11, 1 + 2 ** -9],
    ['float16', 65520, Number.POSITIVE_INFINITY],
    ['float16', 2 ** -25, 0],
    ['bfloat16', 1 + 2 ** -8, 1],
    ['bfloat16', 1 + 3 * 2 ** -8, 1 + 2 ** -6],
    ['float8_e4m3fn', 464, 448],
  ];
  for (const [dtype, value, expected] of rounded) assert.equal(expected, roundTo(dtype)(value), `${value} as ${dtype}`);
  assert.ok(Number.isNaN(roundTo('float8_e4m3fn')(480)));
  assert.throws(() => roundTo('complex64'), /nothing is computed/);
});

test('a cast goes towards zero, and to the nearest value that the dtype has', () => {
  const x = vector([-2.75, -0.5, 0, 1.99, 300, Number.NaN]);
  assert.deepEqual(
    [-2, 0, 0, 1, 127, 0],
    [...castTo(x, 'int8').data].map((value) => value + 0),
  );
  assert.deepEqual(
    [0, 0, 0, 1, 255, 0],
    [...castTo(x, 'uint8').data].map((value) => value + 0),
  );
  assert.deepEqual([1, 1, 0, 1, 1, 1], [...castTo(x, 'bool').data]);
});

test('views, slices and transposes put elements where they belong', () => {
  const x = counted(2, 3);
  assert.deepEqual([0, 3, 1, 4, 2, 5], [...transpose(x, [1, 0]).data]);
  assert.deepEqual([2, 1, 5, 4], [...sliceAxis(x, 1, 2, 2, -1).data]);
  assert.deepEqual([0, 0, 1, 1], [...view(x, [2, 2], [1, 0]).data]);
  assert.deepEqual([0, 1, 2, 0, 1, 2, 3, 4, 5, 3, 4, 5], [...concat([x, x], 1).data]);
  const words = new NDArray([2], Float64Array.of(1, 0), 'string', ['a', 'b']);
  const joined = concat([words, words], 0);
  assert.deepEqual(
    ['b', 'a', 'b', 'a'],
    [...joined.data].map((index) => joined.terms?.[index]),
  );
});

test('sums of Einstein have traces, ellipses, implicit outputs and sizes of 1', () => {
  assert.deepEqual(
    [4],
    [
      ...einsum('ii->', [
        counted(2, 2)
          .reshape([2, 2])
          .like([2, 2], Float64Array.of(1, 9, 9, 3)),
      ]).data,
    ],
  );
  assert.deepEqual([0, 3], [...einsum('ii->i', [counted(2, 2)]).data]);
  // Without an output: the labels that stand once, in the order of letters.
  assert.deepEqual([0, 3, 1, 4, 2, 5], [...einsum('ba', [counted(2, 3)]).data]);
  assert.deepEqual([10, 13, 28, 40], [...einsum('ij,jk', [counted(2, 3), counted(3, 2)]).data]);
  assert.deepEqual([2, 3, 2], [...einsum('...i,ij->...j', [counted(2, 3, 4), counted(4, 2)]).shape]);
  assert.deepEqual(
    [0, 3],
    [...einsum('ij,ij->i', [counted(2, 1), new NDArray([2, 3], new Float64Array(6).fill(1))]).data],
  );
  assert.throws(() => einsum('ij,jk->ik', [counted(2, 3), counted(2, 3)]), /j is 3 and 2/);
  assert.throws(() => einsum('ij->k', [counted(2, 3)]), /no k on the left/);
});

test('matrices are multiplied along broadcast axes, and vectors as rows and columns', () => {
  assert.deepEqual([5, 14], [...matmul(counted(2, 3), vector([0, 1, 2])).data]);
  assert.deepEqual([10, 13], [...matmul(vector([0, 1, 2]), counted(3, 2)).data]);
  assert.deepEqual([5], [...matmul(vector([1, 2]), vector([1, 2])).data]);
  assert.deepEqual([2, 2, 2], [...matmul(counted(2, 2, 3), counted(3, 2)).shape]);
  assert.throws(() => matmul(counted(2, 3), counted(2, 3)), /\[2,3\] and \[2,3\]/);
});
