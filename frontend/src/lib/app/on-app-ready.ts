import type { App } from './app.ts';
import { startAnnouncements } from '#lib/features/broadcasts/start-announcements.ts';
import { startNotesSync } from '#lib/features/notes/offline-sync.ts';
import { getLocale } from '#lib/i18n/locale.ts';
import { syncTimezone } from '#lib/features/people/sync-timezone.svelte.ts';
import { startPwa } from '#lib/features/offline/start-pwa.ts';
import { observeTranslation } from '#lib/util/page-translation.ts';

/** Starts the background work of the app after the first connection. */
export function onAppReady(app: App): void {
  // Translations of the server's messages are needed in other languages only, because these messages are English.
  if (getLocale() !== 'en') import('#lib/api/field-messages.ts').catch(() => undefined);
  observeTranslation(document.body);
  startAnnouncements(app);
  startPwa(app.connection);
  syncTimezone(app.session);
  void startNotesSync(app);
}
