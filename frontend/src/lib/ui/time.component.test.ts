import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import Time from './time.svelte';

const AT = '2025-03-04T17:05:00.000Z';

it('shows the local time for people and the exact one for programs', async () => {
  render(Time, { at: AT, format: () => 'on a Tuesday' });
  await expect.element(page.getByText('on a Tuesday')).toHaveAttribute('datetime', AT);
  await expect.element(page.getByText('on a Tuesday')).toHaveAttribute('title', '4 Mar 2025, 18:05:00');
});

it('has a day and a year by default', () => {
  render(Time, { at: AT });
  expect(elementOf(page.getByRole('time')).textContent).toMatch(/4 Mar.* 2025/);
});
