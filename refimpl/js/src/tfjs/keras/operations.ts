// Operations of Keras 3 in a graph (`keras.ops`), as ops: what a functional model holds for `x + 1` or `ops.mean(x)`.

import type { Plain, PlainMap } from '../layer.js';
import { isMap, unsupported } from '../layer.js';
import type { Partial } from './table.js';

type Turn = (layer: unknown, attrs: PlainMap) => Partial;

export const KERAS_OPERATIONS: Record<string, Turn> = {};

const UNARY =
  'Absolute:abs Abs:abs Negative:neg Sign:sign Exp:exp Expm1:expm1 Log:log Log1p:log1p Log2:log2 Log10:log10 Sqrt:sqrt Rsqrt:rsqrt Square:square Reciprocal:reciprocal Sin:sin Cos:cos Tan:tan Arcsin:asin Arccos:acos Arctan:atan Sinh:sinh Cosh:cosh Arcsinh:asinh Arccosh:acosh Arctanh:atanh Floor:floor Ceil:ceil Round:round Erf:erf Isnan:isnan Isinf:isinf Isfinite:isfinite LogicalNot:logical_not';
const BINARY =
  'Add:add Subtract:sub Multiply:mul Divide:div TrueDivide:div FloorDivide:floor_div Mod:mod Remainder:mod Power:pow Maximum:max Minimum:min Equal:equal NotEqual:not_equal Less:less LessEqual:less_equal Greater:greater GreaterEqual:greater_equal LogicalAnd:logical_and LogicalOr:logical_or LogicalXor:logical_xor Arctan2:atan2';
const REDUCE =
  'Sum:sum Mean:mean Max:max Min:min Prod:prod Var:var Std:std Any:any All:all Amax:max Amin:min Logsumexp:logsumexp';
const ACTIVATION =
  'Relu:relu Relu6:relu6 Sigmoid:sigmoid Tanh:tanh Softplus:softplus Softsign:softsign Silu:silu Swish:silu Selu:selu Mish:mish HardSigmoid:hard_sigmoid HardSilu:hard_silu HardSwish:hard_silu HardTanh:hard_tanh LogSigmoid:log_sigmoid SparsePlus:sparse_plus SparseSigmoid:sparse_sigmoid TanhShrink:tanh_shrink Gelu:gelu Elu:elu Celu:celu LeakyRelu:leaky_relu Glu:glu HardShrink:hard_shrink SoftShrink:soft_shrink LogSoftmax:log_softmax Sparsemax:sparsemax Squareplus:squareplus Threshold:threshold';

function each(words: string, make: (word: string) => Turn): void {
  for (const entry of words.split(' ')) {
    const [name, word] = entry.split(':') as [string, string];
    KERAS_OPERATIONS[name] = make(word);
  }
}

function axes(value: Plain | undefined): Plain {
  return value === null || value === undefined ? null : Array.isArray(value) ? value : [value];
}

each(UNARY, (word) => (_, a) => {
  if (word === 'round' && a.decimals) unsupported(`decimals is ${a.decimals}`);
  return { op: 'unary', attrs: { function: word } };
});
each(BINARY, (word) => () => ({ op: 'binary', attrs: { function: word } }));
each(REDUCE, (word) => (_, a) => {
  if (a.initial !== null && a.initial !== undefined) unsupported('an initial value');
  return { op: 'reduce', attrs: { function: word, axes: axes(a.axis), keepdims: a.keepdims ?? false } };
});
each(ACTIVATION, (word) => (_, a) => {
  const keys = ['negative_slope', 'alpha', 'approximate', 'axis', 'threshold', 'default_value', 'b'];
  const parameters = Object.fromEntries(keys.filter((key) => a[key] !== undefined).map((key) => [key, a[key]!]));
  return { op: 'activation', attrs: { function: { $class: `core:activations.${word}`, $config: parameters } } };
});
each('Argmax:argmax Argmin:argmin', (word) => (_, a) => ({
  op: 'arg_reduce',
  attrs: { function: word, axis: a.axis ?? null, keepdims: a.keepdims ?? false },
}));

/** One entry of an index: an integer, a slice as [start, stop, step], a new axis or `...`. */
export function entry(value: Plain): Plain {
  if (value === null) return 'newaxis';
  if (typeof value === 'number' || value === '...') return value;
  if (isMap(value) && Array.isArray(value.$slice)) return value.$slice;
  return unsupported('an index that is neither a number nor a slice');
}

KERAS_OPERATIONS.GetItem = () => ({
  op: 'slice',
  fromCall: ([x, key]) => ({ args: [x!], attrs: { index: Array.isArray(key) ? key.map(entry) : [entry(key!)] } }),
});
KERAS_OPERATIONS.Reshape = (_, a) => ({
  op: 'reshape_whole',
  attrs: { shape: (a.newshape as Plain[]).map((size) => size ?? -1) },
});
KERAS_OPERATIONS.Transpose = (_, a) => ({ op: 'permute', attrs: { axes: a.axes ?? null } });
KERAS_OPERATIONS.Moveaxis = (_, a) => ({ op: 'move_axes', attrs: { from: axes(a.source), to: axes(a.destination) } });
KERAS_OPERATIONS.Swapaxes = (_, a) => ({
  op: 'move_axes',
  attrs: { from: [a.axis1!, a.axis2!], to: [a.axis2!, a.axis1!] },
});
KERAS_OPERATIONS.Concatenate = (_, a) => ({ op: 'concat', attrs: { axis: a.axis ?? -1 } });
KERAS_OPERATIONS.Stack = (_, a) => ({ op: 'stack', attrs: { axis: a.axis ?? 0 } });
KERAS_OPERATIONS.Split = (_, a) => {
  if (typeof a.indices_or_sections !== 'number') return unsupported('places of a split');
  return { op: 'split', attrs: { sections: a.indices_or_sections, axis: a.axis ?? 0 } };
};
KERAS_OPERATIONS.ExpandDims = (_, a) => ({ op: 'expand_dims', attrs: { axes: axes(a.axis ?? -1) } });
KERAS_OPERATIONS.Squeeze = (_, a) => ({ op: 'squeeze', attrs: { axes: axes(a.axis) } });
KERAS_OPERATIONS.Cast = (_, a) => ({ op: 'cast', attrs: { dtype: a.dtype! } });
KERAS_OPERATIONS.BroadcastTo = (_, a) => ({
  op: 'broadcast_to',
  attrs: { shape: (a.shape as Plain[]).map((size) => size ?? -1) },
});
KERAS_OPERATIONS.Take = (_, a) => ({ op: 'take', attrs: { axis: a.axis ?? null } });
KERAS_OPERATIONS.Pad = (_, a) => {
  const width = a.pad_width as Plain[];
  const pairs = width.map((item) => (Array.isArray(item) ? item : [item, item])) as number[][];
  if (pairs.length < 2 || pairs[0]!.some((count) => count !== 0)) return unsupported('a padding of the batch');
  const mode = a.mode ?? 'constant';
  if (!['constant', 'reflect', 'symmetric'].includes(String(mode))) return unsupported(`mode is ${mode}`);
  return {
    op: 'pad',
    attrs: { padding: pairs.slice(1), mode },
    fromCall: ([x], kwargs) => ({ args: [x!], attrs: { value: kwargs.constant_values ?? 0 } }),
  };
};
KERAS_OPERATIONS.Where = () => ({ op: 'where' });
KERAS_OPERATIONS.Clip = (_, a) => ({ op: 'clip', attrs: { low: a.x_min ?? null, high: a.x_max ?? null } });
KERAS_OPERATIONS.Matmul = () => ({ op: 'matmul' });
KERAS_OPERATIONS.Einsum = (_, a) => ({ op: 'einsum', attrs: { equation: a.subscripts! } });
KERAS_OPERATIONS.Softmax = (_, a) => ({ op: 'softmax', attrs: { axes: axes(a.axis ?? -1) } });
KERAS_OPERATIONS.OneHot = (_, a) => {
  if ((a.axis ?? -1) !== -1 || a.sparse) return unsupported('vectors along another axis than the last');
  return { op: 'one_hot', attrs: { num_tokens: a.num_classes!, output_mode: 'one_hot', keep_axis: true } };
};
KERAS_OPERATIONS.Normalize = (_, a) => {
  if ((a.order ?? 2) !== 2) return unsupported(`order is ${a.order}`);
  return { op: 'unit_norm', attrs: { axes: axes(a.axis ?? -1), epsilon: a.epsilon ?? 1e-12 } };
};
each('ZerosLike:0 OnesLike:1', (value) => (_, a) => ({
  op: 'constant_like',
  attrs: { value: Number(value), dtype: a.dtype ?? null },
}));
KERAS_OPERATIONS.Identity = () => ({ op: 'identity' });
each('MaxPool:max_pool AveragePool:avg_pool', (op) => (_, a) => {
  if (!Array.isArray(a.pool_size)) return unsupported('a window of one number for all axes');
  const strides = typeof a.strides === 'number' ? a.pool_size.map(() => a.strides!) : (a.strides ?? null);
  return {
    op,
    attrs: {
      pool_size: a.pool_size,
      strides,
      padding: a.padding ?? 'valid',
      data_format: a.data_format ?? 'channels_last',
    },
  };
});
