/** Notifications of the system while the app is open in a tab, and nobody looks at it: what push does for a device that is woken. */
import { base } from '#lib/util/address.ts';
import { isPageVisible } from '#lib/ui/page-visibility.ts';

const STORAGE_KEY = 'natter.in-passing';
/** Held by the one tab that tells, of all that are open in this browser. */
const NOTIFIER_LOCK = 'natter.teller';
/** Shared by the tabs that somebody has before them. */
const VISIBLE_LOCK = 'natter.looked-at';

export interface DesktopNotification {
  /** Of what one is told of. */
  readonly id: string;
  /** What comes later with the same one takes the place of what is there. */
  readonly tag: string;
  readonly title: string;
  readonly body: string;
  /** What is opened by whoever presses it. */
  readonly path: string;
  readonly conversationId: string | null;
  readonly messageId: string | null;
}

type Registration = Pick<ServiceWorkerRegistration, 'showNotification' | 'getNotifications'> & {
  readonly pushManager?: { getSubscription(): Promise<unknown> };
};

/** The browser, as far as it is needed. */
export interface Environment {
  readonly locks: Pick<LockManager, 'request' | 'query'>;
  readonly registration: () => Promise<Registration | undefined>;
  readonly isAllowed: () => boolean;
  readonly isWanted: () => boolean;
  readonly isVisible: () => boolean;
}

/** What a browser has; null where it can show nothing: on plain http, and in some that are old. */
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

/** Whether this browser is to show any; it is, until somebody says otherwise. */
export function isDesktopNotificationsOn(): boolean {
  try {
    return localStorage.getItem(STORAGE_KEY) !== 'off';
  } catch {
    return true;
  }
}

export function setDesktopNotifications(isWanted: boolean): void {
  try {
    localStorage.setItem(STORAGE_KEY, isWanted ? 'on' : 'off');
  } catch {
    // It is as it was with the next page.
  }
}

export class DesktopNotifications {
  readonly #environment: Environment;
  #isNotifier = false;
  #releaseVisible: (() => void) | undefined;
  /** One after another, so that nothing is taken back before it is shown. */
  #last: Promise<void> = Promise.resolve();

  constructor(around: Environment) {
    this.#environment = around;
    // Held until the page is gone; then the next tab has its turn.
    this.#holdLock(NOTIFIER_LOCK, 'exclusive', () => {
      this.#isNotifier = true;
      return new Promise(() => undefined);
    });
    this.updateVisibility();
  }

  /** Somebody looks at this tab from now on, or no longer. */
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

  /** `describe` is asked only where it is going to be shown. */
  show(describe: () => DesktopNotification | Promise<DesktopNotification>): Promise<void> {
    return this.#enqueue(async () => {
      const { isAllowed, isWanted, registration } = this.#environment;
      if (!this.#isNotifier || !isAllowed() || !isWanted() || (await this.#isAnyTabVisible())) return;
      const worker = await registration();
      // A device that is woken is told by its push.
      if (!worker || (await worker.pushManager?.getSubscription())) return;
      const { id, tag, title, body, path, conversationId, messageId } = await describe();
      await worker.showNotification(title, {
        body,
        tag,
        icon: `${base}/icon-192.png`,
        badge: `${base}/badge.png`,
        // The app has sounds of its own.
        silent: true,
        data: { id, path, conversation_id: conversationId, message_id: messageId }
      });
    });
  }

  /** It was read, or is no more. */
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
    // It stands in the list all the same.
    this.#last = this.#last.then(deed).catch(() => undefined);
    return this.#last;
  }

  #holdLock(name: string, mode: LockMode, until: () => Promise<void>): void {
    this.#environment.locks.request(name, { mode }, until).catch(() => undefined);
  }
}
