import type { Api } from '#lib/api/client.ts';
import type { Notification } from '../api.ts';
import { browserEnvironment, DesktopNotifications, type DesktopNotification } from '../logic/desktop-notifications.ts';
import { actionText, destination } from './notification-labels.ts';

/** Of this tab, whoever is signed in. */
let desktop: DesktopNotifications | null | undefined;

/** Nothing is shown in passing where the browser can’t. */
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

/** Nobody looks at the app: the system says what has come. */
export function pass(notification: Notification, api: Pick<Api, 'get'>): void {
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
    // What was made is downloaded by whoever presses it there.
    path: (!upload_id && destination(notification)) || '/activity',
    conversationId: conversation_id ?? null,
    messageId: message_id ?? null
  };
}

/** As on devices that are woken; whoever can’t be asked shows none. */
async function isTextShown(api: Pick<Api, 'get'>): Promise<boolean> {
  try {
    const { show_text } = await api.get('/notifications/settings');
    return show_text;
  } catch {
    return false;
  }
}
