import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { ARABIC } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import Snippet from './snippet.svelte';

it('marks what was found', async () => {
  const { stage } = render(Snippet, { content: 'The tide is at six', highlights: [[4, 4]] });
  await expect.element(page.getByRole('mark')).toMatchTextContent('tide');
  expect(stage.textContent?.trim()).toBe('The tide is at six');
});

it('marks nothing without matches', async () => {
  const { stage } = render(Snippet, { content: ARABIC });
  await expect.element(page.getByRole('mark')).not.toBeInTheDocument();
  expect(stage.textContent?.trim()).toBe(ARABIC);
});

it('begins near the first match of a long text', () => {
  const { stage } = render(Snippet, { content: `${'Nothing here. '.repeat(200)}Tide at six`, highlights: [[2800, 4]] });
  expect(stage.textContent).toContain('Tide at six');
  expect(stage.textContent?.length).toBeLessThan(600);
});
