/** The signs of buttons; each button has its name in words. */

import type { ComponentChildren } from 'preact';

function Icon({ children, fill = false }: { children: ComponentChildren; fill?: boolean }) {
  return (
    <svg
      viewBox="0 0 16 16"
      aria-hidden="true"
      fill={fill ? 'currentColor' : 'none'}
      stroke={fill ? 'none' : 'currentColor'}
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
    >
      {children}
    </svg>
  );
}

const paths = {
  search: 'M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM10.7 10.7 14 14',
  open: 'M1.8 12.5v-9a1 1 0 0 1 1-1h3l1.6 2h5.8a1 1 0 0 1 1 1v7a1 1 0 0 1-1 1H2.8a1 1 0 0 1-1-1Z',
  verify: 'M8 1.6 13.5 3.6v4c0 3.3-2.2 5.6-5.5 6.8-3.3-1.2-5.5-3.5-5.5-6.8v-4L8 1.6ZM5.6 7.9l1.8 1.8 3.2-3.5',
  help: 'M6 6a2.1 2.1 0 1 1 3 1.9c-.7.3-1 .8-1 1.6M8 12.2v.1M8 14.8A6.8 6.8 0 1 0 8 1.2a6.8 6.8 0 0 0 0 13.6Z',
  moon: 'M13.6 9.7A6 6 0 0 1 6.3 2.4 6 6 0 1 0 13.6 9.7Z',
  sun: 'M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6ZM8 1v1.4M8 13.6V15M1 8h1.4M13.6 8H15M3.1 3.1l1 1M11.9 11.9l1 1M3.1 12.9l1-1M11.9 4.1l1-1',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  plus: 'M8 3v10M3 8h10',
  minus: 'M3 8h10',
  fit: 'M2 6V2.8a.8.8 0 0 1 .8-.8H6M10 2h3.2a.8.8 0 0 1 .8.8V6M14 10v3.2a.8.8 0 0 1-.8.8H10M6 14H2.8a.8.8 0 0 1-.8-.8V10',
  unfold: 'M5 5.5 8 2.5l3 3M5 10.5l3 3 3-3',
  fold: 'M5 2.5l3 3 3-3M5 13.5l3-3 3 3',
  chevron: 'M6 3.5 10.5 8 6 12.5',
  copy: 'M5.5 5.5V3.3a.8.8 0 0 1 .8-.8h6.4a.8.8 0 0 1 .8.8v6.4a.8.8 0 0 1-.8.8h-2.2M3.3 5.5h6.4a.8.8 0 0 1 .8.8v6.4a.8.8 0 0 1-.8.8H3.3a.8.8 0 0 1-.8-.8V6.3a.8.8 0 0 1 .8-.8Z',
} as const;

export function Sign({ of }: { of: keyof typeof paths }) {
  return (
    <Icon>
      <path d={paths[of]} />
    </Icon>
  );
}

/** The sign of Etui: a small case with its lid and clasp. */
export function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect x="3" y="6" width="26" height="20" rx="6" fill="var(--accent)" />
      <path d="M3 14h26" stroke="var(--surface)" stroke-width="2.2" />
      <rect x="13" y="10.8" width="6" height="6.4" rx="2" fill="var(--surface)" />
    </svg>
  );
}
