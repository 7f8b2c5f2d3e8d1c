// The index of the variables (SPEC.md chapter 12.1 and 12.2).

import type { Json, JsonMap } from '../canonical/json.js';
import { decodeJson } from '../canonical/json.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { type Entry, type EntryRules, readEntry } from './entries.js';
import { checkCollisions, checkFields, checkPath, checkRequired, checkVersion, isNatural } from './names.js';

const FORM = 'weights-form';
const WHERE = 'weights.json';

/** A checked index. */
export interface WeightsDocument {
  readonly document: JsonMap;
  /** Other path -> path of the variable. */
  readonly aliases: ReadonlyMap<string, string>;
  readonly entries: ReadonlyMap<string, Entry>;
}

/** `isData` says whether a name is a data part; `version` is the manifest's, or null. */
export function readWeights(
  bytes: Uint8Array,
  isData: (part: string) => boolean,
  version: string | null,
  limits: Limits,
): WeightsDocument {
  const document = decodeJson(bytes, WHERE, limits);
  if (document.get('format') !== 'etui-weights') refuse(FORM, `${WHERE} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${WHERE} /version`, version);
  const rules = { form: FORM, minor, limits, isData };
  checkFields(document, ['aliases', 'format', 'variables', 'version'], WHERE, rules);
  const [aliases, variables] = [document.get('aliases'), document.get('variables')];
  if (!(aliases instanceof Map)) refuse(FORM, `${WHERE} /aliases`, show(aliases));
  if (!(variables instanceof Map)) refuse(FORM, `${WHERE} /variables`, show(variables));
  if (variables.size > limits.variables) {
    refuse('limit-variables', `${WHERE} /variables`, `${variables.size} variables`);
  }
  for (const path of variables.keys()) checkPath(path, `${WHERE} /variables`, limits);
  checkAliases(aliases, variables, limits);
  checkCollisions([...variables.keys(), ...aliases.keys()], WHERE);
  const entries = new Map<string, Entry>();
  for (const [path, variable] of variables) {
    entries.set(path, readVariable(variable, `${WHERE} /variables/${path}`, rules));
  }
  checkOrder(variables as Map<string, JsonMap>);
  return { document, aliases: aliases as Map<string, string>, entries };
}

function readVariable(variable: Json, at: string, rules: EntryRules): Entry {
  if (!(variable instanceof Map)) refuse(FORM, at, show(variable));
  checkRequired(variable, ['dtype', 'order', 'role', 'shape', 'trainable'], at, FORM);
  const [order, role, trainable] = [variable.get('order'), variable.get('role'), variable.get('trainable')];
  if (!isNatural(order)) refuse(FORM, at, `the order ${show(order)}`);
  if (typeof role !== 'string' || role === '') refuse(FORM, at, `the role ${show(role)}`);
  if (typeof trainable !== 'boolean') refuse(FORM, at, `trainable: ${show(trainable)}`);
  return readEntry(variable, at, rules, ['order', 'role', 'trainable']);
}

function checkOrder(variables: Map<string, JsonMap>): void {
  const seen = new Uint8Array(variables.size);
  for (const [path, variable] of variables) {
    const order = variable.get('order') as number;
    if (order >= variables.size || seen[order]) {
      refuse('weights-order', `${WHERE} /variables/${path}/order`, `${order}, where each from 0 on is there once`);
    }
    seen[order] = 1;
  }
}

function checkAliases(aliases: JsonMap, variables: JsonMap, limits: Limits): void {
  for (const [alias, target] of aliases) {
    const at = `${WHERE} /aliases/${alias}`;
    checkPath(alias, at, limits);
    checkPath(target, at, limits);
    if (variables.has(alias)) refuse('alias-target', at, 'a path that is also a variable');
    if (!variables.has(target)) refuse('alias-target', at, `${show(target)} is no variable`);
  }
}
