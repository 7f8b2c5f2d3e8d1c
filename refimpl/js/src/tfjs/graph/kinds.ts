// Whether a tensor holds floats, integers or booleans: ops that compute in floats convert others first (CV-10), and TensorFlow.js does not.

import { VOCABULARY } from '../../vocabulary/data.js';
import type { CoreLayer } from '../layer.js';
import { entryOf } from '../layer.js';

export type Kind = 'float' | 'int' | 'bool';

const FLOATING = new Set(['convolution', 'normalization', 'recurrent', 'attention', 'activation']);
const AMONG_OTHERS = new Set([
  'dense',
  'einsum_dense',
  'avg_pool',
  'global_avg_pool',
  'adaptive_avg_pool',
  'mean',
  'rescale',
]);
const COMPARISONS =
  /^(equal|not_equal|less|less_equal|greater|greater_equal|logical_and|logical_or|logical_xor|logical_not|isnan|isinf|isfinite|any|all)$/;
const WHOLE = new Set(['abs', 'neg', 'sign', 'square', 'floor', 'ceil', 'round', 'sum', 'max', 'min', 'prod']);

/** Whether an op computes in floats whatever it is given. */
export function wantsFloats({ op }: CoreLayer): boolean {
  return (
    AMONG_OTHERS.has(op) ||
    FLOATING.has(entryOf(VOCABULARY.ops, op)?.family ?? '') ||
    op === 'rnn' ||
    op === 'conv_lstm'
  );
}

/** What the dtype of a config is. */
export function kindOfDtype(dtype: string): Kind {
  return dtype === 'bool' ? 'bool' : dtype.includes('int') ? 'int' : 'float';
}

/** What the outputs of a layer hold. */
export function kindOf(layer: CoreLayer, inputs: Kind[]): Kind {
  const { op, attrs } = layer;
  const name = String(attrs.function ?? '');
  if (wantsFloats(layer)) return 'float';
  if (op === 'cast') return kindOfDtype(String(attrs.dtype));
  if (op === 'arg_reduce' || op === 'discretize') return 'int';
  const widest: Kind = inputs.includes('float') ? 'float' : inputs.includes('int') ? 'int' : (inputs[0] ?? 'float');
  if (op === 'unary' || op === 'reduce') {
    if (COMPARISONS.test(name)) return 'bool';
    if (!WHOLE.has(name)) return 'float';
    return widest === 'bool' && !/^(max|min)$/.test(name) ? 'int' : widest;
  }
  if (op === 'binary') return COMPARISONS.test(name) ? 'bool' : name === 'div' || name === 'atan2' ? 'float' : widest;
  const family = entryOf(VOCABULARY.ops, op)?.family;
  const keeps = family === 'shaping' || family === 'merging' || op === 'clip' || op === 'where' || op === 'identity';
  return keeps || op === 'max_pool' || op === 'global_max_pool' || op === 'reshape_whole' || op === 'move_axes'
    ? widest
    : 'float';
}
