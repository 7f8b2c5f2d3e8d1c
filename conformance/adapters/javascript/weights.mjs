// The index of the variables (SPEC.md chapter 12.1 and 12.2).

import { refuse, show } from './errors.mjs';
import { readEntry } from './index.mjs';
import { decode } from './json.mjs';
import { checkCollisions, checkFields, checkPath, checkVersion, isNatural } from './names.mjs';

const FORM = 'weights-form';
const WHERE = 'weights.json';
const VARIABLES_LIMIT = 4_000_000;

/**
 * A checked index: {document, aliases, entries}, entries from path to what index.mjs makes of it.
 *
 * `parts` says whether a name is a data part; `version` is the manifest's, or null.
 */
export function readWeights(bytes, parts, version) {
  const document = decode(bytes, WHERE);
  if (document.get('format') !== 'etui-weights') refuse(FORM, `${WHERE} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${WHERE} /version`, version);
  const rules = { form: FORM, minor, parts };
  checkFields(document, ['aliases', 'format', 'variables', 'version'], WHERE, rules);
  const [aliases, variables] = ['aliases', 'variables'].map((field) => document.get(field));
  for (const [field, value] of [['aliases', aliases], ['variables', variables]]) {
    if (!(value instanceof Map)) refuse(FORM, `${WHERE} /${field}`, show(value));
  }
  if (variables.size > VARIABLES_LIMIT) refuse('limit-variables', `${WHERE} /variables`, `${variables.size} variables`);

  for (const path of variables.keys()) checkPath(path, `${WHERE} /variables`);
  checkAliases(aliases, variables);
  checkCollisions([...variables.keys(), ...aliases.keys()], WHERE);
  const entries = new Map();
  for (const [path, variable] of variables) entries.set(path, readVariable(variable, `${WHERE} /variables/${path}`, rules));
  checkOrder(variables);
  return { document, aliases, entries };
}

function readVariable(variable, at, rules) {
  if (!(variable instanceof Map)) refuse(FORM, at, show(variable));
  for (const field of ['dtype', 'order', 'role', 'shape', 'trainable']) {
    if (!variable.has(field)) refuse(FORM, at, `no ${field}`);
  }
  const [order, role, trainable] = ['order', 'role', 'trainable'].map((field) => variable.get(field));
  if (!isNatural(order)) refuse(FORM, at, `the order ${show(order)}`);
  if (typeof role !== 'string' || role === '') refuse(FORM, at, `the role ${show(role)}`);
  if (typeof trainable !== 'boolean') refuse(FORM, at, `trainable: ${show(trainable)}`);
  return readEntry(variable, at, rules, ['order', 'role', 'trainable']);
}

function checkOrder(variables) {
  const orders = new Set([...variables.values()].map((variable) => variable.get('order')));
  const complete = [...orders].every((order) => order < variables.size) && orders.size === variables.size;
  if (!complete) refuse('weights-order', `${WHERE} /variables`, 'orders that do not count from 0, each once');
}

function checkAliases(aliases, variables) {
  for (const [alias, target] of aliases) {
    const at = `${WHERE} /aliases/${alias}`;
    checkPath(alias, at);
    checkPath(target, at);
    if (variables.has(alias)) refuse('alias-target', at, 'a path that is also a variable');
    if (!variables.has(target)) refuse('alias-target', at, `${show(target)} is no variable`);
  }
}
