/** The buttons that every page has. */

import { helpShown, switchTheme, theme } from '../state.js';
import { Sign } from './icons.js';

export function ThemeButton() {
  const next = theme.value === 'dark' ? 'light' : 'dark';
  return (
    <button
      type="button"
      class="button plain icon"
      aria-label={`Switch to ${next} colours`}
      title={`Switch to ${next} colours`}
      onClick={switchTheme}
    >
      <Sign of={next === 'dark' ? 'moon' : 'sun'} />
    </button>
  );
}

export function HelpButton() {
  return (
    <button
      type="button"
      class="button plain icon"
      aria-label="Help"
      title="Help (?)"
      onClick={() => {
        helpShown.value = true;
      }}
    >
      <Sign of="help" />
    </button>
  );
}
