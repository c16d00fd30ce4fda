import { IDBFactory } from 'fake-indexeddb';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { hasStoredNotes } from './offline-sync.ts';
import { BrowserNoteStorage } from './storage.ts';

beforeEach(() => vi.stubGlobal('indexedDB', new IDBFactory()));
afterEach(() => void vi.unstubAllGlobals());

it('notes are kept here once one was', async () => {
  expect(await hasStoredNotes()).toBe(false);
  await new BrowserNoteStorage().setSince('me', '2026-11-27T10:00:00Z');
  expect(await hasStoredNotes()).toBe(true);
});

it('there may be notes where a browser doesn’t tell what it keeps', async () => {
  vi.stubGlobal('indexedDB', {});
  expect(await hasStoredNotes()).toBe(true);
});

it('nothing is kept where nothing can be', async () => {
  vi.stubGlobal('indexedDB', undefined);
  expect(await hasStoredNotes()).toBe(false);
});
