// Refusals: the classes and codes of SPEC.md chapter 20.

import { REASONS } from './codes.js';

/** The classes of refusals (E-1), and `usage` for what a caller did wrong. */
export type ErrorClass = 'malformed' | 'invalid' | 'unsupported' | 'limit' | 'integrity' | 'unsafe' | 'usage';

/** What was refused, or could not be done: with its code, the clause, the place, what was found there, and what to do next. */
export class EtuiError extends Error {
  /** The code of SPEC.md, or one of this library for what no artifact is to blame for. */
  readonly code: string;
  readonly errorClass: ErrorClass;
  /** The clause that asks for it, or null where none does. */
  readonly clause: string | null;
  /** The place: a part, and a place in it where there is one. */
  readonly where: string;
  readonly found: string;
  /** What to do next. */
  readonly hint: string;

  constructor(code: string, where: string, found: string) {
    const reason = REASONS[code];
    super(`${where}: ${found} [${code}${reason?.clause ? `, ${reason.clause}` : ''}]`);
    this.name = 'EtuiError';
    this.code = code;
    this.errorClass = reason?.errorClass ?? 'invalid';
    this.clause = reason?.clause ?? null;
    this.where = where;
    this.found = found;
    this.hint = reason?.hint ?? '';
  }
}

/** Throws a refusal; an expression, so that it may stand where a value is wanted. */
export function refuse(code: string, where: string, found: string): never {
  throw new EtuiError(code, where, found);
}

/** Text for a message: short, and safe whatever it holds. */
export function show(value: unknown): string {
  if (value instanceof Map) return 'an object';
  const text = typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
