/** The tree of modules beside the graph. */

import { useMemo, useState } from 'preact/hooks';
import type { Place } from '../data/architecture.js';
import type { Opened } from '../data/opened.js';
import { compact } from '../format.js';
import { family } from '../ops.js';
import { Sign } from '../shell/icons.js';
import { Name } from '../shell/name.js';
import { selection, selectModule } from '../state.js';
import { useWindow } from './virtual.js';

const ROW = 28;

export function Outline({ opened }: { opened: Opened }) {
  const architecture = opened.architecture!;
  const [closed, setClosed] = useState<ReadonlySet<string>>(
    () => new Set(architecture.places.filter((place) => place.depth > 0).map((place) => place.path)),
  );
  const [active, setActive] = useState('');
  const rows = useMemo(() => openPlaces(architecture.places, closed), [architecture, closed]);
  const { frame, window, reveal } = useWindow<HTMLElement>(rows.length, ROW, 12);
  const chosen = selection.value?.kind === 'module' ? selection.value.path : null;
  const at = Math.max(
    0,
    rows.findIndex((place) => place.path === active),
  );

  const toggle = (path: string) => {
    const next = new Set(closed);
    if (!next.delete(path)) next.add(path);
    setClosed(next);
  };
  const go = (row: number) => {
    const next = rows[Math.max(0, Math.min(rows.length - 1, row))]!;
    setActive(next.path);
    reveal(rows.indexOf(next));
    requestAnimationFrame(() =>
      frame.current
        ?.querySelector<HTMLElement>(`[data-path="${CSS.escape(next.path)}"]`)
        ?.focus({ preventScroll: true }),
    );
  };
  const choose = (place: Place) => {
    setActive(place.path);
    selectModule(architecture.definition(place.path));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const place = rows[at]!;
    const folder = place.module.modules.length > 0;
    if (event.key === 'ArrowDown') go(at + 1);
    else if (event.key === 'ArrowUp') go(at - 1);
    else if (event.key === 'Home') go(0);
    else if (event.key === 'End') go(rows.length - 1);
    else if (event.key === 'ArrowRight' && folder) {
      if (closed.has(place.path)) toggle(place.path);
      else go(at + 1);
    } else if (event.key === 'ArrowLeft') {
      if (folder && !closed.has(place.path)) toggle(place.path);
      else if (place.parent) go(rows.indexOf(place.parent));
    } else if (event.key === 'Enter' || event.key === ' ') choose(place);
    else return;
    event.preventDefault();
  };
  const drawn = rows.slice(window.first, window.last + 1).map((place, index) => ({ place, row: window.first + index }));
  if (at < window.first || at > window.last) drawn.push({ place: rows[at]!, row: at });
  return (
    <nav class="outline" ref={frame} aria-label="Modules">
      <div
        role="tree"
        aria-label="Modules"
        style={{ position: 'relative', height: `${window.height + 12}px` }}
        onKeyDown={onKeyDown}
      >
        {drawn.map(({ place, row }) => (
          <div
            key={place.path}
            role="treeitem"
            aria-level={place.depth + 1}
            aria-selected={chosen === place.path}
            aria-expanded={place.module.modules.length > 0 ? !closed.has(place.path) : undefined}
            tabIndex={row === at ? 0 : -1}
            data-path={place.path}
            data-family={place.module.kind === 'shared' ? undefined : family(place.module.op)}
            style={{ top: `${window.top(row) + 6}px`, paddingInlineStart: `${Math.min(place.depth, 12) * 0.8}rem` }}
            onClick={() => choose(place)}
          >
            <span
              class="twist"
              aria-hidden="true"
              onClick={(event) => {
                if (place.module.modules.length === 0) return;
                event.stopPropagation();
                toggle(place.path);
              }}
            >
              {place.module.modules.length > 0 && <Sign of="chevron" />}
            </span>
            <span class="dot" />
            <span class="clip">
              <Name text={place.name} limit={60} />
            </span>
            <span class="op number">{size(opened, place)}</span>
          </div>
        ))}
      </div>
    </nav>
  );
}

function size(opened: Opened, place: Place): string {
  if (place.module.kind === 'shared') return 'shared';
  const parameters = opened.architecture!.parameters(place.path);
  return parameters ? compact(parameters) : '';
}

/** The places around which every place is open. */
function openPlaces(places: readonly Place[], closed: ReadonlySet<string>): Place[] {
  const hidden = new Set<Place>();
  return places.filter((place) => {
    const { parent } = place;
    const out = parent !== null && (hidden.has(parent) || closed.has(parent.path));
    if (out) hidden.add(place);
    return !out;
  });
}
