// Artifacts: both forms, the manifest, and what of the documents a reader of weights needs.

import { crc32 } from 'node:zlib';

import * as directory from './directory.mjs';
import { refuse, show } from './errors.mjs';
import { featuresOf, plainOf, readEntry } from './index.mjs';
import { decode as decodeJson } from './json.mjs';
import { DOCUMENTS, checkMetadata, checkUsed, readManifest } from './manifest.mjs';
import { decode as decodeMessagePack } from './msgpack.mjs';
import { checkCollisions, checkPath, checkVersion } from './names.mjs';
import { digestOf, digestOfPieces } from './safetensors.mjs';
import { Tensors } from './tensors.mjs';
import { readWeights } from './weights.mjs';
import { readMembers } from './zip.mjs';

const DOCUMENT_LIMIT = 512 * 1024 * 1024;
const PIECE = 1 << 22;
const GROUPS = new Map([['data', 0], ['program', 1], ['native', 1], ['asset', 1]]); // of Z-2; documents are 2

/** An artifact that was opened: its documents are read and checked, its tensors not yet. */
export class Artifact {
  /** `place` is {packed: source} or {directory: path}. */
  constructor(place) {
    this.sources = new Map();
    this.folder = place.directory ?? null;
    this.members = place.packed ? readMembers(place.packed) : null;
    try {
      this.openManifest();
      this.checkParts();
      this.readDocuments();
    } catch (error) {
      this.close();
      throw error;
    }
    this.tensors = new Tensors(this);
  }

  openManifest() {
    if (this.members && !this.members.has('manifest.json')) refuse('zip-members', 'the archive', 'no manifest.json');
    const source = this.members ? this.members.get('manifest.json').source : directory.openManifest(this.folder);
    this.sources.set('manifest.json', source);
    const bytes = this.readWhole('manifest.json', source.size);
    if (this.members && crc32(bytes) !== this.members.get('manifest.json').crc) refuse('zip-crc', 'manifest.json', 'another CRC-32');
    this.identity = digestOf(bytes);
    this.manifest = readManifest(bytes);
  }

  /** Refuses members or files that are not those of the manifest (F-1 to F-4, Z-1, Z-2). */
  checkParts() {
    const { parts } = this.manifest;
    if (this.members) this.checkMembers(parts);
    for (const [name, entry] of parts) {
      const size = this.members ? this.members.get(name).size : directory.sizeOf(this.folder, name);
      if (size !== entry.get('size')) refuse('part-size', name, `${size} bytes, where the manifest has ${entry.get('size')}`);
    }
  }

  checkMembers(parts) {
    for (const name of parts.keys()) {
      if (!this.members.has(name)) refuse('zip-members', 'the archive', `no ${name}`);
    }
    let last = [-1, ''];
    for (const name of this.members.keys()) {
      if (name !== 'manifest.json' && !parts.has(name)) refuse('zip-members', 'the archive', `${show(name)}, which is not listed`);
      const group = name === 'manifest.json' ? 3 : GROUPS.get(parts.get(name).get('role')) ?? 2;
      if (group < last[0] || (group === last[0] && name < last[1])) refuse('zip-order', 'the archive', `${name} behind ${last[1]}`);
      last = [group, name];
    }
  }

  /** A part's bytes, as a source that stays open. */
  open(name) {
    if (!this.sources.has(name)) {
      this.sources.set(name, this.members ? this.members.get(name).source : directory.openPart(this.folder, name));
    }
    return this.sources.get(name);
  }

  readWhole(name, size) {
    if (size > DOCUMENT_LIMIT) refuse('limit-document', name, `${size} bytes`);
    return this.open(name).read(0, size);
  }

  /** The bytes of a document, verified (H-5). */
  readPart(name) {
    const pieces = [];
    this.checkPart(name, (piece) => pieces.push(piece));
    return Buffer.concat(pieces);
  }

  /** Verifies a part that has a digest of all its bytes, of any size; `sink` is called with each piece before that. */
  checkPart(name, sink = () => {}) {
    let crc = 0;
    const digest = digestOfPieces((hash) => {
      for (const piece of this.piecesOf(name)) {
        hash(piece);
        crc = this.members ? crc32(piece, crc) : 0;
        sink(piece);
      }
    });
    if (digest !== this.manifest.parts.get(name).get('digest')) refuse('digest-mismatch', name, 'changed bytes');
    if (this.members && crc !== this.members.get(name).crc) refuse('zip-crc', name, 'another CRC-32');
  }

  * piecesOf(name) {
    const source = this.open(name);
    for (let place = 0; place < source.size; place += PIECE) yield source.read(place, PIECE);
  }

  readDocuments() {
    const { parts, requires } = this.manifest;
    const isData = (name) => parts.get(name)?.get('role') === 'data';
    const used = new Set([...parts.values()].some((entry) => entry.get('role') === 'program') ? ['programs'] : []);
    this.entries = new Map(); // of each document: name of the tensor -> entry
    this.weights = null;
    this.modules = new Map(); // of the config: path -> kind
    for (const name of DOCUMENTS.keys()) {
      if (!parts.has(name)) continue;
      if (parts.get(name).get('size') > DOCUMENT_LIMIT) refuse('limit-document', name, `${parts.get(name).get('size')} bytes`);
      const bytes = this.readPart(name);
      if (name === 'weights.json') {
        this.weights = readWeights(bytes, isData, this.manifest.version);
        this.entries.set(name, this.weights.entries);
      } else if (name.endsWith('.msgpack')) {
        this.entries.set(name, readIndex(name, bytes, isData, this.manifest.version));
      } else {
        const document = decodeJson(bytes, name);
        checkVersion(document.get('version'), `${name} /version`, this.manifest.version);
        if (name === 'config.json') collectModules(document.get('model'), '', this.modules);
      }
    }
    if ([...this.modules.values()].includes('opaque')) used.add('opaque');
    for (const entries of this.entries.values()) {
      for (const entry of entries.values()) featuresOf(entry).forEach((feature) => used.add(feature));
    }
    checkUsed(requires, used);
    this.checkMetadata();
  }

  checkMetadata() {
    const { document, parts } = this.manifest;
    const { aliases, entries } = this.weights ?? {};
    const known = { module: (path) => this.modules.has(path) };
    if (this.weights) known.variable = (path) => entries.has(path) || aliases.has(path);
    if (document.has('metadata')) checkMetadata(document.get('metadata'), parts, known);
  }

  /** Refuses a tensor of a data part that no chunk names, or two (S-9); looks into every data part's header. */
  checkReferences() {
    const named = new Set();
    for (const entries of this.entries.values()) {
      for (const [name, entry] of entries) {
        for (const plain of plainOf(entry)) {
          for (const chunk of plain.chunks) {
            const key = `${chunk.part} ${chunk.tensor}`;
            if (named.has(key)) refuse('tensor-unreferenced', key, 'named twice');
            named.add(key);
            this.tensors.find(name, plain, chunk);
          }
        }
      }
    }
    for (const [part, entry] of this.manifest.parts) {
      if (entry.get('role') !== 'data') continue;
      for (const tensor of this.tensors.header(part).keys()) {
        if (!named.has(`${part} ${tensor}`)) refuse('tensor-unreferenced', `${part} ${show(tensor)}`, 'named by no chunk');
      }
    }
  }

  /** The entry of a variable by its path or an alias of it. */
  variable(name) {
    const path = this.weights?.aliases.get(name) ?? name;
    const entry = this.weights?.entries.get(path);
    if (entry === undefined) throw new RangeError(`no variable ${show(name)}`);
    return entry;
  }

  /** Checks every byte (H-7). */
  verify() {
    const { parts } = this.manifest;
    if (this.folder !== null) directory.checkUnlisted(this.folder, parts);
    for (const [name, entry] of parts) {
      if (entry.get('role') !== 'data') this.checkPart(name);
      else if (this.members) this.checkCrc(name);
    }
    this.checkReferences();
    for (const entries of this.entries.values()) {
      for (const [name, entry] of entries) this.tensors.read(name, entry);
    }
  }

  checkCrc(name) {
    let crc = 0;
    for (const piece of this.piecesOf(name)) crc = crc32(piece, crc);
    if (crc !== this.members.get(name).crc) refuse('zip-crc', name, 'another CRC-32');
  }

  close() {
    for (const source of this.sources.values()) source.close();
  }
}

/** The index of tensors of a MessagePack document, of which this reader understands nothing else. */
function readIndex(where, bytes, isData, version) {
  const document = decodeMessagePack(bytes, where);
  const form = `${DOCUMENTS.get(where)}-form`;
  const minor = checkVersion(document.get('version'), `${where} /version`, version);
  const tensors = document.get('tensors');
  if (!(tensors instanceof Map)) refuse(form, `${where} /tensors`, show(tensors));
  const entries = new Map();
  for (const [name, object] of tensors) {
    checkPath(name, `${where} /tensors`);
    if (!(object instanceof Map)) refuse(form, `${where} /tensors/${name}`, show(object));
    entries.set(name, readEntry(object, `${where} /tensors/${name}`, { form, minor, parts: isData }));
  }
  checkCollisions(tensors.keys(), `${where} /tensors`);
  return entries;
}

/** Adds the modules of a config by their paths, the root as an empty one. */
function collectModules(module, path, found) {
  if (!(module instanceof Map)) return;
  found.set(path, module.get('kind'));
  const modules = module.get('modules');
  for (const child of Array.isArray(modules) ? modules : []) {
    if (child instanceof Map) collectModules(child, path ? `${path}/${child.get('name')}` : `${child.get('name')}`, found);
  }
}
