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
    // Reminders are also shown within the app.
    if (notification.kind === 'reminder')
      import('./announce.ts').then(
        ({ announce }) => announce(notification),
        // A failure is ignored, because the list contains the notification anyway.
        () => undefined
      );
  };
  notifications.onGone = (isGone) =>
    withDesktopNotifier(({ desktopNotifications }) => void desktopNotifications()?.close(isGone));
  // Created early, because the tabs determine which of them notifies and track whether one is visible.
  withDesktopNotifier(({ desktopNotifications }) => void desktopNotifications());
  known.set(connection, { account, notifications });
  return notifications;
}

/** Loads the module of desktop notifications and passes it to `then`. */
function withDesktopNotifier(then: (module: typeof Pass) => void): void {
  import('./desktop-notifier.ts').then(then).catch(() => undefined);
}
