import type { App } from './app.ts';
import { arrive as announce } from '#lib/features/broadcasts/start-announcements.ts';
import { keepNotesInStep } from '#lib/features/notes/offline-sync.ts';
import { getLocale } from '#lib/i18n/locale.ts';
import { arrive as locate } from '#lib/features/people/sync-timezone.svelte.ts';
import { arrive as install } from '#lib/features/offline/start-pwa.ts';

/** The line is open: what no page waits for begins. */
export function arrive(app: App): void {
  // Where they don’t come, the server’s own are there.
  if (getLocale() !== 'en') import('#lib/api/field-messages.ts').catch(() => undefined);
  announce(app);
  install();
  locate(app.session);
  void keepNotesInStep(app);
}
