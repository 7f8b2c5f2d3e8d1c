/** What became of every item in the conversion that made the artifact. */

import { useMemo, useState } from 'preact/hooks';
import type { Opened } from '../data/opened.js';
import { counted, integer } from '../format.js';
import type { ReportEntry } from '../payload.js';
import { Name, Path } from '../shell/name.js';
import { shortened } from '../text.js';
import { type Column, Grid } from './grid.js';

type Tone = 'good' | 'warn' | 'bad';
const TONES: Readonly<Record<string, Tone>> = {
  cast: 'warn',
  stale: 'warn',
  reset: 'warn',
  'left-out': 'warn',
  missing: 'bad',
  unexpected: 'bad',
  'shape-mismatch': 'bad',
  approximated: 'bad',
  'not-transferable': 'bad',
};

/** What a status means for the item: kept, changed, lost. */
export function toneOf(status: string): Tone {
  return Object.hasOwn(TONES, status) ? TONES[status]! : 'good';
}

const columns: Column<ReportEntry>[] = [
  {
    key: 'subject',
    title: 'Item',
    width: 'minmax(14rem, 2fr)',
    cell: (entry) => <Path path={entry.subject} limit={140} />,
  },
  { key: 'kind', title: 'Kind', width: '7rem', cell: (entry) => <Name text={entry.kind} limit={40} /> },
  {
    key: 'status',
    title: 'Became',
    width: '9rem',
    cell: (entry) => <span class={`tag ${toneOf(entry.status)}`}>{shortened(entry.status, 40)}</span>,
  },
  {
    key: 'detail',
    title: 'Why',
    width: 'minmax(12rem, 3fr)',
    cell: (entry) => <Name text={detailOf(entry)} limit={300} />,
  },
];

function detailOf(entry: ReportEntry): string {
  const transfer = entry.transfer;
  if (!transfer) return entry.detail;
  const parts = [
    entry.detail,
    transfer.class,
    transfer.formula,
    transfer.bound === null ? '' : `within ${transfer.bound}`,
  ];
  return parts.filter(Boolean).join('; ');
}

export function ReportPage({ opened }: { opened: Opened }) {
  const report = opened.report!;
  const [status, setStatus] = useState<string | null>(null);
  const counts = useMemo(() => {
    const table = new Map<string, number>();
    for (const entry of report.entries) table.set(entry.status, (table.get(entry.status) ?? 0) + 1);
    const rank = { bad: 0, warn: 1, good: 2 };
    return [...table].sort(([a], [b]) => rank[toneOf(a)] - rank[toneOf(b)]);
  }, [report]);
  const rows = useMemo(
    () =>
      report.entries
        .map((entry, index) => ({ ...entry, index }))
        .filter((entry) => status === null || entry.status === status),
    [report, status],
  );
  return (
    <div class="table-page">
      <div class="table-bar">
        <span class={`tag ${report.ok ? 'good' : 'bad'}`}>
          {report.ok ? 'Everything was carried over' : 'Something was not carried over'}
        </span>
        <div class="segmented" role="group" aria-label="Show">
          <button type="button" aria-pressed={status === null} onClick={() => setStatus(null)}>
            All
          </button>
          {counts.map(([name, count]) => (
            <button type="button" key={name} aria-pressed={status === name} onClick={() => setStatus(name)}>
              {`${shortened(name, 30)} ${integer(count)}`}
            </button>
          ))}
        </div>
        <span class="result" role="status">
          {counted(rows.length, 'item')}
        </span>
      </div>
      <Grid
        label="Report of the conversion"
        rows={rows}
        id={(row) => String(row.index)}
        columns={columns as Column<ReportEntry & { index: number }>[]}
        rowHeight={34}
        minWidth="44rem"
        selected={null}
        onSelect={() => {}}
        nothing="The report has no entries."
      />
    </div>
  );
}
