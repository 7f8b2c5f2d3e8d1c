/** Two artifacts side by side: what changed, and by how much. */

import { useSignal } from '@preact/signals';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { Opened } from './data/opened.js';
import { type Differences, differences, measure, numeric, type TensorChange } from './diff.js';
import { Fields } from './diff-module.js';
import { compact, counted, integer, real, share, tightShape } from './format.js';
import { GraphView } from './graph/view.js';
import type { View as GraphPosition } from './graph/viewport.js';
import { family, shortOp } from './ops.js';
import { type Column, Grid, type Sorting, sorted } from './parts/grid.js';
import { Name, Path } from './shell/name.js';
import { selection, selectModule, selectTensor } from './state.js';
import { matches, words } from './text.js';

type View = 'summary' | 'structure' | 'numbers';

const SMALL = 512 * 1024;
const LISTED = 200;
/** So many changed tensors are compared without being in sight. */
const AT_ONCE = 400;

export function DiffPage({ before, after }: { before: Opened; after: Opened }) {
  const [view, setView] = useState<View>('summary');
  const found = differences.value;
  if (!found) return null;
  const choices: [View, string][] = [['summary', 'Summary']];
  if (before.architecture && after.architecture) choices.push(['structure', 'Structure']);
  choices.push(['numbers', 'Numbers']);
  return (
    <div class="table-page">
      <div class="table-bar">
        <div class="segmented" role="group" aria-label="Changes of">
          {choices.map(([value, name]) => (
            <button type="button" key={value} aria-pressed={view === value} onClick={() => setView(value)}>
              {name}
            </button>
          ))}
        </div>
        <span class="result">
          <Name text={before.name} limit={50} /> → <Name text={after.name} limit={50} />
        </span>
      </div>
      {view === 'summary' && <Summary found={found} onOpen={setView} />}
      {view === 'structure' && <Structure before={before} after={after} />}
      {view === 'numbers' && <NumbersTable found={found} />}
    </div>
  );
}

function Summary({ found, onOpen }: { found: Differences; onOpen: (view: View) => void }) {
  const { modules, tensors, documents, unchanged } = found;
  const nothing = modules.length === 0 && tensors.length === 0 && documents.size === 0;
  return (
    <div class="page" tabIndex={0}>
      <div class="inner">
        {nothing && (
          <section class="panel">
            <h2>The same model</h2>
            <p class="soft">Architecture, numbers and training are equal in both.</p>
          </section>
        )}
        {!nothing && (
          <div class="columns">
            <section class="panel">
              <h2>Numbers</h2>
              <Meter
                parts={[
                  ['good', count(tensors, 'added')],
                  ['bad', count(tensors, 'removed')],
                  ['warn', tensors.length - count(tensors, 'added') - count(tensors, 'removed')],
                  ['same', unchanged],
                ]}
              />
              <p class="lead gap">{sentence(tensors, unchanged, 'tensor')}</p>
              <Largest tensors={tensors} />
              <button type="button" class="button" onClick={() => onOpen('numbers')}>
                Every tensor
              </button>
            </section>
            <section class="panel">
              <h2>Architecture</h2>
              {modules.length === 0 && <p class="lead">No module was added, removed or changed.</p>}
              <ul class="changes">
                {modules.slice(0, LISTED).map((module) => (
                  <li key={module.path} data-family={family(module.op)}>
                    <button type="button" class="link" onClick={() => selectModule(module.path)}>
                      <Path path={module.path || 'the model'} limit={80} />
                    </button>
                    <span class="faint">{shortOp(module.op)}</span>
                    <span class={`tag ${toneOf(module.change)}`}>{module.change}</span>
                  </li>
                ))}
              </ul>
              {modules.length > LISTED && <p class="soft">{counted(modules.length - LISTED, 'more module')}</p>}
            </section>
          </div>
        )}
        {[...documents].map(([title, fields]) => (
          <section class="panel" key={title}>
            <h2>
              {title} <span class="aside">{counted(fields.length, 'change')}</span>
            </h2>
            <Fields fields={fields} />
          </section>
        ))}
      </div>
    </div>
  );
}

function toneOf(change: string): string {
  return change === 'added' ? 'good' : change === 'removed' ? 'bad' : 'warn';
}

function count(tensors: readonly TensorChange[], change: TensorChange['change']): number {
  return tensors.filter((tensor) => tensor.change === change).length;
}

function sentence(tensors: readonly TensorChange[], unchanged: number, noun: string): string {
  const [added, removed] = [count(tensors, 'added'), count(tensors, 'removed')];
  const changed = tensors.length - added - removed;
  const parts = [`${counted(changed, noun)} changed`];
  if (added) parts.push(`${integer(added)} added`);
  if (removed) parts.push(`${integer(removed)} removed`);
  return `${parts.join(', ')}; ${integer(unchanged)} the same.`;
}

function Meter({ parts }: { parts: [string, number][] }) {
  return (
    <div class="meter" aria-hidden="true">
      {parts
        .filter(([, number]) => number > 0)
        .map(([tone, number]) => (
          <i key={tone} class={tone} style={{ flex: String(number) }} />
        ))}
    </div>
  );
}

/** The tensors that moved most, relative to their length. */
function Largest({ tensors }: { tensors: readonly TensorChange[] }) {
  useMeasured(tensors.slice(0, 60));
  const known = tensors.flatMap((tensor) => {
    const figures = numeric.value.get(tensor.id);
    return figures?.state === 'known' && figures.rel !== null ? [{ tensor, rel: figures.rel }] : [];
  });
  const top = known.sort((a, b) => b.rel - a.rel).slice(0, 6);
  const most = top[0]?.rel ?? 1;
  if (top.length === 0) return null;
  return (
    <>
      <h3>Largest changes, relative to the tensor’s length</h3>
      <ul class="largest">
        {top.map(({ tensor, rel }) => (
          <li key={tensor.id}>
            <button type="button" class="link clip" onClick={() => selectTensor(tensor.id)}>
              <Path path={(tensor.after ?? tensor.before)!.name} limit={60} />
            </button>
            <Bar share={rel / most} />
            <span class="number">{real(rel)}</span>
          </li>
        ))}
      </ul>
    </>
  );
}

function Bar({ share: part }: { share: number }) {
  return (
    <span class="bar-track" aria-hidden="true">
      <i style={{ width: `${Math.max(1.5, 100 * Math.min(1, part))}%` }} />
    </span>
  );
}

/** Has the small ones of some tensors compared. */
function useMeasured(tensors: readonly TensorChange[]): void {
  useEffect(() => {
    let stopped = false;
    void (async () => {
      for (const tensor of tensors) {
        if (stopped) return;
        if ((tensor.after?.bytes ?? 0) <= SMALL) await measure(tensor);
      }
    })();
    return () => {
      stopped = true;
    };
  }, [tensors.length]);
}

function Structure({ before, after }: { before: Opened; after: Opened }) {
  const link = useSignal<GraphPosition | null>(null);
  return (
    <div class="beside">
      <figure aria-label="Before">
        <figcaption>
          <span class="tag">before</span> <Name text={before.name} limit={60} />
        </figcaption>
        <GraphView opened={before} link={link} />
      </figure>
      <figure aria-label="After">
        <figcaption>
          <span class="tag">after</span> <Name text={after.name} limit={60} />
        </figcaption>
        <GraphView opened={after} link={link} />
      </figure>
    </div>
  );
}

const LABELS: Readonly<Record<TensorChange['change'], string>> = {
  added: 'added',
  removed: 'removed',
  changed: 'changed',
  values: 'values',
  unknown: 'layout',
};

function NumbersTable({ found }: { found: Differences }) {
  const [query, setQuery] = useState('');
  const [sorting, setSorting] = useState<Sorting | null>({ key: 'rel', falling: true });
  const columns = useMemo(columnsOf, []);
  useMeasured(found.tensors.slice(0, AT_ONCE));
  const table = numeric.value;
  const rows = useMemo(() => {
    const wanted = words(query);
    return sorted(
      found.tensors.filter(({ id }) => matches(id, wanted)),
      columns,
      sorting,
    );
  }, [found, query, columns, sorting, table]);
  const chosen = selection.value?.kind === 'tensor' ? selection.value.id : null;
  return (
    <div class="table-page">
      <div class="table-bar">
        <input
          type="search"
          aria-label="Filter tensors"
          placeholder="Filter by path"
          spellcheck={false}
          value={query}
          onInput={(event) => setQuery(event.currentTarget.value)}
        />
        <span
          class="result"
          role="status"
        >{`${counted(rows.length, 'changed tensor')}, ${integer(found.unchanged)} the same`}</span>
      </div>
      <Grid
        label="Changed tensors"
        rows={rows}
        id={(tensor) => tensor.id}
        columns={columns}
        rowHeight={34}
        minWidth="56rem"
        selected={chosen}
        onSelect={(tensor) => selectTensor(tensor.id)}
        sorting={sorting}
        onSort={setSorting}
        nothing={
          found.tensors.length === 0 ? 'Every tensor has the same bytes in both.' : 'No changed tensor has that path.'
        }
      />
    </div>
  );
}

function columnsOf(): Column<TensorChange>[] {
  const item = (tensor: TensorChange) => (tensor.after ?? tensor.before)!;
  const figure = (key: 'changed' | 'max_abs' | 'mean_abs' | 'rel' | 'cosine') => (tensor: TensorChange) => {
    const known = numeric.peek().get(tensor.id);
    return known?.state === 'known' ? known[key] : null;
  };
  const number = (key: 'max_abs' | 'mean_abs' | 'cosine', title: string): Column<TensorChange> => ({
    key,
    title,
    width: '6rem',
    end: true,
    cell: (tensor) => <Figure tensor={tensor} of={key} />,
    by: figure(key),
  });
  return [
    {
      key: 'path',
      title: 'Tensor',
      width: 'minmax(14rem, 3fr)',
      cell: (tensor) => <Path path={item(tensor).name} limit={140} />,
      by: (tensor) => item(tensor).name,
    },
    {
      key: 'what',
      title: 'What',
      width: '5.5rem',
      cell: (tensor) => <What tensor={tensor} />,
      by: (tensor) => tensor.change,
    },
    {
      key: 'shape',
      title: 'Shape',
      width: 'minmax(7rem, 1fr)',
      cell: (tensor) => <span class="number">{tightShape(item(tensor).shape)}</span>,
      by: (tensor) => item(tensor).count,
    },
    {
      key: 'changed',
      title: 'Elements',
      width: '6.5rem',
      end: true,
      cell: (tensor) => <Changed tensor={tensor} />,
      by: figure('changed'),
    },
    number('max_abs', 'Largest'),
    number('mean_abs', 'Mean'),
    {
      key: 'rel',
      title: 'Relative',
      width: '11rem',
      end: true,
      cell: (tensor) => <Relative tensor={tensor} />,
      by: figure('rel'),
    },
    number('cosine', 'Cosine'),
  ];
}

function What({ tensor }: { tensor: TensorChange }) {
  const known = numeric.value.get(tensor.id);
  useEffect(() => {
    if ((tensor.after?.bytes ?? 0) > SMALL) return undefined;
    const timer = setTimeout(() => void measure(tensor), 120);
    return () => clearTimeout(timer);
  }, [tensor]);
  if (known?.state === 'same') return <span class="tag">layout</span>;
  if (known?.state === 'failed') return <span class="tag bad">broken</span>;
  return <span class={`tag ${toneOf(tensor.change)}`}>{LABELS[tensor.change]}</span>;
}

function Figure({ tensor, of }: { tensor: TensorChange; of: 'max_abs' | 'mean_abs' | 'cosine' }) {
  const known = numeric.value.get(tensor.id);
  return <span>{known?.state === 'known' ? real(known[of]) : ''}</span>;
}

function Changed({ tensor }: { tensor: TensorChange }) {
  const known = numeric.value.get(tensor.id);
  if (known?.state !== 'known') return null;
  const total = (tensor.after ?? tensor.before)!.count;
  return (
    <span title={`${integer(known.changed)} of ${integer(total)}`}>
      {known.changed === total ? `all ${compact(total)}` : share(known.changed, total)}
    </span>
  );
}

function Relative({ tensor }: { tensor: TensorChange }) {
  const known = numeric.value.get(tensor.id);
  if (known?.state !== 'known' || known.rel === null) return null;
  return (
    <span class="relative">
      <Bar share={known.rel} />
      <span>{real(known.rel)}</span>
    </span>
  );
}
