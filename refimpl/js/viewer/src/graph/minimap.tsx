/** The whole drawing in the corner, with a frame around what the screen shows. */

import { useLayoutEffect, useRef } from 'preact/hooks';
import { theme } from '../state.js';
import type { Scene } from './layout.js';
import { paint, paletteOf, prepared, windowOf } from './paint.js';
import type { Size, View } from './viewport.js';

/** On a narrower screen there is no room for the map. */
const NARROW = 450;
const BOUNDS = { narrow: 30, wide: 132, low: 40, high: 230 };

export function Minimap({
  scene,
  view,
  screen,
  onMove,
}: {
  scene: Scene;
  view: View;
  screen: Size;
  onMove: (view: View) => void;
}) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const scale = Math.min(BOUNDS.wide / scene.width, BOUNDS.high / scene.height);
  const size = {
    width: Math.round(Math.max(BOUNDS.narrow, scene.width * scale)),
    height: Math.round(Math.max(BOUNDS.low, scene.height * scale)),
  };
  const room = 4;
  const across = (size.width - 2 * room) / scene.width;
  const down = (size.height - 2 * room) / scene.height;
  const { left, top, right, bottom } = windowOf(view, screen);
  const seen = Math.min(1, (right - left) / scene.width) * Math.min(1, (bottom - top) / scene.height);
  // A map of what is seen anyway would only cover it.
  const all = seen > 0.5 || screen.width < NARROW;
  useLayoutEffect(() => {
    if (!canvas.current || all) return;
    const context = prepared(canvas.current, size);
    if (context)
      paint(context, scene, paletteOf(canvas.current.parentElement!), size, { x: room, y: room, across, down }, null);
  }, [scene, all, theme.value]);
  if (all) return null;
  const clamp = (value: number, most: number) => Math.min(most, Math.max(0, value));
  const window = {
    left: clamp(left * across + room, size.width - 4),
    top: clamp(top * down + room, size.height - 4),
    right: clamp(right * across + room, size.width),
    bottom: clamp(bottom * down + room, size.height),
  };
  const go = (event: PointerEvent) => {
    if (event.buttons !== 1) return;
    const frame = canvas.current!.getBoundingClientRect();
    const x = (event.clientX - frame.left - room) / across;
    const y = (event.clientY - frame.top - room) / down;
    onMove({ ...view, x: screen.width / 2 - x * view.zoom, y: screen.height / 2 - y * view.zoom });
  };
  return (
    <div
      class="minimap"
      aria-hidden="true"
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        go(event);
      }}
      onPointerMove={go}
    >
      <canvas ref={canvas} style={{ width: `${size.width}px`, height: `${size.height}px` }} />
      <span
        class="window"
        style={{
          left: `${window.left}px`,
          top: `${window.top}px`,
          width: `${Math.max(4, window.right - window.left)}px`,
          height: `${Math.max(4, window.bottom - window.top)}px`,
        }}
      />
    </div>
  );
}
