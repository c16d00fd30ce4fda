import type { App } from './app.ts';
import { startAnnouncements } from '#lib/features/broadcasts/start-announcements.ts';
import { startNotesSync } from '#lib/features/notes/offline-sync.ts';
import { getLocale } from '#lib/i18n/locale.ts';
import { syncTimezone } from '#lib/features/people/sync-timezone.svelte.ts';
import { startPwa } from '#lib/features/offline/start-pwa.ts';

/** The line is open: what no page waits for begins. */
export function onAppReady(app: App): void {
  // Where they don’t come, the server’s own are there.
  if (getLocale() !== 'en') import('#lib/api/field-messages.ts').catch(() => undefined);
  startAnnouncements(app);
  startPwa();
  syncTimezone(app.session);
  void startNotesSync(app);
}
