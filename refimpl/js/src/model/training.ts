// What a training run needs as JavaScript has it: losses and metrics, optimizers, state.

import type { Artifact } from '../artifact.js';
import type { Json, JsonMap } from '../canonical/json.js';
import { type Attrs, ObjectValue, type Value } from '../values/classes.js';
import { attrsOf, decodeValue } from '../values/decode.js';
import { type Tensor, tensorsOf } from './tensor.js';

/** The fields of `training.json`; null where the model has none. */
export class Training {
  /** One, a list, or a map by output. */
  readonly loss: Value;
  readonly lossWeights: Value;
  /** As `loss`. */
  readonly metrics: Value;
  readonly weightedMetrics: Value;
  /** Names of losses that modules add by themselves. */
  readonly addedLosses: readonly string[];
  readonly precision: Attrs | null;
  readonly sampleWeighting: Value;
  readonly classWeighting: Value;
  readonly options: Attrs;
  readonly residue: Attrs;
  readonly document: JsonMap;

  constructor(document: JsonMap) {
    this.document = document;
    const value = (field: string): Value => decodeValue(document.get(field) ?? null);
    this.loss = value('loss');
    this.lossWeights = value('loss_weights');
    this.metrics = value('metrics');
    this.weightedMetrics = value('weighted_metrics');
    this.addedLosses = (document.get('added_losses') as string[] | undefined) ?? [];
    this.precision = document.has('precision') ? attrsOf(document.get('precision')) : null;
    this.sampleWeighting = value('sample_weighting');
    this.classWeighting = value('class_weighting');
    this.options = attrsOf(document.get('options'));
    this.residue = attrsOf(document.get('residue'));
  }
}

/** Variables of an optimizer that share hyperparameters. */
export interface Group {
  readonly variables: readonly string[];
  /** What overrides the optimizer's own for these variables. */
  readonly hyperparameters: Attrs;
}

/** An optimizer with its state. */
export class OptimizerEntry {
  /** The update rule: `core:adam`, `keras:Adam` and so on. */
  readonly algorithm: string;
  /** Completed updates of the variables. */
  readonly step: number | bigint;
  /** Gradients seen. */
  readonly microStep: number | bigint;
  /** The rate in force as the last update left it. */
  readonly learningRate: number | null;
  /** Of the core vocabulary, those alone that have not their default. */
  readonly hyperparameters: Attrs;
  /** What gives the learning rate; null where it is constant. */
  readonly schedule: ObjectValue | null;
  /** Which count the schedule is given. */
  readonly scheduleClock: 'step' | 'micro_step' | null;
  /** Its variables, each in one group. */
  readonly groups: readonly Group[];
  /** Path of the variable -> name of the slot -> tensor. */
  readonly slots: ReadonlyMap<string, ReadonlyMap<string, Tensor>>;
  /** Slots that belong to no variable, by name. */
  readonly sharedSlots: ReadonlyMap<string, Tensor>;
  /** Variables whose slots were not made yet. */
  readonly fresh: readonly string[];
  /** What this one wraps, such as the optimizer behind a loss scaler. */
  readonly inner: OptimizerEntry | null;
  readonly residue: Attrs;
  readonly document: JsonMap;

  constructor(document: JsonMap, tensors: ReadonlyMap<string, Tensor>) {
    this.document = document;
    this.algorithm = document.get('algorithm') as string;
    this.step = decodeValue(document.get('step') as Json) as number | bigint;
    this.microStep = decodeValue(document.get('micro_step') as Json) as number | bigint;
    this.learningRate = decodeValue(document.get('learning_rate') as Json) as number | null;
    this.hyperparameters = attrsOf(document.get('hyperparameters'));
    const schedule = decodeValue(document.get('schedule') ?? null);
    this.schedule = schedule instanceof ObjectValue ? schedule : null;
    this.scheduleClock = (document.get('schedule_clock') as 'step' | 'micro_step' | undefined) ?? null;
    const groups = (document.get('groups') as JsonMap[] | undefined) ?? [];
    this.groups = groups.map((group) => ({
      variables: group.get('variables') as string[],
      hyperparameters: attrsOf(group.get('hyperparameters')),
    }));
    const slots = (document.get('slots') as Map<string, JsonMap> | undefined) ?? new Map<string, JsonMap>();
    this.slots = new Map([...slots].map(([path, named]) => [path, stored(named, tensors)]));
    this.sharedSlots = stored((document.get('shared_slots') as JsonMap | undefined) ?? new Map(), tensors);
    this.fresh = (document.get('fresh') as string[] | undefined) ?? [];
    this.inner = document.has('inner') ? new OptimizerEntry(document.get('inner') as JsonMap, tensors) : null;
    this.residue = attrsOf(document.get('residue'));
  }
}

function stored(named: JsonMap, tensors: ReadonlyMap<string, Tensor>): Map<string, Tensor> {
  return new Map(
    [...(named as Map<string, Map<string, string>>)].map(([slot, reference]) => [
      slot,
      tensors.get(reference.get('$stored') as string) as Tensor,
    ]),
  );
}

/** The optimizers of a training run. */
export class Optimizer {
  /** By their paths in the training object; `optimizer` where there is but one. */
  readonly optimizers: ReadonlyMap<string, OptimizerEntry>;
  /** The tensors of the index by name: those of all slots. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The JSON view of the document. */
  readonly document: JsonMap;

  constructor(artifact: Artifact, document: JsonMap) {
    this.document = document;
    this.tensors = tensorsOf(artifact, 'optimizer');
    const optimizers = document.get('optimizers') as Map<string, JsonMap>;
    this.optimizers = new Map([...optimizers].map(([path, each]) => [path, new OptimizerEntry(each, this.tensors)]));
  }
}

/** The state of a generator of random numbers. */
export interface Generator {
  readonly algorithm: string;
  readonly state: Tensor;
}

/** What else a run needs in order to go on. */
export class State {
  /** Integers by name, such as `epoch` and `batch`. */
  readonly counters: Attrs;
  /** The generators of random numbers by path. */
  readonly rng: ReadonlyMap<string, Generator>;
  /** Path of the metric -> its state by name. */
  readonly metrics: ReadonlyMap<string, Attrs>;
  /** Where the reading of data stood. */
  readonly data: Attrs;
  /** What the program of the run wanted to keep. */
  readonly user: Attrs;
  readonly residue: Attrs;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The JSON view of the document. */
  readonly document: JsonMap;

  constructor(artifact: Artifact, document: JsonMap) {
    this.document = document;
    this.tensors = tensorsOf(artifact, 'state');
    this.counters = attrsOf(document.get('counters'));
    const rng = (document.get('rng') as Map<string, JsonMap> | undefined) ?? new Map<string, JsonMap>();
    this.rng = new Map(
      [...rng].map(([path, generator]) => [
        path,
        {
          algorithm: generator.get('algorithm') as string,
          state: this.tensors.get((generator.get('state') as Map<string, string>).get('$stored') as string) as Tensor,
        },
      ]),
    );
    const metrics = (document.get('metrics') as JsonMap | undefined) ?? new Map<string, Json>();
    this.metrics = new Map([...metrics].map(([path, state]) => [path, attrsOf(state)]));
    this.data = attrsOf(document.get('data'));
    this.user = attrsOf(document.get('user'));
    this.residue = attrsOf(document.get('residue'));
  }
}
