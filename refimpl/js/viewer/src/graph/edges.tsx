/** The edges that the screen shows, with the shapes of what goes along them. */

import { useMemo } from 'preact/hooks';
import { shape, tightShape } from '../format.js';
import { curve, head } from './curves.js';
import type { Line, Scene } from './layout.js';

/** How far below its box the text of an edge stands. */
const LABEL = 17;

interface Drawn {
  readonly line: Line;
  readonly path: string;
  readonly head: string;
  readonly label: { readonly x: number; readonly y: number } | null;
  readonly box: { readonly left: number; readonly top: number; readonly right: number; readonly bottom: number };
}

function drawn(line: Line): Drawn {
  const xs = line.points.map(({ x }) => x);
  const ys = line.points.map(({ y }) => y);
  return {
    line,
    path: curve(line.points),
    head: head(line.points),
    label: line.edge.labelled && line.edge.shape ? { x: line.points[0]!.x, y: line.points[0]!.y + LABEL } : null,
    box: { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) },
  };
}

export function Edges({
  scene,
  window,
  selected,
}: {
  scene: Scene;
  window: { left: number; top: number; right: number; bottom: number };
  selected: string | null;
}) {
  const all = useMemo(() => scene.lines.map(drawn), [scene]);
  const seen = all.filter(
    ({ box }) =>
      box.left < window.right + 60 &&
      box.right > window.left - 60 &&
      box.top < window.bottom + 60 &&
      box.bottom > window.top - 60,
  );
  const isNear = ({ line }: Drawn) => selected !== null && (line.edge.from === selected || line.edge.to === selected);
  const sorted = [...seen].sort((a, b) => Number(isNear(a)) - Number(isNear(b)));
  return (
    <>
      <svg aria-hidden="true" width="1" height="1">
        {sorted.map((edge) => (
          <g key={`${edge.line.edge.from} ${edge.line.edge.to} ${edge.path}`}>
            <path class={isNear(edge) ? 'edge near' : 'edge'} d={edge.path} />
            <path class={isNear(edge) ? 'head near' : 'head'} d={edge.head} />
          </g>
        ))}
      </svg>
      {seen.map(({ label, line: { edge } }) =>
        label && edge.shape ? (
          <span
            key={`label ${edge.from} ${edge.to}`}
            class="edge-label"
            title={shape(edge.shape)}
            style={{ left: `${label.x}px`, top: `${label.y}px` }}
          >
            {tightShape(edge.shape)}
          </span>
        ) : null,
      )}
    </>
  );
}
