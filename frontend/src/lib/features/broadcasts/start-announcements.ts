import { mount } from 'svelte';
import type { App } from '#lib/app/app.ts';
import { AnnouncementsStore } from './announcements.svelte.ts';

/** Announcements of the current account. */
let known: { announcements: AnnouncementsStore; account: string | undefined } | undefined;

/** Starts announcements after the first connection; loaded last. */
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
    // Announcements depend on the workspace, and events were missed.
    else if (frame.type === 'workspace.changed' || frame.type === 'resync')
      void announcements.load().then(() => show(app));
  });
  return { announcements, account: app.session.account?.id };
}

let isShowing = false;

/** Loads the banner component on demand. */
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
      // Retried with the next one.
      isShowing = false;
    });
}
