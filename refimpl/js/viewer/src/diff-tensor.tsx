/** What became of a tensor between two artifacts. */

import { useEffect } from 'preact/hooks';
import { LARGEST, UNASKED } from './data/numbers.js';
import type { Item } from './data/opened.js';
import { measurable, measure, numeric, tensorChange } from './diff.js';
import { Fields } from './diff-module.js';
import type { Numeric } from './diff-numbers.js';
import { integer, real, share, size } from './format.js';
import { said } from './shell/problem.js';
import { other } from './state.js';

export function TensorChange({ item }: { item: Item }) {
  const found = tensorChange(item.id);
  useEffect(() => {
    if (found && item.bytes <= UNASKED) void measure(found);
  }, [found]);
  if (!other.value) return null;
  if (!found) {
    return (
      <section>
        <h3>Compared with before</h3>
        <p class="soft">The same bytes.</p>
      </section>
    );
  }
  const known = numeric.value.get(item.id);
  return (
    <section>
      <h3>Compared with before</h3>
      {found.change === 'added' && <p class="tag good">only in the newer model</p>}
      {found.change === 'removed' && <p class="tag bad">only in the older model</p>}
      {found.fields.length > 0 && <Fields fields={found.fields} />}
      {known && <Figures known={known} count={item.count} />}
      {!known && measurable(found) && item.bytes > UNASKED && item.bytes <= LARGEST && (
        <button type="button" class="button" onClick={() => void measure(found)}>
          Compare {size(item.bytes)} on each side
        </button>
      )}
      {!known && !measurable(found) && found.change === 'values' && <p class="soft">The bytes differ.</p>}
    </section>
  );
}

function Figures({ known, count }: { known: Numeric; count: number }) {
  if (known.state === 'pending') return <p class="soft">Comparing …</p>;
  if (known.state === 'failed') return <p class="tag bad break">{said(known.error)}</p>;
  if (known.state === 'same') return <p class="soft">The same elements, stored in another way.</p>;
  const figures: [string, string][] = [
    [
      'Changed',
      known.changed === count ? `all ${integer(count)}` : `${integer(known.changed)} (${share(known.changed, count)})`,
    ],
    ['Largest', real(known.max_abs)],
    ['Mean', real(known.mean_abs)],
    ['Relative', real(known.rel)],
    ['Cosine', real(known.cosine)],
  ];
  return (
    <dl class="stats">
      {figures.map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd title={text}>{text}</dd>
        </div>
      ))}
    </dl>
  );
}
