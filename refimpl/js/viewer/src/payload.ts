/** What `etui view` put into the page (`view.schema.json`), checked before anything of it is used. */

import type { Statistics } from './statistics.js';

export type EmbeddedStatistics = Statistics & { readonly values: string | null };
export type Table = Readonly<Record<string, EmbeddedStatistics>>;
export interface StatisticsTables {
  readonly weights: Table;
  readonly optimizer: Table;
  readonly state: Table;
}

export interface ReportEntry {
  readonly kind: string;
  readonly subject: string;
  readonly status: string;
  readonly detail: string;
  readonly transfer?: { readonly class: string; readonly formula: string; readonly bound: number | null };
}
export interface Report {
  readonly source: string;
  readonly target: string;
  readonly ok: boolean;
  readonly entries: readonly ReportEntry[];
}

export interface EmbeddedArtifact {
  readonly name: string;
  readonly source_format: string | null;
  readonly report: Report | null;
  readonly identity: string;
  readonly form: string | null;
  readonly parts: Readonly<Record<string, string>>;
  readonly statistics: StatisticsTables | null;
}

/** How the numbers of one tensor of the second artifact differ from those of the first; null where that is not finite. */
export interface NumericDifference {
  readonly changed: number;
  readonly max_abs: number | null;
  readonly mean_abs: number | null;
  readonly rel: number | null;
  readonly cosine: number | null;
}

export interface Payload {
  readonly created_by: string;
  readonly artifacts: readonly EmbeddedArtifact[];
  readonly differences?: {
    readonly weights: Readonly<Record<string, NumericDifference>>;
    readonly optimizer: Readonly<Record<string, NumericDifference>>;
  };
}

/** What is wrong with the page itself, which no artifact is to blame for. */
export class PayloadError extends Error {}

/** The payload of this page; null if it has none.
 *
 * @throws PayloadError it is there and cannot be read.
 */
export function payloadOf(page: Document): Payload | null {
  const element = page.getElementById('etui-payload');
  if (!element) return null;
  let payload: unknown;
  try {
    payload = JSON.parse(element.textContent ?? '');
  } catch {
    throw new PayloadError('What stands in this page is no JSON: the file was cut off or changed.');
  }
  if (!isRecord(payload) || payload.format !== 'etui-view' || !Array.isArray(payload.artifacts)) {
    throw new PayloadError('What stands in this page is not what etui view writes.');
  }
  if (typeof payload.version !== 'string' || !payload.version.startsWith('1.')) {
    throw new PayloadError(
      `This page holds a view of version ${String(payload.version).slice(0, 20)}; the viewer knows 1.x.`,
    );
  }
  const whole = payload.artifacts.length > 0 && payload.artifacts.every(isArtifact);
  if (!whole) throw new PayloadError('An artifact of this page lacks its parts.');
  return payload as unknown as Payload;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isArtifact(value: unknown): boolean {
  return (
    isRecord(value) &&
    typeof value.name === 'string' &&
    isRecord(value.parts) &&
    Object.values(value.parts).every((part) => typeof part === 'string')
  );
}

/** The bytes of Base64. */
export function bytesOf(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index += 1) bytes[index] = binary.charCodeAt(index);
  return bytes;
}
