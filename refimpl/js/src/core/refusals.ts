// How the evaluator says no to what it cannot compute.

import { refuse } from '../errors.js';

/** Tensors or arguments that an op cannot take. */
export function refuseCall(where: string, found: string): never {
  return refuse('core-evaluate', where, found);
}

/** What would have to draw numbers (CV-160). */
export function refuseChance(where: string): never {
  return refuse('core-random', where, 'numbers would have to be drawn');
}
