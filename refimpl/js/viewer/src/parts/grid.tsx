/** A table of any length: rows are drawn as they come into sight, and the arrow keys move among them. */

import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { useWindow } from './virtual.js';

export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  /** A track of CSS grid. */
  readonly width: string;
  readonly end?: boolean;
  readonly cell: (row: Row) => ComponentChildren;
  /** What rows are sorted by; a column without it cannot be. */
  readonly by?: (row: Row) => number | string | null;
}

export interface Sorting {
  readonly key: string;
  readonly falling: boolean;
}

const HEAD = 33;

interface Properties<Row> {
  readonly label: string;
  readonly rows: readonly Row[];
  readonly id: (row: Row) => string;
  readonly columns: readonly Column<Row>[];
  readonly rowHeight: number;
  readonly minWidth: string;
  readonly selected: string | null;
  readonly onSelect: (row: Row) => void;
  readonly sorting?: Sorting | null;
  readonly onSort?: (sorting: Sorting | null) => void;
  readonly nothing: string;
}

export function Grid<Row>(properties: Properties<Row>) {
  const { label, rows, id, columns, rowHeight, selected, onSelect, sorting = null, onSort } = properties;
  const { frame, window, reveal } = useWindow<HTMLDivElement>(rows.length, rowHeight, HEAD);
  const [active, setActive] = useState(0);
  const chosen = useRef(0);
  chosen.current = Math.min(active, Math.max(0, rows.length - 1));
  const style = { '--columns': columns.map((column) => column.width).join(' '), '--min-width': properties.minWidth };

  const go = (row: number) => {
    const next = Math.max(0, Math.min(rows.length - 1, row));
    setActive(next);
    reveal(next);
    requestAnimationFrame(() =>
      frame.current?.querySelector<HTMLElement>(`[aria-rowindex="${next + 2}"]`)?.focus({ preventScroll: true }),
    );
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if ((event.target as HTMLElement).getAttribute('role') !== 'row' || event.ctrlKey || event.metaKey || event.altKey)
      return;
    const page = Math.max(1, window.last - window.first - 18);
    const steps: Record<string, number> = {
      ArrowDown: 1,
      ArrowUp: -1,
      PageDown: page,
      PageUp: -page,
      Home: -rows.length,
      End: rows.length,
    };
    const step = steps[event.key];
    if (step !== undefined) go(chosen.current + step);
    else if (event.key === 'Enter' || event.key === ' ') onSelect(rows[chosen.current]!);
    else return;
    event.preventDefault();
  };
  const sort = (column: Column<Row>) => {
    if (sorting?.key !== column.key) onSort?.({ key: column.key, falling: column.end === true });
    else if (sorting.falling === (column.end === true)) onSort?.({ key: column.key, falling: !sorting.falling });
    else onSort?.(null);
  };
  const drawn = rows.slice(window.first, window.last + 1).map((row, index) => ({ row, index: window.first + index }));
  // The row that has the focus stays drawn, wherever the table is scrolled to.
  const kept = chosen.current;
  if (rows.length > 0 && (kept < window.first || kept > window.last)) drawn.push({ row: rows[kept]!, index: kept });
  return (
    <div
      class="grid"
      ref={frame}
      role="grid"
      aria-label={label}
      aria-rowcount={rows.length + 1}
      aria-colcount={columns.length}
      style={style}
      tabIndex={rows.length === 0 ? 0 : -1}
      onKeyDown={onKeyDown}
    >
      <div class="head" role="row" aria-rowindex={1}>
        {columns.map((column) => (
          <div
            key={column.key}
            role="columnheader"
            class={column.end ? 'end clip' : 'clip'}
            aria-sort={sorting?.key === column.key ? (sorting.falling ? 'descending' : 'ascending') : undefined}
          >
            {column.by && onSort ? (
              <button type="button" onClick={() => sort(column)}>
                {column.title}
                {sorting?.key === column.key ? (sorting.falling ? ' ↓' : ' ↑') : ''}
              </button>
            ) : (
              column.title
            )}
          </div>
        ))}
      </div>
      {rows.length === 0 && (
        <div role="row" aria-rowindex={2}>
          <p class="nothing" role="gridcell">
            {properties.nothing}
          </p>
        </div>
      )}
      <div class="body" role="presentation" style={{ height: `${window.height}px` }}>
        {drawn.map(({ row, index }) => (
          <div
            key={id(row)}
            class="row"
            role="row"
            aria-rowindex={index + 2}
            aria-selected={selected === id(row)}
            tabIndex={index === kept ? 0 : -1}
            style={{ top: `${window.top(index)}px`, height: `${rowHeight}px` }}
            onClick={() => {
              setActive(index);
              onSelect(row);
            }}
          >
            {columns.map((column, at) => (
              <div key={column.key} role={at === 0 ? 'rowheader' : 'gridcell'} class={column.end ? 'end clip' : 'clip'}>
                {column.cell(row)}
              </div>
            ))}
          </div>
        ))}
      </div>
    </div>
  );
}

/** The rows in the order that was asked for; those without a value come last, and equal ones stay in order. */
export function sorted<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  sorting: Sorting | null,
): readonly Row[] {
  const by = sorting && columns.find((column) => column.key === sorting.key)?.by;
  if (!by) return rows;
  const sign = sorting.falling ? -1 : 1;
  return rows
    .map((row, index) => ({ row, index, value: by(row) }))
    .sort((a, b) => {
      if (a.value === null || b.value === null)
        return Number(a.value === null) - Number(b.value === null) || a.index - b.index;
      const order =
        typeof a.value === 'string' ? collator.compare(a.value, String(b.value)) : a.value - Number(b.value);
      return sign * order || a.index - b.index;
    })
    .map(({ row }) => row);
}

const collator = new Intl.Collator('en', { numeric: true });
