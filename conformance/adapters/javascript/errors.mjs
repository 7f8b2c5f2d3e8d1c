// Refusals: the classes and codes of SPEC.md chapter 20.

const CLASSES = {
  malformed: [
    'json-encoding', 'json-syntax', 'json-surrogate', 'json-depth', 'msgpack-syntax', 'msgpack-encoding',
    'msgpack-depth', 'signature-form', 'zip-truncated', 'zip-layout', 'safetensors-header',
  ],
  unsupported: ['feature-unknown', 'version-unsupported', 'digest-algorithm', 'op-unknown'],
  limit: ['value-limit'],
  integrity: [
    'digest-mismatch', 'signature-key', 'signature-invalid', 'signature-identity', 'part-missing', 'part-size', 'zip-crc',
  ],
  unsafe: ['part-name', 'part-collision', 'part-not-a-file'],
};

/** The class of a code (E-1): what no other row names is `invalid`. */
export function classOf(code) {
  if (code.startsWith('limit-')) return 'limit';
  const found = Object.entries(CLASSES).find(([, codes]) => codes.includes(code));
  return found ? found[0] : 'invalid';
}

/** An artifact that the specification does not allow. */
export class Refusal extends Error {
  constructor(code, at, found) {
    super(`${at}: ${found} [${code}]`);
    this.code = code;
    this.at = at;
    this.found = found;
  }
}

/** Throws a refusal: reads as a statement where an expression is needed. */
export function refuse(code, at, found) {
  throw new Refusal(code, at, found);
}

/** Asked for what this reader does not have; no fault of the artifact. */
export class Unsupported extends Error {
  constructor(what) {
    super(`unsupported: ${what}`);
    this.what = what;
  }
}

/** Text for a message: short, and safe whatever it holds. */
export function show(value) {
  const text = value instanceof Map ? 'an object' : JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
