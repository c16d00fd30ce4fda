import type { Id } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import { NotesStore } from './stores/notes.svelte.ts';
import { copyTitle } from './logic/device.ts';
import { BrowserNoteStorage } from './storage.ts';

let known: { notes: NotesStore; account: string; close: () => void } | undefined;

/** Notes of the current account. They are synchronised from the first call on. */
export function notesOf({ api, connection, session }: App): NotesStore {
  const account = session.user.id;
  if (known?.account === account) return known.notes;
  known?.close();
  const storage = new BrowserNoteStorage();
  const notes = new NotesStore({ api, live: connection, storage, userId: account, copied: copyTitle });
  known = { notes, account, close: notes.open() };
  return notes;
}

/** Removes the notes of an account that has signed out from memory and storage. */
export async function clearNotes(userId: Id): Promise<void> {
  known?.close();
  known = undefined;
  await new BrowserNoteStorage().clear(userId);
}
