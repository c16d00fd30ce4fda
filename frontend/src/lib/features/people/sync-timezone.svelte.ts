import type { SessionStore } from '#lib/features/auth/session.svelte.ts';
import { deviceZone } from './timezones.ts';

let isWatching = false;

/** Sets the time zone of accounts without one. */
export function syncTimezone(session: SessionStore): void {
  if (isWatching) return;
  isWatching = true;
  $effect.root(() => {
    $effect(() => {
      // On failure it stays unset until the next load.
      if (session.state === 'signed-in' && session.account?.timezone === null)
        session.updatePreferences({ timezone: deviceZone() }).catch(() => undefined);
    });
  });
}
