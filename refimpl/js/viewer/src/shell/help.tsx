/** Keys, where the numbers come from, and whose code the page holds. */

import { useEffect, useRef } from 'preact/hooks';
import { helpShown } from '../state.js';
import { Sign } from './icons.js';

const KEYS: readonly (readonly [string, readonly string[], string])[] = [
  ['search', ['/'], 'Search modules and tensors'],
  ['tabs', ['Tab'], 'Go through header, tabs, outline, graph and details'],
  [
    'arrows',
    ['↑', '↓', '←', '→'],
    'Graph: follow the connections. Table: go through rows. Outline: go through modules, open and close',
  ],
  ['enter', ['Enter'], 'Show the details of what is focused'],
  ['space', ['Space'], 'Unfold or fold a nested model'],
  ['zoom', ['+', '−', '1', '0'], 'Graph: larger, smaller, actual size, all of it'],
  ['escape', ['Esc'], 'Close the details or the search'],
  ['help', ['?'], 'This help'],
];

export function Help() {
  const dialog = useRef<HTMLDialogElement>(null);
  const shown = helpShown.value;
  useEffect(() => {
    if (shown && !dialog.current?.open) dialog.current?.showModal();
    if (!shown && dialog.current?.open) dialog.current.close();
  }, [shown]);
  return (
    <dialog
      ref={dialog}
      aria-label="Help"
      onClose={() => {
        helpShown.value = false;
      }}
      onClick={(event) => {
        if (event.target === dialog.current) helpShown.value = false;
      }}
    >
      <button
        type="button"
        class="button plain icon close"
        aria-label="Close the help"
        onClick={() => {
          helpShown.value = false;
        }}
      >
        <Sign of="close" />
      </button>
      <h2>Keys</h2>
      <dl class="keys">
        {KEYS.map(([id, keys, text]) => (
          <Row key={id} keys={keys} text={text} />
        ))}
      </dl>
      <h3>Mouse and touch</h3>
      <p>
        Drag to move the graph, scroll to go up and down, hold Ctrl or pinch to zoom. Click a box for its details,
        double-click to unfold it.
      </p>
      <h3>Numbers</h3>
      <p>
        Least, greatest, mean and histogram are of the finite elements, in double precision; NaN and infinite ones are
        counted apart. A histogram has 64 equal bins. Shapes on connections are those that the file states or that
        follow from the layer; where neither is so, none is shown.
      </p>
      <h3>Licences of what this page is made with</h3>
      {shown && (
        <pre class="licences" tabIndex={0}>
          {document.getElementById('etui-licences')?.textContent}
        </pre>
      )}
    </dialog>
  );
}

function Row({ keys, text }: { keys: readonly string[]; text: string }) {
  return (
    <>
      <dt>
        {keys.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </dt>
      <dd>{text}</dd>
    </>
  );
}
