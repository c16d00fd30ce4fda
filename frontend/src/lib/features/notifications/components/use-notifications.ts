import type { App } from '#lib/app/app.ts';
import { isPageVisible } from '#lib/ui/page-visibility.ts';
import { NotificationsStore } from '../stores/notifications.svelte.ts';
import type * as Pass from './desktop-notifier.ts';
import { chime } from './sound.ts';

const known = new WeakMap<object, { account: string | undefined; notifications: NotificationsStore }>();

/** Those of whoever is signed in. */
export function notificationsOf({ api, connection, conversations, session }: App): NotificationsStore {
  const account = session.account?.id;
  const found = known.get(connection);
  if (found && found.account === account) return found.notifications;
  const notifications = new NotificationsStore(api, connection);
  notifications.isSeen = ({ conversation_id, thread_id, kind }) =>
    (kind === 'message' || kind === 'mention' || kind === 'keyword') &&
    !thread_id &&
    conversation_id === conversations.openId &&
    isPageVisible();
  notifications.onArrival = (notification) => {
    chime();
    passing(({ pass }) => pass(notification, api));
    // They asked to hear of it at this moment, whatever they do.
    if (notification.kind === 'reminder')
      import('./announce.ts').then(
        ({ announce }) => announce(notification),
        // It stands in the list all the same.
        () => undefined
      );
  };
  notifications.onGone = (isGone) => passing(({ desktopNotifications: inPassing }) => void inPassing()?.close(isGone));
  // From the beginning: the tabs of a browser agree on who tells, and know whether one of them is looked at.
  passing(({ desktopNotifications: inPassing }) => void inPassing());
  known.set(connection, { account, notifications });
  return notifications;
}

/** What the system shows while nobody looks. Without it, all stands in the list. */
function passing(then: (module: typeof Pass) => void): void {
  import('./desktop-notifier.ts').then(then).catch(() => undefined);
}
