/** All that is known of a module. */

import type { Module } from '../../../src/index.js';
import type { Place } from '../data/architecture.js';
import type { Opened } from '../data/opened.js';
import { isAttrs, outputsIn } from '../data/values.js';
import { ModuleChange } from '../diff-module.js';
import { compact, counted, integer, shape } from '../format.js';
import { family, namespace, shortOp } from '../ops.js';
import { shapesOf } from '../shapes.js';
import { Name } from '../shell/name.js';
import { locate, selectModule } from '../state.js';
import { shortened } from '../text.js';
import { TensorCard } from './tensor-card.js';
import { Attributes, ValueView } from './value.js';

const KINDS = {
  layer: null,
  graph: null,
  opaque: 'code not in the artifact',
  shared: 'shared',
} as const;

/** So many children and calls are listed. */
const LISTED = 80;

export function ModuleDetails({ opened, place }: { opened: Opened; place: Place }) {
  const { module } = place;
  const architecture = opened.architecture!;
  const parameters = architecture.parameters(place.path);
  const variables = place.variables.map((path) => opened.weight(path)).filter((item) => item !== undefined);
  const kind = KINDS[module.kind as keyof typeof KINDS];
  return (
    <>
      <header data-family={family(module.op)}>
        <h2>
          <span class="dot" />
          <Name text={shortOp(module.op)} limit={60} />
        </h2>
        <p class="path break">
          <Name text={place.path || place.name} limit={300} />
        </p>
        <p class="tags">
          {namespace(module.op) && <span class="tag">{namespace(module.op)}</span>}
          {kind && <span class="tag warn">{kind}</span>}
          {parameters > 0 && <span class="tag" title={integer(parameters)}>{`${compact(parameters)} parameters`}</span>}
        </p>
      </header>
      {module.kind === 'opaque' && (
        <section>
          <p class="soft">
            What this module computes is the code of the class <bdi class="mono">{shortened(module.op, 120)}</bdi>,
            which is not stored. Its settings, parts and variables are.
          </p>
        </section>
      )}
      <ModuleChange path={place.path} />
      <Calls opened={opened} place={place} />
      {variables.length > 0 && (
        <section>
          <h3>
            Variables <span class="aside">{counted(variables.length, 'tensor')}</span>
          </h3>
          <div class="cards">
            {variables.slice(0, LISTED).map((item) => (
              <TensorCard key={item.id} opened={opened} item={item} />
            ))}
          </div>
        </section>
      )}
      {Object.keys(module.attrs).length > 0 && (
        <section>
          <h3>Attributes</h3>
          <Attributes attrs={module.attrs} />
        </section>
      )}
      <Inside place={place} modules={module.modules} />
      {module.build !== null && module.build !== undefined && (
        <section>
          <h3>Built with</h3>
          {isAttrs(module.build) ? <Attributes attrs={module.build} /> : <ValueView value={module.build} />}
        </section>
      )}
      {Object.keys(module.residue).length > 0 && (
        <section>
          <h3>Kept for the framework</h3>
          <Attributes attrs={module.residue} />
        </section>
      )}
    </>
  );
}

/** What each call of the module takes and gives. */
function Calls({ opened, place }: { opened: Opened; place: Place }) {
  const parent = place.parent;
  if (!parent?.module.graph) return null;
  const { calls } = parent.module.graph;
  const own = calls.filter((call) => call.module === place.name);
  const shapes = shapesOf(opened.architecture!, parent.module);
  const nameOf = new Map(calls.map((call) => [call.id, call.module]));
  const pathOf = (name: string) => opened.architecture!.definition(parent.path ? `${parent.path}/${name}` : name);
  return (
    <section>
      <h3>
        {own.length === 1 ? 'Call' : 'Calls'}{' '}
        {own.length > 1 && <span class="aside">{counted(own.length, 'call')}, one set of variables</span>}
      </h3>
      {own.slice(0, LISTED).map((call) => {
        const inputs = outputsIn([call.args, call.kwargs]);
        const readers = calls.filter((other) =>
          outputsIn([other.args, other.kwargs]).some((output) => output.call === call.id),
        );
        const given = shapes.get(call.id) ?? [];
        return (
          <dl class="pairs" key={call.id}>
            <dt>From</dt>
            <dd>
              {inputs.length === 0 && <span class="faint">outside</span>}
              {inputs.slice(0, LISTED).map((input) => (
                <div key={`${input.call} ${input.index}`}>
                  <Link name={nameOf.get(input.call) ?? input.call} path={pathOf(nameOf.get(input.call) ?? '')} />{' '}
                  <ShapeText of={shapes.get(input.call)?.[input.index]} />
                </div>
              ))}
            </dd>
            <dt>Gives</dt>
            <dd>
              {given.length === 0 || given.every((one) => !one) ? (
                <span class="faint">a shape that is not stated</span>
              ) : (
                given.map((one, index) => (
                  <div key={String(index)}>
                    <ShapeText of={one} />
                  </div>
                ))
              )}
            </dd>
            <dt>To</dt>
            <dd>
              {readers.length === 0 && <span class="faint">the output</span>}
              {readers.slice(0, LISTED).map((reader) => (
                <div key={reader.id}>
                  <Link name={reader.module} path={pathOf(reader.module)} />
                </div>
              ))}
            </dd>
          </dl>
        );
      })}
    </section>
  );
}

function ShapeText({ of }: { of: readonly (number | null)[] | null | undefined }) {
  return of ? <span class="faint">{shape(of)}</span> : null;
}

function Link({ name, path }: { name: string; path: string }) {
  return (
    <button type="button" class="link" onClick={() => selectModule(path)}>
      <Name text={name} limit={80} />
    </button>
  );
}

function Inside({ place, modules }: { place: Place; modules: readonly Module[] }) {
  if (modules.length === 0) return null;
  return (
    <section>
      <h3>
        Inside <span class="aside">{counted(modules.length, 'module')}</span>
      </h3>
      <div class="cards">
        {modules.slice(0, LISTED).map((module) => (
          <button
            type="button"
            class="card"
            key={module.name}
            data-family={family(module.op)}
            onClick={() =>
              locate(
                module.kind === 'shared' && module.target
                  ? module.target
                  : place.path
                    ? `${place.path}/${module.name}`
                    : module.name,
              )
            }
          >
            <span class="name clip">
              <span class="dot" /> <Name text={module.name} limit={60} />
            </span>
            <span class="what clip">
              {module.kind === 'shared' ? `shared with ${shortened(module.target ?? '', 60)}` : shortOp(module.op)}
            </span>
          </button>
        ))}
        {modules.length > LISTED && <p class="soft">{counted(modules.length - LISTED, 'more module')} in the graph</p>}
      </div>
    </section>
  );
}
