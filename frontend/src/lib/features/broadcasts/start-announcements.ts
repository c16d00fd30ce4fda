import { mount } from 'svelte';
import type { App } from '#lib/app/app.ts';
import { AnnouncementsStore } from './announcements.svelte.ts';

/** What is announced on this page, whoever is signed in. */
let known: { announcements: AnnouncementsStore; account: string | undefined } | undefined;

/** The line is open: what is announced is asked for, and heard from now on. It comes over the wire after everything that a page needs. */
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
    // Another workspace may have other announcements; and what was told meanwhile went past.
    else if (frame.type === 'workspace.changed' || frame.type === 'resync')
      void announcements.load().then(() => show(app));
  });
  return { announcements, account: app.session.account?.id };
}

let isShowing = false;

/** The banners’ own code is brought when there is the first one. */
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
      // With the next one.
      isShowing = false;
    });
}
