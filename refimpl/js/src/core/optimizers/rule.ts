// What an update rule is given (SPEC.md K.5).

import type { Attrs } from '../values.js';

/** A slot that a rule keeps of a variable. */
export interface Slot {
  readonly name: string;
  readonly shape: readonly number[];
  /** What each element begins with; `variable` is the variable itself. */
  readonly initial: number | 'variable';
}

/** A variable, as a rule sees it. */
export interface Target {
  readonly path: string;
  readonly shape: readonly number[];
  /** Hyperparameters of its group, of the optimizer, and defaults. */
  readonly parameters: Attrs;
}

/** One update of one variable. */
export interface Update extends Target {
  /** The variable; the rule writes the new one here. */
  readonly p: Float64Array;
  readonly g: Float64Array;
  /** The slots by name; the rule writes the new ones here. */
  readonly slots: Readonly<Record<string, Float64Array>>;
  /** η. */
  readonly rate: number;
  /** `step` + 1. */
  readonly t: number;
  /** The product U of this step, of `nadam`. */
  readonly product: number;
}

export interface Rule {
  slots(target: Target): Slot[];
  update(update: Update): void;
}

export const like = (target: Target, name: string, initial: Slot['initial'] = 0): Slot => ({
  name,
  shape: target.shape,
  initial,
});

/** β · s + (1 − β) · x, in the place of s. */
export function average(s: Float64Array, beta: number, x: (i: number) => number): void {
  for (let i = 0; i < s.length; i++) s[i] = beta * s[i]! + (1 - beta) * x(i);
}

export const norm = (x: Float64Array): number => Math.sqrt(x.reduce((sum, value) => sum + value * value, 0));
export const rms = (x: Float64Array): number => norm(x) / Math.sqrt(x.length);
