// Canonical JSON (SPEC.md chapter 3): a strict parser, because JSON.parse hides what the bytes were.
//
// Objects become Map (no key is special), lists Array; a number is an integer exactly if Number.isInteger says so (J-6).

import { textOf, utf8, utf8Length } from '../bytes.js';
import { refuse, show } from '../errors.js';
import type { Limits } from '../limits.js';
import { LIMITS } from '../limits.js';

/** A value of a document; objects are Maps, in the order in which they were written. */
export type Json = null | boolean | number | string | Json[] | JsonMap;
/** An object of JSON, in the order of its document. */
export type JsonMap = Map<string, Json>;

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y; // the part of a string that needs no look
const SHORT_ESCAPES = new Map([
  ['"', '"'],
  ['\\', '\\'],
  ['b', '\b'],
  ['f', '\f'],
  ['n', '\n'],
  ['r', '\r'],
  ['t', '\t'],
]);
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** The value of a document: one object in canonical form. */
export function decodeJson(bytes: Uint8Array, where: string, limits: Limits = LIMITS): JsonMap {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) refuse('json-encoding', where, 'a byte order mark');
  const text = textOf(bytes);
  if (text === null) refuse('json-encoding', where, 'bytes that are not UTF-8');
  const parser = new Parser(text, where, limits);
  const value = parser.document();
  if (parser.flaw !== null) refuse('json-not-canonical', where, parser.flaw);
  return value;
}

/** Canonical bytes of a value, as decodeJson gives it. */
export function encodeJson(value: Json): Uint8Array {
  return utf8(canonicalText(value));
}

/** Canonical text of a value. */
export function canonicalText(value: Json): string {
  if (typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') return numberText(value);
  if (value === null || typeof value === 'boolean') return String(value);
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) text += text === '' ? canonicalText(item) : `,${canonicalText(item)}`;
    return `[${text}]`;
  }
  if (!(value instanceof Map)) return refuse('argument', 'a document', `${show(value)}, which is no JSON made of Maps`);
  for (const key of sortedKeys(value)) {
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${canonicalText(value.get(key) as Json)}`;
  }
  return `{${text}}`;
}

/** The text of a number that JSON holds without a tag (J-6). */
function numberText(value: number): string {
  const fits = Number.isInteger(value) ? Number.isSafeInteger(value) && !Object.is(value, -0) : Number.isFinite(value);
  return fits ? String(value) : refuse('json-number', 'a document', `${Object.is(value, -0) ? '-0' : value}`);
}

/** Keys in the order of their UTF-16 code units (J-7), which is the default order of texts. */
function sortedKeys(map: JsonMap): Iterable<string> {
  let previous: string | null = null;
  for (const key of map.keys()) {
    if (previous !== null && key <= previous) return [...map.keys()].sort();
    previous = key;
  }
  return map.keys();
}

class Parser {
  readonly text: string;
  readonly where: string;
  readonly limits: Limits;
  position = 0;
  /** The first departure from canonical form; reported last, since other faults say more. */
  flaw: string | null = null;

  constructor(text: string, where: string, limits: Limits) {
    this.text = text;
    this.where = where;
    this.limits = limits;
  }

  document(): JsonMap {
    this.space();
    if (this.text[this.position] !== '{') this.syntax('no object at the root');
    const value = this.object(1);
    this.space();
    if (this.position !== this.text.length) this.syntax('something after the object');
    return value;
  }

  syntax(found: string): never {
    refuse('json-syntax', `${this.where} character ${this.position}`, found);
  }

  notCanonical(found: string): void {
    this.flaw ??= `${found} at character ${this.position}`;
  }

  space(): void {
    const code = this.text.charCodeAt(this.position);
    if (code > 0x20 || Number.isNaN(code)) return;
    const start = this.position;
    while (' \t\n\r'.includes(this.text[this.position] ?? 'x')) this.position += 1;
    if (this.position > start) this.notCanonical('white space');
  }

  value(depth: number): Json {
    const character = this.text[this.position];
    if (character === '"') return this.string();
    if (character === '{') return this.object(depth);
    if (character === '[') return this.list(depth);
    if (character === 't' && this.word('true')) return true;
    if (character === 'f' && this.word('false')) return false;
    if (character === 'n' && this.word('null')) return null;
    return this.number();
  }

  word(word: string): boolean {
    if (!this.text.startsWith(word, this.position)) return false;
    this.position += word.length;
    return true;
  }

  enter(depth: number): void {
    if (depth > this.limits.depth) refuse('json-depth', this.where, `more than ${this.limits.depth} levels`);
    this.position += 1;
    this.space();
  }

  list(depth: number): Json[] {
    this.enter(depth);
    const items: Json[] = [];
    if (this.text[this.position] === ']') {
      this.position += 1;
      return items;
    }
    for (;;) {
      items.push(this.value(depth + 1));
      if (this.closes(']')) return items;
    }
  }

  object(depth: number): JsonMap {
    this.enter(depth);
    const members: JsonMap = new Map();
    let previous: string | null = null;
    if (this.text[this.position] === '}') {
      this.position += 1;
      return members;
    }
    for (;;) {
      if (this.text[this.position] !== '"') this.syntax('a key that is no string');
      const key = this.string();
      // Keys in order need no look for one that is there twice.
      if (previous !== null && key <= previous) {
        if (members.has(key)) refuse('json-duplicate-key', this.where, show(key));
        this.notCanonical(`the key ${show(key)} behind ${show(previous)}`);
      }
      previous = key;
      this.space();
      if (this.text[this.position] !== ':') this.syntax('a key without a colon');
      this.position += 1;
      this.space();
      members.set(key, this.value(depth + 1));
      if (this.closes('}')) return members;
    }
  }

  /** Behind an item: true at the end of the container, false before its next item. */
  closes(end: string): boolean {
    this.space();
    const character = this.text[this.position];
    if (character !== end && character !== ',') this.syntax(`neither a comma nor ${end}`);
    this.position += 1;
    if (character === end) return true;
    this.space();
    return false;
  }

  string(): string {
    const start = this.position;
    this.position += 1;
    PLAIN.lastIndex = this.position;
    let text = (PLAIN.exec(this.text) as RegExpExecArray)[0];
    this.position = PLAIN.lastIndex;
    if (this.text[this.position] !== '"') text = this.usual(start) ?? this.escaped(text, start);
    this.position += 1;
    if (text.length * 3 > this.limits.string && utf8Length(text) > this.limits.string) {
      refuse('value-limit', this.where, `a string of ${utf8Length(text)} bytes`);
    }
    return text;
  }

  /** A string with escapes that are all as they must be, which JSON.parse knows how to read; null for any other. */
  usual(start: number): string | null {
    let end = this.position;
    for (let code = this.text.charCodeAt(end); code !== 0x22; code = this.text.charCodeAt(end)) {
      if (end >= this.text.length) return null;
      end += code === 0x5c ? 2 : 1;
    }
    const token = this.text.slice(start, end + 1);
    try {
      const text = JSON.parse(token) as string;
      if (JSON.stringify(text) !== token || (token.includes('\\u') && LONE_SURROGATE.test(text))) return null;
      this.position = end;
      return text;
    } catch {
      return null;
    }
  }

  /** The rest of a string that has something to look at. */
  escaped(first: string, start: number): string {
    const pieces = [first];
    while (this.text[this.position] !== '"') {
      if (this.text[this.position] !== '\\') this.syntax('a control character, or no end, in a string');
      pieces.push(this.escape());
      PLAIN.lastIndex = this.position;
      pieces.push((PLAIN.exec(this.text) as RegExpExecArray)[0]);
      this.position = PLAIN.lastIndex;
    }
    const text = pieces.join('');
    // Bytes that are UTF-8 hold none, so that it takes an escape.
    if (LONE_SURROGATE.test(text)) refuse('json-surrogate', `${this.where} character ${start}`, 'a lone surrogate');
    return text;
  }

  escape(): string {
    const letter = this.text[this.position + 1] ?? '';
    const short = SHORT_ESCAPES.get(letter);
    if (short !== undefined) {
      this.position += 2;
      return short;
    }
    if (letter === '/') {
      this.notCanonical('an escaped slash');
      this.position += 2;
      return '/';
    }
    const digits = this.text.slice(this.position + 2, this.position + 6);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) this.syntax('an escape that JSON does not have');
    const character = String.fromCharCode(Number.parseInt(digits, 16));
    // Only control characters without a letter of their own are written so; JSON.stringify says which, and in what case.
    if (character > '\u001f' || JSON.stringify(character) !== `"\\u${digits}"`) {
      this.notCanonical('an escape without need');
    }
    this.position += 6;
    return character;
  }

  number(): number {
    NUMBER.lastIndex = this.position;
    const match = NUMBER.exec(this.text);
    if (match === null) this.syntax(`${show(this.text.slice(this.position, this.position + 10))} is no value`);
    const [token, fraction, exponent] = match;
    const value = Number(token);
    const whole = fraction === undefined && exponent === undefined;
    // String(value) is the form of RFC 8785, which took it from ECMAScript. It also shows -0 and digits too many.
    const fits = whole ? Number.isSafeInteger(value) : Number.isFinite(value) && !Number.isInteger(value);
    if (!fits || String(value) !== token) {
      refuse('json-number', `${this.where} character ${this.position}`, token.slice(0, 40));
    }
    this.position += token.length;
    return value;
  }
}
