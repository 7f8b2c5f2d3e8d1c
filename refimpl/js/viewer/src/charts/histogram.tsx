/** The histogram of a tensor, with its axis; the bin below the pointer is told in numbers. */

import { useEffect, useRef, useState } from 'preact/hooks';
import UPlot from 'uplot';
import { counted, real, share } from '../format.js';
import { theme } from '../state.js';
import type { Statistics } from '../statistics.js';

export function Histogram({ statistics }: { statistics: Statistics }) {
  const frame = useRef<HTMLDivElement>(null);
  const [bin, setBin] = useState<number | null>(null);
  const { histogram } = statistics;
  const shade = theme.value;
  useEffect(() => {
    const element = frame.current;
    if (!element || !histogram) return;
    const { xs, ys } = steps(histogram);
    const colours = getComputedStyle(element);
    const colour = (name: string) => colours.getPropertyValue(name).trim();
    const axis = {
      stroke: colour('--faint'),
      font: `11px ${colour('--font')}`,
      grid: { stroke: colour('--line'), width: 1 },
      ticks: { show: false },
    };
    const chart = new UPlot(
      {
        width: element.clientWidth,
        height: element.clientHeight,
        padding: [8, 10, 0, 0],
        legend: { show: false },
        cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
        scales: {
          x: { time: false, range: [xs[0]!, xs.at(-1)!] },
          y: { range: (_, __, most) => [0, most * 1.05 || 1] },
        },
        axes: [
          {
            ...axis,
            grid: { show: false },
            size: 26,
            space: 70,
            values: (_, ticks) => ticks.map((tick) => real(tick)),
          },
          { ...axis, size: 48, space: 28, values: (_, ticks) => ticks.map((tick) => short(tick)) },
        ],
        series: [
          {},
          {
            stroke: colour('--bar'),
            fill: colour('--bar'),
            width: 0,
            points: { show: false },
            ...(UPlot.paths.stepped ? { paths: UPlot.paths.stepped({ align: 1 }) } : {}),
          },
        ],
        hooks: {
          setCursor: [
            (plot) => {
              const left = plot.cursor.left ?? -1;
              setBin(left < 0 ? null : binAt(plot.posToVal(left, 'x'), xs));
            },
          ],
        },
      },
      [xs, ys],
      element,
    );
    const observer = new ResizeObserver(() =>
      chart.setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [histogram, shade]);
  if (!histogram) return null;
  const [low, high] = histogram.edges;
  const finite = histogram.counts.reduce((sum, count) => sum + count, 0);
  const label = `Histogram of ${counted(finite, 'finite element')} from ${real(low)} to ${real(high)}; most are near ${real(peak(histogram))}`;
  return (
    <figure>
      <div class="histogram" ref={frame} role="img" aria-label={label} />
      <figcaption class="histogram-note">{bin === null ? ' ' : told(histogram, bin, finite)}</figcaption>
    </figure>
  );
}

type Bins = NonNullable<Statistics['histogram']>;

function edge(histogram: Bins, index: number): number {
  const [low, high] = histogram.edges;
  return low + ((high - low) * index) / histogram.counts.length;
}

/** The corners of the steps: one more edge than there are bins. A histogram of one value has a little room around it. */
function steps(histogram: Bins): { xs: number[]; ys: number[] } {
  const [low, high] = histogram.edges;
  if (low === high) {
    const room = Math.abs(low) / 2 || 0.5;
    return { xs: [low - room, low - room / 20, low + room / 20, low + room], ys: [0, histogram.counts[0]!, 0, 0] };
  }
  const xs = Array.from({ length: histogram.counts.length + 1 }, (_, index) => edge(histogram, index));
  return { xs, ys: [...histogram.counts, histogram.counts.at(-1)!] };
}

function binAt(value: number, xs: readonly number[]): number {
  let bin = 0;
  while (bin < xs.length - 2 && xs[bin + 1]! <= value) bin += 1;
  return xs.length === 4 ? 0 : bin;
}

function peak(histogram: Bins): number {
  const bin = histogram.counts.indexOf(Math.max(...histogram.counts));
  return edge(histogram, bin + 0.5);
}

function told(histogram: Bins, bin: number, finite: number): string {
  const count = histogram.counts[bin] ?? 0;
  return `${real(edge(histogram, bin))} … ${real(edge(histogram, bin + 1))}: ${counted(count, 'element')} (${share(count, finite)})`;
}

function short(count: number): string {
  return count >= 1e6 ? `${count / 1e6} M` : count >= 1e4 ? `${count / 1e3} k` : String(count);
}
