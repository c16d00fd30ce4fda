import { IDBFactory } from 'fake-indexeddb';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { hasStoredNotes } from './offline-sync.ts';
import { BrowserNoteStorage } from './storage.ts';

beforeEach(() => vi.stubGlobal('indexedDB', new IDBFactory()));
afterEach(() => void vi.unstubAllGlobals());

it('finds stored notes after the first one', async () => {
  expect(await hasStoredNotes()).toBe(false);
  await new BrowserNoteStorage().setSince('me', '2026-11-27T10:00:00Z');
  expect(await hasStoredNotes()).toBe(true);
});

it('assumes stored notes if the browser can’t list its databases', async () => {
  vi.stubGlobal('indexedDB', {});
  expect(await hasStoredNotes()).toBe(true);
});

it('finds no stored notes without IndexedDB', async () => {
  vi.stubGlobal('indexedDB', undefined);
  expect(await hasStoredNotes()).toBe(false);
});
