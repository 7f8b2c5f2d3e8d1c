// One model on its way: its layers and their calls, as TensorFlow.js writes them, and what all models of it share.

import type { Module } from '../../model/config.js';
import type { OutputRef } from '../../values/classes.js';
import type { Activation } from '../activation.js';
import type { Plain, PlainMap } from '../layer.js';
import { Unfed, Unsupported } from '../layer.js';
import { inputOf, type Modules } from '../modules.js';
import { CLASSES } from '../own/layers.js';
import { type Kind, kindOfDtype } from './kinds.js';

/** A tensor of the graph: layer, number of its call, number of the output. */
export type Place = [layer: string, node: number, tensor: number];

/** What a call gave: a tensor, and how to have its mask where it carries one. */
export interface Given {
  readonly place: Place;
  readonly mask: (() => Place) | null;
  /** What it holds; floats if nothing is said. */
  readonly kind?: Kind;
}

/** A weight of TensorFlow.js and the variables whose sum it is, mostly one. */
export interface Weight {
  readonly name: string;
  readonly paths: string[];
}

export interface Topology {
  readonly model: PlainMap;
  readonly weights: Weight[];
  readonly activations: Activation[];
  /** Path of a module -> name of its layer, where they differ from the module's name. */
  readonly renamed: Map<string, string>;
  readonly notes: { path: string; detail: string }[];
  readonly refused: { path: string; op: string; reason: string }[];
}

/** A name as its framework has it: a path's segment writes `/` and some others as `%XX` (D-3). */
function unescaped(name: string): string {
  return name.replace(/%([0-9A-F]{2})/g, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}

/** What TensorFlow.js takes as the name of a tensor; a layer's is the beginning of one. */
function proper(name: string): string {
  const kept = unescaped(name).replace(/[^A-Za-z0-9./_-]/g, '_');
  return /^[A-Za-z0-9]/.test(kept) ? kept : `layer${kept}`;
}

/** What all levels of a model share. */
export class Building {
  readonly modules: Modules;
  readonly shapeOf: (path: string) => readonly number[];
  readonly weights: Weight[] = [];
  readonly activations: Activation[] = [];
  readonly renamed = new Map<string, string>();
  readonly notes: { path: string; detail: string }[] = [];
  readonly refused: { path: string; op: string; reason: string }[] = [];
  /** Names of layers with weights, which have to differ in all models together. */
  readonly names = new Set<string>();
  readonly copies = new Set<string>();

  constructor(modules: Modules, shapeOf: (path: string) => readonly number[]) {
    this.modules = modules;
    this.shapeOf = shapeOf;
  }

  note(path: string, detail: string): void {
    if (!this.notes.some((one) => one.path === path && one.detail === detail)) this.notes.push({ path, detail });
  }

  /** Run work on a module; what it cannot have is written down, so that the others are looked at too. */
  attempt<R>(module: Module, work: () => R): R | null {
    try {
      return work();
    } catch (refusal) {
      if (refusal instanceof Unfed) return null;
      // Attributes of a framework's classes follow no schema: another form than it writes shows where they are used.
      const known = refusal instanceof Unsupported;
      if (!known && !(refusal instanceof TypeError)) throw refusal;
      const reason = known
        ? refusal.message
        : `its settings have another form than its framework writes (${refusal.message})`;
      this.refused.push({ path: module.path || module.name, op: module.op, reason });
      return null;
    }
  }
}

/** The calls of one model. */
export class Level {
  readonly building: Building;
  readonly layers = new Map<string, PlainMap>();
  readonly names = new Map<string, string>();
  readonly given = new Map<string, Given[]>();
  readonly inputs: Place[] = [];
  /** Settings and constants with which a module was called: one layer has them once. */
  readonly settled = new Map<string, string>();

  constructor(building: Building) {
    this.building = building;
  }

  /** A name for a layer: the module's own, or one with a number behind it. */
  name(wanted: string, path: string, weighted: boolean): string {
    const taken = (name: string) =>
      this.layers.has(name) || [...this.names.values()].includes(name) || (weighted && this.building.names.has(name));
    let name = proper(wanted);
    for (let number = 1; taken(name); number++) name = `${proper(wanted)}_${number}`;
    if (weighted) this.building.names.add(name);
    if (path && name !== unescaped(wanted)) this.building.renamed.set(path, name);
    return name;
  }

  /** Call a layer, which is made at its first call, on tensors; gives the number of the call. */
  call(name: string, className: string, config: PlainMap, inputs: Place[]): number {
    const layer = this.layers.get(name) ?? {
      name,
      class_name: className,
      config: { ...config, name },
      inbound_nodes: [],
    };
    this.layers.set(name, layer);
    const nodes = layer.inbound_nodes as Plain[];
    nodes.push(inputs.map((place) => [...place, {}]));
    // A model's first node is the one of which it was made.
    return className === 'Functional' ? nodes.length : nodes.length - 1;
  }

  /** A layer of this package that computes an op of tensors. */
  op(wanted: string, op: string, attrs: PlainMap, inputs: Place[]): Place {
    const name = this.name(wanted, '', false);
    const args = inputs.map((_, input) => ({ input }));
    return [name, this.call(name, CLASSES.op, { op, attrs, args }, inputs), 0];
  }

  input(module: Module): Given {
    const { shape, dtype } = inputOf(module);
    return this.inputLayer(module.name, module.path, shape, dtype);
  }

  inputLayer(wanted: string, path: string, shape: Plain[], dtype: string): Given {
    const name = this.name(wanted, path, false);
    this.layers.set(name, {
      name,
      class_name: 'InputLayer',
      config: { name, batch_input_shape: shape, dtype, sparse: false },
      inbound_nodes: [],
    });
    return { place: [name, 0, 0], mask: null, kind: kindOfDtype(dtype) };
  }

  tensor(reference: OutputRef): Given {
    const found = this.given.get(reference.call)?.[reference.index];
    if (!found) throw new Unfed();
    return found;
  }

  /** The layers of a model, as TensorFlow.js writes them. */
  document(name: string, outputs: Place[]): PlainMap {
    const layers = [...this.layers.values()];
    return {
      class_name: 'Functional',
      config: { name: proper(name), layers, input_layers: this.inputs, output_layers: outputs },
    };
  }
}
