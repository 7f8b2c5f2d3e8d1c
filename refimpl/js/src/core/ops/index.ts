// Every op that computes, by its name.

import { ACTIVATIONS } from './activation.js';
import { ARITHMETIC } from './arithmetic.js';
import { ATTENTION } from './attention.js';
import type { Op } from './context.js';
import { CONVOLUTIONS } from './convolution.js';
import { LINEAR } from './linear.js';
import { MERGINGS } from './merging.js';
import { NORMALIZATIONS } from './normalization.js';
import { POOLINGS } from './pooling.js';
import { PREPROCESSING } from './preprocessing.js';
import { RANDOM } from './random.js';
import { RECURRENT } from './recurrent.js';
import { SHAPINGS } from './shaping.js';

/** All but `graph`, `sequential` and `input`, which are the evaluation itself. */
export const OPS: Readonly<Record<string, Op>> = {
  parameter: (call) => call.params.value!,
  ...LINEAR,
  ...CONVOLUTIONS,
  ...NORMALIZATIONS,
  ...RECURRENT,
  ...ATTENTION,
  ...ACTIVATIONS,
  ...POOLINGS,
  ...SHAPINGS,
  ...MERGINGS,
  ...ARITHMETIC,
  ...RANDOM,
  ...PREPROCESSING,
};
