import type { ChosenFile } from './attachments.svelte.ts';

export function toChoices(files: Iterable<File>): ChosenFile[] {
  return Array.from(files, (file) => ({
    blob: file,
    picked: { name: file.name, media_type: file.type, size: file.size }
  }));
}

/** Whether a folder was dropped, which can't be read as a file. */
export function hasFolder({ items }: DataTransfer): boolean {
  return Array.from(items).some((item) => item.webkitGetAsEntry?.()?.isDirectory);
}

/** Files that are pasted; null if there are none, or only the picture that some programs add to copied text. */
export function pastedFiles({ files, types }: DataTransfer): FileList | null {
  return files.length > 0 && !types.includes('text/plain') ? files : null;
}
