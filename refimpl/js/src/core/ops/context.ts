// What an op is given, and what it gives.

import type { NDArray } from '../array.js';
import { refuseCall, refuseChance } from '../refusals.js';
import type { Attrs, CoreObject } from '../values.js';

/** A tensor with the mask that it carries: booleans with its leading axes. */
export interface Tensor {
  readonly value: NDArray;
  readonly mask: NDArray | null;
}

/** An argument of a call: tensors stand in lists and maps as in the config. */
export type Argument =
  | Tensor
  | null
  | boolean
  | string
  | bigint
  | CoreObject
  | readonly Argument[]
  | { readonly [key: string]: Argument };

/** One call of a module of an op. */
export interface Call {
  /** The place of the module, for messages. */
  readonly where: string;
  readonly op: string;
  readonly attrs: Attrs;
  /** The variables by their roles, in the precision of the module. */
  readonly params: Readonly<Record<string, NDArray>>;
  /** The inputs in the order of the vocabulary, floats in the precision of the module. */
  readonly inputs: readonly Tensor[];
  readonly kwargs: Readonly<Record<string, Argument>>;
  readonly training: boolean;
  /** Keeps a new value of a variable. */
  assign(role: string, value: NDArray): void;
  /** What a call of this module before this one kept, of one that is stateful. */
  readonly memory: { states: readonly NDArray[] | null };
  /** A child of the module, by its name. */
  child(name: string): Child;
}

/** A module that a wrapper calls. */
export interface Child {
  readonly attrs: Attrs;
  run(inputs: readonly Tensor[], kwargs: Readonly<Record<string, Argument>>): Tensor[];
}

/** An output: with a mask where the op says so, and else with the one of the vocabulary's rule. */
export type Output = NDArray | Tensor;

/** An op, of which each call gives one output or several. */
export type Op = (call: Call) => Output | Output[];

export const unmasked = (value: NDArray): Tensor => ({ value, mask: null });

export const isTensor = (argument: Argument | undefined): argument is Tensor =>
  argument !== null && typeof argument === 'object' && 'value' in argument && 'mask' in argument;

/** The tensor of an argument, or null where it is absent or null. */
export function tensorArgument(call: Call, name: string): NDArray | null {
  const found = call.kwargs[name];
  return isTensor(found) ? found.value : null;
}

export const flagArgument = (call: Call, name: string): boolean => call.kwargs[name] === true;

/** The mask of the call (CV-13): its argument, or that of the first input. */
export function maskOf(call: Call): NDArray | null {
  return tensorArgument(call, 'mask') ?? call.inputs[0]?.mask ?? null;
}

/** The mask of the call where it is one of steps, [batch, time]. */
export function stepMaskOf(call: Call): NDArray | null {
  const mask = maskOf(call);
  const x = call.inputs[0]!.value;
  if (mask !== null && (mask.rank !== 2 || mask.shape.some((size, axis) => size !== x.shape[axis]))) {
    refuseCall(call.where, `a mask [${mask.shape}] of a sequence [${x.shape}]`);
  }
  return mask;
}

/** What `dropout` of a rate makes of each element in this call, where nothing has to be drawn for it (J.11). */
export function dropoutFactor(call: Call, rate: number): number {
  if (!call.training || rate === 0) return 1;
  return rate >= 1 ? 0 : refuseChance(call.where);
}
