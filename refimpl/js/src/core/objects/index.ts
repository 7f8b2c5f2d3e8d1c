// The objects of the core vocabulary, computed (SPEC.md J.7, J.13 and annex K; `compute` of annex P).

import { activateBy } from '../activations.js';
import { map, NDArray } from '../array.js';
import { refuseCall } from '../refusals.js';
import type { CoreObject } from '../values.js';
import { withDefaults } from '../vocabulary.js';
import { measured } from './metrics.js';
import { lossOf } from './reduction.js';
import type { Batch } from './samples.js';
import { rateOf } from './schedules.js';
import { constrained, initial, penalty } from './variables.js';

export type Named = Readonly<Record<string, NDArray>>;

/** What an object gives for its inputs: both by the names of annex P. */
export function compute(object: CoreObject, inputs: Named): Named {
  const [, kind, name] = /^core:([a-z]+)\.(\w+)$/.exec(object.className) ?? [];
  const work = kind === undefined ? undefined : KINDS[kind];
  if (work === undefined) return refuseCall(object.className, 'no class of the core vocabulary');
  return work(name!, object, inputs);
}

function wanted(inputs: Named, name: string): NDArray {
  return inputs[name] ?? refuseCall('inputs', `no ${name}`);
}

function batchOf(inputs: Named): Batch {
  const y = inputs.y_true ?? inputs.y_pred ?? refuseCall('inputs', 'no y_true');
  return { y, p: inputs.y_pred ?? y, weight: inputs.sample_weight ?? null, mask: inputs.mask ?? null };
}

function metric(name: string, object: CoreObject, inputs: Named): Named {
  const before = Object.entries(inputs).filter(([each]) => each.startsWith('state/'));
  const state = Object.fromEntries(before.map(([each, value]) => [each.slice(6), value]));
  const found = measured(name, withDefaults('metrics', name, object.config), batchOf(inputs), state);
  const after = Object.entries(found.state).map(([each, value]) => [`state/${each}`, value]);
  return { result: found.result, ...Object.fromEntries(after) };
}

const KINDS: Readonly<Record<string, (name: string, object: CoreObject, inputs: Named) => Named>> = {
  activations: (name, object, inputs) => ({
    y: activateBy(name, withDefaults('activations', name, object.config), wanted(inputs, 'x')),
  }),
  constraints: (name, object, inputs) => ({
    y: constrained(name, withDefaults('constraints', name, object.config), wanted(inputs, 'x')),
  }),
  regularizers: (name, object, inputs) => ({
    value: scalar(penalty(name, withDefaults('regularizers', name, object.config), wanted(inputs, 'x'))),
  }),
  initializers: (name, object, inputs) => ({
    y: initial(name, withDefaults('initializers', name, object.config), [...wanted(inputs, 'shape').data]),
  }),
  schedules: (name, object, inputs) => {
    const parameters = withDefaults('schedules', name, object.config);
    return { rate: map(wanted(inputs, 'clock'), (clock) => rateOf(name, parameters, clock)) };
  },
  losses: (name, object, inputs) => ({
    value: lossOf(name, withDefaults('losses', name, object.config), batchOf(inputs)),
  }),
  metrics: metric,
};

const scalar = (x: number): NDArray => new NDArray([], Float64Array.of(x));
