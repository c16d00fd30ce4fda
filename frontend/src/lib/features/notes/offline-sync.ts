import type { App } from '#lib/app/app.ts';

export const DATABASE = 'natter-notes';

/** Whether this browser stores notes. True if that can't be determined. */
export async function hasStoredNotes(): Promise<boolean> {
  try {
    return !('databases' in indexedDB) || (await indexedDB.databases()).some(({ name }) => name === DATABASE);
  } catch {
    return false;
  }
}

/** Starts to synchronise stored notes. Called on every page. */
export async function startNotesSync(app: App): Promise<void> {
  try {
    if (!(await hasStoredNotes())) return;
    const { notesOf } = await import('./account-notes.svelte.ts');
    notesOf(app);
  } catch {
    // An error is shown on the page of the notes only.
  }
}
