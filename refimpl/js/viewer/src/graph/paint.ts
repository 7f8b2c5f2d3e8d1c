/** The drawing as a picture: what is seen from afar, and the map in the corner. */

import { FAMILIES, type Family } from '../ops.js';
import type { Scene } from './layout.js';
import type { Size, View } from './viewport.js';

export interface Palette {
  readonly families: Readonly<Record<Family, string>>;
  readonly edge: string;
  readonly surface: string;
  readonly line: string;
  readonly accent: string;
}

/** The colours of the theme, as the style sheet gives them at an element. */
export function paletteOf(element: Element): Palette {
  const probe = document.createElement('span');
  probe.hidden = true;
  element.append(probe);
  const colour = (name: string) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const families = {} as Record<Family, string>;
  for (const family of FAMILIES.keys()) {
    probe.dataset.family = family;
    families[family] = colour('--colour');
  }
  const palette = {
    families,
    edge: colour('--edge'),
    surface: colour('--surface'),
    line: colour('--line-strong'),
    accent: colour('--accent'),
  };
  probe.remove();
  return palette;
}

/** A canvas made as fine as the screen. */
export function prepared(canvas: HTMLCanvasElement, size: Size): CanvasRenderingContext2D | null {
  const density = Math.min(3, devicePixelRatio || 1);
  const [width, height] = [Math.round(size.width * density), Math.round(size.height * density)];
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const context = canvas.getContext('2d');
  context?.setTransform(density, 0, 0, density, 0, 0);
  context?.clearRect(0, 0, size.width, size.height);
  return context;
}

/** Draws what of a scene the screen shows, boxes as plain colours.
 *
 * @param across, down pixels per unit in either direction.
 */
export function paint(
  context: CanvasRenderingContext2D,
  scene: Scene,
  palette: Palette,
  screen: Size,
  at: { x: number; y: number; across: number; down: number },
  selected: string | null,
): void {
  const { x, y, across, down } = at;
  context.strokeStyle = palette.edge;
  context.lineWidth = Math.max(0.5, Math.min(1.3, across * 2.2));
  context.beginPath();
  for (const { points } of scene.lines) {
    const top = points[0]!.y * down + y;
    const bottom = points.at(-1)!.y * down + y;
    if (Math.max(top, bottom) < -50 || Math.min(top, bottom) > screen.height + 50) continue;
    points.forEach((point, index) => {
      if (index === 0) context.moveTo(point.x * across + x, point.y * down + y);
      else context.lineTo(point.x * across + x, point.y * down + y);
    });
  }
  context.stroke();
  for (const { node, ...box } of scene.boxes) {
    const left = box.x * across + x;
    const top = box.y * down + y;
    const width = Math.max(1.5, box.width * across);
    const height = Math.max(1, box.height * down);
    if (left + width < 0 || left > screen.width || top + height < 0 || top > screen.height) continue;
    const colour = palette.families[node.family];
    if (node.inside) {
      context.globalAlpha = 0.14;
      context.fillStyle = colour;
      context.fillRect(left, top, width, height);
      context.globalAlpha = 1;
      context.lineWidth = 1;
      context.strokeStyle = colour;
      context.strokeRect(left, top, width, height);
    } else {
      context.fillStyle = colour;
      const radius = Math.min(6, height / 4);
      if (radius < 1) context.fillRect(left, top, width, height);
      else {
        context.beginPath();
        context.roundRect(left, top, width, height, radius);
        context.fill();
      }
    }
    if (node.id === selected) {
      context.lineWidth = 2;
      context.strokeStyle = palette.accent;
      context.strokeRect(left - 3, top - 3, width + 6, height + 6);
    }
  }
}

/** The part of a drawing that a view shows, in units of the drawing. */
export function windowOf(view: View, screen: Size): { left: number; top: number; right: number; bottom: number } {
  return {
    left: -view.x / view.zoom,
    top: -view.y / view.zoom,
    right: (screen.width - view.x) / view.zoom,
    bottom: (screen.height - view.y) / view.zoom,
  };
}
