import { beforeEach, describe, expect, it } from 'vitest';
import { DesktopNotifications, type DesktopNotification, type Environment } from './desktop-notifications.ts';

/** Fake locks that all tabs of a browser share. */
class FakeLocks {
  readonly #held: { name: string; mode: LockMode }[] = [];
  readonly #waiting: (() => void)[] = [];

  async request(name: string, options: LockOptions, run: () => Promise<void>): Promise<void> {
    const mode = options.mode ?? 'exclusive';
    while (this.#held.some((one) => one.name === name && (one.mode === 'exclusive' || mode === 'exclusive')))
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    const lock = { name, mode };
    this.#held.push(lock);
    await run();
    this.#held.splice(this.#held.indexOf(lock), 1);
    for (const goOn of this.#waiting.splice(0)) goOn();
  }

  query() {
    return Promise.resolve({ held: [...this.#held], pending: [] });
  }
}

interface Shown {
  title: string;
  tag: string;
  data: { id: string; path: string };
  close: () => void;
}

class Browser {
  readonly locks = new FakeLocks();
  shown: Shown[] = [];
  isAllowed = true;
  isWanted = true;
  subscription: unknown = null;

  open(isVisible = false) {
    const tab = { isVisible, passing: undefined as unknown as DesktopNotifications };
    const registration = {
      pushManager: { getSubscription: () => Promise.resolve(this.subscription) },
      showNotification: (title: string, options: { tag: string; data: Shown['data'] }) => {
        this.shown = this.shown.filter(({ tag }) => tag !== options.tag);
        const one: Shown = {
          title,
          ...options,
          close: () => (this.shown = this.shown.filter((other) => other !== one))
        };
        this.shown.push(one);
        return Promise.resolve();
      },
      getNotifications: () => Promise.resolve(this.shown)
    };
    tab.passing = new DesktopNotifications({
      locks: this.locks,
      registration: () => Promise.resolve(registration),
      isAllowed: () => this.isAllowed,
      isWanted: () => this.isWanted,
      isVisible: () => tab.isVisible
    } as unknown as Environment);
    return tab;
  }
}

const one = (id: string, tag = id): DesktopNotification => ({
  id,
  tag,
  title: `about ${id}`,
  body: '',
  path: `/c/${tag}`,
  conversationId: tag,
  messageId: null
});

const settled = () => new Promise((resolve) => setTimeout(resolve));

let browser: Browser;
const titles = () => browser.shown.map(({ title }) => title);

beforeEach(() => {
  browser = new Browser();
});

describe('desktop notifications', () => {
  it('are shown by one tab, one per conversation', async () => {
    const tabs = [browser.open(), browser.open()];
    await settled();
    let asked = 0;
    for (const id of ['a', 'b'])
      for (const { passing: desktop } of tabs)
        await desktop.show(() => {
          asked += 1;
          return one(id, 'place');
        });
    expect(titles()).toEqual(['about b']);
    expect(browser.shown[0]?.data).toMatchObject({ id: 'b', path: '/c/place' });
    expect(asked).toBe(2);
  });

  it('are hidden while any tab is visible and shown again afterwards', async () => {
    const [hidden, seen] = [browser.open(), browser.open(true)];
    await settled();
    await hidden.passing.show(() => one('a'));
    expect(titles()).toEqual([]);
    seen.isVisible = false;
    seen.passing.updateVisibility();
    await settled();
    await hidden.passing.show(() => one('b'));
    expect(titles()).toEqual(['about b']);
  });

  it('need permission and the user’s setting, and are left to push if subscribed', async () => {
    const { passing: desktop } = browser.open();
    await settled();
    browser.isAllowed = false;
    await desktop.show(() => one('a'));
    browser.isAllowed = true;
    browser.isWanted = false;
    await desktop.show(() => one('b'));
    browser.isWanted = true;
    browser.subscription = {};
    await desktop.show(() => one('c'));
    expect(titles()).toEqual([]);
  });

  it('are closed when read, even if read before they are shown', async () => {
    const { passing: desktop } = browser.open();
    await settled();
    await desktop.show(() => one('a'));
    await desktop.show(() => one('b'));
    await desktop.close((id) => id === 'a');
    expect(titles()).toEqual(['about b']);
    void desktop.show(async () => {
      await settled();
      return one('late');
    });
    await desktop.close(() => true);
    expect(titles()).toEqual([]);
  });

  it('continue after one that failed', async () => {
    const { passing: desktop } = browser.open();
    await settled();
    await desktop.show(() => Promise.reject(new Error('no settings')));
    await desktop.show(() => one('a'));
    expect(titles()).toEqual(['about a']);
  });
});
