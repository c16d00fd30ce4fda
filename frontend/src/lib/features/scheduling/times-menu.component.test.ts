import { afterEach, beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { page } from 'vitest/browser';
import { render } from '#lib/testing/render.svelte.ts';
import TimesMenu from './components/times-menu.svelte';
import { momentOf } from './schedule.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date'], now: new Date(2026, 10, 28, 18, 41) }));
afterEach(() => void vi.useRealTimers());

it('writes its times beside their names, and “today” for today', async () => {
  const anchor = document.body.appendChild(document.createElement('button'));
  onTestFinished(() => anchor.remove());
  const nothing = () => undefined;
  render(TimesMenu, { anchor, label: 'Schedule', onclose: nothing, ontime: nothing, onother: nothing });
  await expect.element(page.getByRole('menuitem', { name: 'In an hour today at 19:41' })).toBeVisible();
  const items = page.getByRole('menuitem').elements().slice(0, -1);
  expect(items.length).toBeGreaterThan(1);
  for (const item of items) {
    const [name, time] = [...item.querySelectorAll('span')].map((span) => span.getBoundingClientRect());
    expect(name!.right <= time!.left || name!.bottom <= time!.top, item.textContent).toBe(true);
  }
});

it('names the day of other times', () => {
  expect(momentOf(new Date(2026, 10, 29, 9))).toMatch(/^Sun,? 29 November, 09:00$/);
});
