/** What became of a module or a document between two artifacts, place by place. */

import type { Json } from '../../src/index.js';
import { decodeValue } from '../../src/index.js';
import { type FieldChange, moduleChange } from './diff.js';
import { counted, integer } from './format.js';
import { ValueView } from './parts/value.js';
import { Path } from './shell/name.js';

const WORDS = { added: 'Only in the newer model', removed: 'Only in the older model', changed: 'Changed' } as const;
const TONES = { added: 'good', removed: 'bad', changed: 'warn' } as const;
const LISTED = 100;

export function ModuleChange({ path }: { path: string }) {
  const found = moduleChange(path);
  if (!found) return null;
  return (
    <section>
      <h3>
        <span class={`tag ${TONES[found.change]}`}>{WORDS[found.change]}</span>
        {found.fields.length > 0 && <span class="aside">{counted(found.fields.length, 'place')}</span>}
      </h3>
      <Fields fields={found.fields} />
    </section>
  );
}

export function Fields({ fields }: { fields: readonly FieldChange[] }) {
  return (
    <div class="fields">
      {fields.slice(0, LISTED).map((field) => (
        <div class="field" key={field.field}>
          <div class="where">
            <Path path={field.field} limit={120} />
          </div>
          <div class="sides">
            <Side json={field.before} name="before" />
            <Side json={field.after} name="after" />
          </div>
        </div>
      ))}
      {fields.length > LISTED && <p class="soft">{`${integer(fields.length - LISTED)} more places`}</p>}
    </div>
  );
}

function Side({ json, name }: { json: Json | undefined; name: 'before' | 'after' }) {
  return (
    <div class={`side ${name}`}>
      <span class="visually-hidden">{name}: </span>
      {json === undefined ? <span class="faint">not there</span> : <ValueView value={decodeValue(json)} />}
    </div>
  );
}
