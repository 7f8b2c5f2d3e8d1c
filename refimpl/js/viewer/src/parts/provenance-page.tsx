/** Where the artifact comes from, and what proves that it is whole. */

import type { Part } from '../../../src/index.js';
import type { Opened } from '../data/opened.js';
import { counted, integer, size } from '../format.js';
import { Name } from '../shell/name.js';
import { Digest } from './digest.js';
import { Attributes } from './value.js';
import { VerifyPanel } from './verify.js';

const FORMS: Readonly<Record<string, string>> = {
  packed: 'packed, one file',
  directory: 'directory, a file for each part',
  memory: 'in memory',
  series: 'a step of a series',
};
const ROWS = 400;

export function ProvenancePage({ opened }: { opened: Opened }) {
  const { model } = opened;
  const parts = [...model.manifest.parts];
  const natives = [...model.natives.values()];
  return (
    <div class="page" tabIndex={0}>
      <div class="inner">
        <div class="columns">
          <section class="panel">
            <h2>Artifact</h2>
            <dl class="pairs">
              <dt>Name</dt>
              <dd>
                <Name text={opened.name} limit={200} />
              </dd>
              <dt>Made from</dt>
              <dd>{opened.sourceFormat ?? 'an etui'}</dd>
              <dt>Form</dt>
              <dd>{opened.form === null ? 'made for this page' : (FORMS[opened.form] ?? opened.form)}</dd>
              <dt>Profile</dt>
              <dd>{model.profile}</dd>
              <dt>Version</dt>
              <dd>{model.version}</dd>
              <dt>Requires</dt>
              <dd>{model.requires.join(', ') || 'nothing beyond the core'}</dd>
              {opened.createdBy !== null && (
                <>
                  <dt>Page made by</dt>
                  <dd>
                    <Name text={opened.createdBy} limit={80} />
                  </dd>
                </>
              )}
              <dt>Identity</dt>
              <dd>
                <Digest digest={model.identity} />
              </dd>
            </dl>
            {Object.keys(model.metadata).length > 0 && (
              <>
                <h3>Metadata</h3>
                <Attributes attrs={model.metadata} />
              </>
            )}
          </section>
          <VerifyPanel opened={opened} />
        </div>
        {natives.length > 0 && <Natives natives={natives} />}
        <Files title="Programs" of={model.programs} lead="Runnable forms of the model. None is run here." />
        <Files title="Assets" of={model.assets} lead="Files that the model needs, byte for byte." />
        <section class="panel">
          <h2>
            Parts{' '}
            <span class="aside">{`${counted(parts.length, 'part')}, ${size(parts.reduce((sum, [, part]) => sum + part.size, 0))}`}</span>
          </h2>
          <div class="table-scroll">
            <table class="list-table">
              <thead>
                <tr>
                  <th scope="col">Part</th>
                  <th scope="col">Role</th>
                  <th scope="col">Media type</th>
                  <th scope="col" class="end">
                    Size
                  </th>
                  <th scope="col">Digest</th>
                </tr>
              </thead>
              <tbody>
                {parts.slice(0, ROWS).map(([name, part]) => (
                  <tr key={name}>
                    <td>
                      <Name text={name} />
                    </td>
                    <td class="whole">{part.role}</td>
                    <td class="soft">
                      <Name text={part.mediaType} limit={60} />
                    </td>
                    <td class="end" title={counted(part.size, 'byte')}>
                      {size(part.size)}
                    </td>
                    <td>
                      {part.digest ? (
                        <Digest digest={part.digest} short />
                      ) : (
                        <span class="faint">a digest for each tensor</span>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {parts.length > ROWS && <p class="soft">{`${integer(parts.length - ROWS)} more parts`}</p>}
        </section>
      </div>
    </div>
  );
}

function Natives({ natives }: { natives: readonly Part[] }) {
  return (
    <section class="panel">
      <h2>Documents of the framework it came from</h2>
      <p class="lead">
        Kept byte for byte. One is in force only while the documents that were translated from it are unchanged.
      </p>
      <div class="table-scroll">
        <table class="list-table">
          <thead>
            <tr>
              <th scope="col">Document</th>
              <th scope="col">Framework</th>
              <th scope="col">Bound to</th>
              <th scope="col">State</th>
              <th scope="col" class="end">
                Size
              </th>
            </tr>
          </thead>
          <tbody>
            {natives.slice(0, ROWS).map((native) => (
              <tr key={native.name}>
                <td>
                  <Name text={native.name} />
                </td>
                <td>
                  <Name text={`${native.framework ?? ''} ${native.frameworkVersion ?? ''}`} limit={60} />
                </td>
                <td class="soft">
                  <Name text={[...native.bindings.keys()].join(', ') || 'nothing'} />
                </td>
                <td>
                  {native.bindings.size === 0 ? (
                    <span class="tag">handed on only</span>
                  ) : native.stale ? (
                    <span class="tag warn">stale</span>
                  ) : (
                    <span class="tag good">in force</span>
                  )}
                </td>
                <td class="end">{size(native.size)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function Files({ title, of, lead }: { title: string; of: ReadonlyMap<string, Part>; lead: string }) {
  if (of.size === 0) return null;
  return (
    <section class="panel">
      <h2>
        {title} <span class="aside">{integer(of.size)}</span>
      </h2>
      <p class="lead">{lead}</p>
      <table class="list-table">
        <tbody>
          {[...of.values()].slice(0, ROWS).map((part) => (
            <tr key={part.name}>
              <td>
                <Name text={part.name} />
              </td>
              <td class="soft">
                <Name text={part.mediaType} limit={80} />
              </td>
              <td class="end">{size(part.size)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}
