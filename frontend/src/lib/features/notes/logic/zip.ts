/** Creates uncompressed ZIP files of texts. */
import { strToU8, zipSync, type Zippable } from 'fflate';

export interface ZipEntry {
  readonly name: string;
  readonly text: string;
  readonly time: Date;
}

/** Earliest time that a ZIP file can contain. */
const EARLIEST = new Date(1980, 0, 1);

export function zip(entries: readonly ZipEntry[]): Uint8Array<ArrayBuffer>[] {
  const files: Zippable = {};
  for (const { name, text, time } of entries) {
    files[name] = [strToU8(text), { level: 0, mtime: time < EARLIEST ? EARLIEST : time }];
  }
  return [zipSync(files)];
}
