/** Which part of the drawing is seen, and how large: moved by mouse, touch, wheel and keys. */

export interface View {
  readonly x: number;
  readonly y: number;
  /** Pixels of the screen per unit of the drawing. */
  readonly zoom: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

const LEAST = 0.03;
const MOST = 2.5;
const MARGIN = 60;
/** What the legend covers. */
const HEAD = 52;

/** The view that shows the beginning of a drawing in readable size, or all of it where that is readable. */
export function beginning(drawing: Size, screen: Size): View {
  const whole = Math.min(1, (screen.width - 40) / drawing.width, (screen.height - 2 * MARGIN) / drawing.height);
  const zoom = whole >= 0.7 ? whole : Math.max(0.55, Math.min(1, (screen.width - 40) / drawing.width));
  const y = whole >= 0.7 ? (screen.height - drawing.height * zoom) / 2 : MARGIN;
  return { zoom, x: (screen.width - drawing.width * zoom) / 2, y };
}

/** The view that shows all of a drawing. */
export function whole(drawing: Size, screen: Size): View {
  const room = screen.height - HEAD - 24;
  const fit = Math.min((screen.width - 48) / drawing.width, room / drawing.height, 1.25);
  const zoom = Math.max(LEAST, fit);
  return {
    zoom,
    x: (screen.width - drawing.width * zoom) / 2,
    y: HEAD + Math.max(0, room - drawing.height * zoom) / 2,
  };
}

/** The view made larger or smaller around a point of the screen, which stays where it is. */
export function zoomed(view: View, factor: number, x: number, y: number): View {
  const zoom = Math.min(MOST, Math.max(LEAST, view.zoom * factor));
  const ratio = zoom / view.zoom;
  return { zoom, x: x - (x - view.x) * ratio, y: y - (y - view.y) * ratio };
}

/** The view moved as little as brings a box well into sight. */
export function revealed(view: View, box: { x: number; y: number; width: number; height: number }, screen: Size): View {
  const zoom = view.zoom < 0.45 ? 0.8 : view.zoom;
  const at = (start: number, length: number, offset: number, room: number) => {
    const from = start * zoom + offset;
    const to = (start + length) * zoom + offset;
    const margin = Math.min(90, room / 6);
    if (from >= margin && to <= room - margin) return offset;
    // What is larger than the room shows its beginning.
    if (length * zoom > room - 2 * margin) return margin - start * zoom;
    return from < margin ? margin - start * zoom : room - margin - (start + length) * zoom;
  };
  if (zoom !== view.zoom) {
    return {
      zoom,
      x: screen.width / 2 - (box.x + box.width / 2) * zoom,
      y: screen.height / 2 - (box.y + Math.min(box.height, 200) / 2) * zoom,
    };
  }
  return { zoom, x: at(box.x, box.width, view.x, screen.width), y: at(box.y, box.height, view.y, screen.height) };
}

/** Keeps a corner of the drawing on the screen. */
export function held(view: View, drawing: Size, screen: Size): View {
  const keep = 80;
  const clamp = (offset: number, length: number, room: number) =>
    Math.min(room - keep, Math.max(keep - length * view.zoom, offset));
  return { ...view, x: clamp(view.x, drawing.width, screen.width), y: clamp(view.y, drawing.height, screen.height) };
}

/** Follows pointers on an element: one moves the view, two zoom it, and the wheel does either.
 *
 * @returns stops to follow.
 */
export function follow(element: HTMLElement, get: () => View, set: (view: View) => void): () => void {
  const pointers = new Map<number, { x: number; y: number }>();
  let moved = 0;
  const place = (event: { clientX: number; clientY: number }) => {
    const frame = element.getBoundingClientRect();
    return { x: event.clientX - frame.left, y: event.clientY - frame.top };
  };
  const down = (event: PointerEvent) => {
    if (event.button !== 0 || (event.target as Element).closest('.graph-tools, .minimap')) return;
    pointers.set(event.pointerId, place(event));
    moved = 0;
  };
  const move = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = place(event);
    moved += Math.abs(now.x - before.x) + Math.abs(now.y - before.y);
    if (moved > 4 && !element.hasPointerCapture(event.pointerId)) {
      element.setPointerCapture(event.pointerId);
      element.classList.add('dragging');
    }
    const view = get();
    const rest = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    pointers.set(event.pointerId, now);
    if (!rest) set({ ...view, x: view.x + now.x - before.x, y: view.y + now.y - before.y });
    else {
      const spread = (point: { x: number; y: number }) => Math.hypot(point.x - rest.x, point.y - rest.y) || 1;
      set(zoomed(view, spread(now) / spread(before), (now.x + rest.x) / 2, (now.y + rest.y) / 2));
    }
  };
  const up = (event: PointerEvent) => {
    pointers.delete(event.pointerId);
    if (pointers.size === 0) element.classList.remove('dragging');
  };
  // A drag that ends on a box is no click of it.
  const click = (event: MouseEvent) => {
    if (moved > 4) event.stopPropagation();
    moved = 0;
  };
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    const view = get();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    const at = place(event);
    if (event.ctrlKey || event.metaKey) set(zoomed(view, Math.exp(-event.deltaY * unit * 0.0045), at.x, at.y));
    else if (event.shiftKey) set({ ...view, x: view.x - (event.deltaY || event.deltaX) * unit });
    else set({ ...view, x: view.x - event.deltaX * unit, y: view.y - event.deltaY * unit });
  };
  element.addEventListener('pointerdown', down);
  element.addEventListener('pointermove', move);
  element.addEventListener('pointerup', up);
  element.addEventListener('pointercancel', up);
  element.addEventListener('click', click, true);
  element.addEventListener('wheel', wheel, { passive: false });
  return () => {
    element.removeEventListener('pointerdown', down);
    element.removeEventListener('pointermove', move);
    element.removeEventListener('pointerup', up);
    element.removeEventListener('pointercancel', up);
    element.removeEventListener('click', click, true);
    element.removeEventListener('wheel', wheel);
  };
}
