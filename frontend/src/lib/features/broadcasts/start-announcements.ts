import { mount } from 'svelte';
import type { App } from '#lib/app/app.ts';
import { AnnouncementsStore } from './announcements.svelte.ts';

/** Store of announcements and the account for which it was loaded; undefined before the first connection. */
let known: { announcements: AnnouncementsStore; account: string | undefined } | undefined;

/** Loads the announcements. Called after each connection, when everything else has been loaded. */
export function startAnnouncements(app: App): void {
  const account = app.session.account?.id;
  known ??= listen(app);
  if (known.account !== account) known.announcements.reset();
  known.account = account;
  void known.announcements.load().then(() => show(app));
}

function listen(app: App): { announcements: AnnouncementsStore; account: string | undefined } {
  const announcements = new AnnouncementsStore(app.api);
  app.connection.on((frame) => {
    if (frame.type === 'broadcast') {
      announcements.upsert(frame.payload);
      show(app);
    } else if (frame.type === 'broadcast.dismissed') announcements.markDismissed(frame.payload.id);
    // Reloads after a change of the workspace, on which the audience depends, and after lost events.
    else if (frame.type === 'workspace.changed' || frame.type === 'resync')
      void announcements.load().then(() => show(app));
  });
  return { announcements, account: app.session.account?.id };
}

let isShowing = false;

/** Loads the banner component when there is something to show. */
function show(app: App): void {
  const announcements = known?.announcements;
  if (isShowing || !announcements || announcements.items.length === 0) return;
  isShowing = true;
  import('./components/banners.svelte')
    .then(({ default: Banners }) => {
      mount(Banners, {
        target: document.body,
        anchor: document.body.firstChild ?? undefined,
        props: { app, announcements }
      });
    })
    .catch(() => {
      // The next announcement tries again.
      isShowing = false;
    });
}
