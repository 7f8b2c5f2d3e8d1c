// The accounting of a conversion, as `schemas/report.schema.json` has it.

export type Status =
  | 'restored'
  | 'translated'
  | 'aliased'
  | 'verbatim'
  | 'regenerated'
  | 'data-only'
  | 'fresh'
  | 'cast'
  | 'stale'
  | 'reset'
  | 'left-out'
  | 'missing'
  | 'unexpected'
  | 'shape-mismatch'
  | 'approximated'
  | 'not-transferable';

export interface Entry {
  /** What it is of: variable, module, training and others. */
  readonly kind: string;
  readonly status: Status;
  /** The path or name. */
  readonly subject: string;
  /** One sentence, or empty. */
  readonly detail: string;
}

const LOST: ReadonlySet<Status> = new Set([
  'missing',
  'unexpected',
  'shape-mismatch',
  'approximated',
  'not-transferable',
]);

/** What became of each variable and of everything else that is worth a word. */
export class Report {
  readonly entries: Entry[] = [];
  readonly source: string;
  readonly target: string;

  constructor(source: string, target: string) {
    this.source = source;
    this.target = target;
  }

  add(kind: string, status: Status, subject: string, detail = ''): void {
    this.entries.push({ kind, status, subject, detail });
  }

  /** Whether everything was carried over. */
  get ok(): boolean {
    return this.entries.every(({ status }) => !LOST.has(status));
  }

  /** Kind -> status -> number of entries. */
  get counts(): Record<string, Record<string, number>> {
    const counts: Record<string, Record<string, number>> = {};
    for (const { kind, status } of this.entries) {
      const of = counts[kind] ?? {};
      of[status] = (of[status] ?? 0) + 1;
      counts[kind] = of;
    }
    return counts;
  }

  /** The document of the report; `JSON.stringify` calls it. */
  toJSON(): Record<string, unknown> {
    const { counts, entries, ok, source, target } = this;
    return { counts, entries, format: 'etui-report', ok, source, target, version: '1.0' };
  }
}
