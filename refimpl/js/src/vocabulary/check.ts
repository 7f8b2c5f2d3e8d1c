// What the core vocabulary says of modules, objects and optimizers (SPEC.md J.1, CT-1, CO-1).

import type { Json, JsonMap } from '../canonical/json.js';
import { refuse, show } from '../errors.js';
import { VOCABULARY } from './data.js';
import { BY_ROLE, fits, isDefault } from './kinds.js';
import { Shapes } from './shapes.js';
import type { Kind, ObjectEntry, OpEntry, OptimizerEntry } from './types.js';

/** What a check of a module may ask of its config and artifact. */
export interface CoreChecks {
  readonly modules: ReadonlyMap<string, JsonMap>;
  /** The shape of a variable; null where it is not known. */
  shape(path: string): readonly number[] | null;
}

/** Refuses a module that is not what the vocabulary says of its op; `path` is its own. */
export function checkCoreModule(module: JsonMap, path: string, at: string, checks: CoreChecks): void {
  const name = (module.get('op') as string).slice('core:'.length);
  const op = VOCABULARY.ops[name] as OpEntry;
  const attrs = (module.get('attrs') as JsonMap | undefined) ?? new Map<string, Json>();
  checkAttrs(attrs, { ...VOCABULARY.common_attrs, ...op.attrs }, `${at}/attrs`, 'core-attrs');
  checkChildren(module, name, op, at);
  const params = (module.get('params') as Map<string, string> | undefined) ?? new Map<string, string>();
  checkParams(params, op, attrs, path, at, checks);
}

/** Refuses arguments that the op of a call does not have, and flags that are none (CV-31). */
export function checkCoreCall(op: string, kwargs: JsonMap, at: string): void {
  const { call = {} } = VOCABULARY.ops[op.slice('core:'.length)] as OpEntry;
  for (const [name, value] of kwargs) {
    const kind = Object.hasOwn(call, name) ? (call[name] as Kind) : null;
    if (kind === null && name !== 'training' && name !== 'mask') {
      refuse('core-call', `${at}/${name}`, `an argument that ${op} does not have`);
    }
    const isFlag = name === 'training' || kind?.type === 'boolean';
    if (isFlag && value !== null && typeof value !== 'boolean') refuse('core-call', `${at}/${name}`, show(value));
  }
}

/** Refuses an object whose config is not what the vocabulary says of its class (CV-30, CT-1). */
export function checkCoreObject(object: JsonMap, at: string): void {
  const name = object.get('class') as string;
  if (!name.startsWith('core:')) return;
  const [kind, entry] = name.slice('core:'.length).split('.') as [keyof typeof VOCABULARY, string];
  const training = kind === 'losses' || kind === 'metrics' || kind === 'schedules';
  const code = training ? 'core-object' : 'core-attrs';
  const config = object.get('config') as Json;
  if (!(config instanceof Map)) refuse(code, `${at}/config`, `${show(config)} where a map belongs`);
  const { attrs } = (VOCABULARY[kind] as Record<string, ObjectEntry>)[entry] as ObjectEntry;
  checkAttrs(config, attrs ?? {}, `${at}/config`, code);
}

/** Refuses an optimizer whose hyperparameters are not those of its algorithm; those of groups override (CO-1). */
export function checkCoreOptimizer(optimizer: JsonMap, at: string): void {
  const name = (optimizer.get('algorithm') as string).slice('core:'.length);
  const entry = VOCABULARY.optimizers[name] as OptimizerEntry;
  const common = entry.wraps ? {} : VOCABULARY.common_hyperparameters;
  const known = { ...common, ...entry.hyperparameters };
  if (optimizer.has('hyperparameters')) {
    checkAttrs(optimizer.get('hyperparameters') as JsonMap, known, `${at}/hyperparameters`, 'core-optimizer');
  }
  ((optimizer.get('groups') ?? []) as JsonMap[]).forEach((group, i) => {
    if (!group.has('hyperparameters')) return;
    const place = `${at}/groups/${i}/hyperparameters`;
    const given = group.get('hyperparameters') as JsonMap;
    // A group overrides what it has, with a default too; what it lacks is the optimizer's.
    const own = Object.fromEntries(
      Object.entries(known).flatMap(([each, { default: _, ...kind }]) => (given.has(each) ? [[each, kind]] : [])),
    );
    checkAttrs(given, own, place, 'core-optimizer');
  });
}

function checkAttrs(attrs: JsonMap, known: Readonly<Record<string, Kind>>, at: string, code: string): void {
  for (const [name, value] of attrs) {
    const kind = Object.hasOwn(known, name) ? (known[name] as Kind) : undefined;
    if (kind === undefined) refuse(code, `${at}/${name}`, 'an attribute that there is not');
    if (Object.hasOwn(BY_ROLE, name) && kind.$ref === '#/defs/by_role') {
      const test = BY_ROLE[name] as (value: Json) => boolean;
      const right = value instanceof Map && value.size > 0 && [...value.values()].every(test);
      if (!right) refuse(code, `${at}/${name}`, `${show(value)}, which is no map of ${name}`);
    } else if (isDefault(kind, value) && (value === null || fits(kind, value))) {
      refuse(code, `${at}/${name}`, `${show(value)}, which is the default`);
    } else if (!fits(kind, value)) refuse(code, `${at}/${name}`, `${show(value)}, which is none of its kind`);
  }
  for (const [name, kind] of Object.entries(known)) {
    if (!Object.hasOwn(kind, 'default') && !attrs.has(name)) refuse(code, at, `no ${name}`);
  }
}

/** Children and graph (CV-5). */
function checkChildren(module: JsonMap, name: string, op: OpEntry, at: string): void {
  const children = (module.get('modules') as JsonMap[] | undefined) ?? [];
  const kind = module.get('kind');
  if (kind === 'opaque') refuse('core-modules', at, 'an opaque module of the vocabulary');
  if (name === 'graph' || name === 'sequential') {
    if (name === 'graph' && kind !== 'graph') refuse('core-modules', at, 'no graph');
    return;
  }
  if (kind === 'graph') refuse('core-modules', at, 'a graph');
  const found = children.map((child) => child.get('name') as string);
  const wanted = op.modules ?? [];
  const same = found.length === wanted.length && wanted.every((each) => found.includes(each));
  if (!same) refuse('core-modules', `${at}/modules`, `${show(found)} instead of ${show(wanted)}`);
}

/** Roles and shapes of the variables (CV-6, CV-7). */
function checkParams(
  params: ReadonlyMap<string, string>,
  op: OpEntry,
  attrs: JsonMap,
  path: string,
  at: string,
  checks: CoreChecks,
): void {
  const known = op.params ?? {};
  const value = (name: string): Json => attrs.get(name) ?? (op.attrs?.[name]?.default as Json | undefined) ?? null;
  for (const role of params.keys()) {
    if (!Object.hasOwn(known, role)) refuse('core-params', `${at}/params/${role}`, `a role that ${path} does not have`);
  }
  const shapes = new Shapes(sizesOf(op, value));
  for (const [role, place] of Object.entries(known)) {
    const wanted = holds(place.when ?? null, value);
    if (params.has(role) !== wanted) {
      refuse('core-params', `${at}/params`, wanted ? `no ${role}` : `${role}, whose condition does not hold`);
    }
    const shape = wanted ? checks.shape(params.get(role) as string) : null;
    if (shape !== null && !shapes.matches(place.shape, shape)) {
      refuse('core-shape', `${at}/params/${role}`, `${show(shape)}, where ${show(place.shape)} is wanted`);
    }
  }
}

/** Attributes that may stand in a shape. */
function sizesOf(op: OpEntry, value: (name: string) => Json): Map<string, number | readonly number[] | boolean> {
  const sizes = new Map<string, number | readonly number[] | boolean>();
  for (const name of Object.keys(op.attrs ?? {})) {
    const each = value(name);
    if (typeof each === 'number' || typeof each === 'boolean') sizes.set(name, each);
    else if (Array.isArray(each) && each.every((item) => typeof item === 'number')) sizes.set(name, each as number[]);
  }
  return sizes;
}

/** Whether a condition of the vocabulary holds: `name`, `!name`, `name=value`, and several joined by `&`. */
function holds(condition: string | null, value: (name: string) => Json): boolean {
  if (condition === null) return true;
  return condition.split('&').every((part) => {
    const [name, wanted] = part.trim().split('=') as [string, string | undefined];
    if (wanted !== undefined) return value(name) === wanted;
    const turned = name.startsWith('!');
    const found = value(turned ? name.slice(1) : name);
    return (found !== null && found !== false) !== turned;
  });
}
