import type { App } from '#lib/app/app.ts';
import { isPageVisible } from '#lib/ui/page-visibility.ts';
import { NotificationsStore } from '../stores/notifications.svelte.ts';
import type * as Pass from './desktop-notifier.ts';
import { chime } from './sound.ts';

const known = new WeakMap<object, { account: string | undefined; notifications: NotificationsStore }>();

/** Notifications of the current account. */
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
    withDesktopNotifier(({ showDesktopNotification }) => showDesktopNotification(notification, api));
    // Reminders are always shown.
    if (notification.kind === 'reminder')
      import('./announce.ts').then(
        ({ announce }) => announce(notification),
        // The notification is in the list anyway.
        () => undefined
      );
  };
  notifications.onGone = (isGone) =>
    withDesktopNotifier(({ desktopNotifications }) => void desktopNotifications()?.close(isGone));
  // Started early, because tabs elect a notifier and track visibility.
  withDesktopNotifier(({ desktopNotifications }) => void desktopNotifications());
  known.set(connection, { account, notifications });
  return notifications;
}

/** Loads desktop notifications on demand. */
function withDesktopNotifier(then: (module: typeof Pass) => void): void {
  import('./desktop-notifier.ts').then(then).catch(() => undefined);
}
