/** Every tensor of the artifact in one table. */

import { useComputed } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import { Spark } from '../charts/spark.js';
import type { Item, Opened } from '../data/opened.js';
import { brief, counted, integer, size, tightShape } from '../format.js';
import { Path } from '../shell/name.js';
import { selection, selectTensor } from '../state.js';
import { matches, words } from '../text.js';
import { type Column, Grid, type Sorting, sorted } from './grid.js';

const KINDS: readonly (readonly [Item['kind'], string])[] = [
  ['weight', 'Variables'],
  ['slot', 'Optimizer'],
  ['state', 'State'],
];
/** A row in sight reads its tensor by itself if it has at most so many bytes. */
const SMALL = 512 * 1024;

export function TensorsPage({ opened }: { opened: Opened }) {
  const kinds = KINDS.filter(([kind]) => opened.items.some((item) => item.kind === kind));
  const [kind, setKind] = useState<Item['kind']>(kinds[0]?.[0] ?? 'weight');
  const [query, setQuery] = useState('');
  const [sorting, setSorting] = useState<Sorting | null>(null);
  const chosen = selection.value?.kind === 'tensor' ? selection.value.id : null;
  useEffect(() => {
    const item = chosen === null ? undefined : opened.item(chosen);
    if (item) setKind(item.kind);
  }, [chosen]);
  const columns = useMemo(() => columnsOf(opened, kind), [opened, kind]);
  const rows = useMemo(() => {
    const wanted = words(query);
    const found = opened.items.filter(
      (item) =>
        item.kind === kind && matches(`${item.name} ${item.role} ${item.dtype} ${tightShape(item.shape)}`, wanted),
    );
    return sorted(found, columns, sorting);
  }, [opened, kind, query, columns, sorting]);
  const bytes = rows.reduce((sum, item) => sum + item.bytes, 0);
  return (
    <div class="table-page">
      <div class="table-bar">
        {kinds.length > 1 && (
          <div class="segmented" role="group" aria-label="Tensors of">
            {kinds.map(([value, name]) => (
              <button type="button" key={value} aria-pressed={kind === value} onClick={() => setKind(value)}>
                {name}
              </button>
            ))}
          </div>
        )}
        <input
          type="search"
          aria-label="Filter tensors"
          placeholder="Filter by path, dtype or shape"
          spellcheck={false}
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
        <span class="result" role="status">{`${counted(rows.length, 'tensor')}, ${size(bytes)}`}</span>
      </div>
      <Grid
        label="Tensors"
        rows={rows}
        id={(item) => item.id}
        columns={columns}
        rowHeight={34}
        minWidth={opened.numbers.available ? '58rem' : '42rem'}
        selected={chosen}
        onSelect={(item) => selectTensor(item.id)}
        sorting={sorting}
        onSort={setSorting}
        nothing={query ? 'No tensor has that path, dtype or shape.' : 'This artifact has no tensors.'}
      />
    </div>
  );
}

function columnsOf(opened: Opened, kind: Item['kind']): Column<Item>[] {
  const figure = (key: 'min' | 'max' | 'mean') => (item: Item) => {
    const known = opened.numbers.of(item).peek();
    return known.state === 'known' ? known.statistics[key] : null;
  };
  const missing = (item: Item) => {
    const known = opened.numbers.of(item).peek();
    return known.state === 'known' ? known.statistics.nan : null;
  };
  const columns: Column<Item>[] = [
    {
      key: 'path',
      title: kind === 'weight' ? 'Variable' : 'Tensor',
      width: 'minmax(15rem, 4fr)',
      cell: (item) => <Path path={item.name} limit={140} />,
      by: (item) => item.name,
    },
    {
      key: 'shape',
      title: 'Shape',
      width: 'minmax(6.5rem, 1fr)',
      cell: (item) => <span class="number">{tightShape(item.shape)}</span>,
      by: (item) => item.count,
    },
    {
      key: 'dtype',
      title: 'Dtype',
      width: '7.4rem',
      cell: (item) => <span class="soft">{item.dtype}</span>,
      by: (item) => item.dtype,
    },
    {
      key: 'size',
      title: 'Size',
      width: '5.5rem',
      end: true,
      cell: (item) => <span title={counted(item.bytes, 'byte')}>{size(item.bytes)}</span>,
      by: (item) => item.bytes,
    },
  ];
  if (kind === 'weight') {
    columns.push({
      key: 'trainable',
      title: 'Trained',
      width: '4.8rem',
      cell: (item) => <span class={item.trainable ? '' : 'faint'}>{item.trainable ? 'yes' : 'no'}</span>,
      by: (item) => Number(item.trainable),
    });
  }
  if (!opened.numbers.available) return columns;
  return [
    ...columns,
    { key: 'spark', title: 'Values', width: '6.5rem', cell: (item) => <Values opened={opened} item={item} /> },
    {
      key: 'min',
      title: 'Min',
      width: '6.1rem',
      end: true,
      cell: (item) => <Figure opened={opened} item={item} of="min" />,
      by: figure('min'),
    },
    {
      key: 'mean',
      title: 'Mean',
      width: '6.1rem',
      end: true,
      cell: (item) => <Figure opened={opened} item={item} of="mean" />,
      by: figure('mean'),
    },
    {
      key: 'max',
      title: 'Max',
      width: '6.1rem',
      end: true,
      cell: (item) => <Figure opened={opened} item={item} of="max" />,
      by: figure('max'),
    },
    {
      key: 'nan',
      title: 'NaN',
      width: '4.2rem',
      end: true,
      cell: (item) => <Missing opened={opened} item={item} />,
      by: missing,
    },
  ];
}

interface Cell {
  readonly opened: Opened;
  readonly item: Item;
}

function Values({ opened, item }: Cell) {
  const known = opened.numbers.of(item).value;
  useEffect(() => {
    if (item.bytes > SMALL) return undefined;
    // A row that is scrolled past is not read.
    const timer = setTimeout(() => opened.numbers.want(item), 120);
    return () => clearTimeout(timer);
  }, [item]);
  if (known.state === 'known' && known.statistics.histogram)
    return <Spark counts={known.statistics.histogram.counts} />;
  if (known.state === 'failed') return <span class="nan">broken</span>;
  if (known.state === 'unknown' && item.bytes > SMALL) return <span class="faint">on request</span>;
  return <span class="faint">{known.state === 'pending' ? '…' : ''}</span>;
}

function Figure({ opened, item, of }: Cell & { of: 'min' | 'max' | 'mean' }) {
  const known = opened.numbers.of(item);
  const text = useComputed(() => (known.value.state === 'known' ? brief(known.value.statistics[of]) : ''));
  return <span>{text}</span>;
}

function Missing({ opened, item }: Cell) {
  const known = opened.numbers.of(item).value;
  if (known.state !== 'known') return null;
  const { nan, inf } = known.statistics;
  if (nan === 0 && inf === 0) return <span class="faint">0</span>;
  return <span class="nan">{nan > 0 ? integer(nan) : `${integer(inf)} inf`}</span>;
}
