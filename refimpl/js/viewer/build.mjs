// Builds the viewer into one page that needs nothing else: `node viewer/build.mjs [--check]`.
//
// The page's policy names its one script and its one style by their digests, so that nothing else runs in it, whatever
// a file holds. `--check` compares with the committed page in place of writing it.

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '..');
const page = resolve(root, '../etui/viewing/page.html');

const bundle = await build({
  absWorkingDir: root,
  entryPoints: { page: 'viewer/src/main.tsx', style: 'viewer/style/index.css' },
  outdir: 'out',
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  format: 'iife',
  target: 'es2022',
  platform: 'browser',
  charset: 'utf8',
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  define: { 'process.env.NODE_ENV': '"production"' },
});

const text = (suffix) => bundle.outputFiles.find((file) => file.path.endsWith(suffix)).text.trim();
const digest = (content) => `'sha256-${createHash('sha256').update(content).digest('base64')}'`;

/** The names and licences of the packages whose code is in the page, in the order of their names. */
function licences() {
  const inputs = Object.keys(bundle.metafile.inputs);
  const names = new Set(inputs.map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean));
  if (names.has('@dagrejs/dagre')) names.add('@dagrejs/graphlib'); // dagre's own bundle holds it
  if (names.has('@preact/signals')) names.add('@preact/signals-core');
  return [...names].sort().map((name) => {
    const folder = join(root, 'node_modules', name);
    const { version } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
    return `${name} ${version}\n\n${readFileSync(join(folder, 'LICENSE'), 'utf8').replaceAll('\r', '').trim()}`;
  });
}

const script = text('page.js').replaceAll('</script', '<\\/script').replaceAll('<!--', '<\\!--');
const style = text('style.css');
const policy = [
  "default-src 'none'",
  `script-src ${digest(script)}`,
  `style-src ${digest(style)}`,
  'img-src data:',
  "connect-src 'self' https: http://localhost:* http://127.0.0.1:*",
  "base-uri 'none'",
  "form-action 'none'",
].join('; ');
const texts = licences().join('\n\n----\n\n').replaceAll('<', '‹').replaceAll('>', '›');
const filled = {
  'content="policy"': `content="${policy}"`,
  '<!--style-->': `<style>${style}</style>`,
  '<!--licences-->': `<script type="text/plain" id="etui-licences">${texts}</script>`,
  '<!--script-->': `<script>${script}</script>`,
};
const template = readFileSync(join(here, 'index.html'), 'utf8');
const result = template.replace(/content="policy"|<!--(?:style|licences|script)-->/g, (place) => filled[place]);

if (process.argv.includes('--check')) {
  if (readFileSync(page, 'utf8') !== result) {
    console.error('refimpl/etui/viewing/page.html is not what the sources give: npm run build:viewer');
    process.exit(1);
  }
} else {
  writeFileSync(page, result);
  console.log(`${page}: ${Math.round(result.length / 1000)} kB`);
}
