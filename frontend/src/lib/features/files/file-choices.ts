import type { ChosenFile } from './attachments.svelte.ts';

export function toChoices(files: Iterable<File>): ChosenFile[] {
  return Array.from(files, (file) => ({
    blob: file,
    picked: { name: file.name, media_type: file.type, size: file.size }
  }));
}

/** A folder looks like a file of no bytes: what is in it can't be read that way. */
export function hasFolder({ items }: DataTransfer): boolean {
  return Array.from(items).some((item) => item.webkitGetAsEntry?.()?.isDirectory);
}

/** What is pasted as files. A program that copies text often adds a picture of it, which nobody wants. */
export function pastedFiles({ files, types }: DataTransfer): FileList | null {
  return files.length > 0 && !types.includes('text/plain') ? files : null;
}
