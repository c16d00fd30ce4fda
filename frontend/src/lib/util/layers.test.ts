import { expect, test } from 'vitest';
import { Layers } from './layers.ts';

/** History of a tab, with the layers of each entry. */
class Tab {
  readonly open: string[] = [];
  readonly entries: { page: string; layers: string[] }[] = [{ page: 'list', layers: [] }];
  at = 0;
  readonly #layers: Layers;
  readonly #closers = new Map<string, () => void>();
  #due: Promise<void> | undefined;
  /** Layer that asks for a confirmation instead of closing. */
  stubborn: string | undefined;

  constructor() {
    this.#layers = new Layers({
      push: (layers) => this.#append({ page: this.page, layers }),
      back: () => (this.#due = this.#to(this.at - 1))
    });
  }

  get page(): string {
    return this.entries[this.at]?.page ?? 'gone';
  }

  show(name: string): void {
    const leave = this.#layers.add(() => this.stubborn !== name && this.close(name));
    this.open.push(name);
    this.#closers.set(name, leave);
  }

  close(name: string): void {
    this.open.splice(this.open.indexOf(name), 1);
    this.#closers.get(name)?.();
  }

  visit(page: string): void {
    this.#append({ page, layers: [] });
    this.#layers.entered([]);
  }

  async back(): Promise<void> {
    await this.#to(this.at - 1);
    while (this.#due) {
      const due = this.#due;
      this.#due = undefined;
      await due;
    }
  }

  #append(entry: { page: string; layers: string[] }): void {
    this.entries.splice(this.at + 1, Infinity, entry);
    this.at += 1;
  }

  async #to(at: number): Promise<void> {
    const before = this.page;
    this.at = at;
    const entry = this.entries[at];
    if (entry) await this.#layers.popped(entry.layers, entry.page === before);
  }
}

test('Back closes the top layer, one at a time, and then leaves the page', async () => {
  const tab = new Tab();
  tab.visit('chat');
  tab.show('panel');
  tab.show('dialog');
  await tab.back();
  expect([tab.page, tab.open]).toEqual(['chat', ['panel']]);
  await tab.back();
  expect([tab.page, tab.open]).toEqual(['chat', []]);
  await tab.back();
  expect(tab.page).toBe('list');
});

test('layers that were closed otherwise need no Back, however many there were', async () => {
  const tab = new Tab();
  tab.visit('chat');
  for (const name of ['menu', 'dialog', 'picture']) {
    tab.show(name);
    tab.close(name);
  }
  expect(tab.entries).toHaveLength(3);
  tab.show('panel');
  tab.show('dialog');
  tab.close('dialog');
  tab.close('panel');
  await tab.back();
  expect(tab.page).toBe('list');
});

test('Back skips layers that were closed by navigation', async () => {
  const tab = new Tab();
  tab.show('sheet');
  tab.show('dialog');
  tab.close('dialog');
  tab.close('sheet');
  tab.visit('chat');
  await tab.back();
  expect([tab.page, tab.at]).toEqual(['list', 0]);
});

test('a lower layer may close first', async () => {
  const tab = new Tab();
  tab.visit('chat');
  tab.show('sheet');
  tab.show('dialog');
  tab.close('sheet');
  await tab.back();
  expect([tab.page, tab.open]).toEqual(['chat', []]);
  await tab.back();
  expect(tab.page).toBe('list');
});

test('a layer that asks first stays open, and Back still closes it', async () => {
  const tab = new Tab();
  tab.visit('chat');
  tab.show('form');
  tab.stubborn = 'form';
  await tab.back();
  expect([tab.page, tab.open]).toEqual(['chat', ['form']]);
  tab.stubborn = undefined;
  await tab.back();
  expect([tab.page, tab.open]).toEqual(['chat', []]);
});
