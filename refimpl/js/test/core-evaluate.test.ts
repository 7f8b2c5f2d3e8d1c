// What the evaluator's own interface takes and refuses, beyond the vectors of meaning.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CoreObject, compute, computeArrays, Evaluator, evaluate, NDArray, step } from '../src/core/index.js';
import {
  type Content,
  contentOfModel,
  EtuiError,
  type JsonMap,
  type Model,
  ObjectValue,
  open,
  type TensorContent,
  write,
} from '../src/node.js';
import { map } from './fixtures.js';

type Numbers = readonly [readonly number[], readonly number[]];

/** A model of float32 variables: path -> shape and elements. */
function modelOf(root: object, variables: Readonly<Record<string, Numbers>> = {}): Promise<Model> {
  const entries = Object.entries(variables);
  const tensors = entries.map(([path, [shape, numbers]]): [string, TensorContent] => {
    const data = new Uint8Array(Float32Array.from(numbers).buffer);
    return [path, { dtype: 'float32', shape, load: () => Promise.resolve({ data, strings: null }) }];
  });
  const index = entries.map(([path, [shape]], order) => [
    path,
    { dtype: 'float32', order, role: path.split('/').at(-1), shape, trainable: true },
  ]);
  const content: Content = {
    config: map({ format: 'etui-config', model: root, version: '1.0' }),
    weights: map({ aliases: {}, format: 'etui-weights', variables: Object.fromEntries(index), version: '1.0' }),
    tensors: { weights: new Map(tensors) },
    parts: new Map(),
  };
  return write(content).then((bytes) => open(bytes));
}

const array = (shape: readonly number[], numbers: readonly number[]): NDArray =>
  new NDArray(shape, Float64Array.from(numbers));
const output = (id: string, index = 0): object => ({ $output: [id, index] });
const call = (id: string, args: readonly unknown[] = [], kwargs: object = {}): object => ({
  args,
  id,
  kwargs,
  module: id,
});
const input = (name: string, shape: readonly (number | null)[], dtype = 'float32'): object => ({
  attrs: { dtype, shape },
  kind: 'layer',
  name,
  op: 'core:input',
});
const layer = (name: string, op: string, rest: object = {}): object => ({
  kind: 'layer',
  name,
  op: `core:${op}`,
  ...rest,
});

/** A graph of one input x and one op. */
function single(op: object, shape: readonly (number | null)[], kwargs: object = {}, dtype = 'float32'): object {
  return {
    graph: {
      calls: [call('x'), call('op', [output('x')], kwargs)],
      inputs: [output('x')],
      outputs: output('op'),
    },
    kind: 'graph',
    modules: [input('x', shape, dtype), op],
    name: 'model',
    op: 'core:graph',
  };
}

const dense = (units: number): object =>
  layer('op', 'dense', { attrs: { units }, params: { bias: 'op/bias', kernel: 'op/kernel' } });

const denseModel = (bias: readonly number[] = [0.5, -0.5]): Promise<Model> =>
  modelOf(single(dense(2), [null, 2]), {
    'op/bias': [[2], bias],
    'op/kernel': [
      [2, 2],
      [1, 2, 3, 4],
    ],
  });

async function refusal(work: () => unknown): Promise<EtuiError> {
  try {
    await work();
  } catch (error) {
    assert.ok(error instanceof EtuiError, String(error));
    return error;
  }
  return assert.fail('nothing was refused');
}

test('a model takes nested lists in order or by name, and gives typed arrays of its precision', async () => {
  const model = await denseModel();
  const { outputs } = await evaluate(model, [[[1, 1]]]);
  assert.deepEqual([...(outputs[0]?.shape ?? [])], [1, 2]);
  assert.deepEqual(Float32Array.of(4.5, 5.5), outputs[0]?.data);
  assert.deepEqual(outputs, (await evaluate(model, { x: [[1, 1]] })).outputs);
  const typed = { dtype: 'float32', shape: [1, 2], data: Float32Array.of(1, 1) };
  assert.deepEqual(outputs, (await evaluate(model, [typed])).outputs);
});

test('inputs that do not fit are refused with the place and what belongs there', async () => {
  const model = await denseModel();
  const cases: readonly [string, Parameters<typeof evaluate>[1], RegExp][] = [
    ['another number of inputs', [], /0 inputs of 1/],
    ['another size', [[[1, 2, 3]]], /x: an input \[1,3\], where \[any,2\] belongs/],
    ['another rank', [[1, 2]], /x: an input \[2\]/],
    ['a name that there is not', { y: [[1, 1]] }, /an input y, where its inputs are x/],
    ['one that is left out', [null], /left out, and not optional/],
    ['texts', [[['a', 'b']]], /an input of string, where float32 belongs/],
    ['lists of different lengths', [[[1, 2], [3]]], /lists of different lengths/],
    [
      'lists of different depths',
      [
        [
          [1, 2],
          [[3], 4],
        ],
      ],
      /different/,
    ],
    ['elements that are not as many as the shape says', [{ dtype: 'float32', shape: [1, 2], data: [1] }], /1 elements/],
    ['a dtype without arithmetic', [{ dtype: 'complex64', shape: [1, 2], data: [1, 2] }], /the dtype complex64/],
  ];
  for (const [title, inputs, message] of cases) {
    const error = await refusal(() => evaluate(model, inputs));
    assert.equal('core-evaluate', error.code, title);
    assert.match(error.message, message, title);
  }
  assert.equal(10, cases.length);
});

test('an op of a framework is named, and so is what an artifact lacks', async () => {
  const framework = { attrs: { units: 2 }, kind: 'layer', name: 'op', op: 'keras:Dense' };
  const error = await refusal(async () => evaluate(await modelOf(single(framework, [null, 2])), [[[1, 1]]]));
  assert.match(error.message, /op: the op keras:Dense, which is none of the core vocabulary \[core-evaluate\]/);
  const { weights, ...configAlone } = contentOfModel(await denseModel());
  const config = await open(await write({ ...configAlone, tensors: {} }));
  assert.match(
    (await refusal(() => evaluate(config, [[[1, 1]]]))).message,
    /op\/(bias|kernel): a variable, of an artifact/,
  );
  const { config: _, ...weightsAlone } = contentOfModel(await denseModel());
  const variables = await open(await write({ ...weightsAlone, ...(weights === undefined ? {} : { weights }) }));
  assert.match((await refusal(() => evaluate(variables, [[[1, 1]]]))).message, /the artifact: no config/);
});

test('an op that would have to draw numbers is refused in training, and is the identity else', async () => {
  const model = await modelOf(single(layer('op', 'dropout', { attrs: { rate: 0.5 } }), [null, 2]));
  assert.deepEqual(Float32Array.of(1, 2), (await evaluate(model, [[[1, 2]]])).outputs[0]?.data);
  assert.equal('core-random', (await refusal(() => evaluate(model, [[[1, 2]]], { training: true }))).code);
});

test('sizes that a config asks for are checked before memory is taken', async () => {
  const asks: readonly [object, readonly (number | null)[], unknown][] = [
    [layer('op', 'repeat', { attrs: { count: 2 ** 40 } }), [null, 1], [[1]]],
    [layer('op', 'resize', { attrs: { size: [2 ** 40] } }), [null, 1, 1], [[[1]]]],
    [layer('op', 'adaptive_max_pool', { attrs: { output_size: [2 ** 40] } }), [null, 1, 1], [[[1]]]],
    [layer('op', 'pad', { attrs: { padding: [[0, 2 ** 40]] } }), [null, 1], [[1]]],
    [layer('op', 'broadcast_to', { attrs: { shape: [2 ** 20, 2 ** 20] } }), [null, 1], [[1]]],
    [layer('op', 'one_hot', { attrs: { num_tokens: 2 ** 40 } }), [null, 1], [[1]]],
    [layer('op', 'split', { attrs: { sections: 2 ** 40 } }), [null, 1], [[1]]],
    [layer('op', 'max_pool', { attrs: { padding: 'same', pool_size: [2 ** 40] } }), [null, 2, 1], [[[1], [2]]]],
  ];
  for (const [op, shape, given] of asks) {
    const model = await modelOf(single(op, shape));
    assert.equal(
      'core-evaluate',
      (await refusal(() => evaluate(model, [given as number[][]]))).code,
      JSON.stringify(op),
    );
  }
  assert.equal(8, asks.length);
});

test('graphs that call one another twice each come to an end', { timeout: 20_000 }, async () => {
  let inner: object = layer('next', 'identity');
  for (let depth = 0; depth < 24; depth += 1) {
    inner = {
      graph: {
        calls: [
          call('x'),
          { ...call('a', [output('x')]), module: 'next' },
          { ...call('b', [output('a')]), module: 'next' },
        ],
        inputs: [output('x')],
        outputs: output('b'),
      },
      kind: 'graph',
      modules: [input('x', [null, 1]), inner],
      name: 'next',
      op: 'core:graph',
    };
  }
  const model = await modelOf({ ...inner, name: 'model' });
  assert.match((await refusal(() => evaluate(model, [[[1]]], { calls: 10_000 }))).message, /more calls of modules/);
});

test('integers that binary64 does not keep are refused, not rounded', async () => {
  const model = await modelOf(single(layer('op', 'unary', { attrs: { function: 'square' } }), [null, 1], {}, 'int64'));
  assert.deepEqual(BigInt64Array.of(9n), (await evaluate(model, [[[3]]])).outputs[0]?.data);
  for (const value of [2n ** 60n, 2n ** 30n]) {
    const given = { dtype: 'int64', shape: [1, 1], data: BigInt64Array.of(value) };
    assert.match((await refusal(() => evaluate(model, [given]))).message, /beyond 2\^53/);
  }
});

test('a stateful op goes on from the evaluation before, until it is reset', async () => {
  const attrs = { activation: 'linear', stateful: true, units: 1, use_bias: false };
  const op = layer('op', 'simple_rnn', {
    attrs,
    params: { kernel: 'op/kernel', recurrent_kernel: 'op/recurrent_kernel' },
  });
  const model = await modelOf(single(op, [1, null, 1]), {
    'op/kernel': [[1, 1], [1]],
    'op/recurrent_kernel': [[1, 1], [1]],
  });
  const evaluator = await Evaluator.of(model);
  const next = (): number => Number(evaluator.evaluate([[[[1], [2]]]]).outputs[0]?.data[0]);
  assert.deepEqual([3, 6], [next(), next()]);
  evaluator.reset();
  assert.equal(3, next());
});

test('an object of a training configuration is computed from plain numbers', () => {
  const loss = new ObjectValue('core:losses.mean_squared_error', Object.create(null));
  assert.deepEqual(Float64Array.of(2.5), compute(loss, { y_true: [[1, 2]], y_pred: [[2, 4]] }).value?.data);
  const delta = new ObjectValue('core:losses.mean_squared_error', { delta: 1 });
  assert.throws(() => compute(delta, { y_true: [1], y_pred: [1] }), /a parameter delta, which it does not have/);
  const other = new ObjectValue('keras:losses.MeanSquaredError', Object.create(null));
  assert.throws(() => compute(other, { y_true: [1], y_pred: [1] }), /no class of the core vocabulary/);
});

/** A dense model with plain descent. */
async function trained(hyperparameters: object, bias?: readonly number[]): Promise<Model> {
  const model = await denseModel(bias);
  const optimizer = map({
    format: 'etui-optimizer',
    optimizers: {
      optimizer: {
        algorithm: 'core:sgd',
        fresh: ['op/bias', 'op/kernel'],
        groups: [{ variables: ['op/kernel', 'op/bias'] }],
        hyperparameters,
        learning_rate: null,
        micro_step: 0,
        step: 0,
      },
    },
    tensors: {},
    version: '1.0',
  });
  const content = contentOfModel(model);
  return open(await write({ ...content, optimizer, tensors: { ...content.tensors, optimizer: new Map() } }));
}

test('a step gives variables, slots and an artifact from which the next one goes on', async () => {
  const model = await trained({ learning_rate: 0.5, momentum: 0.5 });
  const first = await step(model, { 'op/bias': [1, 1] });
  assert.deepEqual(Float32Array.of(0, -1), first.weights.get('op/bias')?.data);
  assert.deepEqual(Float32Array.of(-0.5, -0.5), first.tensors.get('optimizer/slots/op/bias/momentum')?.data);
  assert.deepEqual(new Float32Array(4), first.tensors.get('optimizer/slots/op/kernel/momentum')?.data, 'no gradient');
  assert.equal(2, first.tensors.size);
  const next = await open(await write(first.content));
  assert.deepEqual([], next.optimizer?.optimizers.get('optimizer')?.fresh);
  const second = await step(next, new Map([['op/bias', [1, 1]]]));
  assert.deepEqual(Float32Array.of(-0.75, -1.75), second.weights.get('op/bias')?.data);
  const entry = (second.optimizer.get('optimizers') as Map<string, JsonMap>).get('optimizer');
  assert.equal(2, entry?.get('step'));
  assert.equal(0, model.optimizer?.optimizers.get('optimizer')?.step);
});

test('without a decay an infinite variable stays infinite', async () => {
  const model = await trained({ learning_rate: 0.5 }, [Number.NEGATIVE_INFINITY, 2]);
  const found = await step(model, { 'op/bias': [1, 1] });
  assert.deepEqual(Float32Array.of(Number.NEGATIVE_INFINITY, 1.5), found.weights.get('op/bias')?.data);
});

test('gradients that do not fit are refused', async () => {
  const model = await trained({ learning_rate: 0.5 });
  assert.match((await refusal(() => step(model, { 'op/other': [1] }))).message, /a variable that no optimizer has/);
  assert.match((await refusal(() => step(model, { 'op/bias': [1] }))).message, /a gradient \[1\] of a variable \[2\]/);
  assert.match((await refusal(async () => step(await denseModel(), {}))).message, /no optimizer/);
  const without = await trained({ momentum: 0.5 });
  assert.match((await refusal(() => step(without, { 'op/bias': [1, 1] }))).message, /no learning rate/);
});

test('a window that is larger than its axis is refused, and computed where padding makes room (CV-45)', async () => {
  const asks: readonly [string, object][] = [
    ['max_pool', { pool_size: [3] }],
    ['avg_pool', { pool_size: [3], strides: [1] }],
    ['max_pool', { dilation: [2], pool_size: [2] }],
  ];
  for (const [op, attrs] of asks) {
    const refused = await modelOf(single(layer('op', op, { attrs }), [null, 2, 1]));
    const error = await refusal(() => evaluate(refused, [[[[1], [2]]]]));
    assert.equal('core-evaluate', error.code, op);
    assert.match(error.message, /a window of 3 over 2 elements/);
    const padded = { attrs: { ...attrs, padding: [[0, 1]] } };
    const { outputs } = await evaluate(await modelOf(single(layer('op', op, padded), [null, 2, 1])), [[[[1], [2]]]]);
    assert.deepEqual([1, 1, 1], [...(outputs[0]?.shape ?? [])]);
  }
  assert.equal(3, asks.length);
});

test('a call has no other arguments than its op, and flags that are flags (CV-31)', async () => {
  const dropout = layer('op', 'dropout', { attrs: { rate: 0.5 } });
  const faults: readonly object[] = [{ alpha: 1 }, { x: output('x') }, { training: 1 }, { training: 'true' }];
  for (const kwargs of faults) {
    assert.equal('core-call', (await refusal(() => modelOf(single(dropout, [null, 2], kwargs)))).code);
  }
  assert.equal(4, faults.length);
  const model = await modelOf(single(dropout, [null, 2], { mask: null, training: null }));
  assert.deepEqual(Float32Array.of(1, 2), (await evaluate(model, [[[1, 2]]])).outputs[0]?.data);
});

test('masks of a call of modules are as many as its inputs (CV-13)', async () => {
  const chain = layer('op', 'sequential', { modules: [layer('mean', 'global_avg_pool')] });
  const two = await modelOf(single(chain, [null, 2, 1], { mask: [output('x'), output('x')] }));
  assert.match((await refusal(() => evaluate(two, [[[[0], [4]]]]))).message, /2 masks of 1 inputs/);
});

test('a metric takes a state of its names and shapes in any dtype, and classes of two axes', () => {
  const [y, p] = [array([2], [2, 4]), array([2], [0, 0])];
  const mean = new CoreObject('core:metrics.mean', { dtype: 'float16' });
  const state = { 'state/count': array([], [2]), 'state/total': array([], [1.5]) };
  const found = computeArrays(mean, { y_true: y, ...state });
  assert.deepEqual(['float16', 7.5], [found['state/total']?.dtype, found['state/total']?.data[0]]);
  const fscore = new CoreObject('core:metrics.f1_score', {});
  const faults: readonly [CoreObject, Record<string, NDArray>][] = [
    [mean, { y_true: y, 'state/total': array([], [1.5]) }],
    [mean, { y_true: y, 'state/count': array([], [2]), 'state/total': array([1], [1.5]) }],
    [mean, { y_true: y, ...state, 'state/more': array([], [1]) }],
    [fscore, { y_pred: p, y_true: y }],
    [new CoreObject('core:metrics.r2_score', {}), { y_pred: p, y_true: y }],
  ];
  for (const [object, inputs] of faults) {
    assert.throws(
      () => computeArrays(object, inputs),
      (error) => error instanceof EtuiError && error.code === 'core-evaluate',
    );
  }
  assert.equal(5, faults.length);
});
