/** The viewer of etuis. */

import { render } from 'preact';
import { App } from './shell/app.js';
import { openPage } from './sources.js';
import { phase, theme } from './state.js';

document.documentElement.dataset.theme = theme.value;
const given = document.getElementById('etui-payload') !== null || new URLSearchParams(location.search).has('url');
if (given) phase.value = { kind: 'busy', name: 'the model' };
render(<App />, document.getElementById('app')!);
void openPage();
