// Random ops (SPEC.md J.11), as far as nothing has to be drawn.

import { map, type NDArray } from '../array.js';
import { refuseChance } from '../refusals.js';
import { number } from '../values.js';
import { type Call, dropoutFactor, type Op } from './context.js';

const input = (call: Call): NDArray => call.inputs[0]!.value;

function dropout(call: Call): NDArray {
  const factor = dropoutFactor(call, number(call.attrs, 'rate'));
  return factor === 1 ? input(call) : map(input(call), () => 0);
}

/** The identity, unless the call trains with a `rate` or `stddev` above 0. */
function chance(call: Call, name: string): NDArray {
  return call.training && number(call.attrs, name) !== 0 ? refuseChance(call.where) : input(call);
}

export const RANDOM: Readonly<Record<string, Op>> = {
  dropout,
  spatial_dropout: dropout,
  gaussian_noise: (call) => chance(call, 'stddev'),
  gaussian_dropout: (call) => chance(call, 'rate'),
  alpha_dropout: (call) => chance(call, 'rate'),
  activity_regularization: input,
};
