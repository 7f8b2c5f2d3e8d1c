// A step of an optimizer (SPEC.md K.4 and K.6).

import { refuse } from '../../errors.js';
import { NDArray } from '../array.js';
import { castTo } from '../numbers.js';
import { rateOf } from '../objects/schedules.js';
import { constrained } from '../objects/variables.js';
import { refuseCall } from '../refusals.js';
import { type Attrs, type CoreObject, flag, number, numberOrNull, text } from '../values.js';
import { hyperparametersOf, withDefaults } from '../vocabulary.js';
import type { Entry } from './document.js';
import { isPlain } from './matrices.js';
import { nadamFactor } from './moments.js';
import { norm, type Slot, type Target } from './rule.js';
import { RULES } from './rules.js';

/** What a step works on. */
export interface Training {
  /** The variables by path; a step puts new ones in their places. */
  readonly variables: Map<string, NDArray>;
  readonly gradients: ReadonlyMap<string, NDArray>;
  /** What modules make of their variables after each update. */
  readonly constraints: ReadonlyMap<string, CoreObject>;
}

type Gradients = ReadonlyMap<string, Float64Array>;

/** Takes a step of an optimizer, or of the one that it wraps. */
export function takeStep(entry: Entry, training: Training): void {
  const algorithm = entry.algorithm;
  if (algorithm === null) refuseCall(entry.place, `the algorithm ${entry.json.get('algorithm')}`);
  const gradients = new Map<string, Float64Array>();
  for (const path of variablesOf(entry)) {
    const g = training.gradients.get(path);
    if (g === undefined) continue;
    const p = training.variables.get(path) ?? refuseCall(path, 'a variable that the artifact does not have');
    if (p.kind !== 'float') refuseCall(path, `a gradient of a variable of ${p.dtype}`);
    if (g.shape.join() !== p.shape.join()) refuseCall(path, `a gradient [${g.shape}] of a variable [${p.shape}]`);
    gradients.set(path, g.data);
  }
  if (algorithm === 'loss_scale') takeScaledStep(entry, training, gradients);
  else new Step(entry, algorithm as string, training).take(gradients);
}

/** The variables of an optimizer, or of the one that it wraps. */
export function variablesOf(entry: Entry): string[] {
  return entry.inner === null ? entry.groups.flatMap(({ variables }) => [...variables]) : variablesOf(entry.inner);
}

/** A scaled loss (CO-10). */
function takeScaledStep(entry: Entry, training: Training, gradients: Gradients): void {
  const parameters = hyperparametersOf('loss_scale', entry.hyperparameters);
  const inner = entry.inner ?? refuseCall(entry.place, 'a loss scale around nothing');
  const initial = number(parameters, 'initial_scale');
  const dynamic = flag(parameters, 'dynamic');
  const scale = dynamic ? (entry.sharedSlot('dynamic_scale')?.data[0] ?? initial) : initial;
  const finite = [...gradients.values()].every((g) => g.every(Number.isFinite));
  if (finite || !dynamic) {
    const divided = [...gradients].map(([path, g]): [string, NDArray] => [
      path,
      new NDArray(
        training.variables.get(path)!.shape,
        g.map((value) => value / scale),
      ),
    ]);
    takeStep(inner, { ...training, gradients: new Map(divided) });
    if (inner.learningRate !== null) entry.learningRate = inner.learningRate;
  } else if (flag(parameters, 'count_skipped')) {
    inner.setCount('step', inner.count('step') + 1n);
    inner.setCount('micro_step', inner.count('micro_step') + 1n);
  }
  if (dynamic) moveScale(entry, parameters, scale, finite);
  entry.setCount('step', inner.count('step'));
  entry.setCount('micro_step', inner.count('micro_step'));
}

function moveScale(entry: Entry, parameters: Attrs, scale: number, finite: boolean): void {
  let counter = (entry.sharedSlot('step_counter')?.data[0] ?? 0) + 1;
  let next = scale;
  if (!finite) {
    counter = 0;
    next = Math.max(scale * number(parameters, 'backoff_factor'), number(parameters, 'minimum_scale'));
  } else if (counter >= number(parameters, 'growth_steps')) {
    counter = 0;
    next = scale * number(parameters, 'growth_factor');
  }
  const one = (name: string, value: number, dtype: string): void => {
    const own = entry.sharedSlot(name)?.dtype ?? dtype;
    entry.setSharedSlot(name, castTo(new NDArray([], Float64Array.of(value)), own));
  };
  one('dynamic_scale', next, 'float32');
  one('step_counter', counter, 'int32');
}

/** A step of an optimizer that wraps none. */
class Step {
  readonly entry: Entry;
  readonly algorithm: string;
  readonly training: Training;
  /** Those of the optimizer, without its groups. */
  readonly parameters: Attrs;
  readonly targets: ReadonlyMap<string, Target>;
  readonly ownRates: ReadonlyMap<string, number>;

  constructor(entry: Entry, algorithm: string, training: Training) {
    this.entry = entry;
    this.algorithm = algorithm;
    this.training = training;
    const own = entry.hyperparameters;
    this.parameters = hyperparametersOf(algorithm, own);
    const targets = new Map<string, Target>();
    const rates = new Map<string, number>();
    for (const { variables, hyperparameters } of entry.groups) {
      const parameters = hyperparametersOf(algorithm, { ...own, ...hyperparameters });
      const rate = hyperparameters.learning_rate ?? null;
      for (const path of variables) {
        const variable = training.variables.get(path);
        if (variable === undefined) continue;
        targets.set(path, { path, shape: variable.shape, parameters });
        if (rate !== null) rates.set(path, rate as number);
      }
    }
    this.targets = targets;
    this.ownRates = rates;
  }

  take(given: Gradients): void {
    const [step, micro] = [this.entry.count('step'), this.entry.count('micro_step')];
    const every = number(this.parameters, 'accumulation_steps');
    const updates = (micro + 1n) % BigInt(every) === 0n;
    const scaled = new Map([...given].map(([path, g]) => [path, this.signed(path, g)]));
    const slots = new Map([...this.targets.keys()].map((path) => [path, this.slotsOf(path)]));
    const gradients = every > 1 ? this.accumulated(scaled, slots, updates, every) : scaled;
    if (updates) this.update(this.clipped(gradients), slots, Number(step) + 1);
    for (const [path, own] of slots) this.finish(path, own, Number(step), given.has(path));
    if (updates) this.entry.setCount('step', step + 1n);
    this.entry.setCount('micro_step', micro + 1n);
  }

  private target(path: string): Target {
    return this.targets.get(path)!;
  }

  private signed(path: string, g: Float64Array): Float64Array {
    const { parameters } = this.target(path);
    const scale = numberOrNull(parameters, 'loss_scale') ?? 1;
    const sign = flag(parameters, 'maximize') ? -1 : 1;
    return g.map((value) => (sign * value) / scale);
  }

  /** The slots that the rule and the wrappers name, begun where the variable is fresh (CO-3). */
  private slotsOf(path: string): Map<string, Float64Array> {
    const target = this.target(path);
    const { parameters, shape } = target;
    const variable = this.training.variables.get(path)!;
    const wanted: Slot[] = [...RULES[this.algorithm]!.slots(target)];
    if (numberOrNull(parameters, 'ema_momentum') !== null) {
      wanted.push({ name: 'average', shape, initial: text(parameters, 'ema_start') === 'initial' ? 'variable' : 0 });
    }
    if (number(this.parameters, 'accumulation_steps') > 1)
      wanted.push({ name: 'gradient_accumulator', shape, initial: 0 });
    const fresh = this.entry.isFresh(path);
    return new Map(wanted.map((slot) => [slot.name, fresh ? begun(slot, variable) : this.kept(path, slot, variable)]));
  }

  private kept(path: string, slot: Slot, variable: NDArray): Float64Array {
    const where = `optimizer.msgpack /optimizers/${this.entry.place}/slots/${path}`;
    const found = this.entry.slot(path, slot.name) ?? refuse('core-slots', where, `no ${slot.name}`);
    if (found.shape.join() !== slot.shape.join() || found.dtype !== variable.dtype) {
      const wanted = `${variable.dtype} [${slot.shape}]`;
      refuse('core-slots', `${where}/${slot.name}`, `${found.dtype} [${found.shape}], where ${wanted} belongs`);
    }
    return found.data.slice();
  }

  /** The sums of gradients so far, and at an update their means (CO-8). */
  private accumulated(
    gradients: Gradients,
    slots: ReadonlyMap<string, ReadonlyMap<string, Float64Array>>,
    updates: boolean,
    every: number,
  ): Gradients {
    const means = new Map<string, Float64Array>();
    for (const [path, g] of gradients) {
      const sum = slots.get(path)!.get('gradient_accumulator')!;
      for (let i = 0; i < sum.length; i++) sum[i]! += g[i]!;
      means.set(
        path,
        sum.map((value) => value / every),
      );
      if (updates) sum.fill(0);
    }
    return means;
  }

  /** By value, by the norm of each, and by the norm of all (CO-4). */
  private clipped(gradients: Gradients): Gradients {
    const found = new Map<string, Float64Array>();
    for (const [path, g] of gradients) {
      const { parameters } = this.target(path);
      const [most, longest] = [numberOrNull(parameters, 'clip_value'), numberOrNull(parameters, 'clip_norm')];
      const cut = most === null ? g : g.map((value) => Math.min(Math.max(value, -most), most));
      found.set(path, longest === null ? cut : shortened(cut, longest, norm(cut), parameters));
    }
    const whole = Math.sqrt([...found.values()].reduce((sum, g) => sum + norm(g) ** 2, 0));
    for (const [path, g] of found) {
      const { parameters } = this.target(path);
      const longest = numberOrNull(parameters, 'clip_global_norm');
      if (longest !== null) found.set(path, shortened(g, longest, whole, parameters));
    }
    return found;
  }

  private update(gradients: Gradients, slots: ReadonlyMap<string, ReadonlyMap<string, Float64Array>>, t: number): void {
    const scheduled = this.scheduledRate();
    const product = this.product(t);
    for (const [path, g] of gradients) {
      const target = this.target(path);
      const variable = this.training.variables.get(path)!;
      const rate = this.rateOf(path, scheduled);
      const p = variable.data.slice();
      const decay = this.decayOf(target);
      const coupled = text(target.parameters, 'decay_mode') === 'coupled';
      // No decay is not one of 0, which would make NaN of what is infinite.
      const decayed = coupled && decay !== 0 ? g.map((value, i) => value + decay * p[i]!) : g;
      if (!coupled && decay !== 0) for (let i = 0; i < p.length; i++) p[i]! -= rate * decay * p[i]!;
      RULES[this.algorithm]!.update({
        ...target,
        p,
        g: decayed,
        slots: Object.fromEntries(slots.get(path)!),
        rate: this.scaleOf(target) * rate,
        t,
        product,
      });
      this.training.variables.set(path, castTo(new NDArray(variable.shape, p), variable.dtype));
    }
    if (scheduled !== null) this.entry.learningRate = scheduled;
  }

  /** What the rate is multiplied by: `muon` takes another one for what it treats as `adam` does. */
  private scaleOf(target: Target): number {
    return this.algorithm === 'muon' && isPlain(target) ? number(target.parameters, 'adam_rate_ratio') : 1;
  }

  /** λ. */
  private decayOf(target: Target): number {
    const { parameters, path } = target;
    if ((parameters.decay_excluded as readonly string[]).includes(path)) return 0;
    const name = this.algorithm === 'muon' && isPlain(target) ? 'adam_weight_decay' : 'weight_decay';
    return number(parameters, name);
  }

  private scheduledRate(): number | null {
    const schedule = this.entry.schedule;
    if (schedule === null) return null;
    const name = schedule.nameAs('schedules');
    if (name === null) return refuseCall(this.entry.place, `the schedule ${schedule.className}`);
    const clock = this.entry.count(this.entry.json.get('schedule_clock') as 'step' | 'micro_step');
    return rateOf(name, withDefaults('schedules', name, schedule.config), Number(clock));
  }

  /** η: the group's own, the schedule's, that in force, or the configured one. */
  private rateOf(path: string, scheduled: number | null): number {
    const rate = this.ownRates.get(path) ?? scheduled ?? this.entry.learningRate;
    return rate ?? numberOrNull(this.parameters, 'learning_rate') ?? refuseCall(this.entry.place, 'no learning rate');
  }

  /** U of `nadam`, which grows once a step. */
  private product(t: number): number {
    if (this.algorithm !== 'nadam') return 1;
    const before = this.entry.sharedSlot('u_product');
    const product = (before?.data[0] ?? 1) * nadamFactor({ parameters: this.parameters }, t);
    const first = this.training.variables.get(variablesOf(this.entry)[0] ?? '');
    const dtype = before?.dtype ?? first?.dtype ?? 'float32';
    this.entry.setSharedSlot('u_product', castTo(new NDArray([], Float64Array.of(product)), dtype));
    return product;
  }

  /** The average, which moves without a gradient too, the constraint, which does not, and the slots kept. */
  private finish(path: string, slots: ReadonlyMap<string, Float64Array>, step: number, given: boolean): void {
    const { parameters } = this.target(path);
    const variable = this.training.variables.get(path)!;
    let value = variable;
    const mean = slots.get('average');
    if (mean !== undefined) {
      const momentum = numberOrNull(parameters, 'ema_momentum')!;
      const beta = step === 0 && text(parameters, 'ema_start') === 'first_step' ? 0 : momentum;
      for (let i = 0; i < mean.length; i++) mean[i] = beta * mean[i]! + (1 - beta) * variable.data[i]!;
      const frequency = numberOrNull(parameters, 'ema_overwrite_frequency');
      if (frequency !== null && (step + 1) % frequency === 0) value = variable.like(variable.shape, mean.slice());
    }
    const constraint = given ? this.training.constraints.get(path) : undefined;
    const name = constraint?.nameAs('constraints') ?? null;
    if (constraint !== undefined && name !== null) {
      value = constrained(name, withDefaults('constraints', name, constraint.config), value);
    }
    this.training.variables.set(path, castTo(value.as('float64'), variable.dtype));
    const dtype = variable.dtype;
    const wanted = [...RULES[this.algorithm]!.slots(this.target(path))];
    const shapeOf = (slot: string): readonly number[] =>
      wanted.find((each) => each.name === slot)?.shape ?? variable.shape;
    this.entry.setSlots(
      path,
      new Map([...slots].map(([slot, data]) => [slot, castTo(new NDArray(shapeOf(slot), data), dtype)])),
    );
  }
}

function begun({ shape, initial }: Slot, variable: NDArray): Float64Array {
  if (initial === 'variable') return variable.data.slice();
  return new Float64Array(shape.reduce((a, b) => a * b, 1)).fill(initial);
}

/** g · min(1, c / (n + ε)). */
function shortened(g: Float64Array, longest: number, length: number, parameters: Attrs): Float64Array {
  const size = length + number(parameters, 'clip_epsilon');
  const factor = size === 0 ? 1 : Math.min(1, longest / size);
  return g.map((value) => value * factor);
}
