/** The pane that tells all about what is selected. */

import { useEffect, useRef } from 'preact/hooks';
import type { Place } from '../data/architecture.js';
import type { Opened } from '../data/opened.js';
import { Sign } from '../shell/icons.js';
import { selection } from '../state.js';
import { ModuleDetails } from './module-details.js';
import { TensorDetails } from './tensor-details.js';

export function Details({ opened, before }: { opened: Opened; before: Opened | null }) {
  const frame = useRef<HTMLElement>(null);
  const chosen = selection.value;
  // What is only in the older of two models is looked up there.
  const models = [opened, before].filter((model) => model !== null);
  const owner = models.find((model) =>
    chosen?.kind === 'module' ? placeOf(model, chosen.path) : chosen && model.item(chosen.id),
  );
  const place = owner && chosen?.kind === 'module' ? placeOf(owner, chosen.path) : undefined;
  const item = owner && chosen?.kind === 'tensor' ? owner.item(chosen.id) : undefined;
  useEffect(() => frame.current?.scrollTo({ top: 0 }), [place, item]);
  if (!owner || (!place && !item)) return null;
  return (
    <aside class="details" ref={frame} aria-label="Details" tabIndex={0}>
      <button
        type="button"
        class="button plain icon close"
        aria-label="Close the details"
        title="Close (Esc)"
        onClick={() => {
          selection.value = null;
        }}
      >
        <Sign of="close" />
      </button>
      {place && <ModuleDetails key={place.path} opened={owner} place={place} />}
      {item && <TensorDetails key={item.id} opened={owner} item={item} />}
    </aside>
  );
}

function placeOf(model: Opened, path: string): Place | undefined {
  return model.architecture?.place(model.architecture.definition(path));
}
