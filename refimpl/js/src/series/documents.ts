// The documents of a series: its mark, the records of its steps, layouts (SPEC.md annex Q).

import type { Json, JsonMap } from '../canonical/json.js';
import { decodeJson, encodeJson } from '../canonical/json.js';
import { checkDigest, checkFields, checkRequired, checkVersion, isNatural } from '../documents/names.js';
import { refuse, show } from '../errors.js';
import { LIMITS, type Limits } from '../limits.js';
import { digestOf } from '../platform.js';
import { checkValue, type Scope } from '../values/check.js';
import type { Attrs } from '../values/classes.js';
import { attrsOf, isTag } from '../values/decode.js';

export const RECORD_LIMIT = 64 * 1024 * 1024;
export const LAYOUT_LIMIT = 128 * 1024 * 1024;
export const PIECES_LIMIT = 1_000_000;
const LAYOUTS_LIMIT = 100_000;
const DATA_NAME = /^(?:weights|optimizer|state)(?:-[0-9]{5,}-of-[0-9]{5,})?\.safetensors$/;
const TIME = /^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$/;

const nothing: Scope = {
  limits: LIMITS,
  module: () => false,
  variable: () => false,
  asset: () => false,
  stored: () => false,
  output: null,
};

/** The record of a step. */
export interface StepRecord {
  readonly document: JsonMap;
  readonly step: number;
  readonly identity: string;
  /** Data part -> digest of its layout. */
  readonly layouts: ReadonlyMap<string, string>;
  /** Floats by their names. */
  readonly metrics: Attrs;
  /** In UTC, to the millisecond. */
  readonly time: string;
}

/** `size` bytes of the object number `object` of a layout, from `offset` on. */
export interface LayoutPiece {
  readonly object: number;
  readonly offset: number;
  readonly size: number;
}

export interface Layout {
  readonly version: string;
  readonly objects: readonly string[];
  readonly pieces: readonly LayoutPiece[];
}

/** Refuses what does not mark a series (CS-1). */
export function readMark(bytes: Uint8Array, limits: Limits): void {
  const document = decodeJson(bytes, 'series.json', limits);
  open(document, 'etui-series', ['format', 'version'], 'series.json', 'series-form', limits);
}

/** A record; `step` is the number of its file, or null where it stands alone. */
export async function readRecord(bytes: Uint8Array, step: number | null, limits: Limits): Promise<StepRecord> {
  const where = step === null ? 'the record' : `steps/${step}.json`;
  const form = 'step-form';
  if (bytes.length > RECORD_LIMIT) refuse('limit-document', where, `${bytes.length} bytes`);
  const document = decodeJson(bytes, where, limits);
  const known = ['format', 'identity', 'layouts', 'metrics', 'seal', 'step', 'time', 'version'];
  open(document, 'etui-step', known, where, form, limits);
  checkRequired(document, ['identity', 'seal', 'step', 'time'], where, form);
  const number = document.get('step');
  if (!isNatural(number)) refuse(form, `${where} /step`, show(number));
  if (step !== null && number !== step) refuse(form, `${where} /step`, `${number}, where its file is of ${step}`);
  const identity = document.get('identity');
  checkDigest(identity, `${where} /identity`);
  const layouts = readLayouts(document, where);
  const metrics = attrsOf(readMetrics(document, where));
  const time = document.get('time');
  const moment = typeof time === 'string' && TIME.test(time) ? new Date(time) : null;
  if (moment === null || Number.isNaN(moment.getTime()) || moment.toISOString() !== time || time.startsWith('0000')) {
    refuse(form, `${where} /time`, show(time));
  }
  const seal = document.get('seal');
  checkDigest(seal, `${where} /seal`);
  if ((await sealOf(document)) !== seal) refuse('series-seal', `${where} /seal`, 'a record that was changed');
  return { document, step: number, identity, layouts, metrics, time: time as string };
}

/** The digest of a record without its seal (CS-21). */
export function sealOf(record: JsonMap): Promise<string> {
  return digestOf(encodeJson(new Map([...record].filter(([field]) => field !== 'seal'))));
}

function readLayouts(document: JsonMap, where: string): Map<string, string> {
  if (!document.has('layouts')) return new Map();
  const layouts = document.get('layouts');
  if (!(layouts instanceof Map) || layouts.size === 0 || layouts.size > LAYOUTS_LIMIT) {
    refuse('step-form', `${where} /layouts`, 'no map of digests, or an empty one');
  }
  for (const [part, digest] of layouts) {
    if (!DATA_NAME.test(part)) refuse('step-form', `${where} /layouts`, show(part));
    checkDigest(digest, `${where} /layouts/${part}`);
  }
  return layouts as Map<string, string>;
}

function readMetrics(document: JsonMap, where: string): JsonMap {
  if (!document.has('metrics')) return new Map();
  const metrics = document.get('metrics');
  if (!(metrics instanceof Map) || metrics.size === 0) {
    refuse('step-form', `${where} /metrics`, 'no map of floats, or an empty one');
  }
  // A map of values: a name that is a tag, and a tag that there is not, break the clauses on values.
  checkValue(metrics, `${where} /metrics`, nothing);
  for (const [name, value] of metrics) {
    const at = `${where} /metrics/${name}`;
    if (name === '') refuse('step-form', at, 'an empty name');
    const tagged = value instanceof Map && value.has('$float');
    if (isTag(name)) refuse('value-tag', at, show(name));
    if (!tagged && (typeof value !== 'number' || Number.isInteger(value))) refuse('step-form', at, show(value));
  }
  return metrics;
}

/** A layout, whose digest was checked (CS-11 to CS-13). */
export function readLayout(bytes: Uint8Array, where: string, limits: Limits): Layout {
  const form = 'layout-form';
  if (bytes.length > LAYOUT_LIMIT) refuse('limit-pieces', where, `${bytes.length} bytes`);
  if (countPieces(bytes) > PIECES_LIMIT) refuse('limit-pieces', where, `more than ${PIECES_LIMIT} pieces`);
  const document = decodeJson(bytes, where, limits);
  open(document, 'etui-layout', ['format', 'objects', 'pieces', 'version'], where, form, limits);
  const [objects, given] = [document.get('objects'), document.get('pieces')];
  if (!Array.isArray(objects)) refuse(form, `${where} /objects`, show(objects));
  if (!Array.isArray(given)) refuse(form, `${where} /pieces`, show(given));
  for (const [i, digest] of objects.entries()) checkDigest(digest, `${where} /objects/${i}`);
  if (new Set(objects).size !== objects.length) refuse(form, `${where} /objects`, 'an object twice');
  let met = 0;
  let last: LayoutPiece | null = null;
  const pieces = given.map((each, i): LayoutPiece => {
    const at = `${where} /pieces/${i}`;
    const piece = readPiece(each, at);
    if (piece.object > met || piece.object >= objects.length) refuse(form, at, `the object ${piece.object}`);
    if (piece.object === met) met += 1;
    if (last !== null && last.object === piece.object && last.offset + last.size === piece.offset) {
      refuse(form, at, 'a piece that goes on where the one before it ends');
    }
    last = piece;
    return piece;
  });
  if (met !== objects.length) refuse(form, `${where} /objects`, 'an object that no piece refers to');
  return { version: document.get('version') as string, objects: objects as string[], pieces };
}

function readPiece(piece: Json, at: string): LayoutPiece {
  if (!Array.isArray(piece) || piece.length !== 3 || !piece.every(isNatural)) refuse('layout-form', at, show(piece));
  const [object, offset, size] = piece as [number, number, number];
  if (size < 1) refuse('layout-form', at, 'an empty piece');
  return { object, offset, size };
}

/** How many pieces a layout has, without decoding it (CS-18): in canonical form they are digits, commas and brackets. */
function countPieces(bytes: Uint8Array): number {
  const start = indexOf(bytes, '"pieces":[');
  let count = 0;
  for (let i = start; i >= 0 && i < bytes.length; i += 1) {
    const byte = bytes[i] as number;
    if (byte === 0x5b) count += 1;
    else if (byte !== 0x5d && byte !== 0x2c && (byte < 0x30 || byte > 0x39)) break;
  }
  return count;
}

/** Behind the first occurrence of an ASCII text, or -1. */
function indexOf(bytes: Uint8Array, text: string): number {
  const first = text.charCodeAt(0);
  for (let i = bytes.indexOf(first); i >= 0; i = bytes.indexOf(first, i + 1)) {
    let same = 1;
    while (same < text.length && bytes[i + same] === text.charCodeAt(same)) same += 1;
    if (same === text.length) return i + same;
  }
  return -1;
}

function open(
  document: JsonMap,
  format: string,
  known: readonly string[],
  where: string,
  form: string,
  limits: Limits,
): void {
  if (document.get('format') !== format) refuse(form, `${where} /format`, show(document.get('format')));
  const minor = checkVersion(document.get('version'), `${where} /version`);
  checkFields(document, known, where, { form, minor, limits });
}
