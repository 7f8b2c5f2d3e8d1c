/** The architecture as a graph that can be moved, enlarged and unfolded. */

import { type Signal, useSignalEffect } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Opened } from '../data/opened.js';
import { changeOf, sizeOf } from '../diff-marks.js';
import { counted } from '../format.js';
import { FAMILIES } from '../ops.js';
import { fold, selection, selectModule, theme, unfold, unfolded } from '../state.js';
import { Edges } from './edges.js';
import { layoutOf, type Scene } from './layout.js';
import { levelsOf } from './levels.js';
import { Minimap } from './minimap.js';
import { NodeBox } from './node.js';
import { paint, paletteOf, prepared, windowOf } from './paint.js';
import { GraphTools } from './tools.js';
import { beginning, follow, held, revealed, type Size, type View, whole, zoomed } from './viewport.js';
import { type Direction, Walk } from './walk.js';

/** Below this size of a box its text cannot be read, and it is painted. */
const READABLE = 0.4;
/** More boxes than these are painted too. */
const MOST = 240;

const KEYS: Readonly<Record<string, Direction>> = {
  ArrowUp: 'up',
  ArrowDown: 'down',
  ArrowLeft: 'left',
  ArrowRight: 'right',
  Home: 'first',
  End: 'last',
};

/**
 * @param link moves together with the graphs that have the same one.
 */
export function GraphView({ opened, link }: { opened: Opened; link?: Signal<View | null> }) {
  const { architecture } = opened;
  const level = useMemo(() => architecture && levelsOf(architecture, unfolded.value), [architecture, unfolded.value]);
  const scene = useMemo(() => level && layoutOf(level), [level]);
  if (!architecture) {
    return <Empty title="No architecture" text="This artifact has weights, and no config that says what uses them." />;
  }
  if (!scene || scene.boxes.length === 0) {
    return <Empty title="Nothing to draw" text="The model has no modules inside; its attributes are in the details." />;
  }
  return <Canvas key={opened.model.identity ?? opened.name} scene={scene} link={link} />;
}

function Empty({ title, text }: { title: string; text: string }) {
  return (
    <div class="graph">
      <div class="empty-graph">
        <h2>{title}</h2>
        <p>{text}</p>
      </div>
    </div>
  );
}

function Canvas({ scene, link }: { scene: Scene; link: Signal<View | null> | undefined }) {
  const frame = useRef<HTMLDivElement>(null);
  const layer = useRef<HTMLDivElement>(null);
  const far = useRef<HTMLCanvasElement>(null);
  const view = useRef<View>({ x: 0, y: 0, zoom: 1 });
  const screen = useRef<Size>({ width: 0, height: 0 });
  const [shown, setShown] = useState<View | null>(null);
  const [focused, setFocused] = useState<string>(scene.boxes[0]!.node.id);
  const scenes = useRef(scene);
  scenes.current = scene;
  const walk = useMemo(() => new Walk(scene), [scene]);
  const selected = selectedNode(scene, walk);

  const apply = (next: View) => {
    view.current = held(next, scenes.current, screen.current);
    setShown(view.current);
    if (link) link.value = view.current;
  };
  useSignalEffect(() => {
    const other = link?.value;
    if (!other || other === view.current) return;
    view.current = other;
    setShown(other);
  });

  useLayoutEffect(() => {
    const element = frame.current!;
    const measure = () => {
      const before = screen.current;
      screen.current = { width: element.clientWidth, height: element.clientHeight };
      if (before.width === 0 && element.clientWidth > 0) apply(beginning(scenes.current, screen.current));
      else apply({ ...view.current, x: view.current.x + (screen.current.width - before.width) / 2 });
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    const stop = follow(element, () => view.current, apply);
    return () => {
      observer.disconnect();
      stop();
    };
  }, []);

  // A box that was unfolded or folded stays where it was on the screen.
  const anchor = useRef<{ id: string; x: number; y: number } | null>(null);
  useLayoutEffect(() => {
    const kept = anchor.current;
    anchor.current = null;
    const box = kept && walk.box(kept.id);
    if (box) {
      const { zoom } = view.current;
      apply({ zoom, x: kept.x - (box.x + box.width / 2) * zoom, y: kept.y - box.y * zoom });
    } else apply(view.current);
  }, [scene]);

  const toggle = (id: string) => {
    const box = walk.box(id);
    if (!box?.node.foldable) return;
    const { x, y, zoom } = view.current;
    anchor.current = { id, x: (box.x + box.width / 2) * zoom + x, y: box.y * zoom + y };
    if (box.node.inside) fold(id);
    else unfold(id);
  };

  // What was selected elsewhere comes into sight.
  const current = selection.value;
  const target = current?.kind === 'module' ? current : null;
  useEffect(() => {
    if (!target) return;
    const id = target.node && walk.box(target.node) ? target.node : nodeFor(target.path, scene);
    const box = id ? walk.box(id) : undefined;
    if (!box) {
      const next = boxAround(target.path, scene);
      if (next) unfold(next);
      return;
    }
    setFocused(box.node.id);
    apply(revealed(view.current, box, screen.current));
  }, [target, scene]);

  const move = (id: string) => {
    const box = walk.box(id)!;
    setFocused(id);
    apply(revealed(view.current, { ...box, height: Math.min(box.height, 120) }, screen.current));
    requestAnimationFrame(() => {
      frame.current?.querySelector<HTMLElement>(`[data-node="${CSS.escape(id)}"]`)?.focus({ preventScroll: true });
    });
  };
  const centre = () => [screen.current.width / 2, screen.current.height / 2] as const;
  const actions = {
    larger: () => apply(zoomed(view.current, 1.3, ...centre())),
    smaller: () => apply(zoomed(view.current, 1 / 1.3, ...centre())),
    all: () => apply(whole(scene, screen.current)),
    actual: () => apply(zoomed(view.current, 1 / view.current.zoom, ...centre())),
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const id = (event.target as HTMLElement).dataset?.node;
    const direction = KEYS[event.key];
    if (direction && id !== undefined) {
      const next = walk.step(id, direction);
      if (next) move(next);
    } else if (event.key === '+' || event.key === '=') actions.larger();
    else if (event.key === '-') actions.smaller();
    else if (event.key === '0') actions.all();
    else if (event.key === '1') actions.actual();
    else if (event.key === 'Enter' && id !== undefined) choose(id);
    else if (event.key === ' ' && id !== undefined) {
      if (walk.box(id)?.node.foldable) toggle(id);
      else choose(id);
    } else return;
    event.preventDefault();
  };
  const choose = (id: string) => {
    const node = walk.box(id)?.node;
    setFocused(id);
    if (node?.op) selectModule(node.path, id);
  };
  const onClick = (event: MouseEvent) => {
    const element = event.target as Element;
    const id = element.closest<HTMLElement>('[data-node]')?.dataset.node;
    if (id === undefined) {
      if (!element.closest('.graph-tools, .minimap')) painted(event);
      return;
    }
    if (element.closest('[data-twisty]')) toggle(id);
    else choose(id);
  };
  // From afar there are no elements to click: the box below the pointer is looked up.
  const painted = (event: MouseEvent) => {
    const around = frame.current!.getBoundingClientRect();
    const x = (event.clientX - around.left - view.current.x) / view.current.zoom;
    const y = (event.clientY - around.top - view.current.y) / view.current.zoom;
    const hits = scene.boxes.filter(
      (box) => x >= box.x && x <= box.x + box.width && y >= box.y && y <= box.y + box.height,
    );
    const hit = hits.at(-1);
    if (hit) choose(hit.node.id);
    else selection.value = null;
  };

  const seen = shown ? visible(scene, shown, screen.current) : null;
  const near = shown !== null && seen !== null && shown.zoom >= READABLE && seen.length <= MOST;
  useLayoutEffect(() => {
    const canvas = far.current;
    if (!canvas || !shown) return;
    const context = prepared(canvas, near ? { width: 1, height: 1 } : screen.current);
    if (!context || near) return;
    const at = { x: shown.x, y: shown.y, across: shown.zoom, down: shown.zoom };
    paint(context, scene, paletteOf(frame.current!), screen.current, at, selected?.id ?? null);
  }, [shown, scene, near, theme.value, selected?.id]);

  const drawn = near ? seen! : scene.boxes.filter(({ node }) => node.id === focused || node.id === selected?.id);
  const around = selected ? walk.neighbours(selected.id) : null;
  const families = useMemo(
    () => new Set(scene.boxes.filter(({ node }) => node.op).map(({ node }) => node.family)),
    [scene],
  );
  const transform = shown ? `translate(${shown.x}px, ${shown.y}px) scale(${shown.zoom})` : 'scale(0)';
  const focusable = walk.box(focused) ? focused : scene.boxes[0]!.node.id;
  return (
    <div
      class="graph"
      ref={frame}
      role="group"
      aria-label={`Architecture: ${counted(scene.boxes.length, 'box', 'boxes')}, ${counted(scene.lines.length, 'connection')}. Arrow keys follow the connections, Enter shows details, Space unfolds.`}
      onKeyDown={onKeyDown}
      onClick={onClick}
      onDblClick={(event) => {
        const id = (event.target as Element).closest<HTMLElement>('[data-node]')?.dataset.node;
        if (id !== undefined && !(event.target as Element).closest('[data-twisty]')) toggle(id);
      }}
    >
      <canvas class="far" ref={far} hidden={near} aria-hidden="true" />
      <div class="scene" ref={layer} style={{ transform }}>
        {near && <Edges scene={scene} window={windowOf(shown!, screen.current)} selected={selected?.id ?? null} />}
        {drawn.map((box) => (
          <NodeBox key={box.node.id} box={box} marks={marksOf(box.node.id)} />
        ))}
      </div>
      <ul class="legend" aria-label="Colours">
        {[...FAMILIES]
          .filter(([family]) => families.has(family))
          .map(([family, name]) => (
            <li key={family} data-family={family}>
              <span class="dot" />
              {name}
            </li>
          ))}
      </ul>
      {shown && <Minimap scene={scene} view={shown} screen={screen.current} onMove={apply} />}
      <GraphTools zoom={shown?.zoom ?? 1} {...actions} scene={scene} />
    </div>
  );

  function marksOf(id: string) {
    const node = walk.box(id)!.node;
    return {
      selected: selected?.id === id,
      sibling:
        selected !== null && selected.id !== id && node.op !== '' && selected.path === node.path && around !== null,
      focusable: id === focusable,
      change: node.op ? changeOf(node.path) : null,
      delta: node.op ? sizeOf(node.path) : null,
    };
  }
}

/** The box that is selected: the one that was clicked, or the first of the selected module. */
function selectedNode(scene: Scene, walk: Walk): { id: string; path: string } | null {
  const current = selection.value;
  if (current?.kind !== 'module') return null;
  const id = current.node && walk.box(current.node) ? current.node : nodeFor(current.path, scene);
  return id ? { id, path: current.path } : null;
}

function nodeFor(path: string, scene: Scene): string | null {
  return scene.boxes.find(({ node }) => node.op && node.path === path)?.node.id ?? null;
}

/** The box to unfold next on the way to a module that is not drawn: the innermost drawn one around it. */
function boxAround(path: string, scene: Scene): string | null {
  for (let end = path.lastIndexOf('/'); end > 0; end = path.lastIndexOf('/', end - 1)) {
    const around = path.slice(0, end);
    const box = scene.boxes.find(({ node }) => node.path === around && node.op !== '');
    if (box) return box.node.foldable && !box.node.inside ? box.node.id : null;
  }
  return null;
}

/** The boxes that the screen shows or nearly shows. */
function visible(scene: Scene, view: View, screen: Size) {
  const { left, top, right, bottom } = windowOf(view, screen);
  const margin = 150;
  return scene.boxes.filter(
    (box) =>
      box.x < right + margin &&
      box.x + box.width > left - margin &&
      box.y < bottom + margin &&
      box.y + box.height > top - margin,
  );
}
