// Activations: of Keras in the words of the vocabulary, and what stands for them in TensorFlow.js.

import type { Plain, PlainMap } from './layer.js';
import { entryOf, isMap, isObject, lastWord, snakeCase, unsupported } from './layer.js';
import { activationName, hasActivation } from './own/layers.js';

export interface Activation {
  readonly name: string;
  readonly parameters: PlainMap;
}

/** What Keras calls otherwise than the vocabulary. */
const ALIASES: Record<string, string> = {
  swish: 'silu',
  hard_swish: 'hard_silu',
  log_soft_max: 'log_softmax',
  re_lu: 'relu',
  leaky_re_lu: 'leaky_relu',
};

function aliasOf(name: string): string {
  return entryOf(ALIASES, name) ?? name;
}

/** Layers that may stand in the place of an activation, with the words for their settings. */
const SETTINGS: Record<string, Record<string, string>> = {
  relu: { max_value: 'max_value', negative_slope: 'negative_slope', threshold: 'threshold' },
  leaky_relu: { alpha: 'negative_slope', negative_slope: 'negative_slope' },
  elu: { alpha: 'alpha' },
  softmax: { axis: 'axis' },
};
/** Their settings where the layer says nothing. */
const SETTINGS_OF_LAYERS: Record<string, PlainMap> = { leaky_relu: { negative_slope: 0.3 } };

const DEFAULTS: Record<string, PlainMap> = {
  relu: { max_value: null, negative_slope: 0, threshold: 0 },
  elu: { alpha: 1 },
  celu: { alpha: 1 },
  gelu: { approximate: false },
  softmax: { axis: -1 },
  log_softmax: { axis: -1 },
};

/** Parameters that differ from their defaults. */
export function withParameters(name: string, parameters: PlainMap): Activation {
  const defaults = entryOf(DEFAULTS, name) ?? {};
  const kept = Object.entries(parameters).filter(([key, value]) => value !== (defaults[key] ?? undefined));
  return { name, parameters: Object.fromEntries(kept) };
}

/** An activation that a config of Keras names; `dialect` tells Keras 2 from Keras 3, whose hard sigmoids differ. */
export function ofKeras(value: Plain | undefined, dialect: string): Activation {
  if (value === null || value === undefined) return { name: 'linear', parameters: {} };
  if (typeof value === 'string') return named(value, dialect);
  if (!isObject(value)) return unsupported('an activation that is neither a name nor an object');
  const sequence = hardSigmoidOfKeras2(value);
  if (sequence) return sequence;
  if (value.$config === null) return named(lastWord(value.$class), dialect);
  if (value.$class.startsWith('custom:')) return unsupported(`the activation ${value.$class} is the author's own`);
  const name = aliasOf(snakeCase(lastWord(value.$class)));
  const words = entryOf(SETTINGS, name);
  if (!words || !isMap(value.$config)) return unsupported(`the activation ${value.$class}`);
  const config = value.$config;
  const given = Object.entries(words)
    .filter(([word]) => word in config)
    .map(([word, key]) => [key, config[word]!]);
  return withParameters(name, { ...entryOf(SETTINGS_OF_LAYERS, name), ...Object.fromEntries(given) });
}

function named(text: string, dialect: string): Activation {
  const name = aliasOf(text);
  if (!hasActivation(name)) return unsupported(`TensorFlow.js has no activation ${text}`);
  if (name === 'hard_sigmoid' && dialect === 'tf_keras') return { name, parameters: { slope: 0.2 } };
  return { name, parameters: {} };
}

/** The model of two layers that stands for the hard sigmoid of Keras 2 in the terms of Keras 3 (KN-9). */
function hardSigmoidOfKeras2(value: PlainMap): Activation | null {
  if (value.$class !== 'keras:Sequential' || !isMap(value.$config!)) return null;
  const listed = value.$config.layers;
  if (!Array.isArray(listed)) return null;
  const layers = listed.filter(isObject).filter((layer) => lastWord(layer.$class) !== 'InputLayer');
  if (layers.map((layer) => lastWord(layer.$class)).join() !== 'Rescaling,ReLU') return null;
  const [rescaling, relu] = layers.map((layer) => layer.$config as PlainMap);
  const same =
    rescaling!.scale === 0.2 &&
    rescaling!.offset === 0.5 &&
    relu!.max_value === 1 &&
    !relu!.negative_slope &&
    !relu!.threshold;
  return same ? { name: 'hard_sigmoid', parameters: { slope: 0.2 } } : null;
}

/** An activation of the vocabulary (CV-4). */
export function ofCore(value: Plain | undefined): Activation {
  if (value === undefined || value === null) return { name: 'linear', parameters: {} };
  if (typeof value === 'string') return { name: value, parameters: {} };
  if (!isObject(value) || !isMap(value.$config))
    return unsupported('an activation that is neither a name nor an object');
  return withParameters(lastWord(value.$class), value.$config);
}

/** TensorFlow.js' own activations, with the parameters for which they compute the same. */
const NATIVE: Record<string, string> = {
  elu: 'elu',
  gelu: 'gelu',
  linear: 'linear',
  log_softmax: 'log_softmax',
  mish: 'mish',
  relu: 'relu',
  relu6: 'relu6',
  selu: 'selu',
  sigmoid: 'sigmoid',
  silu: 'swish',
  softmax: 'softmax',
  softplus: 'softplus',
  softsign: 'softsign',
  tanh: 'tanh',
};

/** The name that stands for an activation in a topology; one that is not TensorFlow.js' own has to be registered. */
export function nameInTopology({ name, parameters }: Activation): { name: string; own: boolean } {
  const bare = Object.keys(parameters).length === 0;
  const own = entryOf(NATIVE, name);
  if (bare && own) return { name: own, own: false };
  if (name === 'hard_sigmoid' && parameters.slope === 0.2) return { name: 'hard_sigmoid', own: false };
  if (!hasActivation(name)) return unsupported(`TensorFlow.js has no activation ${name}`);
  return { name: activationName(name, parameters), own: true };
}
