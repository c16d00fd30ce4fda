import type { SessionStore } from '#lib/features/auth/session.svelte.ts';
import { deviceZone } from './timezones.ts';

let isWatching = false;

/** From now on an account of which no time zone is known gets that of this device. */
export function syncTimezone(session: SessionStore): void {
  if (isWatching) return;
  isWatching = true;
  $effect.root(() => {
    $effect(() => {
      // Where the server does not know the zone, or is away, it stays unknown until the account is asked for again.
      if (session.state === 'signed-in' && session.account?.timezone === null)
        session.updatePreferences({ timezone: deviceZone() }).catch(() => undefined);
    });
  });
}
