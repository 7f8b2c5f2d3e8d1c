/** The ways to open something: buttons for a file and a folder, and what is dropped on the page. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { artifactsOf, chosenFiles, droppedFiles, fail, openAll } from '../sources.js';

async function openFiles(files: { path: string; file: File }[]): Promise<void> {
  const given = artifactsOf(files);
  if (given.length > 0) await openAll(given);
}

/** Buttons that open a file or a folder. */
export function OpenButtons() {
  const file = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  useEffect(() => {
    folder.current?.setAttribute('webkitdirectory', '');
  }, []);
  const take = (event: Event) => {
    const input = event.currentTarget as HTMLInputElement;
    if (input.files) void openFiles(chosenFiles(input.files));
    input.value = '';
  };
  return (
    <div class="row">
      <button type="button" class="button primary" onClick={() => file.current?.click()}>
        Open a file
      </button>
      <button type="button" class="button" onClick={() => folder.current?.click()}>
        Open a folder
      </button>
      <input ref={file} type="file" multiple hidden aria-label="File" onChange={take} />
      <input ref={folder} type="file" multiple hidden aria-label="Folder" onChange={take} />
    </div>
  );
}

/** Takes what is dropped anywhere on the page. */
export function DropZone() {
  const [over, setOver] = useState(false);
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth += 1;
      setOver(true);
    };
    const leave = () => {
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const allow = (event: DragEvent) => {
      if (hasFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      droppedFiles(event.dataTransfer!).then(openFiles, (error) => fail('what was dropped', error));
    };
    const listeners = { dragenter: enter, dragleave: leave, dragover: allow, drop } as const;
    for (const [name, listener] of Object.entries(listeners)) addEventListener(name, listener as EventListener);
    return () => {
      for (const [name, listener] of Object.entries(listeners)) removeEventListener(name, listener as EventListener);
    };
  }, []);
  return over ? (
    <div class="drop-target" aria-hidden="true">
      Drop it to open it
    </div>
  ) : null;
}
