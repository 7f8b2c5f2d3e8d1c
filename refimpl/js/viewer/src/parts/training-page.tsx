/** How the model is trained and how far it came: losses, metrics, optimizers, state. */

import type { Attrs, OptimizerEntry, Training, Value } from '../../../src/index.js';
import { type Opened, optimizersOf } from '../data/opened.js';
import { compact, counted, integer, real, size } from '../format.js';
import { shortOp } from '../ops.js';
import { Name } from '../shell/name.js';
import { selectTensor, tab } from '../state.js';
import { Attributes, ValueView } from './value.js';

export function TrainingPage({ opened }: { opened: Opened }) {
  const { training, optimizer, state } = opened.model;
  return (
    <div class="page" tabIndex={0}>
      <div class="inner">
        {training && <Objective training={training} />}
        {optimizer &&
          optimizersOf(opened.model).map(([place, entry]) => (
            <OptimizerPanel key={place} opened={opened} place={place} entry={entry} />
          ))}
        {state && <StatePanel opened={opened} />}
        {!training && !optimizer && !state && (
          <section class="panel">
            <h2>No training in this artifact</h2>
            <p class="soft">It has neither losses and metrics, nor an optimizer, nor the state of a run.</p>
          </section>
        )}
      </div>
    </div>
  );
}

function Objective({ training }: { training: Training }) {
  const fields: [string, Value][] = [
    ['Loss', training.loss],
    ['Weights of losses', training.lossWeights],
    ['Added losses', [...training.addedLosses]],
    ['Metrics', training.metrics],
    ['Weighted metrics', training.weightedMetrics],
    ['Sample weighting', training.sampleWeighting],
    ['Class weighting', training.classWeighting],
  ];
  const set = fields.filter(([, value]) => value !== null && !(Array.isArray(value) && value.length === 0));
  return (
    <div class="columns">
      <section class="panel">
        <h2>Objective</h2>
        {set.length === 0 && <p class="soft">No loss is stored.</p>}
        <dl class="pairs">
          {set.map(([name, value]) => (
            <Pair key={name} name={name}>
              <ValueView value={value} />
            </Pair>
          ))}
        </dl>
      </section>
      <section class="panel">
        <h2>Loop and precision</h2>
        {training.precision && <Attributes attrs={training.precision} />}
        {Object.keys(training.options).length > 0 && (
          <>
            <h3>Options</h3>
            <Attributes attrs={training.options} />
          </>
        )}
        {Object.keys(training.residue).length > 0 && (
          <>
            <h3>Kept for the framework</h3>
            <Attributes attrs={training.residue} />
          </>
        )}
      </section>
    </div>
  );
}

function Pair({ name, children }: { name: string; children: preact.ComponentChildren }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}

/** So many groups are listed. */
const GROUPS = 40;

function OptimizerPanel({ opened, place, entry }: { opened: Opened; place: string; entry: OptimizerEntry }) {
  const slots = slotTable(entry);
  const owned = entry.groups.reduce((sum, group) => sum + group.variables.length, 0);
  const shared = [...entry.sharedSlots];
  return (
    <section class="panel">
      <h2>
        <Name text={shortOp(entry.algorithm)} limit={60} />
        <span class="aside">
          <Name text={place} limit={80} />
        </span>
      </h2>
      <dl class="facts-row">
        <Fact name="Completed steps" text={integer(entry.step)} />
        {entry.microStep !== entry.step && <Fact name="Gradients seen" text={integer(entry.microStep)} />}
        <Fact
          name="Rate in force"
          text={entry.learningRate === null ? (entry.schedule ? 'by schedule' : 'none') : real(entry.learningRate)}
        />
        <Fact name="Variables" text={integer(owned)} />
        {entry.fresh.length > 0 && <Fact name="Without slots yet" text={integer(entry.fresh.length)} />}
      </dl>
      <div class="columns">
        <div>
          <h3>Hyperparameters</h3>
          <Attributes attrs={entry.hyperparameters} />
        </div>
        <div>
          {entry.schedule && (
            <>
              <h3>Schedule, counted in {entry.scheduleClock === 'micro_step' ? 'gradients' : 'steps'}</h3>
              <p>
                <Name text={shortOp(entry.schedule.className)} />
              </p>
              <Attributes attrs={(entry.schedule.config ?? {}) as Attrs} />
            </>
          )}
          {slots.length > 0 && (
            <>
              <h3>Slots</h3>
              <table class="list-table">
                <thead>
                  <tr>
                    <th scope="col">Slot</th>
                    <th scope="col" class="end">
                      Tensors
                    </th>
                    <th scope="col" class="end">
                      Elements
                    </th>
                    <th scope="col" class="end">
                      Size
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {slots.map((slot) => (
                    <tr key={slot.name}>
                      <td>
                        <Name text={slot.name} limit={60} />
                      </td>
                      <td class="end">{integer(slot.tensors)}</td>
                      <td class="end">{compact(slot.elements)}</td>
                      <td class="end">{size(slot.bytes)}</td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </>
          )}
          {shared.length > 0 && (
            <>
              <h3>Of the optimizer as a whole</h3>
              {shared.map(([name]) => (
                <div key={name}>
                  <button
                    type="button"
                    class="link"
                    onClick={() => {
                      tab.value = 'tensors';
                      selectTensor(`slot ${place}/shared_slots/${name}`);
                    }}
                  >
                    <Name text={name} />
                  </button>
                </div>
              ))}
            </>
          )}
        </div>
      </div>
      {entry.groups.some((group) => Object.keys(group.hyperparameters).length > 0) && (
        <>
          <h3>Groups</h3>
          {entry.groups.slice(0, GROUPS).map((group, index) => (
            <div key={String(index)}>
              <p class="soft">{`${index + 1}: ${counted(group.variables.length, 'variable')}`}</p>
              <Attributes attrs={group.hyperparameters} />
            </div>
          ))}
          {entry.groups.length > GROUPS && <p class="soft">{counted(entry.groups.length - GROUPS, 'more group')}</p>}
        </>
      )}
      {Object.keys(entry.residue).length > 0 && (
        <>
          <h3>Kept for the framework</h3>
          <Attributes attrs={entry.residue} />
        </>
      )}
      {opened.numbers.available && slots.length > 0 && (
        <p class="faint note">Each slot stands beside its variable: select a tensor to see both.</p>
      )}
    </section>
  );
}

export function Fact({ name, text }: { name: string; text: string }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{text}</dd>
    </div>
  );
}

function slotTable(entry: OptimizerEntry): { name: string; tensors: number; elements: number; bytes: number }[] {
  const table = new Map<string, { name: string; tensors: number; elements: number; bytes: number }>();
  for (const slots of entry.slots.values()) {
    for (const [name, tensor] of slots) {
      const row = table.get(name) ?? { name, tensors: 0, elements: 0, bytes: 0 };
      row.tensors += 1;
      row.elements += tensor.length;
      row.bytes += tensor.nbytes;
      table.set(name, row);
    }
  }
  return [...table.values()];
}

function StatePanel({ opened }: { opened: Opened }) {
  const state = opened.model.state!;
  const generators = [...state.rng];
  const sections: [string, Attrs][] = [
    ['Counters', state.counters],
    ['Metrics', Object.assign(Object.create(null), Object.fromEntries(state.metrics)) as Attrs],
    ['Position in the data', state.data],
    ['The user’s own', state.user],
    ['Kept for the framework', state.residue],
  ];
  return (
    <section class="panel">
      <h2>
        State of the run <span class="aside">{counted(state.tensors.size, 'tensor')}</span>
      </h2>
      <div class="columns">
        {sections
          .filter(([, attrs]) => attrs && Object.keys(attrs).length > 0)
          .map(([name, attrs]) => (
            <div key={name}>
              <h3>{name}</h3>
              <Attributes attrs={attrs} />
            </div>
          ))}
        {generators.length > 0 && (
          <div>
            <h3>Random generators</h3>
            <dl class="pairs">
              {generators.map(([path, generator]) => (
                <Pair key={path} name={path}>
                  <Name text={generator.algorithm} />
                </Pair>
              ))}
            </dl>
          </div>
        )}
      </div>
    </section>
  );
}
