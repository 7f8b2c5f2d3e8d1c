// The layers of this package's own: one that computes any op, one that hands a mask to a recurrent layer, the cells of GRU and LSTM, and activations.

import type { Layer, LayerClass, LayerVariable, Shape, T, TensorFlow } from '../tensorflow.js';
import { ACTIVATIONS } from './activations.js';
import { ARITHMETIC } from './arithmetic.js';
import { ATTENTION } from './attention.js';
import { LINEAR } from './linear.js';
import { MASKS } from './masks.js';
import { NORMALIZATION } from './normalization.js';
import type { Attrs, Call, Ops } from './ops.js';
import { POOLING } from './pooling.js';
import { RANDOM } from './random.js';
import { SHAPING } from './shaping.js';

/** The names of the classes, as they stand in a model that TensorFlow.js saves. */
export const CLASSES = { op: 'EtuiOp', masked: 'EtuiMasked', gru: 'EtuiGRU', cell: 'EtuiGRUCell' } as const;

function activationOp({ tf, inputs, attrs }: Call): T {
  return ACTIVATIONS[attrs.function as string]!(tf, inputs[0]!, (attrs.parameters as Attrs | undefined) ?? {});
}

function prelu({ tf, inputs, params }: Call): T {
  const x = inputs[0]!;
  return tf.add(tf.relu(x), tf.mul(tf.minimum(x, 0), params.alpha!));
}

/** exp(x) / Σ exp(x) along several axes, with a mask of the call (CV-143). */
function softmaxOp({ tf, inputs, attrs, named }: Call): T {
  const x = inputs[0]!;
  const axes = ((attrs.axes as number[] | null | undefined) ?? [-1]).map((axis) => (axis + x.rank) % x.rank);
  const mask = named.mask ? tf.broadcastTo(tf.cast(tf.notEqual(named.mask, 0), 'float32'), x.shape) : null;
  const seen = mask ? tf.add(tf.mul(x, mask), tf.mul(tf.sub(1, mask), -1e30)) : x;
  const grown = tf.exp(tf.sub(seen, tf.max(seen, axes, true)));
  const counted = mask ? tf.mul(grown, mask) : grown;
  const total = tf.sum(counted, axes, true);
  return mask ? tf.div(counted, tf.add(total, tf.cast(tf.equal(total, 0), 'float32'))) : tf.div(counted, total);
}

const OPS: Ops = {
  ...ARITHMETIC,
  ...ATTENTION,
  ...LINEAR,
  ...MASKS,
  ...NORMALIZATION,
  ...POOLING,
  ...RANDOM,
  ...SHAPING,
  activation: activationOp,
  parameter: ({ tf, params }) => tf.add(params.value!, 0),
  prelu,
  softmax: softmaxOp,
};

/** Whether this package has an op; its name is in snake case. */
export function hasOp(name: string): boolean {
  return Object.hasOwn(OPS, camel(name));
}

/** Whether this package has an activation; its name is in snake case. */
export function hasActivation(name: string): boolean {
  return Object.hasOwn(ACTIVATIONS, camel(name));
}

export function camel(name: string): string {
  return name.replace(/_+(\w)/g, (_, letter: string) => letter.toUpperCase());
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** The name under which an activation with its parameters is registered: TensorFlow.js saves the name of an activation alone. */
export function activationName(name: string, parameters: Record<string, unknown>): string {
  const values = Object.keys(parameters)
    .sort()
    .map((key) => `${camel(key).toLowerCase()}=${parameters[key]}`);
  return ['etui', camel(name).toLowerCase(), ...values].join('-');
}

/** Make an activation known to TensorFlow.js by `activationName`. */
export function registerActivation(tf: TensorFlow, name: string, parameters: Record<string, unknown>): void {
  const className = activationName(name, parameters);
  if (known(tf, className)) return;
  const given = Object.fromEntries(Object.entries(parameters).map(([key, value]) => [camel(key), value]));
  const compute = ACTIVATIONS[camel(name)]!;
  class Activation extends tf.serialization.Serializable {
    static className = className;
    static fromConfig(): Activation {
      return new Activation();
    }
    apply(x: T): T {
      return tf.tidy(() => compute(tf, x, given));
    }
    getConfig(): Record<string, unknown> {
      return {};
    }
  }
  tf.serialization.registerClass(Activation);
}

function known(tf: TensorFlow, name: string): boolean {
  return Object.hasOwn(tf.serialization.SerializationMap.getMap().classNameMap, name);
}

/** Sizes to try in place of what is free; what differs between two tries is free in the output, too. */
const TRIES = [
  { batch: 2, other: 24 },
  { batch: 3, other: 36 },
  { batch: 24, other: 24 },
  { batch: 36, other: 36 },
  { batch: 1, other: 24 },
];

function filled(shape: Shape, { batch, other }: { batch: number; other: number }): number[] {
  return shape.map((size, at) => size ?? (at === 0 ? batch : other));
}

/** The op of a layer: its call, what stands at which place of it, and its variables. */
interface OpConfig {
  op: string;
  attrs?: Attrs;
  /** What each argument is: the number of a tensor among the inputs, or a constant. */
  args: ({ input: number } | { value: unknown })[];
  /** Arguments by name: numbers of tensors. */
  named?: Record<string, number>;
  params?: { role: string; shape: number[]; trainable: boolean }[];
  /** What is applied last (CV-14). */
  activation?: { label: string; parameters: Attrs };
}

function opClass(tf: TensorFlow): LayerClass {
  return class EtuiOp extends tf.layers.Layer {
    static override className: string = CLASSES.op;
    readonly settings: OpConfig;
    readonly variables: Record<string, LayerVariable> = {};

    constructor(config: Record<string, unknown>) {
      super(config);
      const { op, attrs, args, named, params, activation } = config as unknown as OpConfig;
      this.settings = { op, attrs: attrs ?? {}, args, named: named ?? {}, params: params ?? [] };
      if (activation) this.settings.activation = activation;
    }

    override build(): void {
      for (const { role, shape, trainable } of this.settings.params!) {
        const name = snake(role);
        this.variables[name] = this.addWeight(name, shape, 'float32', tf.initializers.zeros(), undefined, trainable);
      }
      this.built = true;
    }

    override call(inputs: T | T[], kwargs: Record<string, unknown>): T | T[] {
      const given = Array.isArray(inputs) ? inputs : [inputs];
      return tf.tidy(() => {
        const call = this.arguments(given, Boolean(kwargs?.training));
        const found = OPS[camel(this.settings.op)]!(call);
        const activation = this.settings.activation;
        if (!activation || Array.isArray(found)) return found;
        return ACTIVATIONS[camel(activation.label)]!(tf, found, activation.parameters);
      });
    }

    arguments(given: T[], training: boolean): Call {
      const { attrs, args, named } = this.settings;
      const like = given[0]?.dtype ?? 'float32';
      const inputs = args.map((argument) => {
        if ('input' in argument) return given[argument.input]!;
        const value = argument.value as number | boolean | number[] | null;
        if (value === null) return undefined as unknown as T;
        const whole =
          like === 'int32' && (Array.isArray(value) ? value : [value]).flat(9).every((one) => Number.isInteger(one));
        return tf.tensor(value, undefined, typeof value === 'boolean' ? 'bool' : whole ? 'int32' : 'float32');
      });
      const byName = Object.entries(named!).map(([key, at]) => [key, given[at]!] as const);
      const params = Object.entries(this.variables).map(([role, variable]) => [role, variable.read()] as const);
      return {
        tf,
        inputs,
        attrs: attrs!,
        training,
        named: Object.fromEntries(byName),
        params: Object.fromEntries(params),
      };
    }

    override computeOutputShape(shape: Shape | Shape[]): Shape | Shape[] {
      const shapes = (Array.isArray(shape[0]) ? shape : [shape]) as Shape[];
      const found: number[][][] = [];
      let refusal: unknown = null;
      for (const sizes of TRIES) {
        if (found.length === 2) break;
        try {
          found.push(this.shapes(shapes.map((each) => filled(each, sizes))));
        } catch (error) {
          refusal = error;
        }
      }
      const [one, other] = found;
      if (!one) throw refusal;
      const free = one.map((sizes, at) =>
        sizes.map((size, axis) => (other && size !== other[at]![axis] ? null : size)),
      );
      return free.length === 1 && !this.several() ? free[0]! : free;
    }

    shapes(given: number[][]): number[][] {
      return tf.tidy(() => {
        const outputs = this.call(
          given.map((shape) => tf.zeros(shape)),
          {},
        );
        return Array.isArray(outputs) ? outputs.map((each) => each.shape) : [outputs.shape];
      });
    }

    several(): boolean {
      return this.settings.op === 'split';
    }

    override getConfig(): Record<string, unknown> {
      return { ...super.getConfig(), ...this.settings };
    }
  };
}

interface Recurrent extends Layer {
  call(inputs: T | T[], kwargs: Record<string, unknown>): T | T[];
}

/** A recurrent layer, or a Bidirectional, whose second input is the mask of its first; first states follow. */
function maskedClass(tf: TensorFlow): LayerClass {
  const wrapper = Object.getPrototypeOf(
    tf.layers.timeDistributed({ layer: tf.layers.dense({ units: 1 }) }).constructor,
  ) as LayerClass;
  return class EtuiMasked extends wrapper {
    static override className: string = CLASSES.masked;
    declare layer: Recurrent;

    override build(shape: Shape | Shape[]): void {
      const shapes = (Array.isArray(shape[0]) ? shape : [shape]) as Shape[];
      this.layer.build(shapes[0]!);
      this.layer.built = true;
      this.built = true;
    }

    override computeOutputShape(shape: Shape | Shape[]): Shape | Shape[] {
      return this.layer.computeOutputShape((shape as Shape[])[0]!);
    }

    override call(inputs: T | T[], kwargs: Record<string, unknown>): T | T[] {
      const [x, mask, ...states] = inputs as T[];
      const given: Record<string, unknown> = { mask: tf.cast(mask!, 'float32'), training: kwargs?.training };
      if (states.length) given.initialState = states;
      return tf.tidy(() => this.layer.call(x!, given));
    }
  };
}

/** The cell of a GRU that multiplies the reset gate behind the product (CV-100), which TensorFlow.js does not have. */
function gruCellClass(tf: TensorFlow): LayerClass {
  const registry = () =>
    tf.serialization.SerializationMap.getMap().classNameMap as Record<
      string,
      [unknown, (cls: unknown, config: unknown) => { apply(x: T): T }]
    >;
  const activation = (name: string) => {
    const [cls, make] = registry()[name]!;
    return make(cls, {});
  };
  return class EtuiGRUCell extends tf.layers.Layer {
    static override className: string = CLASSES.cell;
    readonly units: number;
    readonly stateSize: number;
    readonly settings: Record<string, unknown>;
    readonly activation: { apply(x: T): T };
    readonly recurrentActivation: { apply(x: T): T };
    readonly variables: Record<string, LayerVariable> = {};

    constructor(config: Record<string, unknown>) {
      super(config);
      const { units, useBias, activation: outer, recurrentActivation: inner } = config;
      this.settings = { units, useBias, activation: outer, recurrentActivation: inner };
      this.units = units as number;
      this.stateSize = this.units;
      this.activation = activation(outer as string);
      this.recurrentActivation = activation(inner as string);
    }

    override build(shape: Shape | Shape[]): void {
      const size = (shape as Shape).at(-1)!;
      const shapes: [string, number[]][] = [
        ['kernel', [size, this.units * 3]],
        ['recurrent_kernel', [this.units, this.units * 3]],
      ];
      if (this.settings.useBias) shapes.push(['bias', [2, this.units * 3]]);
      for (const [name, each] of shapes) {
        this.variables[name] = this.addWeight(name, each, 'float32', tf.initializers.zeros(), undefined, true);
      }
      this.built = true;
    }

    override call(inputs: T | T[]): T[] {
      return tf.tidy(() => {
        const [x, h] = inputs as [T, T];
        const product = (y: T, role: string, row: number) => {
          const all = tf.matMul(y, this.variables[role]!.read());
          const bias = this.variables.bias?.read();
          const whole = bias
            ? tf.add(all, tf.reshape(tf.slice(bias, [row, 0], [1, this.units * 3]), [this.units * 3]))
            : all;
          return tf.split(whole, 3, 1) as [T, T, T];
        };
        const [xz, xr, xh] = product(x, 'kernel', 0);
        const [hz, hr, hh] = product(h, 'recurrent_kernel', 1);
        const z = this.recurrentActivation.apply(tf.add(xz, hz));
        const r = this.recurrentActivation.apply(tf.add(xr, hr));
        const n = this.activation.apply(tf.add(xh, tf.mul(r, hh)));
        const next = tf.add(tf.mul(z, h), tf.mul(tf.sub(1, z), n));
        return [next, next];
      });
    }

    override getConfig(): Record<string, unknown> {
      return { ...super.getConfig(), ...this.settings };
    }
  };
}

/** A GRU of that cell. */
function gruClass(tf: TensorFlow, Cell: LayerClass): LayerClass {
  const recurrent = Object.getPrototypeOf(tf.layers.lstm({ units: 1 }).constructor) as LayerClass;
  return class EtuiGRU extends recurrent {
    static override className: string = CLASSES.gru;

    constructor(config: Record<string, unknown>) {
      super({ ...config, cell: new Cell(config) });
    }

    static fromConfig(cls: LayerClass, config: Record<string, unknown>): Layer {
      return new cls(config);
    }
  };
}

/** Make the layers of this package known to TensorFlow.js, so that it builds them, and loads them again from what it saved. */
export function registerLayers(tf: TensorFlow): void {
  if (known(tf, CLASSES.op)) return;
  const cell = gruCellClass(tf);
  for (const cls of [opClass(tf), maskedClass(tf), cell, gruClass(tf, cell)]) tf.serialization.registerClass(cls);
  for (const name of Object.keys(ACTIVATIONS)) registerActivation(tf, name, {});
}
