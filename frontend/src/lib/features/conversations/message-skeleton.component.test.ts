import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { expectLeftToRight, expectRightToLeft } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import MessageSkeleton from './message-skeleton.svelte';

it('says that messages are loading', async () => {
  render(MessageSkeleton, {});
  await expect.element(page.getByRole('status', { name: 'Loading messages' })).toBeVisible();
});

it.each(['ltr', 'rtl'] as const)('has the faces before the lines (%s)', (dir) => {
  const { stage } = render(MessageSkeleton, {}, { dir });
  const parts = ['.msg > i', '.msg > div'].map((part) => stage.querySelector(part) as Element);
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
