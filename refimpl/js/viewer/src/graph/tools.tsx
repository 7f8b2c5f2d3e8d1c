/** The buttons of the graph. */

import { Sign } from '../shell/icons.js';
import { unfold, unfolded } from '../state.js';
import type { Scene } from './layout.js';

/** Unfolding all is offered for as many boxes at a time. */
const AT_ONCE = 60;

interface Properties {
  readonly zoom: number;
  readonly scene: Scene;
  readonly larger: () => void;
  readonly smaller: () => void;
  readonly all: () => void;
  readonly actual: () => void;
}

export function GraphTools({ zoom, scene, larger, smaller, all, actual }: Properties) {
  const folded = scene.boxes.filter(({ node }) => node.foldable && !node.inside).map(({ node }) => node.id);
  const open = unfolded.value.size > 0;
  return (
    <div class="graph-tools" role="toolbar" aria-label="Graph">
      <button type="button" class="button icon" aria-label="Smaller" title="Smaller (−)" onClick={smaller}>
        <Sign of="minus" />
      </button>
      <button
        type="button"
        class="button zoom"
        aria-label={`Actual size; now ${Math.round(zoom * 100)} %`}
        title="Actual size (1)"
        onClick={actual}
      >
        {Math.round(zoom * 100)} %
      </button>
      <button type="button" class="button icon" aria-label="Larger" title="Larger (+)" onClick={larger}>
        <Sign of="plus" />
      </button>
      <button type="button" class="button icon" aria-label="Show all" title="Show all (0)" onClick={all}>
        <Sign of="fit" />
      </button>
      {folded.length > 0 && (
        <button
          type="button"
          class="button icon"
          aria-label="Unfold nested models"
          title="Unfold nested models"
          onClick={() => unfold(...folded.slice(0, AT_ONCE))}
        >
          <Sign of="unfold" />
        </button>
      )}
      {open && (
        <button
          type="button"
          class="button icon"
          aria-label="Fold nested models"
          title="Fold nested models"
          onClick={() => {
            unfolded.value = new Set();
          }}
        >
          <Sign of="fold" />
        </button>
      )}
    </div>
  );
}
