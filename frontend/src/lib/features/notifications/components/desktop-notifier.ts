import type { Api } from '#lib/api/client.ts';
import type { Notification } from '../api.ts';
import { browserEnvironment, DesktopNotifications, type DesktopNotification } from '../logic/desktop-notifications.ts';
import { actionText, destination } from './notification-labels.ts';

/** Notifier of this tab: undefined before the first use, null if the browser doesn't support notifications. */
let desktop: DesktopNotifications | null | undefined;

/** Returns the notifier of this tab; null if the browser doesn't support notifications. */
export function desktopNotifications(): DesktopNotifications | null {
  if (desktop !== undefined) return desktop;
  const around = browserEnvironment();
  desktop = around && new DesktopNotifications(around);
  if (desktop) {
    const updateVisibility = () => desktop?.updateVisibility();
    document.addEventListener('visibilitychange', updateVisibility);
    for (const change of ['focus', 'blur']) window.addEventListener(change, updateVisibility);
  }
  return desktop;
}

/** Shows a system notification if the app isn't visible. */
export function showDesktopNotification(notification: Notification, api: Pick<Api, 'get'>): void {
  void desktopNotifications()?.show(() => describe(notification, api));
}

async function describe(notification: Notification, api: Pick<Api, 'get'>): Promise<DesktopNotification> {
  const { id, kind, title, text, conversation_id, message_id, upload_id } = notification;
  const hasText = await isTextShown(api);
  return {
    id,
    tag: conversation_id ?? id,
    title: kind === 'reminder' ? `⏰ ${title}` : title,
    body: (hasText && text) || actionText(notification),
    // An export has no page in the app, so the list of notifications opens.
    path: (!upload_id && destination(notification)) || '/activity',
    conversationId: conversation_id ?? null,
    messageId: message_id ?? null
  };
}

/** Whether notifications contain the text of messages, by the setting that also applies to push. If it can't be loaded, they don't. */
async function isTextShown(api: Pick<Api, 'get'>): Promise<boolean> {
  try {
    const { show_text } = await api.get('/notifications/settings');
    return show_text;
  } catch {
    return false;
  }
}
