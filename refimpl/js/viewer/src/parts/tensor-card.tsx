/** A tensor in two lines, with its histogram; leads to all that is known of it. */

import { useEffect } from 'preact/hooks';
import { Spark } from '../charts/spark.js';
import type { Item, Opened } from '../data/opened.js';
import { size, tightShape } from '../format.js';
import { Name } from '../shell/name.js';
import { selectTensor } from '../state.js';

/** Cards read tensors of at most so many bytes by themselves. */
const SMALL = 1024 * 1024;

export function TensorCard({ opened, item }: { opened: Opened; item: Item }) {
  const known = opened.numbers.of(item).value;
  useEffect(() => {
    if (item.bytes <= SMALL) opened.numbers.want(item);
  }, [item]);
  const statistics = known.state === 'known' ? known.statistics : null;
  return (
    <button type="button" class="card" onClick={() => selectTensor(item.id)}>
      <span class="name clip">
        <Name text={item.role} limit={60} />{' '}
        {statistics !== null && statistics.nan > 0 && <span class="tag bad">NaN</span>}
      </span>
      <span class="what clip">{`${tightShape(item.shape)} · ${item.dtype} · ${size(item.bytes)}`}</span>
      {statistics?.histogram && <Spark counts={statistics.histogram.counts} />}
    </button>
  );
}
