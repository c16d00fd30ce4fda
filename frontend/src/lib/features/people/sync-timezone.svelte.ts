import type { SessionStore } from '#lib/features/auth/session.svelte.ts';
import { deviceZone } from './timezones.ts';

let isWatching = false;

/** Sets the time zone of an account that has none to that of this device. */
export function syncTimezone(session: SessionStore): void {
  if (isWatching) return;
  isWatching = true;
  $effect.root(() => {
    $effect(() => {
      // If this fails, the next page load tries again.
      if (session.state === 'signed-in' && session.account?.timezone === null)
        session.updatePreferences({ timezone: deviceZone() }).catch(() => undefined);
    });
  });
}
