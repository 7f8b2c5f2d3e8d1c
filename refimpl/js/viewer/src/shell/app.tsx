/** The page as a whole. */

import { useEffect } from 'preact/hooks';
import type { Opened } from '../data/opened.js';
import { DiffPage } from '../diff-page.js';
import { GraphView } from '../graph/view.js';
import { Details } from '../parts/details.js';
import { Outline } from '../parts/outline.js';
import { ProvenancePage } from '../parts/provenance-page.js';
import { ReportPage } from '../parts/report-page.js';
import { TensorsPage } from '../parts/tensors-page.js';
import { TrainingPage } from '../parts/training-page.js';
import { helpShown, notice, opened, other, phase, selection, type Tab, tab, theme } from '../state.js';
import { shortened } from '../text.js';
import { HelpButton, ThemeButton } from './buttons.js';
import { Facts } from './facts.js';
import { Header } from './header.js';
import { Help } from './help.js';
import { Sign } from './icons.js';
import { DropZone } from './open.js';
import { Problem } from './problem.js';
import { Tabs } from './tabs.js';
import { Welcome } from './welcome.js';

export function App() {
  const now = phase.value;
  useEffect(() => {
    document.documentElement.dataset.theme = theme.value;
  }, [theme.value]);
  useEffect(() => {
    const name = now.kind === 'open' ? now.opened.name : now.kind === 'welcome' ? '' : now.name;
    document.title = name ? `${shortened(name, 80)} – Etui` : 'Etui viewer';
  }, [now]);
  useEffect(() => {
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
  return (
    <>
      {now.kind === 'welcome' && <Welcome />}
      {now.kind === 'busy' && (
        <main class="busy">
          <div class="line" />
          <p role="status">Opening {shortened(now.name, 80)} …</p>
        </main>
      )}
      {now.kind === 'broken' && (
        <main class="welcome">
          <div class="corner">
            <ThemeButton />
            <HelpButton />
          </div>
          <Problem name={now.name} error={now.error} />
        </main>
      )}
      {now.kind === 'open' && <Shell model={now.opened} />}
      <Notice />
      <DropZone />
      <Help />
    </>
  );
}

function onKey(event: KeyboardEvent): void {
  const typing = (event.target as HTMLElement).closest?.('input, textarea, select, dialog');
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === '?' && !typing) helpShown.value = true;
  else if (event.key === 'Escape' && !typing) selection.value = null;
}

function Shell({ model }: { model: Opened }) {
  const current = tab.value;
  const chosen = selection.value;
  const compared = other.value;
  const outline = current === 'graph' && model.architecture !== null && compared === null;
  const details = chosen !== null && (current === 'graph' || current === 'tensors' || current === 'diff');
  const classes = ['panes', outline ? 'with-outline' : '', details ? 'with-details' : ''].filter(Boolean).join(' ');
  return (
    <div class="shell">
      <header>
        <Header opened={model} before={compared} />
        <Facts opened={model} />
        <Tabs opened={model} before={compared} />
      </header>
      <main>
        <div class={classes} id="pane" role="tabpanel" aria-labelledby={`tab-${current}`}>
          {outline && <Outline key={model.model.identity} opened={model} />}
          <Pane of={current} opened={model} before={compared} />
          {details && <Details opened={model} before={compared} />}
        </div>
      </main>
    </div>
  );
}

function Pane({ of, opened: model, before }: { of: Tab; opened: Opened; before: Opened | null }) {
  if (of === 'tensors') return <TensorsPage opened={model} />;
  if (of === 'training') return <TrainingPage opened={model} />;
  if (of === 'provenance') return <ProvenancePage opened={model} />;
  if (of === 'report' && model.report) return <ReportPage opened={model} />;
  if (of === 'diff' && before) return <DiffPage before={before} after={model} />;
  return <GraphView opened={model} />;
}

function Notice() {
  const text = notice.value;
  useEffect(() => {
    if (text === null) return undefined;
    const timer = setTimeout(() => {
      notice.value = null;
    }, 6000);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div role="status" aria-live="polite">
      {text !== null && opened.value !== null && (
        <div class="notice">
          <span>{text}</span>
          <button
            type="button"
            class="button plain icon"
            aria-label="Dismiss"
            onClick={() => {
              notice.value = null;
            }}
          >
            <Sign of="close" />
          </button>
        </div>
      )}
    </div>
  );
}
