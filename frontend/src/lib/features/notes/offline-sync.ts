import type { App } from '#lib/app/app.ts';

/** What this browser calls the notes that it keeps. */
export const DATABASE = 'natter-notes';

/** Whether this browser keeps any, or can't say so. */
export async function hasStoredNotes(): Promise<boolean> {
  try {
    return !('databases' in indexedDB) || (await indexedDB.databases()).some(({ name }) => name === DATABASE);
  } catch {
    return false;
  }
}

/** Where notes are kept on this device, what was written without a connection is sent and what is new is fetched, whatever page is looked at. */
export async function startNotesSync(app: App): Promise<void> {
  try {
    if (!(await hasStoredNotes())) return;
    const { notesOf } = await import('./account-notes.svelte.ts');
    notesOf(app);
  } catch {
    // The page of the notes says what is wrong with them.
  }
}
