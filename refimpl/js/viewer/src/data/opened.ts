/** An artifact as the page shows it: what the library opened, and where the numbers come from. */

import type { ArtifactSource, Model, OptimizerEntry, Tensor } from '../../../src/index.js';
import type { Report, StatisticsTables } from '../payload.js';
import { Architecture } from './architecture.js';
import { Numbers } from './numbers.js';

/** A tensor of the artifact, with what it is for. */
export interface Item {
  /** Names the tensor within the artifact; begins with the kind. */
  readonly id: string;
  readonly kind: 'weight' | 'slot' | 'state';
  /** Path of the variable, or the name under which the statistics of a slot or of state stand. */
  readonly name: string;
  /** What the tensor is to its owner: kernel, bias; momentum, velocity. */
  readonly role: string;
  /** Of a slot, the path of its variable. */
  readonly variable: string | null;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly count: number;
  readonly bytes: number;
  /** Null where the question has no sense. */
  readonly trainable: boolean | null;
  readonly order: number;
  readonly aliases: readonly string[];
  readonly tensor: Tensor;
}

export class Opened {
  readonly name: string;
  readonly model: Model;
  /** The format that the artifact was made from; null for an etui. */
  readonly sourceFormat: string | null;
  readonly report: Report | null;
  readonly architecture: Architecture | null;
  readonly items: readonly Item[];
  readonly numbers: Numbers;
  /** What `verify` reads; null where the page holds the documents alone. */
  readonly source: ArtifactSource | null;
  /** How the artifact is stored; null where it was made for the page alone. */
  readonly form: string | null;
  /** Who made the page, if it brought the model along. */
  readonly createdBy: string | null;
  readonly #byId: ReadonlyMap<string, Item>;
  readonly #slots: ReadonlyMap<string, readonly Item[]>;

  constructor(
    name: string,
    model: Model,
    extra: {
      readonly form: string | null;
      readonly sourceFormat?: string | null;
      readonly report?: Report | null;
      readonly statistics?: StatisticsTables | null;
      readonly source?: ArtifactSource;
      readonly createdBy?: string;
    },
  ) {
    this.name = name;
    this.model = model;
    this.sourceFormat = extra.sourceFormat ?? null;
    this.report = extra.report ?? null;
    this.source = extra.source ?? null;
    this.form = extra.form;
    this.createdBy = extra.createdBy ?? null;
    this.architecture = model.config ? new Architecture(model.config, model.weights) : null;
    this.items = [...weightItems(model), ...slotItems(model), ...stateItems(model)];
    this.#byId = new Map(this.items.map((item) => [item.id, item]));
    const slots = new Map<string, Item[]>();
    for (const item of this.items) {
      if (item.kind === 'slot' && item.variable !== null) {
        const list = slots.get(item.variable);
        if (list) list.push(item);
        else slots.set(item.variable, [item]);
      }
    }
    this.#slots = slots;
    this.numbers = new Numbers(extra.statistics ?? null, this.source !== null);
  }

  item(id: string): Item | undefined {
    return this.#byId.get(id);
  }

  weight(path: string): Item | undefined {
    return this.#byId.get(`weight ${path}`);
  }

  /** The optimizer slots of a variable. */
  slots(path: string): readonly Item[] {
    return this.#slots.get(path) ?? [];
  }

  /** Elements of all variables, and of those that training changes. */
  get parameters(): { all: number; trainable: number } {
    let [all, trainable] = [0, 0];
    for (const item of this.items) {
      if (item.kind !== 'weight' || item.dtype === 'string' || item.dtype === 'bytes') continue;
      all += item.count;
      if (item.trainable) trainable += item.count;
    }
    return { all, trainable };
  }

  /** Bytes of the tensors of a kind. */
  bytes(kind: Item['kind']): number {
    return this.items.reduce((sum, item) => sum + (item.kind === kind ? item.bytes : 0), 0);
  }
}

function weightItems(model: Model): Item[] {
  if (!model.weights) return [];
  return [...model.weights.values()].map((variable) => ({
    id: `weight ${variable.path}`,
    kind: 'weight',
    name: variable.path,
    role: variable.role,
    variable: null,
    dtype: variable.dtype,
    shape: variable.shape,
    count: variable.tensor.length,
    bytes: variable.tensor.nbytes,
    trainable: variable.trainable,
    order: variable.order,
    aliases: variable.aliases,
    tensor: variable.tensor,
  }));
}

function stored(
  kind: 'slot' | 'state',
  name: string,
  role: string,
  variable: string | null,
  tensor: Tensor,
  order: number,
): Item {
  return {
    id: `${kind} ${name}`,
    kind,
    name,
    role,
    variable,
    dtype: tensor.dtype,
    shape: tensor.shape,
    count: tensor.length,
    bytes: tensor.nbytes,
    trainable: null,
    order,
    aliases: [],
    tensor,
  };
}

/** The optimizers of a model with those that they wrap, each under its place. */
export function optimizersOf(model: Model): [string, OptimizerEntry][] {
  const found: [string, OptimizerEntry][] = [];
  for (const [place, optimizer] of model.optimizer?.optimizers ?? []) {
    let [at, current]: [string, OptimizerEntry | null] = [place, optimizer];
    while (current) {
      found.push([at, current]);
      [at, current] = [`${at}/inner`, current.inner];
    }
  }
  return found;
}

function slotItems(model: Model): Item[] {
  if (!model.optimizer) return [];
  const items: Item[] = [];
  const seen = new Set<Tensor>();
  const add = (name: string, role: string, variable: string | null, tensor: Tensor) => {
    items.push(stored('slot', name, role, variable, tensor, items.length));
    seen.add(tensor);
  };
  for (const [place, optimizer] of optimizersOf(model)) {
    for (const [path, slots] of optimizer.slots) {
      for (const [slot, tensor] of slots) add(`${place}/${path}/${slot}`, slot, path, tensor);
    }
    for (const [slot, tensor] of optimizer.sharedSlots) add(`${place}/shared_slots/${slot}`, slot, null, tensor);
  }
  for (const [name, tensor] of model.optimizer.tensors) {
    if (!seen.has(tensor)) add(name, name.slice(name.lastIndexOf('/') + 1), null, tensor);
  }
  return items;
}

function stateItems(model: Model): Item[] {
  const tensors = [...(model.state?.tensors ?? [])];
  return tensors.map(([name, tensor], order) =>
    stored('state', name, name.slice(name.lastIndexOf('/') + 1), null, tensor, order),
  );
}
