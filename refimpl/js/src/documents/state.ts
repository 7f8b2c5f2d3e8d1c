// What else a run needs in order to go on (SPEC.md chapter 16).

import type { Json, JsonMap } from '../canonical/json.js';
import { decodeMessagePack } from '../canonical/msgpack.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { checkMap, checkResidue, checkValue, type Scope } from '../values/check.js';
import { isTag } from '../values/decode.js';
import { viewOfPacked } from '../values/view.js';
import type { Rules } from './names.js';
import { checkCollisions, checkFields, checkOp, checkPath, checkRequired, checkVersion, isNatural } from './names.js';
import { scopeOf, type TensorDocument, type TensorScope } from './optimizer.js';
import { References, readTensors } from './references.js';

const FORM = 'state-form';
const WHERE = 'state.msgpack';
const FIELDS = ['counters', 'data', 'format', 'metrics', 'residue', 'rng', 'tensors', 'user', 'version'];
const BEYOND = 2n ** 64n;
const NO_NAMES: ReadonlySet<string> = new Set();

export function readState(
  bytes: Uint8Array,
  tensors: TensorScope,
  version: string | null,
  limits: Limits,
): TensorDocument {
  const document = viewOfPacked(decodeMessagePack(bytes, WHERE, limits), WHERE);
  if (document.get('format') !== 'etui-state') refuse(FORM, `${WHERE} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${WHERE} /version`, version);
  const rules = { form: FORM, minor, limits, isData: tensors.isData };
  checkFields(document, FIELDS, WHERE, rules);
  checkRequired(document, ['tensors'], WHERE, FORM);
  const entries = readTensors(document, WHERE, rules);
  const scope = scopeOf(tensors, limits, entries);
  const references = new References(WHERE, entries);
  const filled = (field: string): JsonMap | null => {
    if (!document.has(field)) return null;
    const value = document.get(field);
    if (!(value instanceof Map) || value.size === 0) refuse(FORM, `${WHERE} /${field}`, 'no map, or an empty one');
    return value;
  };
  checkCounters(filled('counters'), scope);
  checkGenerators(filled('rng'), scope, rules, references);
  checkMetrics(filled('metrics'), scope, limits, references);
  for (const field of ['data', 'user']) {
    const map = filled(field);
    if (map === null) continue;
    checkMap(map, `${WHERE} /${field}`, scope, FORM);
    references.entriesOf(map, field);
  }
  const residue = filled('residue');
  if (residue !== null) {
    checkResidue(residue, `${WHERE} /residue`, scope, FORM);
    references.residue(residue, 'residue');
  }
  references.finish();
  return { document, entries };
}

function checkCounters(counters: JsonMap | null, scope: Scope): void {
  for (const [name, value] of counters ?? []) {
    const at = `${WHERE} /counters/${name}`;
    if (isTag(name)) refuse(FORM, at, `${show(name)} where a map belongs`);
    if (isNatural(value)) continue;
    const text = value instanceof Map && value.size === 1 ? value.get('$int') : undefined;
    checkValue(value, at, scope);
    // A count is an integer of MessagePack, and so of 64 bits.
    const fits = typeof text === 'string' && /^[0-9]{1,20}$/.test(text) && BigInt(text) < BEYOND;
    if (!fits) refuse(FORM, at, show(value));
  }
}

function checkGenerators(rng: JsonMap | null, scope: Scope, rules: Rules, references: References): void {
  if (rng === null) return;
  for (const [path, generator] of rng) {
    const at = `${WHERE} /rng/${path}`;
    checkPath(path, `${WHERE} /rng`, rules.limits);
    if (!(generator instanceof Map)) refuse(FORM, at, show(generator));
    checkFields(generator, ['algorithm', 'state'], at, rules);
    checkRequired(generator, ['algorithm', 'state'], at, FORM);
    checkOp(generator.get('algorithm'), `${at}/algorithm`, NO_NAMES);
    const state = generator.get('state') as Json;
    if (!(state instanceof Map) || state.size !== 1 || !state.has('$stored')) refuse(FORM, `${at}/state`, show(state));
    checkValue(state, `${at}/state`, scope);
    references.value(state, `rng/${path}/state`);
  }
  checkCollisions(rng.keys(), `${WHERE} /rng`);
}

function checkMetrics(metrics: JsonMap | null, scope: Scope, limits: Limits, references: References): void {
  if (metrics === null) return;
  for (const [path, state] of metrics) {
    checkPath(path, `${WHERE} /metrics`, limits);
    checkMap(state, `${WHERE} /metrics/${path}`, scope, FORM);
    references.entriesOf(state, `metrics/${path}`);
  }
  checkCollisions(metrics.keys(), `${WHERE} /metrics`);
}
