/** What kind of thing an op is, and the few attributes that tell one from another at a glance. */

export type Family =
  | 'io'
  | 'linear'
  | 'convolution'
  | 'normalization'
  | 'activation'
  | 'shape'
  | 'merge'
  | 'recurrent'
  | 'attention'
  | 'embedding'
  | 'random'
  | 'preprocessing'
  | 'model'
  | 'other';

/** The families in the order of the legend, with the words that name them. */
export const FAMILIES: ReadonlyMap<Family, string> = new Map([
  ['io', 'Input'],
  ['linear', 'Linear'],
  ['convolution', 'Convolution'],
  ['normalization', 'Normalization'],
  ['activation', 'Activation'],
  ['shape', 'Pooling and shape'],
  ['merge', 'Arithmetic'],
  ['recurrent', 'Recurrent'],
  ['attention', 'Attention'],
  ['embedding', 'Embedding'],
  ['random', 'Dropout and noise'],
  ['preprocessing', 'Preprocessing'],
  ['model', 'Model'],
  ['other', 'Other'],
]);

// The first pattern that meets the op's name without its namespace, in lower case and without underscores, decides.
const PATTERNS: readonly [RegExp, Family][] = [
  [/^input(layer)?$|^parameter$/, 'io'],
  [/^(functional|sequential|graph|model|container)$/, 'model'],
  [/convlstm|lstm|gru|rnn|bidirectional|timedistributed|cell$/, 'recurrent'],
  [/attention|^mha$|^gqa$|transformer/, 'attention'],
  [/norm/, 'normalization'],
  [/embedding/, 'embedding'],
  [
    /lookup|vectorization|^rescal|^center|^resizing$|discretiz|^onehot|^random(?!normal)|hash|categoryencoding|stringl|spectrogram/,
    'preprocessing',
  ],
  [/conv/, 'convolution'],
  [/dropout|noise|dropconnect|activityreg/, 'random'],
  [/dense|einsum|linear$|^matmul$/, 'linear'],
  [
    /relu|elu|softmax|sigmoid|tanh|swish|silu|gelu|mish|^activation$|softplus|softsign|softmin|threshold|^unary$|^clip$/,
    'activation',
  ],
  [
    /pool|flatten|reshape|permute|transpose|repeat|pad|crop|upsampl|resize|slice|squeeze|expanddims|getitem|stack|split|mask|pixelshuffle|cast|identity|^take$|broadcastto/,
    'shape',
  ],
  [
    /^(add|sub|subtract|mul|multiply|mean|average|max|maximum|min|minimum|concat|concatenate|dot|divide|power|sqrt|square|exp|log|abs|sum|negative|merge|where|notequal|equal|greater|less|logical|binary|reduce|argreduce)/,
    'merge',
  ],
];

/** The op without its namespace and package: Conv2D, Add. */
export function shortOp(op: string): string {
  const name = op.slice(op.indexOf(':') + 1);
  const last = name.slice(Math.max(name.lastIndexOf('.'), name.lastIndexOf('>')) + 1);
  return last || name;
}

/** The namespace of an op: keras, core, custom. */
export function namespace(op: string): string {
  return op.slice(0, Math.max(0, op.indexOf(':')));
}

/** The family of an op, which gives it its colour. */
export function family(op: string): Family {
  if (op.startsWith('custom:')) return 'other';
  const name = shortOp(op).toLowerCase().replaceAll('_', '');
  return PATTERNS.find(([pattern]) => pattern.test(name))?.[1] ?? 'other';
}

type Attrs = Readonly<Record<string, unknown>>;

function list(value: unknown): number[] | null {
  const items = Array.isArray(value) ? value : (value as { items?: unknown } | null)?.items;
  return Array.isArray(items) && items.length > 0 && items.every((item) => typeof item === 'number') ? items : null;
}

/** The one number of a list whose numbers are equal, and else the list: 2, 2×1. */
function factors(value: unknown): string | null {
  const numbers = typeof value === 'number' ? [value] : list(value);
  return numbers && new Set(numbers).size === 1 ? String(numbers[0]) : (numbers?.join('×') ?? null);
}

/** What a person asks first about a module, in a few characters: 32 · 3×3 / 2 · relu. */
export function summary(op: string, attrs: Attrs): string {
  const parts: string[] = [];
  const number = (name: string, text: (value: number) => string = String) => {
    const value = attrs[name];
    if (typeof value === 'number') parts.push(text(value));
  };
  const kernel =
    list(attrs.kernel_size)?.join('×') ?? (typeof attrs.kernel_size === 'number' ? factors(attrs.kernel_size) : null);
  const pool = list(attrs.pool_size)?.join('×') ?? factors(attrs.pool_size);
  const strides = factors(attrs.strides);
  for (const name of ['units', 'filters']) number(name);
  if (attrs.input_dim !== undefined && attrs.output_dim !== undefined) {
    parts.push(`${String(attrs.input_dim)} → ${String(attrs.output_dim)}`);
  }
  number('num_heads', (heads) => `${heads} heads`);
  number('key_dim', (width) => `key ${width}`);
  const window = kernel ?? pool;
  if (window)
    parts.push(strides && strides !== '1' && strides !== factors(attrs.pool_size) ? `${window} / ${strides}` : window);
  number('rate', (rate) => `${Number((100 * rate).toPrecision(3))} %`);
  const target = list(attrs.target_shape);
  if (target) parts.push(target.join('×'));
  const activation = attrs.activation;
  if (typeof activation === 'string' && activation !== 'linear') parts.push(activation);
  const ceiling = attrs.max_value;
  if (shortOp(op) === 'ReLU' && typeof ceiling === 'number') parts.push(`≤ ${ceiling}`);
  return parts.join(' · ');
}
