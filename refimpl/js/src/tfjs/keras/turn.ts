// A layer of Keras, of either dialect, as an op of the vocabulary (annex L.1, as far as predictions go).

import type { CoreLayer, Plain, PlainMap } from '../layer.js';
import { entryOf, isMap, isObject, lastWord, unsupported } from '../layer.js';
import { ATTENTION } from './attention.js';
import { ELEMENTWISE } from './elementwise.js';
import { tensorFunction } from './functions.js';
import { LINEAR } from './linear.js';
import { KERAS_OPERATIONS } from './operations.js';
import { RECURRENT } from './recurrent.js';
import type { KerasLayer, Turn } from './table.js';

/** Roles of variables whose regularizers and constraints Keras names in the config. */
const PREFIXES = ['kernel', 'bias', 'recurrent', 'depthwise', 'pointwise', 'gamma', 'beta', 'embeddings', 'alpha'];

/** Penalties and constraints of variables by their words in Keras, which TensorFlow.js has too. */
function penalties(attrs: PlainMap): PlainMap {
  const found: PlainMap = {};
  for (const prefix of PREFIXES) {
    for (const kind of ['regularizer', 'constraint']) {
      const value = attrs[`${prefix}_${kind}`];
      if (value !== null && value !== undefined) found[`${prefix}_${kind}`] = value;
    }
  }
  return found;
}

function classOf(kind: string): Turn | undefined {
  const name = lastWord(kind);
  if (name === 'TFOpLambda' || name === 'SlicingOpLambda') return tensorFunction;
  if (kind.startsWith('ops.')) return entryOf(KERAS_OPERATIONS, name);
  return entryOf([LINEAR, RECURRENT, ATTENTION, ELEMENTWISE].find((table) => Object.hasOwn(table, kind)) ?? {}, kind);
}

/** A layer of Keras as an op. */
export function turnKeras(layer: KerasLayer): CoreLayer {
  if (layer.attrs.quantization_config || (isQuantized(layer.attrs.dtype) && layer.params.size))
    unsupported('it is quantized');
  const turn = classOf(layer.kind);
  if (!turn) return unsupported(`TensorFlow.js has no layer ${lastWord(layer.kind)}`);
  const {
    op,
    attrs = {},
    params = layer.params,
    children = new Map(),
    notes = [],
    fromCall,
  } = turn(layer, layer.attrs);
  const kept = penalties(layer.attrs);
  const common: PlainMap = { trainable: layer.attrs.trainable ?? true };
  if (Object.keys(kept).length) common.penalties = kept;
  if (layer.attrs.activity_regularizer) notes.push('the penalty of activities');
  return {
    op,
    attrs: { ...attrs, ...common },
    params,
    children,
    notes: [...notes, ...precision(layer.attrs.dtype)],
    fromCall,
  };
}

function policyOf(dtype: Plain | undefined): string {
  if (typeof dtype === 'string') return dtype;
  if (isObject(dtype) && isMap(dtype.$config)) return String(dtype.$config.name ?? '');
  return '';
}

function isQuantized(dtype: Plain | undefined): boolean {
  return /int[48]|float8|gptq|awq/.test(policyOf(dtype)) && policyOf(dtype).includes('_from_');
}

function precision(dtype: Plain | undefined): string[] {
  const name = policyOf(dtype);
  return /float16|bfloat16|float64/.test(name) ? [`the precision ${name}: TensorFlow.js computes in float32`] : [];
}
