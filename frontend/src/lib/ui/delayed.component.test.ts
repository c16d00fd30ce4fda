import { flushSync } from 'svelte';
import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { render, text } from '#lib/testing/render.svelte.ts';
import Delayed from './delayed.svelte';

it('shows its content after 150 ms', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  const { stage } = render(Delayed, { children: text('Loading') });
  vi.advanceTimersByTime(149);
  flushSync();
  expect(stage.textContent).toBe('');
  vi.advanceTimersByTime(1);
  flushSync();
  await expect.element(page.getByText('Loading')).toBeVisible();
});
