/** Finds modules and tensors by words of their names and ops. */

import { computed, signal } from '@preact/signals';
import { useEffect, useRef, useState } from 'preact/hooks';
import type { Opened } from '../data/opened.js';
import { tightShape } from '../format.js';
import { family, shortOp } from '../ops.js';
import { locate, opened, selectTensor, tab } from '../state.js';
import { matches, words } from '../text.js';
import { Sign } from './icons.js';
import { Path } from './name.js';

const MOST = 40;

interface Hit {
  readonly key: string;
  readonly name: string;
  readonly what: string;
  readonly family: string | undefined;
  readonly go: () => void;
}

const query = signal('');
const hits = computed(() => (opened.value ? find(opened.value, words(query.value)) : []));

function find(model: Opened, wanted: readonly string[]): Hit[] {
  if (wanted.length === 0) return [];
  const found: Hit[] = [];
  for (const place of model.architecture?.places ?? []) {
    if (found.length >= MOST) break;
    if (!matches(`${place.path || place.name} ${place.module.op}`, wanted)) continue;
    found.push({
      key: `module ${place.path}`,
      name: place.path || place.name,
      what: place.module.kind === 'shared' ? 'shared' : shortOp(place.module.op),
      family: family(place.module.op),
      go: () => locate(model.architecture!.definition(place.path)),
    });
  }
  const modules = found.length;
  for (const item of model.items) {
    if (found.length >= modules + MOST) break;
    if (!matches(`${item.name} ${item.role} ${item.dtype} ${item.aliases.join(' ')}`, wanted)) continue;
    found.push({
      key: item.id,
      name: item.name,
      what: `${tightShape(item.shape)} ${item.dtype}`,
      family: undefined,
      go: () => {
        if (tab.value !== 'graph') tab.value = 'tensors';
        selectTensor(item.id);
      },
    });
  }
  return found;
}

export function Search() {
  const input = useRef<HTMLInputElement>(null);
  const [open, setOpen] = useState(false);
  const [active, setActive] = useState(0);
  const list = hits.value;
  const at = Math.min(active, Math.max(0, list.length - 1));
  const shown = open && query.value.trim() !== '';
  useEffect(() => {
    const key = (event: KeyboardEvent) => {
      const typing = (event.target as HTMLElement).closest?.('input, textarea, select, dialog');
      if (event.key !== '/' || typing || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener('keydown', key);
    return () => removeEventListener('keydown', key);
  }, []);
  const take = (hit: Hit | undefined) => {
    if (!hit) return;
    setOpen(false);
    hit.go();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowDown') setActive(Math.min(list.length - 1, at + 1));
    else if (event.key === 'ArrowUp') setActive(Math.max(0, at - 1));
    else if (event.key === 'Enter') take(list[at]);
    else if (event.key === 'Escape') {
      setOpen(false);
      input.current?.blur();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  useEffect(() => {
    if (shown) document.getElementById(`hit-${at}`)?.scrollIntoView({ block: 'nearest' });
  }, [at, shown]);
  return (
    <div class="search" role="search">
      <Sign of="search" />
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-label="Search modules and tensors"
        aria-expanded={shown}
        aria-controls="hits"
        aria-autocomplete="list"
        aria-activedescendant={shown && list.length > 0 ? `hit-${at}` : undefined}
        placeholder="Search"
        spellcheck={false}
        autocomplete="off"
        value={query.value}
        onInput={(event) => {
          query.value = event.currentTarget.value;
          setActive(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <kbd aria-hidden="true">/</kbd>
      <ul id="hits" class="results" role="listbox" aria-label="Found" hidden={!shown}>
        {shown &&
          list.map((hit, index) => (
            <li
              key={hit.key}
              id={`hit-${index}`}
              role="option"
              aria-selected={index === at}
              data-family={hit.family}
              onPointerDown={(event) => {
                event.preventDefault();
                take(hit);
              }}
            >
              <span class="dot" />
              <span class="clip">
                <Path path={hit.name} limit={90} />
              </span>
              <span class="what">{hit.what}</span>
            </li>
          ))}
        {shown && list.length === 0 && (
          <li class="none" role="option" aria-selected={false} aria-disabled="true">
            Nothing has that name.
          </li>
        )}
      </ul>
    </div>
  );
}
