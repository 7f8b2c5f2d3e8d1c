// Modules of a config, of `keras:` and of `core:`, as layers.

import type { Config, Module } from '../model/config.js';
import type { KerasLayer } from './keras/table.js';
import { turnKeras } from './keras/turn.js';
import type { CoreLayer, Plain, PlainMap } from './layer.js';
import { isMap, lastWord, plain, unsupported } from './layer.js';

const MODELS = new Set(['keras:Functional', 'keras:Sequential', 'keras:Model', 'core:graph', 'core:sequential']);
const INPUTS = new Set(['keras:InputLayer', 'core:input']);

export function isModel({ op, graph }: Module): boolean {
  return graph !== null || MODELS.has(op);
}

export function isInput({ op }: Module): boolean {
  return INPUTS.has(op.replace(/^tf_keras:/, 'keras:'));
}

export function attrsOf(module: Module): PlainMap {
  return plain(module.attrs) as PlainMap;
}

/** Keras 2 or Keras 3: the config of the first is of another dialect, which names the same class for another function now and then. */
export function dialectOf(config: Config): string {
  const residue = plain(config.model.residue) as PlainMap;
  const keras = residue.keras;
  return (isMap(keras) && keras.dialect === 'tf_keras') || config.model.op.startsWith('tf_keras:')
    ? 'tf_keras'
    : 'keras';
}

/** The sizes that a layer was built for, as `build` has them; null where it does not say. */
export function builtFor(module: Module): (number | null)[] | null {
  const build = plain(module.build);
  const shapes = isMap(build) ? (build.shapes_dict ?? build) : null;
  const shape = isMap(shapes) ? (shapes.input_shape ?? shapes.query_shape) : null;
  return Array.isArray(shape) && shape.every((size) => size === null || typeof size === 'number')
    ? (shape as (number | null)[])
    : null;
}

/** Turns modules into layers, each by itself. */
export class Modules {
  readonly config: Config;
  readonly dialect: string;

  constructor(config: Config) {
    this.config = config;
    this.dialect = dialectOf(config);
  }

  layer(module: Module): CoreLayer {
    const at = module.op.indexOf(':');
    const [namespace, name] = [module.op.slice(0, at), module.op.slice(at + 1)];
    if (module.kind === 'opaque') return unsupported('its code is not in the artifact');
    if (namespace === 'custom') return unsupported(`${name} is the author's own class`);
    const layer = namespace === 'core' ? this.core(module, name) : this.keras(module, namespace);
    const shape = builtFor(module);
    if (!shape) return layer;
    const attrs: PlainMap = { ...layer.attrs, rank: shape.length };
    const axes = attrs.attention_axes;
    // All axes but the first and the last are what null stands for (KC-1).
    if (Array.isArray(axes) && axes.length === shape.length - 2 && axes.every((axis, at) => axis === at + 1))
      attrs.attention_axes = null;
    return { ...layer, attrs };
  }

  private core(module: Module, op: string): CoreLayer {
    const children = new Map<string, CoreLayer>();
    for (const child of module.modules) {
      if (!isModel(child)) children.set(child.name, this.layer(this.config.resolve(child)));
    }
    const attrs = attrsOf(module);
    const notes: string[] = [];
    if (attrs.activity_regularizer) notes.push('the penalty of activities');
    if (attrs.precision) notes.push('the precision of the layer: TensorFlow.js computes in float32');
    if (op === 'activity_regularization')
      return { op: 'identity', attrs: {}, params: new Map(), children, notes: ['the penalty of activities'] };
    return { op, attrs, params: new Map(module.params), children, notes };
  }

  private keras(module: Module, namespace: string): CoreLayer {
    if (namespace !== 'keras' && namespace !== 'tf_keras') return unsupported(`the namespace ${namespace}`);
    return turnKeras(this.kerasLayer(module));
  }

  private kerasLayer(given: Module): KerasLayer {
    const module = this.config.resolve(given);
    const kind = module.op.slice(module.op.indexOf(':') + 1);
    const modules = new Map(module.modules.map((child) => [child.name, this.kerasLayer(child)]));
    return {
      kind,
      attrs: withoutHeld(attrsOf(module)),
      params: new Map(module.params),
      modules,
      dialect: this.dialect,
      isModel: isModel(module),
    };
  }
}

/** Attributes without the references to held layers, which are children. */
function withoutHeld(attrs: PlainMap): PlainMap {
  return Object.fromEntries(Object.entries(attrs).filter(([, value]) => !(isMap(value) && '$module' in value)));
}

/** The shape of an input, the batch included, and its dtype. */
export function inputOf(module: Module): { shape: Plain[]; dtype: string } {
  const attrs = attrsOf(module);
  if (attrs.sparse) unsupported('sparse is true');
  if (attrs.ragged) unsupported('ragged is true');
  const shape = attrs.batch_shape ?? attrs.batch_input_shape ?? attrs.shape;
  if (!Array.isArray(shape)) return unsupported('an input without a shape');
  if (shape.length < 2) return unsupported('an input of one axis, which TensorFlow.js takes for one of two');
  const dtype = typeof attrs.dtype === 'string' ? attrs.dtype : 'float32';
  if (dtype === 'string') return unsupported('texts as input');
  return { shape, dtype: dtype === 'bool' ? 'bool' : /int/.test(lastWord(dtype)) ? 'int32' : 'float32' };
}
