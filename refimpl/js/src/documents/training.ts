// What the training loop needs of a model (SPEC.md chapter 14).

import type { Json, JsonMap } from '../canonical/json.js';
import { decodeJson } from '../canonical/json.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { checkMap, checkResidue, checkValue, type Scope } from '../values/check.js';
import { checkFields, checkVersion } from './names.js';

const FORM = 'training-form';
const WHERE = 'training.json';
const FREE = ['class_weighting', 'loss', 'loss_weights', 'metrics', 'sample_weighting', 'weighted_metrics'];

export function readTraining(bytes: Uint8Array, scope: Scope, version: string | null, limits: Limits): JsonMap {
  const document = decodeJson(bytes, WHERE, limits);
  if (document.get('format') !== 'etui-training') refuse(FORM, `${WHERE} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${WHERE} /version`, version);
  const known = [...FREE, 'added_losses', 'format', 'options', 'precision', 'residue', 'version'];
  checkFields(document, known, WHERE, { form: FORM, minor, limits });
  for (const field of FREE) {
    if (!document.has(field)) continue;
    const value = document.get(field) as Json;
    if (isEmpty(value)) refuse(FORM, `${WHERE} /${field}`, 'an empty value');
    checkValue(value, `${WHERE} /${field}`, scope);
  }
  if (document.has('added_losses')) checkAddedLosses(document.get('added_losses') as Json);
  if (document.has('options')) {
    const options = document.get('options');
    checkMap(options, `${WHERE} /options`, scope, FORM);
    if (options.size === 0) refuse(FORM, `${WHERE} /options`, 'an empty map');
  }
  if (document.has('precision')) checkPrecision(document.get('precision') as Json, scope);
  if (document.has('residue')) checkResidue(document.get('residue'), `${WHERE} /residue`, scope, FORM);
  return document;
}

function isEmpty(value: Json): boolean {
  if (value instanceof Map) return value.size === 0;
  return value === null || value === '' || (Array.isArray(value) && value.length === 0);
}

function checkAddedLosses(names: Json): void {
  const fits = Array.isArray(names) && names.length > 0 && names.every((name) => typeof name === 'string');
  if (!fits) refuse(FORM, `${WHERE} /added_losses`, show(names));
}

function checkPrecision(precision: Json, scope: Scope): void {
  const at = `${WHERE} /precision`;
  checkMap(precision, at, scope, FORM);
  for (const field of ['compute_dtype', 'name', 'variable_dtype']) {
    if (typeof precision.get(field) !== 'string') refuse(FORM, `${at}/${field}`, show(precision.get(field)));
  }
}
