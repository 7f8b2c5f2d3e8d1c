/** All that is known of a tensor. */

import { useEffect } from 'preact/hooks';
import { Histogram } from '../charts/histogram.js';
import { Kernel } from '../charts/kernel.js';
import { type Known, LARGEST, UNASKED } from '../data/numbers.js';
import type { Item, Opened } from '../data/opened.js';
import { TensorChange } from '../diff-tensor.js';
import { counted, integer, real, shape, share, size } from '../format.js';
import { Name } from '../shell/name.js';
import { said } from '../shell/problem.js';
import { locate, selectTensor } from '../state.js';
import type { Statistics } from '../statistics.js';
import { Digest } from './digest.js';
import { TensorCard } from './tensor-card.js';

const KINDS = { weight: 'Variable', slot: 'Optimizer slot', state: 'State' } as const;

export function TensorDetails({ opened, item }: { opened: Opened; item: Item }) {
  const owner = item.kind === 'weight' ? opened.architecture?.owner(item.name) : undefined;
  const slots = item.kind === 'weight' ? opened.slots(item.name) : [];
  const variable = item.variable === null ? undefined : opened.weight(item.variable);
  return (
    <>
      <header>
        <h2>
          <Name text={item.role} limit={60} />
        </h2>
        <p class="path break">
          <Name text={item.name} limit={300} />
        </p>
        <p class="tags">
          <span class="tag">{KINDS[item.kind]}</span>
          {item.trainable !== null && (
            <span class={item.trainable ? 'tag good' : 'tag'}>{item.trainable ? 'trainable' : 'not trainable'}</span>
          )}
          {item.tensor.encoding && <span class="tag">{item.tensor.encoding}</span>}
        </p>
      </header>
      <section>
        <dl class="pairs">
          <dt>Shape</dt>
          <dd>{shape(item.shape)}</dd>
          <dt>Dtype</dt>
          <dd>{item.dtype}</dd>
          <dt>Elements</dt>
          <dd>{integer(item.count)}</dd>
          <dt>Size</dt>
          <dd title={counted(item.bytes, 'byte')}>{size(item.bytes)}</dd>
          {item.kind === 'weight' && (
            <>
              <dt>Order</dt>
              <dd>{integer(item.order)}</dd>
            </>
          )}
          {item.aliases.length > 0 && (
            <>
              <dt>Also known as</dt>
              <dd>
                {item.aliases.slice(0, 20).map((alias) => (
                  <div key={alias}>
                    <Name text={alias} />
                  </div>
                ))}
              </dd>
            </>
          )}
          {owner && (
            <>
              <dt>Module</dt>
              <dd>
                <button type="button" class="link" onClick={() => locate(owner.path)}>
                  <Name text={owner.path || owner.name} />
                </button>
              </dd>
            </>
          )}
          {variable && (
            <>
              <dt>Variable</dt>
              <dd>
                <button type="button" class="link" onClick={() => selectTensor(variable.id)}>
                  <Name text={variable.name} />
                </button>
              </dd>
            </>
          )}
        </dl>
      </section>
      <TensorChange item={item} />
      <NumbersOf opened={opened} item={item} />
      {slots.length > 0 && (
        <section>
          <h3>Optimizer slots</h3>
          <div class="cards">
            {slots.map((slot) => (
              <TensorCard key={slot.id} opened={opened} item={slot} />
            ))}
          </div>
        </section>
      )}
      <section>
        <h3>Stored</h3>
        <Chunks item={item} />
      </section>
    </>
  );
}

function NumbersOf({ opened, item }: { opened: Opened; item: Item }) {
  const known = opened.numbers.of(item).value;
  useEffect(() => {
    if (item.bytes > UNASKED) return;
    opened.numbers.want(item);
    opened.numbers.wantValues(item);
  }, [item]);
  return (
    <section aria-live="polite">
      <h3>Values</h3>
      <Shown opened={opened} item={item} known={known} />
    </section>
  );
}

function Shown({ opened, item, known }: { opened: Opened; item: Item; known: Known }) {
  if (known.state === 'pending') return <p class="soft">Reading {size(item.bytes)} …</p>;
  if (known.state === 'failed') return <p class="tag bad break">{said(known.error)}</p>;
  if (known.state === 'unknown' && item.bytes > LARGEST) {
    return (
      <p class="soft">
        {size(item.bytes)} is more than a page can read: etui view computes the numbers of such tensors.
      </p>
    );
  }
  if (known.state === 'unknown') {
    return (
      <button type="button" class="button" onClick={() => opened.numbers.want(item)}>
        Read {size(item.bytes)}
      </button>
    );
  }
  if (known.state === 'absent') {
    return <p class="soft">This page was made without the data. Open the artifact itself here to see its numbers.</p>;
  }
  const { statistics, values } = known;
  return (
    <>
      {statistics.histogram && <Histogram key={item.id} statistics={statistics} />}
      <Figures statistics={statistics} />
      {values && statistics.min !== statistics.max && (
        <Kernel key={item.id} item={item} values={values} statistics={statistics} />
      )}
    </>
  );
}

function Figures({ statistics }: { statistics: Statistics }) {
  const { count, nan, inf, zeros } = statistics;
  const part = (number: number) =>
    number === 0 ? '0' : number === count ? `all ${integer(count)}` : `${integer(number)} (${share(number, count)})`;
  const figures: [string, string, boolean][] = [
    ['Min', real(statistics.min), false],
    ['Max', real(statistics.max), false],
    ['Mean', real(statistics.mean), false],
    ['Std', real(statistics.std), false],
    ['NaN', part(nan), nan > 0],
    ['Infinite', part(inf), inf > 0],
    ['Zero', part(zeros), false],
  ];
  return (
    <dl class="stats">
      {figures.map(([name, text, alarm]) => (
        <div key={name} class={alarm ? 'alarm' : undefined}>
          <dt>{name}</dt>
          <dd title={text}>{text}</dd>
        </div>
      ))}
    </dl>
  );
}

/** So many chunks of a tensor are listed. */
const CHUNKS = 24;

function Chunks({ item }: { item: Item }) {
  const chunks = item.tensor.chunks ?? [];
  if (chunks.length === 0) return <p class="soft">In components of the encoding {item.tensor.encoding ?? ''}.</p>;
  return (
    <div class="cards">
      {chunks.slice(0, CHUNKS).map((chunk) => (
        <div key={`${chunk.part} ${chunk.tensor}`}>
          <div class="break">
            <Name text={chunk.part} />
            {chunks.length > 1 && (
              <span class="faint">{`  from ${chunk.offset.join(', ')}, ${shape(chunk.shape)}`}</span>
            )}
          </div>
          <Digest digest={chunk.digest} />
        </div>
      ))}
      {chunks.length > CHUNKS && <p class="soft">{counted(chunks.length - CHUNKS, 'more chunk')}</p>}
    </div>
  );
}
