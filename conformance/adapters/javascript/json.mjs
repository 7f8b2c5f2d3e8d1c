// Canonical JSON (SPEC.md chapter 3): a strict parser, because JSON.parse hides what the bytes were.
//
// Objects become Map (no key is special), lists Array; a number is an integer exactly if Number.isInteger says so (J-6).

import { refuse, show } from './errors.mjs';

export const DEPTH_LIMIT = 128;
const STRING_LIMIT = 64 * 1024 * 1024;

const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y; // the part of a string that needs no look
const SHORT_ESCAPES = new Map([['"', '"'], ['\\', '\\'], ['b', '\b'], ['f', '\f'], ['n', '\n'], ['r', '\r'], ['t', '\t']]);
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/;

/** The value of a document: one object in canonical form. */
export function decode(bytes, where) {
  const parser = new Parser(textOf(bytes, where), where);
  const value = parser.document();
  if (parser.flaw !== null) refuse('json-not-canonical', where, parser.flaw);
  return value;
}

/** Canonical bytes of a value, as decode gave it. */
export function encode(value) {
  return Buffer.from(encodeText(value), 'utf8');
}

/** Canonical text of a value, as decode gave it. */
export function encodeText(value) {
  if (Array.isArray(value)) return `[${value.map(encodeText).join(',')}]`;
  if (value instanceof Map) {
    const keys = [...value.keys()].sort(); // the default order is that of UTF-16 code units
    return `{${keys.map((key) => `${JSON.stringify(key)}:${encodeText(value.get(key))}`).join(',')}}`;
  }
  return JSON.stringify(value);
}

function textOf(bytes, where) {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) refuse('json-encoding', where, 'a byte order mark');
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return refuse('json-encoding', where, 'bytes that are not UTF-8');
  }
}

class Parser {
  constructor(text, where) {
    this.text = text;
    this.where = where;
    this.position = 0;
    this.flaw = null; // the first departure from canonical form; reported last, since other faults say more
  }

  document() {
    this.space();
    if (this.text[this.position] !== '{') this.syntax('no object at the root');
    const value = this.object(1);
    this.space();
    if (this.position !== this.text.length) this.syntax('something after the object');
    return value;
  }

  syntax(found) {
    refuse('json-syntax', `${this.where} character ${this.position}`, found);
  }

  notCanonical(found) {
    this.flaw ??= `${found} at character ${this.position}`;
  }

  space() {
    const start = this.position;
    while (' \t\n\r'.includes(this.text[this.position] ?? 'x')) this.position += 1;
    if (this.position > start) this.notCanonical('white space');
  }

  value(depth) {
    const character = this.text[this.position];
    if (character === '{') return this.object(depth);
    if (character === '[') return this.list(depth);
    if (character === '"') return this.string();
    for (const [word, value] of [['true', true], ['false', false], ['null', null]]) {
      if (this.text.startsWith(word, this.position)) {
        this.position += word.length;
        return value;
      }
    }
    return this.number();
  }

  enter(depth) {
    if (depth > DEPTH_LIMIT) refuse('json-depth', this.where, `more than ${DEPTH_LIMIT} levels`);
    this.position += 1;
    this.space();
  }

  list(depth) {
    this.enter(depth);
    const items = [];
    if (this.text[this.position] === ']') {
      this.position += 1;
      return items;
    }
    for (;;) {
      items.push(this.value(depth + 1));
      if (this.closes(']')) return items;
    }
  }

  object(depth) {
    this.enter(depth);
    const members = new Map();
    let previous = null;
    if (this.text[this.position] === '}') {
      this.position += 1;
      return members;
    }
    for (;;) {
      if (this.text[this.position] !== '"') this.syntax('a key that is no string');
      const key = this.string();
      if (members.has(key)) refuse('json-duplicate-key', this.where, show(key));
      if (previous !== null && key < previous) this.notCanonical(`the key ${show(key)} behind ${show(previous)}`);
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
  closes(end) {
    this.space();
    const character = this.text[this.position];
    if (character !== end && character !== ',') this.syntax(`neither a comma nor ${end}`);
    this.position += 1;
    if (character === end) return true;
    this.space();
    return false;
  }

  string() {
    const start = this.position;
    this.position += 1;
    const pieces = [];
    for (;;) {
      PLAIN.lastIndex = this.position;
      pieces.push(PLAIN.exec(this.text)[0]);
      this.position = PLAIN.lastIndex;
      const character = this.text[this.position];
      if (character === '"') break;
      if (character !== '\\') this.syntax('a control character, or no end, in a string');
      pieces.push(this.escape());
    }
    this.position += 1;
    const text = pieces.length === 1 ? pieces[0] : pieces.join('');
    if (LONE_SURROGATE.test(text)) refuse('json-surrogate', `${this.where} character ${start}`, 'a lone surrogate');
    if (text.length * 3 > STRING_LIMIT && Buffer.byteLength(text) > STRING_LIMIT) {
      refuse('value-limit', this.where, `a string of ${Buffer.byteLength(text)} bytes`);
    }
    return text;
  }

  escape() {
    const letter = this.text[this.position + 1];
    if (SHORT_ESCAPES.has(letter)) {
      this.position += 2;
      return SHORT_ESCAPES.get(letter);
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
    if (character > '\u001f' || JSON.stringify(character) !== `"\\u${digits}"`) this.notCanonical('an escape without need');
    this.position += 6;
    return character;
  }

  number() {
    NUMBER.lastIndex = this.position;
    const match = NUMBER.exec(this.text);
    if (match === null) this.syntax(`${show(this.text.slice(this.position, this.position + 10))} is no value`);
    const [token, fraction, exponent] = match;
    const value = Number(token);
    const whole = fraction === undefined && exponent === undefined;
    // String(value) is the form of RFC 8785, which took it from ECMAScript. It also shows -0 and digits too many.
    const fits = whole ? Number.isSafeInteger(value) : Number.isFinite(value) && !Number.isInteger(value);
    if (!fits || String(value) !== token) refuse('json-number', `${this.where} character ${this.position}`, token.slice(0, 40));
    this.position += token.length;
    return value;
  }
}
