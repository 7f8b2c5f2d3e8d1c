// The configuration and state of the optimizers (SPEC.md chapter 15).

import type { Json, JsonMap } from '../canonical/json.js';
import { decodeMessagePack } from '../canonical/msgpack.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { checkMap, checkResidue, checkValue, type Scope } from '../values/check.js';
import { viewOfPacked } from '../values/view.js';
import { checkCoreObject, checkCoreOptimizer } from '../vocabulary/check.js';
import { CORE_ALGORITHMS } from '../vocabulary/names.js';
import type { Entry } from './entries.js';
import { checkCollisions, checkFields, checkOp, checkPath, checkRequired, checkVersion, isNatural } from './names.js';
import { escapeKey, References, readTensors } from './references.js';

const FORM = 'optimizer-form';
const WHERE = 'optimizer.msgpack';
const GROUPS = 'optimizer-groups';
const FIELDS = [
  'algorithm',
  'fresh',
  'groups',
  'hyperparameters',
  'inner',
  'learning_rate',
  'micro_step',
  'residue',
  'schedule',
  'schedule_clock',
  'shared_slots',
  'slots',
  'step',
];
const LARGEST_STEP = 2n ** 64n - 1n;

/** A document with an index of tensors. */
export interface TensorDocument {
  /** The JSON view (B-12). */
  readonly document: JsonMap;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** What the rest of the artifact says to the documents of MessagePack. */
export interface TensorScope {
  readonly isData: (part: string) => boolean;
  readonly module: (path: string) => boolean;
  /** Whether a path is a variable or an alias. */
  readonly variable: (path: string) => boolean;
  readonly asset: (name: string) => boolean;
  /** Whether a path is a variable and no alias; null where the artifact has no weights. */
  readonly own: ((path: string) => boolean) | null;
}

export function readOptimizer(
  bytes: Uint8Array,
  scope: TensorScope,
  version: string | null,
  limits: Limits,
): TensorDocument {
  const document = viewOfPacked(decodeMessagePack(bytes, WHERE, limits), WHERE);
  if (document.get('format') !== 'etui-optimizer') refuse(FORM, `${WHERE} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${WHERE} /version`, version);
  const rules = { form: FORM, minor, limits, isData: scope.isData };
  checkFields(document, ['format', 'optimizers', 'tensors', 'version'], WHERE, rules);
  checkRequired(document, ['optimizers', 'tensors'], WHERE, FORM);
  const entries = readTensors(document, WHERE, rules);
  const optimizers = document.get('optimizers');
  if (!(optimizers instanceof Map) || optimizers.size === 0) {
    refuse(FORM, `${WHERE} /optimizers`, 'no map of optimizers, or an empty one');
  }
  const reader = new Reader(scope, rules, entries);
  for (const [path, optimizer] of optimizers) {
    checkPath(path, `${WHERE} /optimizers`, limits);
    reader.optimizer(optimizer, path, `${WHERE} /optimizers/${path}`);
  }
  checkCollisions(optimizers.keys(), `${WHERE} /optimizers`);
  reader.references.finish();
  return { document, entries };
}

class Reader {
  readonly tensors: TensorScope;
  readonly rules: { readonly form: string; readonly minor: number; readonly limits: Limits };
  readonly scope: Scope;
  readonly references: References;

  constructor(
    tensors: TensorScope,
    rules: { readonly form: string; readonly minor: number; readonly limits: Limits },
    entries: ReadonlyMap<string, Entry>,
  ) {
    this.tensors = tensors;
    this.rules = rules;
    this.references = new References(WHERE, entries);
    this.scope = scopeOf(tensors, rules.limits, entries);
  }

  /** `place` is that of the optimizer below `optimizers` (O-16). */
  optimizer(optimizer: Json, place: string, at: string): void {
    if (!(optimizer instanceof Map)) refuse(FORM, at, show(optimizer));
    checkFields(optimizer, FIELDS, at, this.rules);
    checkRequired(optimizer, ['algorithm', 'learning_rate', 'micro_step', 'step'], at, FORM);
    checkOp(optimizer.get('algorithm'), `${at}/algorithm`, CORE_ALGORITHMS);
    for (const field of ['micro_step', 'step']) checkSteps(optimizer.get(field) as Json, `${at}/${field}`);
    this.rate(optimizer.get('learning_rate') as Json, `${at}/learning_rate`);
    this.schedule(optimizer, place, at);
    if (optimizer.has('hyperparameters')) {
      this.map(optimizer.get('hyperparameters') as Json, `${place}/hyperparameters`, `${at}/hyperparameters`);
    }
    const grouped = this.groups(optimizer.get('groups'), place, `${at}/groups`);
    const slotted = this.slots(optimizer.get('slots'), grouped, place, `${at}/slots`);
    this.fresh(optimizer.get('fresh'), grouped, slotted, `${at}/fresh`);
    if (optimizer.has('shared_slots')) {
      this.stored(optimizer.get('shared_slots') as Json, `${place}/shared_slots`, `${at}/shared_slots`);
    }
    if (optimizer.has('residue')) {
      checkResidue(optimizer.get('residue'), `${at}/residue`, this.scope, FORM);
      this.references.residue(optimizer.get('residue') as JsonMap, `${place}/residue`);
    }
    if ((optimizer.get('algorithm') as string).startsWith('core:')) checkCoreOptimizer(optimizer, at);
    if (optimizer.has('inner')) this.optimizer(optimizer.get('inner') as Json, `${place}/inner`, `${at}/inner`);
  }

  rate(rate: Json, at: string): void {
    if (rate === null || (typeof rate === 'number' && !Number.isInteger(rate))) return;
    if (!(rate instanceof Map) || rate.size !== 1 || !rate.has('$float')) refuse(FORM, at, show(rate));
    checkValue(rate, at, this.scope);
  }

  schedule(optimizer: JsonMap, place: string, at: string): void {
    if (optimizer.has('schedule') !== optimizer.has('schedule_clock')) {
      refuse(FORM, at, 'schedule and schedule_clock belong together');
    }
    if (!optimizer.has('schedule')) return;
    const schedule = optimizer.get('schedule') as Json;
    const clock = optimizer.get('schedule_clock');
    if (clock !== 'step' && clock !== 'micro_step') refuse(FORM, `${at}/schedule_clock`, show(clock));
    if (!(schedule instanceof Map) || !schedule.has('$object')) refuse(FORM, `${at}/schedule`, show(schedule));
    checkValue(schedule, `${at}/schedule`, this.scope);
    this.references.value(schedule, `${place}/schedule`);
  }

  map(value: Json, place: string, at: string): void {
    checkMap(value, at, this.scope, FORM);
    if (value.size === 0) refuse(FORM, at, 'an empty map');
    this.references.entriesOf(value, place);
  }

  /** The variables of the groups (O-7, O-11). */
  groups(groups: Json | undefined, place: string, at: string): Set<string> {
    const grouped = new Set<string>();
    if (groups === undefined) return grouped;
    if (!Array.isArray(groups) || groups.length === 0) refuse(FORM, at, 'no list of groups, or an empty one');
    groups.forEach((group, i) => {
      const where = `${at}/${i}`;
      if (!(group instanceof Map)) refuse(FORM, where, show(group));
      checkFields(group, ['hyperparameters', 'variables'], where, this.rules);
      const variables = group.get('variables');
      if (!Array.isArray(variables)) refuse(FORM, `${where}/variables`, show(variables));
      for (const path of variables) {
        if (typeof path !== 'string') refuse(FORM, `${where}/variables`, show(path));
        checkPath(path, `${where}/variables`, this.rules.limits);
        if (grouped.has(path)) refuse(GROUPS, `${where}/variables`, `${show(path)} twice`);
        if (this.tensors.own !== null && !this.tensors.own(path)) {
          refuse('reference-missing', `${where}/variables`, `${show(path)} is no variable`);
        }
        grouped.add(path);
      }
      if (group.has('hyperparameters')) {
        const parameters = group.get('hyperparameters') as Json;
        this.map(parameters, `${place}/groups/${i}/hyperparameters`, `${where}/hyperparameters`);
      }
    });
    return grouped;
  }

  /** The variables that have slots (O-8). */
  slots(slots: Json | undefined, grouped: ReadonlySet<string>, place: string, at: string): ReadonlySet<string> {
    if (slots === undefined) return new Set();
    if (!(slots instanceof Map) || slots.size === 0) refuse(FORM, at, 'no map of slots, or an empty one');
    for (const [path, named] of slots) {
      checkPath(path, at, this.rules.limits);
      if (!grouped.has(path)) refuse(GROUPS, `${at}/${path}`, 'a variable that is in no group');
      this.stored(named, `${place}/slots/${path}`, `${at}/${path}`);
    }
    checkCollisions(slots.keys(), at);
    return new Set(slots.keys());
  }

  /** A map of names to tensors of the index. */
  stored(map: Json, place: string, at: string): void {
    if (!(map instanceof Map) || map.size === 0) refuse(FORM, at, 'no map of tensors, or an empty one');
    for (const [name, reference] of map) {
      if (!(reference instanceof Map) || reference.size !== 1 || !reference.has('$stored')) {
        refuse(FORM, `${at}/${name}`, show(reference));
      }
      checkValue(reference, `${at}/${name}`, this.scope);
    }
    // Names of slots are no values, whose keys would lose a $ (V-2).
    for (const [name, reference] of map) {
      this.references.value(reference, `${place}/${escapeKey(name)}`);
    }
  }

  fresh(fresh: Json | undefined, grouped: ReadonlySet<string>, slotted: ReadonlySet<string>, at: string): void {
    if (fresh === undefined) return;
    if (!Array.isArray(fresh) || fresh.length === 0) refuse(FORM, at, 'no list of paths, or an empty one');
    for (const path of fresh) {
      if (typeof path !== 'string') refuse(FORM, at, show(path));
      checkPath(path, at, this.rules.limits);
      if (!grouped.has(path)) refuse(GROUPS, at, `${show(path)} is in no group`);
      if (slotted.has(path)) refuse(GROUPS, at, `${show(path)} has slots`);
    }
    if (new Set(fresh).size !== fresh.length) refuse(FORM, at, 'a path twice');
  }
}

/** What the values of a document with tensors may refer to. */
export function scopeOf(scope: TensorScope, limits: Limits, entries: ReadonlyMap<string, Entry>): Scope {
  return {
    limits,
    module: scope.module,
    variable: scope.variable,
    asset: scope.asset,
    stored: (name) => entries.has(name),
    output: null,
    object: checkCoreObject,
  };
}

/** A count of updates: an integer that MessagePack holds (O-4). */
function checkSteps(value: Json, at: string): void {
  if (isNatural(value)) return;
  const text = value instanceof Map && value.size === 1 ? value.get('$int') : undefined;
  const fits = typeof text === 'string' && /^[1-9][0-9]{0,19}$/.test(text) && BigInt(text) <= LARGEST_STEP;
  if (!fits) refuse(FORM, at, show(value));
}
