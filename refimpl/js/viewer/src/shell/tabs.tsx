/** What the page can show of a model. */

import type { Opened } from '../data/opened.js';
import { changeCount } from '../diff.js';
import { integer } from '../format.js';
import { type Tab, tab } from '../state.js';

interface Choice {
  readonly tab: Tab;
  readonly name: string;
  readonly count?: number;
}

function choices(opened: Opened, before: Opened | null): Choice[] {
  const { model } = opened;
  const list: Choice[] = [];
  if (before) list.push({ tab: 'diff', name: 'Changes', count: changeCount() });
  if (opened.architecture) list.push({ tab: 'graph', name: 'Architecture' });
  if (opened.items.length > 0) list.push({ tab: 'tensors', name: 'Tensors', count: opened.items.length });
  if (model.training || model.optimizer || model.state) list.push({ tab: 'training', name: 'Training' });
  list.push({ tab: 'provenance', name: 'Provenance' });
  if (opened.report) list.push({ tab: 'report', name: 'Conversion', count: opened.report.entries.length });
  return list;
}

export function Tabs({ opened, before }: { opened: Opened; before: Opened | null }) {
  const list = choices(opened, before);
  const at = Math.max(
    0,
    list.findIndex((choice) => choice.tab === tab.value),
  );
  const go = (index: number) => {
    const choice = list[(index + list.length) % list.length]!;
    tab.value = choice.tab;
    document.getElementById(`tab-${choice.tab}`)?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'ArrowRight') go(at + 1);
    else if (event.key === 'ArrowLeft') go(at - 1);
    else if (event.key === 'Home') go(0);
    else if (event.key === 'End') go(list.length - 1);
    else return;
    event.preventDefault();
  };
  return (
    <div class="tabs" role="tablist" aria-label="Views" onKeyDown={onKeyDown}>
      {list.map((choice, index) => (
        <button
          type="button"
          role="tab"
          key={choice.tab}
          id={`tab-${choice.tab}`}
          aria-selected={index === at}
          aria-controls="pane"
          tabIndex={index === at ? 0 : -1}
          onClick={() => {
            tab.value = choice.tab;
          }}
        >
          {choice.name}{' '}
          {choice.count !== undefined && choice.count > 0 && <span class="count">{integer(choice.count)}</span>}
        </button>
      ))}
    </div>
  );
}
