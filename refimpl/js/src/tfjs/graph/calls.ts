// Calls of a config as calls of layers of TensorFlow.js, or of this package.

import type { Module } from '../../model/config.js';
import { OutputRef } from '../../values/classes.js';
import * as activation from '../activation.js';
import { type Arguments, argumentsOf, references } from '../arguments.js';
import type { CoreLayer, Plain, PlainMap } from '../layer.js';
import { isMap, unsupported } from '../layer.js';
import { isInput, isModel } from '../modules.js';
import { native } from '../native.js';
import { CLASSES, hasOp } from '../own/layers.js';
import { hasPenalties } from '../penalties.js';
import { kindOf, wantsFloats } from './kinds.js';
import type { Building, Given, Level, Place } from './level.js';
import { carried, handedOn } from './masks.js';
import { opOf, outputsOf, settingsOf, statesOf } from './settings.js';
import { checkShapes } from './shapes.js';

/** A model as a document of TensorFlow.js, how many outputs it has, and whether one of them carries a mask. */
export interface MadeModel {
  readonly document: PlainMap;
  readonly outputs: number;
  readonly masked: boolean;
}

export type ModelOf = (building: Building, module: Module) => MadeModel;

const RECURRENT = new Set(['simple_rnn', 'lstm', 'gru', 'bidirectional', 'rnn', 'conv_lstm']);
const ATTENTION = new Set(['mha', 'gqa', 'dot_attention', 'additive_attention']);
const CHOOSING = new Set(['mul', 'max', 'min']);
/** Ops that draw numbers, or compute otherwise in training. */
const TRAINED = new Set([
  'dropout',
  'spatial_dropout',
  'alpha_dropout',
  'gaussian_noise',
  'gaussian_dropout',
  'batch_norm',
]);

/** Turns the calls of one model into nodes. */
export class Calls {
  readonly level: Level;
  readonly building: Building;
  /** Turns a model in the model. */
  readonly modelOf: ModelOf;

  constructor(level: Level, modelOf: ModelOf) {
    this.level = level;
    this.building = level.building;
    this.modelOf = modelOf;
  }

  run(id: string, module: Module, args: Plain[], kwargs: PlainMap): void {
    const { building, level } = this;
    const found = building.attempt(module, () => {
      const real = building.modules.config.resolve(module);
      if (real !== module && !building.copies.has(module.path)) {
        building.copies.add(module.path);
        building.note(module.path, `the variables of ${real.path} are copied: training parts the two`);
      }
      if (isInput(real)) return [level.input(real)];
      if (isModel(real)) return this.model(module, real, args, kwargs);
      const layer = building.modules.layer(real);
      checkShapes(layer, building.shapeOf);
      return this.layer(module, layer, args, kwargs);
    });
    if (found) level.given.set(id, found);
  }

  /** A model in the model. */
  private model(module: Module, real: Module, args: Plain[], kwargs: PlainMap): Given[] {
    const { level, building } = this;
    if (this.mode(real, kwargs.training ?? null) === true) unsupported('a call that trains while the model predicts');
    const inputs = args.flatMap(references).map((reference) => level.tensor(reference));
    if (inputs.some(({ mask }) => mask)) unsupported('a model in the model whose input carries a mask');
    let name = level.names.get(module.name);
    let count = Number(level.settled.get(module.name) ?? 0);
    let document: PlainMap = {};
    if (name === undefined) {
      const made = this.modelOf(building, real);
      name = level.name(module.name, module.path, false);
      level.names.set(module.name, name);
      count = made.outputs;
      level.settled.set(module.name, String(count));
      document = made.document;
      if (made.masked) building.note(module.path, 'the mask of its output, which is not handed on');
      if (made.masked) unsupported('a model in the model whose output carries a mask');
    }
    const node = level.call(
      name,
      'Functional',
      document.config as PlainMap,
      inputs.map(({ place }) => place),
    );
    return Array.from({ length: count }, (_, at) => ({ place: [name, node, at] as Place, mask: null }));
  }

  /** Whether a call says that it trains: Keras 3 puts the mode of the model in the place of what stands there (KC-8). */
  private mode({ op }: Module, training: Plain): Plain {
    return op.startsWith('keras:') && this.building.modules.dialect === 'keras' ? null : training;
  }

  /** A layer. */
  private layer(module: Module, layer: CoreLayer, given: Plain[], kwargs: PlainMap): Given[] {
    const { level, building } = this;
    const from = layer.fromCall?.(given, kwargs);
    const args = argumentsOf(layer.op, from?.args ?? given, from ? {} : kwargs);
    const attrs = { ...layer.attrs, ...from?.attrs, ...args.settings };
    const called: CoreLayer = { ...layer, attrs };
    const mode = this.mode(module, args.training);
    if (mode === true && (TRAINED.has(layer.op) || layer.attrs.dropout))
      unsupported('a call that trains while the model predicts');
    if (mode === false && TRAINED.has(layer.op))
      building.note(module.path, 'that this call does not train when the model does');
    const inputs = args.inputs.map((value) => (value instanceof OutputRef ? level.tensor(value) : null));
    const mask = args.named.get('mask');
    // A mask of the call stands in the place of the one that the input carries (CV-13).
    if (mask && inputs[0] && layer.op !== 'softmax') {
      const { place } = level.tensor(mask);
      inputs[0] = { ...inputs[0], mask: () => place };
    }
    if (wantsFloats(layer)) {
      for (const [at, one] of inputs.entries())
        if (one && (one.kind ?? 'float') !== 'float') inputs[at] = this.asFloats(module, one);
    }
    const tensors = inputs.flatMap((one) => (one ? [one] : []));
    const states = args.states.map((reference) => level.tensor(reference).place);
    const result = this.nodes(module, called, args, inputs, tensors, states);
    for (const note of called.notes) building.note(module.path, note);
    const kind = kindOf(
      called,
      tensors.map((one) => one.kind ?? 'float'),
    );
    return result.map((one) => ({ ...one, kind }));
  }

  private nodes(
    module: Module,
    layer: CoreLayer,
    args: Arguments,
    inputs: (Given | null)[],
    tensors: Given[],
    states: Place[],
  ): Given[] {
    const { level } = this;
    if (RECURRENT.has(layer.op)) return this.recurrent(module, layer, tensors[0]!, states);
    if (layer.op === 'masking') {
      const place = level.op(module.name, 'masked_steps', { mask_value: layer.attrs.mask_value ?? 0 }, [
        tensors[0]!.place,
      ]);
      return [{ place, mask: handedOn(level, place[0], layer, tensors)(0) }];
    }
    if (layer.op === 'add' && tensors.length && tensors.every(({ kind }) => kind === 'bool')) {
      // Booleans have a boolean as their sum.
      const place = level.op(
        module.name,
        'or_mask',
        {},
        tensors.map((one) => one.place),
      );
      return [{ place, mask: handedOn(level, place[0], layer, tensors)(0) }];
    }
    const masked = tensors.map(({ mask }) => mask !== null);
    if (CHOOSING.has(layer.op) && masked.includes(true)) {
      const masks = tensors.flatMap(({ mask }) => (mask ? [mask()] : []));
      const place = level.op(module.name, 'masked_merge', { kind: layer.op, masked }, [
        ...tensors.map((one) => one.place),
        ...masks,
      ]);
      return [{ place, mask: handedOn(level, place[0], layer, tensors)(0) }];
    }
    const named = new Map([...args.named].map(([key, reference]) => [key, level.tensor(reference).place]));
    if (layer.op !== 'softmax') named.delete('mask');
    if (ATTENTION.has(layer.op)) carried(layer, named, inputs);
    if (layer.op === 'global_avg_pool' && layer.attrs.spatial !== 2 && tensors[0]!.mask)
      named.set('mask', tensors[0]!.mask());
    const simple = named.size === 0 && inputs.every((one) => one !== null);
    const made = simple ? native(layer, tensors.length) : null;
    if (layer.op === 'time_distributed') return this.timeDistributed(module, layer, tensors);
    return made ? this.native(module, layer, made, tensors) : this.own(module, layer, args, inputs, named);
  }

  private asFloats(module: Module, given: Given): Given {
    const place = this.level.op(`${module.name}_input`, 'cast', { dtype: 'float32' }, [given.place]);
    return { ...given, place, kind: 'float' };
  }

  private remember(native: { activations: activation.Activation[] }): void {
    this.building.activations.push(...native.activations);
  }

  /** The layer's name, and its weights at the first call. */
  private place(module: Module, weights: Map<string, string[]>): string {
    const { level, building } = this;
    const known = level.names.get(module.name);
    if (known !== undefined) return known;
    const name = level.name(module.name, module.path, weights.size > 0);
    level.names.set(module.name, name);
    for (const [role, paths] of weights) building.weights.push({ name: `${name}/${role}`, paths });
    return name;
  }

  private native(
    module: Module,
    layer: CoreLayer,
    made: NonNullable<ReturnType<typeof native>>,
    tensors: Given[],
  ): Given[] {
    const { level } = this;
    this.remember(made);
    const name = this.place(module, made.weights);
    const node = level.call(
      name,
      made.className,
      made.config,
      tensors.map(({ place }) => place),
    );
    return [{ place: [name, node, 0], mask: handedOn(level, name, layer, tensors)(0) }];
  }

  private own(
    module: Module,
    layer: CoreLayer,
    args: Arguments,
    inputs: (Given | null)[],
    named: Map<string, Place>,
  ): Given[] {
    const { level, building } = this;
    if (!hasOp(opOf(layer))) unsupported(`TensorFlow.js has no ${layer.op}, nor has this package`);
    if (hasPenalties(layer)) layer.notes.push('penalties and constraints of its variables');
    const places: Place[] = [];
    const listed = args.inputs.map((value, at): PlainMap => {
      const tensor = inputs[at];
      if (!tensor) return { value: value as Plain };
      places.push(tensor.place);
      return { input: places.length - 1 };
    });
    if (!places.length) {
      // A layer of TensorFlow.js is called on something: a parameter on the model's first input, which it does not look at.
      const [first] = [...level.given.values()].flat();
      if (layer.op !== 'parameter' || !first) return unsupported('a call without tensors');
      places.push(first.place);
    }
    const by: PlainMap = {};
    for (const [key, place] of named) by[key] = places.push(place) - 1;
    const params = [...layer.params].filter(([role]) => !(layer.op === 'normalization' && role === 'count'));
    const weights = new Map(params.map(([role, path]) => [role, [path]]));
    const config: PlainMap = {
      op: opOf(layer),
      attrs: settingsOf(layer),
      args: listed,
      trainable: layer.attrs.trainable ?? true,
    };
    if (named.size) config.named = by;
    if (params.length)
      config.params = params.map(([role, path]) => ({
        role,
        shape: [...building.shapeOf(path)],
        trainable: !/^(moving_)?(mean|variance)$/.test(role),
      }));
    const last = activation.ofCore(layer.attrs.activation);
    if (last.name !== 'linear') config.activation = { label: last.name, parameters: last.parameters };
    const text = JSON.stringify(config);
    const key = module.name;
    if ((level.settled.get(key) ?? text) !== text) unsupported('calls of one layer with other settings');
    level.settled.set(key, text);
    const name = this.place(module, weights);
    const node = level.call(name, CLASSES.op, config, places);
    const tensors = inputs.flatMap((one) => (one ? [one] : []));
    const masks = handedOn(level, name, layer, tensors);
    return Array.from({ length: outputsOf(layer) }, (_, at) => ({ place: [name, node, at] as Place, mask: masks(at) }));
  }

  /** A recurrent layer; with a mask it is held by a layer of this package that takes the mask as a tensor. */
  private recurrent(module: Module, layer: CoreLayer, x: Given, states: Place[]): Given[] {
    const { level } = this;
    const made = native(layer, 1)!;
    this.remember(made);
    const mask = x.mask?.() ?? null;
    const held = layer.children.get('forward') ?? layer;
    const sequences = Boolean(held.attrs.return_sequences);
    const several = layer.op === 'bidirectional' && layer.attrs.merge === 'none' ? 2 : 1;
    const perSide = held.attrs.return_state ? statesOf(held) : 0;
    if (layer.attrs.stacked && states.length)
      unsupported('first states of stacked cells, which TensorFlow.js has in another order');
    if (layer.op === 'conv_lstm' && mask) unsupported('a mask');
    const count = several + perSide * (layer.op === 'bidirectional' ? 2 : 1);
    const mode = mask ? 'masked' : 'plain';
    if ((level.settled.get(module.name) ?? mode) !== mode) unsupported('calls of one layer with a mask and without');
    level.settled.set(module.name, mode);
    const name = this.place(module, made.weights);
    let node: number;
    if (mask) {
      const inner = { class_name: made.className, config: { ...made.config, name: 'masked' } };
      node = level.call(name, CLASSES.masked, { layer: inner }, [x.place, mask, ...states]);
    } else node = level.call(name, made.className, made.config, [x.place, ...states]);
    const next = mask && sequences ? () => mask : null;
    const outputs = Array.from(
      { length: count },
      (_, at): Given => ({ place: [name, node, at], mask: at < several ? next : null }),
    );
    if (mask && sequences && held.attrs.zero_output_for_mask) {
      for (let at = 0; at < several; at++) {
        const place = level.op(`${name}_zeros`, 'zero_masked', {}, [outputs[at]!.place, mask]);
        outputs[at] = { place, mask: next };
      }
    } else if (mask && held.attrs.zero_output_for_mask) {
      if (layer.op === 'bidirectional') return unsupported('zeros for a masked last step, in both directions');
      const attrs = { go_backwards: held.attrs.go_backwards ?? false };
      outputs[0] = { place: level.op(`${name}_zeros`, 'zero_last', attrs, [outputs[0]!.place, mask]), mask: null };
    }
    return outputs;
  }

  private timeDistributed(module: Module, layer: CoreLayer, tensors: Given[]): Given[] {
    const { level, building } = this;
    const held = layer.children.get('layer');
    const inner = building.modules.config.resolve(module).modules.find(({ name }) => name === 'layer');
    let config: PlainMap;
    let weights = new Map<string, string[]>();
    if (held) {
      if (RECURRENT.has(held.op) && tensors[0]!.mask) unsupported('a recurrent layer in time steps that carry a mask');
      const made = native(held, 1);
      if (made) this.remember(made);
      weights = made?.weights ?? new Map([...held.params].map(([role, path]) => [role, [path]]));
      config = made ? { class_name: made.className, config: made.config } : this.heldOp(held);
      layer.notes.push(...held.notes);
    } else if (inner && isModel(building.modules.config.resolve(inner))) {
      if (level.names.has(module.name)) config = {};
      else config = this.modelOf(building, building.modules.config.resolve(inner)).document;
    } else return unsupported('it holds no layer');
    const name = this.place(module, weights);
    const named =
      isMap(config.config) && !('layers' in config.config)
        ? { ...config, config: { ...config.config, name: `${name}_layer` } }
        : config;
    const node = level.call(name, 'TimeDistributed', { layer: named }, [tensors[0]!.place]);
    return [{ place: [name, node, 0], mask: tensors[0]!.mask }];
  }

  private heldOp(layer: CoreLayer): PlainMap {
    if (!hasOp(opOf(layer))) unsupported(`TensorFlow.js has no ${layer.op}, nor has this package`);
    const config: PlainMap = { op: opOf(layer), attrs: settingsOf(layer), args: [{ input: 0 }] };
    if (layer.params.size)
      config.params = [...layer.params].map(([role, path]) => ({
        role,
        shape: [...this.building.shapeOf(path)],
        trainable: true,
      }));
    const last = activation.ofCore(layer.attrs.activation);
    if (last.name !== 'linear') config.activation = { label: last.name, parameters: last.parameters };
    return { class_name: CLASSES.op, config };
  }
}
