/** One box of the graph. */

import { brief, compact, integer, tightShape } from '../format.js';
import { memo } from '../memo.js';
import { Sign } from '../shell/icons.js';
import { Name } from '../shell/name.js';
import type { Box } from './layout.js';
import type { Node as GraphNode } from './levels.js';

export interface Marks {
  readonly selected: boolean;
  /** Another call of the selected module. */
  readonly sibling: boolean;
  readonly focusable: boolean;
  /** In a comparison, what became of the module. */
  readonly change: 'added' | 'removed' | 'changed' | null;
  /** In a comparison, the largest change of its numbers, relative to the tensor. */
  readonly delta: number | null;
}

/** What a screen reader says of a box behind what everyone reads on it. */
function spoken(node: GraphNode, { change, delta }: Marks): string {
  const parts: string[] = [];
  if (!node.op) parts.push('output of the model');
  if (node.output) parts.push(`gives ${tightShape(node.output)}`);
  if (node.turn[1] > 1) parts.push(`call ${node.turn[0]} of ${node.turn[1]}`);
  else if (node.shared) parts.push('shared');
  if (change) parts.push(change);
  if (delta !== null) parts.push('numbers changed');
  return parts.map((part) => `, ${part}`).join('');
}

export const NodeBox = memo(function NodeBox({ box, marks }: { box: Box; marks: Marks }) {
  const { node } = box;
  const classes = ['node'];
  if (node.pill) classes.push('pill');
  if (node.shared) classes.push('shared');
  if (node.inside) classes.push('box');
  if (marks.selected) classes.push('selected');
  if (marks.sibling) classes.push('sibling');
  if (marks.change) classes.push(marks.change);
  return (
    <div
      class={classes.join(' ')}
      role="button"
      tabIndex={marks.focusable ? 0 : -1}
      aria-pressed={marks.selected}
      aria-expanded={node.foldable ? node.inside !== null : undefined}
      data-node={node.id}
      data-family={node.family}
      style={{ left: `${box.x}px`, top: `${box.y}px`, width: `${box.width}px`, height: `${box.height}px` }}
    >
      {node.inside ? (
        <Bar node={node} delta={marks.delta} />
      ) : node.pill ? (
        <Pill node={node} />
      ) : (
        <Face node={node} delta={marks.delta} />
      )}
      <span class="visually-hidden">{spoken(node, marks)}</span>
    </div>
  );
});

function Turn({ node }: { node: GraphNode }) {
  return node.turn[1] > 1 ? <span class="faint"> {` ${node.turn[0]}/${node.turn[1]}`}</span> : null;
}

function Twisty({ node }: { node: GraphNode }) {
  return (
    <span class="twisty" aria-hidden="true" data-twisty="" title={node.inside ? 'Fold' : 'Unfold'}>
      <Sign of={node.inside ? 'fold' : 'unfold'} />
    </span>
  );
}

function Face({ node, delta }: { node: GraphNode; delta: number | null }) {
  return (
    <>
      <span class="op clip">
        <Name text={node.title} limit={40} />
      </span>
      <span class="sum clip">{node.foldable ? <Twisty node={node} /> : node.summary}</span>
      <span class="name clip">
        <Name text={node.name} limit={60} />
        <Turn node={node} />
      </span>
      <Size node={node} delta={delta} />
    </>
  );
}

function Size({ node, delta }: { node: GraphNode; delta: number | null }) {
  if (delta !== null) {
    return (
      <span class="size delta" title="Largest change of a tensor, relative to its length">
        {`Δ ${brief(delta)}`}
      </span>
    );
  }
  return (
    <span class="size" title={node.parameters ? integer(node.parameters) : undefined}>
      {node.parameters ? compact(node.parameters) : ''}
      {node.parameters > 0 && <span class="visually-hidden"> parameters</span>}
    </span>
  );
}

function Pill({ node }: { node: GraphNode }) {
  return (
    <span class="op clip">
      <Name text={node.name} limit={40} />
    </span>
  );
}

function Bar({ node, delta }: { node: GraphNode; delta: number | null }) {
  return (
    <span class="bar">
      <span class="op clip">
        <Name text={node.title} limit={40} />
      </span>
      <span class="name clip">
        <Name text={node.name} limit={60} />
        <Turn node={node} />
      </span>
      <Size node={node} delta={delta} />
      <Twisty node={node} />
    </span>
  );
}
