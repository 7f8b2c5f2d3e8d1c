// What the layers of TensorFlow.js 4.22 can do of the vocabulary: the classes, with the settings that they heed.
// A setting that a class ignores changes predictions; there an op of this package stands instead.

import * as activation from './activation.js';
import type { CoreLayer, Plain, PlainMap } from './layer.js';
import { entryOf, unsupported } from './layer.js';
import { CLASSES } from './own/layers.js';
import { penalties } from './penalties.js';

/** A layer of TensorFlow.js: its class, its config in the words of Keras 2, and its variables. */
export interface Native {
  readonly className: string;
  readonly config: PlainMap;
  /** Name of the weight behind that of the layer -> path of the variable, or two paths whose sum it is. */
  readonly weights: Map<string, string[]>;
  /** Activations that have to be registered. */
  readonly activations: activation.Activation[];
}

type Rule = (layer: CoreLayer, attrs: PlainMap, count: number) => Made | null;
interface Made {
  className: string;
  config?: PlainMap;
  /** Role in the vocabulary -> role in TensorFlow.js, where they differ. */
  roles?: Record<string, string>;
  activations?: activation.Activation[];
  weights?: Map<string, string[]>;
}

const RULES: Record<string, Rule> = {};

function all(value: Plain | undefined, one: number): boolean {
  return (
    value === null ||
    value === undefined ||
    (Array.isArray(value) ? value.every((item) => item === one) : value === one)
  );
}

function activated(value: Plain | undefined): { name: string; used: activation.Activation[] } {
  const found = activation.ofCore(value);
  const { name, own } = activation.nameInTopology(found);
  return { name, used: own ? [found] : [] };
}

/** Activations that look at several elements, which a layer may apply before it puts the channels in their place. */
function looksAround(value: Plain | undefined): boolean {
  return /softmax|sparsemax|glu/.test(activation.ofCore(value).name) && activation.ofCore(value).name !== 'gelu';
}

RULES.dense = (_, a) => {
  const { name, used } = activated(a.activation);
  return {
    className: 'Dense',
    config: { units: a.units!, use_bias: a.use_bias ?? true, activation: name },
    activations: used,
  };
};
RULES.embedding = (_, a) => ({
  className: 'Embedding',
  config: { input_dim: a.input_dim!, output_dim: a.output_dim!, mask_zero: false, input_length: null },
});

function convolution(a: PlainMap): { config: PlainMap; axes: number; used: activation.Activation[]; plain: boolean } {
  const kernel = a.kernel_size as number[];
  const ones = kernel.map(() => 1);
  const { name, used } = activated(a.activation);
  const first = a.data_format === 'channels_first';
  const around = first && looksAround(a.activation);
  const plain =
    (a.padding === undefined || a.padding === 'valid' || a.padding === 'same') &&
    !around &&
    !(all(a.strides, 1) === false && all(a.dilation, 1) === false);
  const config: PlainMap = {
    kernel_size: kernel,
    strides: a.strides ?? ones,
    padding: a.padding ?? 'valid',
    dilation_rate: a.dilation ?? ones,
    data_format: a.data_format ?? 'channels_last',
    use_bias: a.use_bias ?? true,
    activation: name,
  };
  return { config, axes: kernel.length, used, plain: plain && !(kernel.length === 1 && first) };
}

RULES.conv = (_, a) => {
  const { config, axes, used, plain } = convolution(a);
  if (!plain || (a.groups ?? 1) !== 1 || axes > 3 || (axes === 3 && !all(a.dilation, 1))) return null;
  return { className: `Conv${axes}D`, config: { ...config, filters: a.filters! }, activations: used };
};
RULES.conv_transpose = (_, a) => {
  const { config, axes, used, plain } = convolution(a);
  const usual = plain && all(a.dilation, 1) && (a.output_padding ?? null) === null;
  if (usual && axes > 1)
    return { className: `Conv${axes}DTranspose`, config: { ...config, filters: a.filters! }, activations: used };
  return axes > 2
    ? unsupported('a transposed convolution along three axes with a dilation or an output padding')
    : null;
};
RULES.depthwise_conv = (_, a) => {
  const { config, axes, used, plain } = convolution(a);
  const strides = config.strides as number[];
  if (!plain || axes !== 2 || !all(a.dilation, 1) || strides[0] !== strides[1])
    return axes > 2 ? unsupported('three axes') : null;
  return {
    className: 'DepthwiseConv2D',
    config: { ...config, depth_multiplier: a.depth_multiplier ?? 1 },
    roles: { kernel: 'depthwise_kernel' },
    activations: used,
  };
};
RULES.separable_conv = (_, a) => {
  const { config, axes, used, plain } = convolution(a);
  const strides = config.strides as number[];
  // With the channels first, it adds the bias along another axis.
  const first = a.data_format === 'channels_first';
  if (!plain || first || axes !== 2 || !all(a.dilation, 1) || strides[0] !== strides[1])
    return axes > 2 ? unsupported('three axes') : null;
  return {
    className: 'SeparableConv2D',
    config: { ...config, filters: a.filters!, depth_multiplier: a.depth_multiplier ?? 1 },
    activations: used,
  };
};

RULES.batch_norm = (layer, a) => {
  const rank = typeof a.rank === 'number' ? a.rank : null;
  const axis = (a.axis ?? -1) as number;
  // Along another axis the CPU backend of TensorFlow.js takes statistics of other channels, and it has no five axes.
  if ((axis !== -1 && axis + 1 !== rank) || (rank !== null && rank > 4)) {
    layer.notes.push('the statistics of batches in training: the moving ones are used');
    return null;
  }
  return {
    className: 'BatchNormalization',
    config: {
      axis,
      momentum: a.momentum ?? 0.99,
      epsilon: a.epsilon ?? 1e-3,
      center: a.center ?? true,
      scale: a.scale ?? true,
    },
  };
};
RULES.layer_norm = (_, a) => {
  if (a.axes === null || (typeof a.rank === 'number' ? a.rank : 5) > 4) return null;
  return {
    className: 'LayerNormalization',
    config: { axis: a.axes ?? [-1], epsilon: a.epsilon ?? 1e-3, center: a.center ?? true, scale: a.scale ?? true },
  };
};

function recurrentConfig(a: PlainMap): PlainMap {
  return {
    return_sequences: a.return_sequences ?? false,
    return_state: a.return_state ?? false,
    go_backwards: a.go_backwards ?? false,
    stateful: a.stateful ?? false,
    unroll: false,
  };
}

function recurrent(className: string): Rule {
  return (layer, a) => {
    const outer = activated(a.activation ?? 'tanh');
    const inner = className === 'SimpleRNN' ? null : activated(a.recurrent_activation ?? 'sigmoid');
    const used = [...outer.used, ...(inner?.used ?? [])];
    const cell: PlainMap = { units: a.units!, use_bias: a.use_bias ?? true, activation: outer.name };
    if (inner) cell.recurrent_activation = inner.name;
    const weights = new Map([...layer.params].map(([role, path]) => [role, [path]]));
    const second = weights.get('recurrent_bias');
    if (second) {
      // Two biases that are added are one (KC-27).
      weights.set('bias', [...(weights.get('bias') ?? []), ...second]);
      weights.delete('recurrent_bias');
    }
    const common = recurrentConfig(a);
    if (className === 'GRU' && a.reset_after !== false) {
      if (a.dropout || a.recurrent_dropout) layer.notes.push('dropout within the recurrent layer in training');
      return { className: CLASSES.gru, config: { ...common, ...cell }, activations: used, weights };
    }
    const config: PlainMap = {
      ...common,
      ...cell,
      dropout: a.dropout ?? 0,
      recurrent_dropout: a.recurrent_dropout ?? 0,
    };
    if (className === 'LSTM') config.unit_forget_bias = false;
    if (className === 'GRU') config.reset_after = false;
    return { className, config, activations: used, weights };
  };
}
RULES.simple_rnn = recurrent('SimpleRNN');
RULES.lstm = recurrent('LSTM');
RULES.gru = recurrent('GRU');

/** The cell of a recurrent layer: its class, its settings, its variables. */
function cellOf(layer: CoreLayer): Native {
  const made = native(layer, 1)!;
  const { return_sequences, return_state, go_backwards, stateful, unroll, ...config } = made.config;
  return { ...made, className: `${made.className}Cell`, config };
}

RULES.rnn = (layer, a) => {
  const cells = [...layer.children.values()].map(cellOf);
  const documents = cells.map(({ className, config }) => ({ class_name: className, config }));
  const weights = new Map<string, string[]>();
  for (const [at, cell] of cells.entries()) {
    for (const [role, paths] of cell.weights) weights.set(a.stacked ? `RNNCell_${at}/${role}` : role, paths);
  }
  for (const child of layer.children.values()) layer.notes.push(...child.notes);
  const cell = a.stacked ? { class_name: 'StackedRNNCells', config: { cells: documents } } : documents[0]!;
  const activations = cells.flatMap((one) => one.activations);
  return { className: 'RNN', config: { ...recurrentConfig(a), cell }, activations, weights };
};
RULES.conv_lstm = (_, a) => {
  const { config, used } = convolution(a);
  const inner = activated(a.recurrent_activation);
  const more = { filters: a.filters!, recurrent_activation: inner.name, unit_forget_bias: false };
  const dropout = { dropout: a.dropout ?? 0, recurrent_dropout: a.recurrent_dropout ?? 0 };
  return {
    className: 'ConvLSTM2D',
    config: { ...recurrentConfig(a), ...config, ...more, ...dropout },
    activations: [...used, ...inner.used],
  };
};

const MERGES: Record<string, Plain> = { concat: 'concat', sum: 'sum', mul: 'mul', mean: 'ave', none: null };
RULES.bidirectional = (layer, a) => {
  const [forward, backward] = [layer.children.get('forward')!, layer.children.get('backward')!];
  const one = native(forward, 1)!;
  const other = native(backward, 1)!;
  const same = (config: PlainMap) => JSON.stringify({ ...config, go_backwards: null });
  if (
    one.className !== other.className ||
    same(one.config) !== same(other.config) ||
    one.config.go_backwards === other.config.go_backwards
  ) {
    return unsupported('a backward layer that is not the forward one turned round');
  }
  const weights = new Map<string, string[]>();
  for (const [side, { weights: held }] of [
    ['forward', one],
    ['backward', other],
  ] as const) {
    for (const [role, paths] of held) weights.set(`${side}_layer/${role}`, paths);
  }
  layer.notes.push(...forward.notes, ...backward.notes.filter((note) => !forward.notes.includes(note)));
  const inner = { class_name: one.className, config: { ...one.config, name: 'layer' } };
  return {
    className: 'Bidirectional',
    config: { merge_mode: entryOf(MERGES, String(a.merge ?? 'concat'))!, layer: inner },
    activations: one.activations,
    weights,
  };
};

RULES.activation = (_, a) => {
  const { name, own } = activation.nameInTopology(activation.ofCore(a.function));
  return own ? null : { className: 'Activation', config: { activation: name } };
};
RULES.identity = () => ({ className: 'Activation', config: { activation: 'linear' } });
RULES.relu = (_, a) =>
  a.negative_slope || a.threshold ? null : { className: 'ReLU', config: { max_value: a.max_value ?? null } };
RULES.leaky_relu = (_, a) => ({ className: 'LeakyReLU', config: { alpha: a.negative_slope ?? 0.3 } });
RULES.prelu = (_, a) => ({ className: 'PReLU', config: { shared_axes: a.shared_axes ?? null } });
RULES.elu = (_, a) => ((a.alpha ?? 1) === 1 ? { className: 'ELU', config: { alpha: 1 } } : null);
RULES.softmax = (_, a) =>
  JSON.stringify(a.axes ?? [-1]) === '[-1]' ? { className: 'Softmax', config: { axis: -1 } } : null;

function pool(kind: string): Rule {
  return (_, a) => {
    const size = a.pool_size as number[];
    const usual = ['valid', 'same'].includes(String(a.padding ?? 'valid')) && all(a.dilation, 1) && !a.count_padding;
    if (!usual || size.length > 3 || (size.length === 1 && a.data_format === 'channels_first')) return null;
    const config: PlainMap = { pool_size: size, strides: a.strides ?? size, padding: a.padding ?? 'valid' };
    if (size.length > 1) config.data_format = a.data_format ?? 'channels_last';
    return { className: `${kind}Pooling${size.length}D`, config };
  };
}
RULES.max_pool = pool('Max');
RULES.avg_pool = pool('Average');
function globalPool(kind: string): Rule {
  return (_, a) => {
    const one = a.spatial === 1 && a.data_format !== 'channels_first';
    if (a.keepdims || !(one || a.spatial === 2)) return null;
    const config: PlainMap = one ? {} : { data_format: a.data_format ?? 'channels_last' };
    return { className: `Global${kind}Pooling${a.spatial}D`, config };
  };
}
RULES.global_max_pool = globalPool('Max');
RULES.global_avg_pool = globalPool('Average');
RULES.resize = (_, a) => {
  // UpSampling2D of TensorFlow.js has its bilinear pixels at their corners, and Keras at their centres.
  const scale = a.scale as number[] | null | undefined;
  if (scale?.length !== 2 || (a.interpolation ?? 'nearest') !== 'nearest') return null;
  return {
    className: 'UpSampling2D',
    config: { size: scale, interpolation: 'nearest', data_format: a.data_format ?? 'channels_last' },
  };
};

RULES.flatten = (_, a) =>
  typeof a.rank === 'number' && a.rank > 2
    ? { className: 'Flatten', config: { data_format: a.data_format ?? 'channels_last' } }
    : null;
RULES.reshape = (_, a) => ({ className: 'Reshape', config: { target_shape: a.shape! } });
RULES.permute = (_, a) => {
  const axes = a.axes as number[] | null;
  return axes?.[0] === 0 && axes.length < 10 ? { className: 'Permute', config: { dims: axes.slice(1) } } : null;
};
RULES.repeat = (_, a) => ({ className: 'RepeatVector', config: { n: a.count! } });
RULES.pad = (_, a) => {
  const pairs = a.padding as number[][];
  if (pairs.length !== 3 || (a.mode ?? 'constant') !== 'constant' || a.value || pairs[2]!.some(Boolean)) return null;
  return { className: 'ZeroPadding2D', config: { padding: pairs.slice(0, 2), data_format: 'channels_last' } };
};

for (const [op, className] of Object.entries({
  add: 'Add',
  mul: 'Multiply',
  mean: 'Average',
  max: 'Maximum',
  min: 'Minimum',
})) {
  RULES[op] = (_, __, count) => (count > 1 ? { className, config: {} } : null);
}
RULES.concat = (_, a, count) => (count > 1 ? { className: 'Concatenate', config: { axis: a.axis ?? -1 } } : null);

RULES.dropout = (_, a) => ({
  className: 'Dropout',
  config: { rate: a.rate!, noise_shape: a.noise_shape ?? null, seed: typeof a.seed === 'number' ? a.seed : null },
});
RULES.spatial_dropout = (_, a) =>
  a.spatial === 1 && a.data_format !== 'channels_first'
    ? { className: 'SpatialDropout1D', config: { rate: a.rate! } }
    : null;
RULES.gaussian_noise = (_, a) => ({ className: 'GaussianNoise', config: { stddev: a.stddev! } });
RULES.gaussian_dropout = (_, a) => ({ className: 'GaussianDropout', config: { rate: a.rate! } });
RULES.alpha_dropout = (_, a) => ({
  className: 'AlphaDropout',
  config: { rate: a.rate!, noise_shape: a.noise_shape ?? null },
});
RULES.rescale = (_, a) =>
  typeof a.scale === 'number' && typeof (a.offset ?? 0) === 'number'
    ? { className: 'Rescaling', config: { scale: a.scale, offset: a.offset ?? 0 } }
    : null;

/** The layer of TensorFlow.js that computes the same as an op with so many inputs, or null where there is none. */
export function native(layer: CoreLayer, count: number): Native | null {
  const made = entryOf(RULES, layer.op)?.(layer, layer.attrs, count);
  if (!made) return null;
  const { className, config = {}, roles = {}, activations = [] } = made;
  const weights = made.weights ?? new Map([...layer.params].map(([role, path]) => [roles[role] ?? role, [path]]));
  const common: PlainMap = { trainable: layer.attrs.trainable ?? true };
  return { className, config: { ...config, ...penalties(layer, roles), ...common }, weights, activations };
}
