/** A histogram the size of a word. */

import { memo } from '../memo.js';

const HEIGHT = 100;
/** How wide the only bin is of a tensor whose elements are equal. */
const SINGLE = 4;

export const Spark = memo(function Spark({ counts }: { counts: readonly number[] }) {
  const most = Math.max(1, ...counts);
  const width = counts.length === 1 ? SINGLE : 100 / counts.length;
  const left = counts.length === 1 ? (100 - SINGLE) / 2 : 0;
  // Rare values still show: a bin that has any is at least one part in twenty high.
  const path = counts
    .map((count, index) => {
      if (count === 0) return '';
      const height = Math.max(HEIGHT / 20, (HEIGHT * count) / most);
      return `M${round(left + index * width)} ${HEIGHT}v${-round(height)}h${round(width)}v${round(height)}z`;
    })
    .join('');
  return (
    <svg class="spark" viewBox={`0 0 100 ${HEIGHT}`} preserveAspectRatio="none" aria-hidden="true">
      <path d={path} />
    </svg>
  );
});

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
