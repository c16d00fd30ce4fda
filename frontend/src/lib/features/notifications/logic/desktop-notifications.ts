/** Notifications of the system while the app is open in a tab, and nobody looks at it: what push does for a device that is woken. */
import { base } from '#lib/util/address.ts';
import { isLookedAt } from '#lib/ui/page-visibility.ts';

const KEPT = 'natter.in-passing';
/** Held by the one tab that tells, of all that are open in this browser. */
const TELLER = 'natter.teller';
/** Shared by the tabs that somebody has before them. */
const LOOKED_AT = 'natter.looked-at';

export interface Passing {
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
export interface Surroundings {
  readonly locks: Pick<LockManager, 'request' | 'query'>;
  readonly registration: () => Promise<Registration | undefined>;
  readonly isAllowed: () => boolean;
  readonly isWanted: () => boolean;
  readonly isLookedAt: () => boolean;
}

/** What a browser has; null where it can show nothing: on plain http, and in some that are old. */
export function browserSurroundings(): Surroundings | null {
  if (!('Notification' in window) || !('serviceWorker' in navigator) || !('locks' in navigator)) return null;
  return {
    locks: navigator.locks,
    registration: () => navigator.serviceWorker.getRegistration(),
    isAllowed: () => Notification.permission === 'granted',
    isWanted: isPassingWanted,
    isLookedAt
  };
}

/** Whether this browser is to show any; it is, until somebody says otherwise. */
export function isPassingWanted(): boolean {
  try {
    return localStorage.getItem(KEPT) !== 'off';
  } catch {
    return true;
  }
}

export function wantPassing(isWanted: boolean): void {
  try {
    localStorage.setItem(KEPT, isWanted ? 'on' : 'off');
  } catch {
    // It is as it was with the next page.
  }
}

export class InPassing {
  readonly #around: Surroundings;
  #isTeller = false;
  #lookAway: (() => void) | undefined;
  /** One after another, so that nothing is taken back before it is shown. */
  #last: Promise<void> = Promise.resolve();

  constructor(around: Surroundings) {
    this.#around = around;
    // Held until the page is gone; then the next tab has its turn.
    this.#hold(TELLER, 'exclusive', () => {
      this.#isTeller = true;
      return new Promise(() => undefined);
    });
    this.look();
  }

  /** Somebody looks at this tab from now on, or no longer. */
  look(): void {
    const isSeen = this.#around.isLookedAt();
    if (isSeen && !this.#lookAway) {
      const away = new Promise<void>((resolve) => (this.#lookAway = resolve));
      this.#hold(LOOKED_AT, 'shared', () => away);
    } else if (!isSeen) {
      this.#lookAway?.();
      this.#lookAway = undefined;
    }
  }

  /** `describe` is asked only where it is going to be shown. */
  tell(describe: () => Passing | Promise<Passing>): Promise<void> {
    return this.#then(async () => {
      const { isAllowed, isWanted, registration } = this.#around;
      if (!this.#isTeller || !isAllowed() || !isWanted() || (await this.#isSomebodyLooking())) return;
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
  takeBack(isGone: (id: string) => boolean): Promise<void> {
    return this.#then(async () => {
      if (!this.#around.isAllowed()) return;
      const worker = await this.#around.registration();
      for (const shown of (await worker?.getNotifications()) ?? []) {
        const { id } = (shown.data ?? {}) as { id?: string };
        if (id !== undefined && isGone(id)) shown.close();
      }
    });
  }

  async #isSomebodyLooking(): Promise<boolean> {
    if (this.#around.isLookedAt()) return true;
    const { held } = await this.#around.locks.query();
    return held?.some(({ name }) => name === LOOKED_AT) ?? false;
  }

  #then(deed: () => Promise<void>): Promise<void> {
    // It stands in the list all the same.
    this.#last = this.#last.then(deed).catch(() => undefined);
    return this.#last;
  }

  #hold(name: string, mode: LockMode, until: () => Promise<void>): void {
    this.#around.locks.request(name, { mode }, until).catch(() => undefined);
  }
}
