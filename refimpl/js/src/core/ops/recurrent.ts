// Recurrent ops (SPEC.md J.5).

import { activate } from '../activations.js';
import {
  add,
  broadcastTo,
  concat,
  expandDims,
  flip,
  full,
  map,
  mul,
  type NDArray,
  range,
  sliceAxis,
  where,
  zip,
} from '../array.js';
import { einsum } from '../einsum.js';
import { refuseCall } from '../refusals.js';
import { flag, number, text } from '../values.js';
import {
  type Argument,
  type Call,
  dropoutFactor,
  isTensor,
  maskOf,
  type Op,
  stepMaskOf,
  type Tensor,
  unmasked,
} from './context.js';

/** A product of matrices. */
const product = (x: NDArray, y: NDArray): NDArray => einsum('bi,io->bo', [x, y]);

/** Part `index` of `count` along the last axis. */
function part(x: NDArray, index: number, count: number): NDArray {
  const width = x.shape[x.rank - 1]! / count;
  return sliceAxis(x, x.rank - 1, index * width, width);
}

/** The new states of a step, h first, from x_t and the states before it. */
type Step = (x: NDArray, states: readonly NDArray[]) => NDArray[];

/** What all cells have: their parameters and activations, and the factors of their dropout. */
interface Cell {
  readonly kernel: NDArray;
  readonly recurrent: NDArray;
  readonly inner: (x: NDArray) => NDArray;
  readonly gate: (x: NDArray) => NDArray;
  readonly dropX: (x: NDArray) => NDArray;
  readonly dropH: (h: NDArray) => NDArray;
}

function cellOf(call: Call): Cell {
  const factors = [number(call.attrs, 'dropout'), number(call.attrs, 'recurrent_dropout')].map((rate) =>
    dropoutFactor(call, rate),
  );
  const times = (factor: number) => (x: NDArray) => (factor === 1 ? x : map(x, (value) => value * factor));
  return {
    kernel: call.params.kernel!,
    recurrent: call.params.recurrent_kernel!,
    inner: (x) => activate(call.attrs.activation, x),
    gate: (x) => activate(call.attrs.recurrent_activation, x),
    dropX: times(factors[0]!),
    dropH: times(factors[1]!),
  };
}

const plus = (x: NDArray, bias: NDArray | undefined): NDArray => (bias === undefined ? x : add(x, bias));

function simpleRnnStep(call: Call): Step {
  const { kernel, recurrent, inner, dropX, dropH } = cellOf(call);
  return (x, [h]) => [inner(plus(add(product(dropX(x), kernel), product(dropH(h!), recurrent)), call.params.bias))];
}

function lstmStep(call: Call): Step {
  const { kernel, recurrent, inner, gate, dropX, dropH } = cellOf(call);
  const { bias, recurrent_bias: second } = call.params;
  return (x, [h, c]) => {
    const z = add(plus(product(dropX(x), kernel), bias), plus(product(dropH(h!), recurrent), second));
    const [i, f, candidate, o] = range(4).map((index) => part(z, index, 4)) as [NDArray, NDArray, NDArray, NDArray];
    const next = add(mul(gate(f), c!), mul(gate(i), inner(candidate)));
    return [mul(gate(o), inner(next)), next];
  };
}

/** z·h + (1 − z)·n. */
function mixed(z: NDArray, h: NDArray, n: NDArray): NDArray {
  const rest = map(z, (value) => 1 - value);
  return add(mul(z, h), mul(rest, n));
}

function gruStep(call: Call): Step {
  const { kernel, recurrent, inner, gate, dropX, dropH } = cellOf(call);
  const after = flag(call.attrs, 'reset_after');
  const biases = call.params.bias;
  const row = (index: number): NDArray | undefined =>
    biases === undefined || !after ? biases : biases.like(biases.shape.slice(1), sliceAxis(biases, 0, index, 1).data);
  const bias = row(0);
  const second = after ? row(1) : undefined;
  return (x, [h]) => {
    const fromX = plus(product(dropX(x), kernel), bias);
    const dropped = dropH(h!);
    const [xz, xr, xn] = range(3).map((index) => part(fromX, index, 3)) as [NDArray, NDArray, NDArray];
    if (after) {
      const fromH = plus(product(dropped, recurrent), second);
      const [hz, hr, hn] = range(3).map((index) => part(fromH, index, 3)) as [NDArray, NDArray, NDArray];
      const z = gate(add(xz, hz));
      const r = gate(add(xr, hr));
      return [mixed(z, h!, inner(add(xn, mul(r, hn))))];
    }
    const z = gate(add(xz, product(dropped, part(recurrent, 0, 3))));
    const r = gate(add(xr, product(dropped, part(recurrent, 1, 3))));
    return [mixed(z, h!, inner(add(xn, product(mul(r, dropped), part(recurrent, 2, 3)))))];
  };
}

/** First states (CV-103): of the call, of the call before, or zeros. */
function firstStates(call: Call, count: number, shape: readonly number[]): readonly NDArray[] {
  const given = givenStates(call).map(({ value }) => value);
  if (given.length > 0) {
    if (given.length !== count) refuseCall(call.where, `${given.length} first states of ${count}`);
    return given.map((state) => broadcastTo(state, shape));
  }
  if (flag(call.attrs, 'stateful') && call.memory.states !== null) return call.memory.states;
  return range(count).map(() => full(shape, 0));
}

/** The states that a call gives, as inputs after the sequence or as `initial_state`. */
function givenStates(call: Call): readonly Tensor[] {
  const argument = call.kwargs.initial_state ?? null;
  if (argument === null) return call.inputs.slice(1);
  const states = isTensor(argument) ? [argument] : (argument as readonly Argument[]);
  return states.filter(isTensor);
}

/** The steps of a sequence in the order in which they are taken, and what comes of them. */
function recurrent(call: Call, step: Step, states: number): Tensor[] {
  const x = call.inputs[0]!.value;
  const mask = stepMaskOf(call);
  if (x.rank !== 3) refuseCall(call.where, `shape [${x.shape}] for [batch, time, features]`);
  const [batch, time] = x.shape as [number, number];
  if (x.shape[2] !== call.params.kernel!.shape[0]) {
    refuseCall(call.where, `shape [${x.shape}] for a kernel [${call.params.kernel!.shape}]`);
  }
  const shape = [batch, number(call.attrs, 'units')];
  const zero = flag(call.attrs, 'zero_output_for_mask');
  let before = firstStates(call, states, shape);
  let last = before[0]!;
  const outputs: NDArray[] = [];
  for (const i of range(time)) {
    const t = flag(call.attrs, 'go_backwards') ? time - 1 - i : i;
    let next = step(sliceAxis(x, 1, t, 1).reshape([batch, x.shape[2]!]), before);
    last = next[0]!;
    if (mask !== null) {
      const counts = sliceAxis(mask, 1, t, 1);
      next = next.map((state, s) => where(counts, state, before[s]!));
      last = zero ? where(counts, next[0]!, full(shape, 0)) : next[0]!;
    }
    outputs.push(expandDims(last, 1));
    before = next;
  }
  if (flag(call.attrs, 'stateful')) call.memory.states = before;
  const after = flag(call.attrs, 'return_state') ? before.map(unmasked) : [];
  if (!flag(call.attrs, 'return_sequences')) return [unmasked(last), ...after];
  const sequence = time === 0 ? full([batch, 0, shape[1]!], 0) : concat(outputs, 1);
  return [{ value: sequence, mask }, ...after];
}

const MERGES: Readonly<Record<string, (x: NDArray, y: NDArray) => NDArray>> = {
  concat: (x, y) => concat([x, y], -1),
  sum: add,
  mul,
  mean: (x, y) => zip(x, y, (a, b) => (a + b) / 2),
};

function bidirectional(call: Call): Tensor[] {
  const value = call.inputs[0]!.value;
  const mask = stepMaskOf(call);
  const states = givenStates(call);
  const children = ['forward', 'backward'].map((name) => call.child(name));
  if (states.length % 2 !== 0) refuseCall(call.where, `${states.length} first states of two directions`);
  const turned = children.filter(({ attrs }) => flag(attrs, 'go_backwards')).length;
  if (turned !== 1) refuseCall(call.where, `${turned} directions that go backwards`);
  const half = states.length / 2;
  const [forward, backward] = children.map((child, i) =>
    child.run([{ value, mask }, ...states.slice(i * half, (i + 1) * half)], {}),
  ) as [Tensor[], Tensor[]];
  const ahead = forward[0]!;
  const sequence = flag(children[1]!.attrs, 'return_sequences');
  const back = sequence ? flip(backward[0]!.value, 1) : backward[0]!.value;
  const merge = text(call.attrs, 'merge');
  const values = merge === 'none' ? [ahead.value, back] : [MERGES[merge]!(ahead.value, back)];
  return [...values.map((each) => ({ value: each, mask: ahead.mask })), ...forward.slice(1), ...backward.slice(1)];
}

function timeDistributed(call: Call): Tensor {
  const { value: x } = call.inputs[0]!;
  const mask = maskOf(call);
  if (x.rank < 2) refuseCall(call.where, `shape [${x.shape}] for [batch, time, …]`);
  const layer = call.child('layer');
  const step = (each: NDArray, t: number): NDArray => {
    const one = sliceAxis(each, 1, t, 1);
    return one.reshape([one.shape[0]!, ...one.shape.slice(2)]);
  };
  const outputs = range(x.shape[1]!).map((t) => {
    const own = mask === null || mask.rank < 2 ? null : step(mask, t);
    return expandDims(layer.run([{ value: step(x, t), mask: own }], {})[0]!.value, 1);
  });
  if (outputs.length === 0) refuseCall(call.where, 'a sequence without a step');
  return { value: concat(outputs, 1), mask };
}

export const RECURRENT: Readonly<Record<string, Op>> = {
  simple_rnn: (call) => recurrent(call, simpleRnnStep(call), 1),
  lstm: (call) => recurrent(call, lstmStep(call), 2),
  gru: (call) => recurrent(call, gruStep(call), 1),
  bidirectional,
  time_distributed: timeDistributed,
};
