// An adapter of the Etui conformance suite, for a library in JavaScript (Node.js 18 or newer).
//
// The suite starts this program once and asks it things: a JSON object a line on standard input, and for each an answer,
// a JSON object a line, on standard output. Standard error is yours: what you print there is shown beside a failure.
//
//     etui-conformance smoke --adapter "node adapter.mjs"
//     etui-conformance run --profile weights-reader --adapter "node adapter.mjs"
//
// The adapter claims nothing yet, and so answers every question but `hello`, `reset` and `bye` with `unsupported`.
// It grows in this order, and each step turns checks from "not claimed" into "passed":
//
// 1. `decode`: call your library, answer with what it read, and claim it in `CLAIMED_OPS` and `hello`.
// 2. `validate`: call your library's full verification.
// 3. `encode` and `transcode`: call your library's writer.
//
// SPEC.md, annex P, says what each request and each answer holds. Beware of JSON.parse for the documents of an artifact:
// it hides keys that are there twice, and the form of numbers.

import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const CLAIMED_OPS = []; // decode, validate, encode, transcode: what you have written below
const INLINE_LIMIT = 1 << 20; // bytes; larger data goes by file

/** Your library refuses the artifact, as SPEC.md chapter 20 says: throw this with its class and code. */
export class Refusal extends Error {
  constructor(errorClass, code, at) {
    super(code);
    this.answer = { result: 'reject', class: errorClass, code, at };
  }
}

/** Your library does not have what is asked for. */
export class Unsupported extends Error {
  constructor(what) {
    super(what);
    this.answer = { result: 'unsupported', what };
  }
}

let folder = '.'; // where files go between the suite and you; named by hello
let files = 0;

// What the suite asks: each function takes a request and gives the fields of the answer `ok`.
const ops = {
  /** Say who you are, and claim what you can do; nobody asks for what you do not claim. */
  hello(request) {
    if (request.protocol.split('.')[0] !== '1') throw new Unsupported(`protocol:${request.protocol}`);
    folder = request.folder;
    return {
      name: 'my-etui',
      version: '0.1',
      language: 'javascript',
      ops: CLAIMED_OPS,
      areas: [], // weights, config, training, optimizer, state, parts
      forms: [], // packed, directory
      features: [], // chunks, encoding.complex, encoding.packed4, encoding.quantized, encoding.string, …
      dtypes: [], // float32, int8, …: those of SPEC.md chapter 2.1
      formats: [],
    };
  },

  /** Open an artifact and answer with what it holds: identity, profile, content, read. */
  decode(request) {
    const path = pathOf(request.artifact);
    // Call your library here, for example:
    //     const model = myEtui.open(path);
    //     return { identity: model.identity, profile: model.profile, content: {…}, read: [] };
    // and turn its errors into Refusal. A tensor is
    //     { dtype: 'float32', shape: [2, 3], ...dataOf(bytes) }
    throw new Unsupported(`op:decode of ${basename(path)}`);
  },

  /** Verify every byte of an artifact, or check one document. */
  validate(request) {
    if (request.document) throw new Unsupported(`op:validate of a document of ${bytesOf(request.data).length} bytes`);
    throw new Unsupported('op:validate');
  },

  /** Forget everything: the next request must not find traces of those before. */
  reset() {
    return {};
  },

  /** The last request; the program ends behind it. */
  bye() {
    return {};
  },
};

/** Bytes that the suite sends: base64 or a file. */
export function bytesOf(data) {
  return data.file === undefined ? Buffer.from(data.data, 'base64') : readFileSync(data.file);
}

/** Bytes on their way to the suite. */
export function dataOf(bytes) {
  const data = Buffer.from(bytes);
  return data.length < INLINE_LIMIT ? { data: data.toString('base64') } : { file: written(data) };
}

/** Where an artifact is: its folder, or its packed file, which is written if it came inline. */
export function pathOf(artifact) {
  if (artifact.directory !== undefined) return artifact.directory;
  return artifact.packed.file ?? written(bytesOf(artifact.packed));
}

function written(data) {
  files += 1;
  const path = join(folder, `adapter-${files}.bin`);
  writeFileSync(path, data);
  return path;
}

/** The answer to a request, whatever happens. */
function answered(request) {
  try {
    if (!['hello', 'reset', 'bye', ...CLAIMED_OPS].includes(request.op)) throw new Unsupported(`op:${request.op}`);
    return { id: request.id, result: 'ok', ...ops[request.op](request) };
  } catch (error) {
    if (error.answer) return { id: request.id, ...error.answer };
    console.error(error.stack);
    return { id: request.id, result: 'fault', message: String(error) };
  }
}

/** The lines of a stream. (readline would also end them at U+2028, which JSON may hold.) */
async function* linesOf(stream) {
  let pieces = [];
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      yield Buffer.concat([...pieces, chunk.subarray(start, end)]).toString();
      pieces = [];
      start = end + 1;
    }
    pieces.push(chunk.subarray(start));
  }
}

// Answer until the suite says bye, or is gone.
for await (const line of linesOf(process.stdin)) {
  const request = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(answered(request))}\n`);
  if (request.op === 'bye') break;
}
process.stdin.destroy();
