/** Which rows of a long list are drawn: those that the scroll position shows, and a few around them. */

import { useLayoutEffect, useRef, useState } from 'preact/hooks';

/** Browsers draw nothing beyond some ten million pixels: a longer list is scrolled in proportion. */
const TALLEST = 8_000_000;
const AROUND = 8;

export interface Window {
  /** Height of the scrolled body in pixels. */
  readonly height: number;
  readonly first: number;
  readonly last: number;
  /** Where a row is drawn, in pixels from the body's top. */
  readonly top: (row: number) => number;
}

/** The rows to draw.
 *
 * @param offset the scroll position in pixels; `room` is the height of the frame, without what covers its top.
 */
export function windowOf(rows: number, rowHeight: number, offset: number, room: number): Window {
  const whole = rows * rowHeight;
  const height = Math.min(whole, TALLEST);
  const ratio = height > room && whole > height ? (whole - room) / (height - room) : 1;
  const seen = offset * ratio;
  const first = Math.max(0, Math.floor(seen / rowHeight) - AROUND);
  const last = Math.min(rows - 1, Math.ceil((seen + room) / rowHeight) + AROUND);
  return { height, first, last, top: (row) => row * rowHeight - seen + offset };
}

/** The scroll position that brings a row into sight; null if it is. */
export function offsetFor(row: number, rows: number, rowHeight: number, offset: number, room: number): number | null {
  const whole = rows * rowHeight;
  const height = Math.min(whole, TALLEST);
  const ratio = height > room && whole > height ? (whole - room) / (height - room) : 1;
  const seen = offset * ratio;
  const top = row * rowHeight;
  if (top < seen) return top / ratio;
  if (top + rowHeight > seen + room) return (top + rowHeight - room) / ratio;
  return null;
}

/** Follows the scrolling of an element.
 *
 * @param covered pixels at its top that a fixed head covers.
 */
export function useWindow<Frame extends HTMLElement>(rows: number, rowHeight: number, covered: number) {
  const frame = useRef<Frame>(null);
  const [place, setPlace] = useState({ offset: 0, room: 600 });
  useLayoutEffect(() => {
    const element = frame.current!;
    const read = () => {
      const next = { offset: element.scrollTop, room: Math.max(rowHeight, element.clientHeight - covered) };
      setPlace((before) => (before.offset === next.offset && before.room === next.room ? before : next));
    };
    read();
    element.addEventListener('scroll', read, { passive: true });
    const observer = new ResizeObserver(read);
    observer.observe(element);
    return () => {
      element.removeEventListener('scroll', read);
      observer.disconnect();
    };
  }, [rowHeight, covered]);
  const reveal = (row: number) => {
    const element = frame.current;
    if (!element) return;
    const room = Math.max(rowHeight, element.clientHeight - covered);
    const offset = offsetFor(row, rows, rowHeight, element.scrollTop, room);
    if (offset !== null) element.scrollTop = offset;
  };
  return { frame, window: windowOf(rows, rowHeight, place.offset, place.room), reveal };
}
