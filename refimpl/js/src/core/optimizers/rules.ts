// The update rules by the names of their optimizers (SPEC.md K.5).

import { adadelta, adagrad, ftrl, rmsprop, sgd } from './accumulators.js';
import { adafactor, muon } from './matrices.js';
import { adam, adamax, lamb, lion, nadam, scheduleFree } from './moments.js';
import type { Rule } from './rule.js';

export const RULES: Readonly<Record<string, Rule>> = {
  sgd,
  adam,
  rmsprop,
  adagrad,
  adadelta,
  adamax,
  nadam,
  ftrl,
  lion,
  adafactor,
  muon,
  lamb,
  schedule_free_adamw: scheduleFree,
};
