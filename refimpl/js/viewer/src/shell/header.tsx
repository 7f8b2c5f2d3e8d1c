/** The name of the model, the search, and what can be done. */

import { useRef } from 'preact/hooks';
import type { Opened } from '../data/opened.js';
import { outcomeOf, verifyNow } from '../parts/verify.js';
import { artifactsOf, chosenFiles, openAll } from '../sources.js';
import { notice, tab } from '../state.js';
import { HelpButton, ThemeButton } from './buttons.js';
import { Mark, Sign } from './icons.js';
import { Name } from './name.js';
import { Search } from './search.js';

export function Header({ opened, before }: { opened: Opened; before: Opened | null }) {
  const file = useRef<HTMLInputElement>(null);
  const name = opened.architecture?.root.name ?? opened.name;
  const verify = async () => {
    await verifyNow(opened);
    const outcome = outcomeOf(opened);
    if (outcome?.state === 'good' || outcome?.state === 'partly') notice.value = outcome.text;
    else tab.value = 'provenance';
  };
  return (
    <div class="header">
      <Mark />
      <div class="title">
        <h1 class="clip">
          <Name text={name} limit={80} />
        </h1>
        <span class="file clip">
          {before ? (
            <>
              <Name text={before.name} limit={60} /> → <Name text={opened.name} limit={60} />
            </>
          ) : (
            name !== opened.name && <Name text={opened.name} limit={80} />
          )}
        </span>
      </div>
      <Search />
      <button type="button" class="button wordy" title="Check the digests" onClick={() => void verify()}>
        <Sign of="verify" />
        <span class="label">{outcomeOf(opened)?.state === 'running' ? 'Verifying' : 'Verify'}</span>
      </button>
      <button
        type="button"
        class="button wordy"
        aria-label="Open another file"
        title="Open another file"
        onClick={() => file.current?.click()}
      >
        <Sign of="open" />
        <span class="label">Open</span>
      </button>
      <input
        ref={file}
        type="file"
        multiple
        hidden
        aria-label="File"
        onChange={(event) => {
          const { files } = event.currentTarget;
          if (files) void openAll(artifactsOf(chosenFiles(files)));
          event.currentTarget.value = '';
        }}
      />
      <ThemeButton />
      <HelpButton />
    </div>
  );
}
