// What a layer of Keras is, and what the families of layers share.

import * as activation from '../activation.js';
import type { CoreLayer, Plain, PlainMap } from '../layer.js';
import { unsupported } from '../layer.js';

/** A layer of Keras as it stands in a config. */
export interface KerasLayer {
  /** The class without its namespace: `Dense`, `ops.numpy.Add`. */
  readonly kind: string;
  readonly attrs: PlainMap;
  readonly params: Map<string, string>;
  readonly modules: Map<string, KerasLayer>;
  readonly dialect: string;
  /** Held layers that are models, which only the caller can turn. */
  readonly isModel: boolean;
}

/** What a class becomes; what is left out is empty, and params are the layer's own. */
export type Partial = {
  op: string;
  attrs?: PlainMap;
  params?: Map<string, string>;
  children?: Map<string, CoreLayer>;
  notes?: string[];
  fromCall?: CoreLayer['fromCall'];
};
export type Turn = (layer: KerasLayer, attrs: PlainMap) => Partial;

/** Classes by their names, and what each becomes. */
export type Classes = Record<string, Turn>;

/** Adds to a table; some classes are there for several numbers of axes. */
export function adderTo(table: Classes): (names: string, turn: Turn) => void {
  return (names, turn) => {
    for (const name of names.split(' ')) table[name] = turn;
  };
}

/** Refuse settings that have another value than the one for which a layer computes the same. */
export function need(attrs: PlainMap, expected: PlainMap): void {
  for (const [key, value] of Object.entries(expected)) {
    const given = attrs[key];
    if (given !== undefined && given !== null && given !== value) unsupported(`${key} is ${JSON.stringify(given)}`);
  }
}

export function sizes(value: Plain | undefined, axes: number): Plain {
  if (value === null || value === undefined) return null;
  return Array.isArray(value) ? value : new Array(axes).fill(value);
}

/** Pairs [before, after] of a padding or cropping, one for each axis but the batch. */
export function pairs(value: Plain | undefined, axes: number, format: Plain | undefined): number[][] {
  const given = Array.isArray(value) ? value : new Array(axes).fill(value ?? 1);
  // One axis has its pair at the top: [before, after].
  const listed = axes === 1 && given.length === 2 ? [given] : given;
  const spatial = listed.map((item) => (Array.isArray(item) ? item : [item, item])) as number[][];
  return format === 'channels_first' ? [[0, 0], ...spatial] : [...spatial, [0, 0]];
}

export function axesOfClass(kind: string): number {
  return Number(/([123])D/.exec(kind)?.[1] ?? 1);
}

export function linear(attrs: PlainMap, dialect: string): PlainMap {
  return { use_bias: attrs.use_bias ?? true, activation: turned(activation.ofKeras(attrs.activation, dialect)) };
}

/** An activation in the plain form of the vocabulary. */
export function turned({ name, parameters }: activation.Activation): Plain {
  return Object.keys(parameters).length ? { $class: `core:activations.${name}`, $config: parameters } : name;
}

export function spatial(layer: KerasLayer, attrs: PlainMap): PlainMap {
  const axes = axesOfClass(layer.kind);
  return {
    ...linear(attrs, layer.dialect),
    kernel_size: sizes(attrs.kernel_size, axes),
    strides: sizes(attrs.strides, axes),
    padding: attrs.padding ?? 'valid',
    dilation: sizes(attrs.dilation_rate, axes),
    data_format: attrs.data_format ?? 'channels_last',
  };
}

export function listOf(value: Plain | undefined): Plain {
  return Array.isArray(value) ? value : [value ?? -1];
}
