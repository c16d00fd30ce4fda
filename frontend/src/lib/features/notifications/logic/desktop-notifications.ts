/** System notifications while the app is open but not visible. Push shows them while it is closed. */
import { base } from '#lib/util/address.ts';
import { isPageVisible } from '#lib/ui/page-visibility.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';

const STORAGE_KEY = 'natter.in-passing';
/** Name of the lock that the tab holds which shows notifications. */
const NOTIFIER_LOCK = 'natter.teller';
/** Name of the lock that all visible tabs share. */
const VISIBLE_LOCK = 'natter.looked-at';

export interface DesktopNotification {
  readonly id: string;
  /** Key by which a notification replaces an earlier one. */
  readonly tag: string;
  readonly title: string;
  readonly body: string;
  /** Path that a click opens. */
  readonly path: string;
  readonly conversationId: string | null;
  readonly messageId: string | null;
}

type Registration = Pick<ServiceWorkerRegistration, 'showNotification' | 'getNotifications'> & {
  readonly pushManager?: { getSubscription(): Promise<unknown> };
};

/** Functions of the browser that are used here. */
export interface Environment {
  readonly locks: Pick<LockManager, 'request' | 'query'>;
  readonly registration: () => Promise<Registration | undefined>;
  readonly isAllowed: () => boolean;
  readonly isWanted: () => boolean;
  readonly isVisible: () => boolean;
}

/** Returns the browser's functions; null if it can't show notifications, as on plain HTTP or in old browsers. */
export function browserEnvironment(): Environment | null {
  if (!('Notification' in window) || !('serviceWorker' in navigator) || !('locks' in navigator)) return null;
  return {
    locks: navigator.locks,
    registration: () => navigator.serviceWorker.getRegistration(),
    isAllowed: () => Notification.permission === 'granted',
    isWanted: isDesktopNotificationsOn,
    isVisible: isPageVisible
  };
}

/** Whether desktop notifications are turned on in this browser, as they are by default. */
export function isDesktopNotificationsOn(): boolean {
  return persistentStorage.getItem(STORAGE_KEY) !== 'off';
}

export function setDesktopNotifications(isWanted: boolean): void {
  persistentStorage.setItem(STORAGE_KEY, isWanted ? 'on' : 'off');
}

export class DesktopNotifications {
  readonly #environment: Environment;
  #isNotifier = false;
  #releaseVisible: (() => void) | undefined;
  /** Last of the operations. They run one after another, so that a notification isn't closed before it is shown. */
  #last: Promise<void> = Promise.resolve();

  constructor(around: Environment) {
    this.#environment = around;
    // Held until the tab is closed. Then another tab gets the lock and shows the notifications.
    this.#holdLock(NOTIFIER_LOCK, 'exclusive', () => {
      this.#isNotifier = true;
      return new Promise(() => undefined);
    });
    this.updateVisibility();
  }

  /** Acquires or releases the lock of visible tabs. */
  updateVisibility(): void {
    const isSeen = this.#environment.isVisible();
    if (isSeen && !this.#releaseVisible) {
      const away = new Promise<void>((resolve) => (this.#releaseVisible = resolve));
      this.#holdLock(VISIBLE_LOCK, 'shared', () => away);
    } else if (!isSeen) {
      this.#releaseVisible?.();
      this.#releaseVisible = undefined;
    }
  }

  /** Shows a notification. `describe` is called only if this tab shows it. */
  show(describe: () => DesktopNotification | Promise<DesktopNotification>): Promise<void> {
    return this.#enqueue(async () => {
      const { isAllowed, isWanted, registration } = this.#environment;
      if (!this.#isNotifier || !isAllowed() || !isWanted() || (await this.#isAnyTabVisible())) return;
      const worker = await registration();
      // If push is on, the service worker shows the notification.
      if (!worker || (await worker.pushManager?.getSubscription())) return;
      const { id, tag, title, body, path, conversationId, messageId } = await describe();
      await worker.showNotification(title, {
        body,
        tag,
        icon: `${base}/icon-192.png`,
        badge: `${base}/badge.png`,
        // The app plays the sound itself.
        silent: true,
        data: { id, path, conversation_id: conversationId, message_id: messageId }
      });
    });
  }

  /** Closes the notifications that were read or deleted. */
  close(isGone: (id: string) => boolean): Promise<void> {
    return this.#enqueue(async () => {
      if (!this.#environment.isAllowed()) return;
      const worker = await this.#environment.registration();
      for (const shown of (await worker?.getNotifications()) ?? []) {
        const { id } = (shown.data ?? {}) as { id?: string };
        if (id !== undefined && isGone(id)) shown.close();
      }
    });
  }

  async #isAnyTabVisible(): Promise<boolean> {
    if (this.#environment.isVisible()) return true;
    const { held } = await this.#environment.locks.query();
    return held?.some(({ name }) => name === VISIBLE_LOCK) ?? false;
  }

  #enqueue(deed: () => Promise<void>): Promise<void> {
    // A failure is ignored, because the list contains the notification anyway.
    this.#last = this.#last.then(deed).catch(() => undefined);
    return this.#last;
  }

  #holdLock(name: string, mode: LockMode, until: () => Promise<void>): void {
    this.#environment.locks.request(name, { mode }, until).catch(() => undefined);
  }
}
