/** What a page without a model shows. */

import { useState } from 'preact/hooks';
import { openAll } from '../sources.js';
import { HelpButton, ThemeButton } from './buttons.js';
import { Mark } from './icons.js';
import { OpenButtons } from './open.js';

export function Welcome() {
  const [url, setUrl] = useState('');
  return (
    <main class="welcome">
      <div class="corner">
        <ThemeButton />
        <HelpButton />
      </div>
      <div class="inner">
        <Mark />
        <h1>Look into a model</h1>
        <p class="lead">
          Its architecture, every tensor and its numbers, and how it was trained. Nothing leaves your computer, and
          nothing in the file is run.
        </p>
        <div class="well">
          <p class="big">Drop an etui here</p>
          <p class="soft">A file or a folder; two of them are compared</p>
          <OpenButtons />
        </div>
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (url.trim()) void openAll([{ name: url.trim().split('/').at(-1) || url.trim(), source: url.trim() }]);
          }}
        >
          <input
            type="url"
            required
            aria-label="Address of an artifact"
            placeholder="https://…/model.etui"
            value={url}
            onInput={(event) => setUrl(event.currentTarget.value)}
          />
          <button type="submit" class="button">
            Open
          </button>
        </form>
        <p class="foot">
          Another format? <code>etui view model.keras</code> converts it and opens this page.
        </p>
      </div>
    </main>
  );
}
