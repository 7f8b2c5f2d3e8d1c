// Functions of TensorFlow in a graph of Keras 2 (TFOpLambda, SlicingOpLambda), whose arguments stand in the call.

import type { Plain, PlainMap } from '../layer.js';
import { entryOf, unsupported } from '../layer.js';
import { entry } from './operations.js';
import type { Partial, Turn } from './table.js';

/** What a function becomes; `take` gives its arguments, positional ones first, and its attributes. */
interface TensorFunction {
  readonly op: string;
  readonly attrs?: PlainMap;
  /** Names of the arguments in Python, in their order; those that are tensors come first. */
  readonly names: string[];
  readonly tensors: number;
  readonly settings?: (given: PlainMap) => PlainMap;
}

const FUNCTIONS: Record<string, TensorFunction> = {};

function each(words: string, make: (word: string) => TensorFunction): void {
  for (const pair of words.split(' ')) {
    const [name, word] = pair.split(':') as [string, string];
    FUNCTIONS[name] = make(word);
  }
}

function axes(value: Plain | undefined): Plain {
  return value === null || value === undefined ? null : Array.isArray(value) ? value : [value];
}

each(
  '__operators__.add:add math.add:add math.subtract:sub math.multiply:mul math.truediv:div math.divide:div math.floordiv:floor_div math.floormod:mod math.mod:mod math.pow:pow math.maximum:max math.minimum:min math.equal:equal math.not_equal:not_equal math.less:less math.less_equal:less_equal math.greater:greater math.greater_equal:greater_equal math.logical_and:logical_and math.logical_or:logical_or math.atan2:atan2',
  (word) => ({ op: 'binary', attrs: { function: word }, names: ['x', 'y'], tensors: 2 }),
);
each(
  'math.abs:abs math.negative:neg math.sign:sign math.exp:exp math.expm1:expm1 math.log:log math.log1p:log1p math.sqrt:sqrt math.rsqrt:rsqrt math.square:square math.reciprocal:reciprocal math.sin:sin math.cos:cos math.tan:tan math.asin:asin math.acos:acos math.atan:atan math.sinh:sinh math.cosh:cosh math.floor:floor math.ceil:ceil math.round:round math.erf:erf math.is_nan:isnan math.is_inf:isinf math.is_finite:isfinite math.logical_not:logical_not',
  (word) => ({ op: 'unary', attrs: { function: word }, names: ['x'], tensors: 1 }),
);
each(
  'math.reduce_sum:sum math.reduce_mean:mean math.reduce_max:max math.reduce_min:min math.reduce_prod:prod math.reduce_variance:var math.reduce_std:std math.reduce_any:any math.reduce_all:all math.reduce_logsumexp:logsumexp',
  (word) => ({
    op: 'reduce',
    names: ['input_tensor', 'axis', 'keepdims'],
    tensors: 1,
    settings: (a) => ({ function: word, axes: axes(a.axis), keepdims: a.keepdims ?? false }),
  }),
);
each(
  'nn.relu:relu nn.relu6:relu6 nn.sigmoid:sigmoid math.sigmoid:sigmoid nn.tanh:tanh math.tanh:tanh nn.softplus:softplus math.softplus:softplus nn.softsign:softsign nn.silu:silu nn.selu:selu',
  (word) => ({ op: 'activation', attrs: { function: word }, names: ['features'], tensors: 1 }),
);

function activation(name: string, given: PlainMap): PlainMap {
  return { function: { $class: `core:activations.${name}`, $config: given } };
}

FUNCTIONS['nn.gelu'] = {
  op: 'activation',
  names: ['features', 'approximate'],
  tensors: 1,
  settings: (a) => activation('gelu', { approximate: a.approximate ?? false }),
};
FUNCTIONS['nn.elu'] = { op: 'activation', attrs: { function: 'elu' }, names: ['features'], tensors: 1 };
FUNCTIONS['nn.leaky_relu'] = {
  op: 'activation',
  names: ['features', 'alpha'],
  tensors: 1,
  settings: (a) => activation('leaky_relu', { negative_slope: a.alpha ?? 0.2 }),
};
each('nn.softmax:softmax nn.log_softmax:log_softmax', (word) => ({
  op: 'activation',
  names: ['logits', 'axis'],
  tensors: 1,
  settings: (a) => activation(word, { axis: a.axis ?? -1 }),
}));
FUNCTIONS.reshape = {
  op: 'reshape_whole',
  names: ['tensor', 'shape'],
  tensors: 1,
  settings: (a) => ({ shape: a.shape! }),
};
each('compat.v1.transpose:permute transpose:permute', (op) => ({
  op,
  names: ['a', 'perm'],
  tensors: 1,
  settings: (a) => ({ axes: a.perm ?? null }),
}));
each('concat:concat stack:stack', (op) => ({
  op,
  names: ['values', 'axis'],
  tensors: 1,
  settings: (a) => ({ axis: a.axis ?? 0 }),
}));
FUNCTIONS.split = {
  op: 'split',
  names: ['value', 'num_or_size_splits', 'axis'],
  tensors: 1,
  settings: (a) => ({ sections: a.num_or_size_splits!, axis: a.axis ?? 0 }),
};
FUNCTIONS.expand_dims = {
  op: 'expand_dims',
  names: ['input', 'axis'],
  tensors: 1,
  settings: (a) => ({ axes: axes(a.axis) }),
};
each('compat.v1.squeeze:squeeze squeeze:squeeze', (op) => ({
  op,
  names: ['input', 'axis'],
  tensors: 1,
  settings: (a) => ({ axes: axes(a.axis) }),
}));
FUNCTIONS.cast = { op: 'cast', names: ['x', 'dtype'], tensors: 1, settings: (a) => ({ dtype: a.dtype! }) };
FUNCTIONS.where = { op: 'where', names: ['condition', 'x', 'y'], tensors: 3 };
FUNCTIONS.clip_by_value = {
  op: 'clip',
  names: ['t', 'clip_value_min', 'clip_value_max'],
  tensors: 1,
  settings: (a) => ({ low: a.clip_value_min ?? null, high: a.clip_value_max ?? null }),
};
FUNCTIONS['linalg.matmul'] = {
  op: 'matmul',
  names: ['a', 'b', 'transpose_a', 'transpose_b'],
  tensors: 2,
  settings: (a) => ({ transpose_x: a.transpose_a ?? false, transpose_y: a.transpose_b ?? false }),
};
FUNCTIONS['__operators__.getitem'] = {
  op: 'slice',
  names: ['tensor', 'slice_spec'],
  tensors: 1,
  settings: ({ slice_spec: key }) => ({ index: Array.isArray(key) ? key.map(entry) : [entry(key!)] }),
};

/** Arguments that change nothing of what is computed, or that have one value that is had. */
const HARMLESS = new Set(['name', 'conjugate']);

/** A function of TensorFlow as an op: the settings are taken from its call. */
export const tensorFunction: Turn = (_, { function: given }): Partial => {
  const found = typeof given === 'string' ? entryOf(FUNCTIONS, given) : undefined;
  if (!found) return unsupported(`the function ${String(given)} of TensorFlow`);
  const fromCall = (args: Plain[], kwargs: PlainMap): { args: Plain[]; attrs: PlainMap } => {
    const all: PlainMap = {};
    args.forEach((value, at) => {
      all[found.names[at] ?? `argument ${at}`] = value;
    });
    for (const [key, value] of Object.entries(kwargs)) all[key] = value;
    for (const [key, value] of Object.entries(all)) {
      if (!found.names.includes(key) && !HARMLESS.has(key) && value) unsupported(`the argument ${key} of ${given}`);
    }
    const tensors = found.names.slice(0, found.tensors).map((name) => all[name] ?? null);
    return { args: tensors, attrs: found.settings?.(all) ?? {} };
  };
  return { op: found.op, ...(found.attrs ? { attrs: found.attrs } : {}), fromCall };
};
