/** A value of a document: short ones in a word, others to unfold, and long ones piece by piece. */

import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import {
  AssetRef,
  Complex,
  DtypeRef,
  Ellipsis,
  ModuleRef,
  ObjectValue,
  OutputRef,
  Pairs,
  Slice,
  StoredRef,
  TensorValue,
  Tuple,
  type Value,
  VariableRef,
} from '../../../src/index.js';
import { isAttrs } from '../data/values.js';
import { counted, exact, integer, shape } from '../format.js';
import { shortOp } from '../ops.js';
import { Name } from '../shell/name.js';
import { shortened, visible } from '../text.js';

/** A list of simple values is written in one line up to so many characters. */
const LINE = 64;
const SHORT_TEXT = 160;
/** Long texts and lists are shown in steps of so much. */
const TEXT_STEP = 10_000;
const STEP = 60;
const DEEPEST = 64;
/** A value that stands alone shows so many entries without being unfolded. */
const PLAIN = 12;

/** The attributes of a thing, a line each; those that are null are summed up. */
export function Attributes({ attrs, hide = [] }: { attrs: Readonly<Record<string, Value>>; hide?: readonly string[] }) {
  const entries = Object.entries(attrs).filter(([name]) => !hide.includes(name));
  const set = entries.filter(([, value]) => value !== null);
  const empty = entries.filter(([, value]) => value === null);
  return (
    <div class="value">
      <Steps items={set} draw={([name, value]) => <Attribute key={name} name={name} value={value} depth={1} />} />
      {empty.length > 0 && (
        <p class="faint attr-none">
          Not set:{' '}
          {empty
            .slice(0, STEP)
            .map(([name]) => shortened(name, 60))
            .join(', ')}
          {empty.length > STEP ? `, and ${integer(empty.length - STEP)} more` : ''}
        </p>
      )}
    </div>
  );
}

function Attribute({ name, value, depth }: { name: string; value: Value; depth: number }) {
  return (
    <div class="attr">
      <span class="key">
        <Name text={name} limit={80} />
      </span>
      <span>
        <ValueText value={value} depth={depth} />
      </span>
    </div>
  );
}

/** A value on its own. */
export function ValueView({ value }: { value: Value }) {
  return (
    <div class="value">
      <ValueText value={value} depth={0} />
    </div>
  );
}

/** The value in one line, if it is short. */
export function lineOf(value: Value, limit = LINE): string | null {
  const text = line(value, limit);
  return text !== null && text.length <= limit ? text : null;
}

function line(value: Value, limit: number): string | null {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return String(value);
  if (typeof value === 'number') return exact(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'string') return value.length <= limit ? visible(value) : null;
  if (value instanceof Uint8Array) return value.length <= 8 ? `bytes ${hex(value)}` : null;
  if (value instanceof Complex) return `${exact(value.re)} + ${exact(value.im)}i`;
  if (value instanceof DtypeRef) return value.name;
  if (value instanceof Ellipsis) return '…';
  if (value instanceof Slice)
    return [value.start, value.stop, value.step].map((part) => (part === null ? '' : line(part, limit))).join(':');
  if (value instanceof OutputRef) return `output ${value.index} of ${shortened(value.call, 40)}`;
  if (value instanceof ModuleRef || value instanceof VariableRef) return shortened(value.path, limit);
  if (value instanceof AssetRef || value instanceof StoredRef) return shortened(value.name, limit);
  if (value instanceof ObjectValue) return isPlain(value) ? shortOp(value.className) : null;
  if (Array.isArray(value)) return lineOfList(value, limit);
  return isAttrs(value) && Object.keys(value).length === 0 ? 'empty' : null;
}

function lineOfList(list: readonly Value[], limit: number): string | null {
  if (list.length > limit) return null;
  const parts: string[] = [];
  let length = 2;
  for (const item of list) {
    const part = line(item, limit);
    length += (part?.length ?? limit) + 2;
    if (part === null || length > limit) return null;
    parts.push(part);
  }
  const shown = parts.join(', ');
  return list instanceof Tuple ? `(${shown})` : `[${shown}]`;
}

/** Whether all of an object's settings are unset, so that its name says everything. */
function isPlain({ config }: ObjectValue): boolean {
  if (config === null) return true;
  return isAttrs(config) && Object.values(config).every((value) => value === null);
}

function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

function ValueText({ value, depth }: { value: Value; depth: number }) {
  const short = line(value, LINE);
  if (short !== null && short.length <= LINE) {
    return typeof value === 'string' ? <bdi>{short || '(empty text)'}</bdi> : <bdi class={literal(value)}>{short}</bdi>;
  }
  if (depth >= DEEPEST) return <span class="faint">nested deeper than is shown here</span>;
  if (typeof value === 'string') return <LongText text={value} />;
  if (value instanceof Uint8Array)
    return (
      <Folded title={counted(value.length, 'byte')}>
        {() => (
          <code class="long">
            {hex(value.subarray(0, 512))}
            {value.length > 512 ? ' …' : ''}
          </code>
        )}
      </Folded>
    );
  if (value instanceof TensorValue) {
    return <span>{`${value.dtype} ${shape(value.shape)}, ${counted(value.data.length, 'byte')} in the document`}</span>;
  }
  if (value instanceof ObjectValue) {
    const config = value.config;
    return (
      <Folded title={<Name text={shortOp(value.className)} limit={60} />} hint={hintOf(config)}>
        {() =>
          isAttrs(config) ? (
            <Entries entries={Object.entries(config)} depth={depth + 1} />
          ) : (
            <ValueText value={config} depth={depth + 1} />
          )
        }
      </Folded>
    );
  }
  if (value instanceof Pairs) {
    return (
      <Folded title={counted(value.pairs.length, 'entry', 'entries')}>
        {() => <Entries entries={value.pairs.map(([key, item]) => [lineOf(key) ?? 'a key', item])} depth={depth + 1} />}
      </Folded>
    );
  }
  if (Array.isArray(value)) {
    if (depth === 0 && value.length <= PLAIN)
      return <Entries entries={Array.from(value, (item, index) => [String(index), item])} depth={1} />;
    const noun = value instanceof Tuple ? 'tuple of ' : '';
    return (
      <Folded title={`${noun}${counted(value.length, 'item')}`}>
        {() => <Entries entries={Array.from(value, (item, index) => [String(index), item])} depth={depth + 1} />}
      </Folded>
    );
  }
  const entries = Object.entries(value as Record<string, Value>);
  if (depth === 0 && entries.length <= PLAIN) return <Entries entries={entries} depth={1} />;
  return (
    <Folded title={counted(entries.length, 'entry', 'entries')}>
      {() => <Entries entries={entries} depth={depth + 1} />}
    </Folded>
  );
}

function literal(value: Value): string | undefined {
  return value === null ? 'faint' : undefined;
}

/** The settings of an object that say most, in a line. */
function hintOf(config: Value): string {
  if (!isAttrs(config)) return '';
  const set = Object.entries(config).filter(([, value]) => value !== null);
  if (set.length === 1 && set[0]![0] === 'name') return lineOf(set[0]![1], 24) ?? '';
  const parts: string[] = [];
  for (const [name, value] of set) {
    const text = lineOf(value, 24);
    if (text !== null && name !== 'name' && parts.length < 3) parts.push(`${shortened(name, 24)} ${text}`);
  }
  return parts.join(', ');
}

function Folded({
  title,
  hint = '',
  children,
}: {
  title: ComponentChildren;
  hint?: string;
  children: () => ComponentChildren;
}) {
  const [open, setOpen] = useState(false);
  return (
    <details onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        {title}
        {hint && !open && <span class="faint">{`  ${hint}`}</span>}
      </summary>
      {open && <div class="nested">{children()}</div>}
    </details>
  );
}

function Entries({ entries, depth }: { entries: readonly [string, Value][]; depth: number }) {
  return (
    <Steps items={entries} draw={([name, value]) => <Attribute key={name} name={name} value={value} depth={depth} />} />
  );
}

/** The first items of a list, and more of them when asked for. */
function Steps<Item>({ items, draw }: { items: readonly Item[]; draw: (item: Item) => ComponentChildren }) {
  const [shown, setShown] = useState(STEP);
  return (
    <>
      {items.slice(0, shown).map(draw)}
      {items.length > shown && (
        <button type="button" class="link" onClick={() => setShown(shown + 5 * STEP)}>
          {`${integer(items.length - shown)} more`}
        </button>
      )}
    </>
  );
}

function LongText({ text }: { text: string }) {
  const [shown, setShown] = useState(0);
  if (shown === 0) {
    return (
      <>
        <Name text={text} limit={SHORT_TEXT} />{' '}
        <button type="button" class="link" onClick={() => setShown(TEXT_STEP)}>
          {`all ${integer(text.length)} characters`}
        </button>
      </>
    );
  }
  return (
    <>
      <bdi class="long">{visible(text.slice(0, shown))}</bdi>
      {text.length > shown && (
        <button type="button" class="link" onClick={() => setShown(shown + TEXT_STEP)}>
          {`${integer(text.length - shown)} more characters`}
        </button>
      )}
    </>
  );
}
