import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { ARABIC } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import MatchedText from './matched-text.svelte';

it.each([
  ['Ben Okafor', 'oka', 'Oka'],
  ['Élodie', 'elo', 'Élo'],
  [ARABIC, 'ليلى', 'ليلى']
])('marks in “%s” what “%s” matches', async (text, query, match) => {
  const { stage } = render(MatchedText, { text, query });
  await expect.element(page.getByRole('mark')).toMatchTextContent(match);
  expect(stage.textContent?.trim()).toBe(text);
});

it.each(['', 'x'])('marks nothing for “%s”', async (query) => {
  const { stage } = render(MatchedText, { text: 'Ben', query });
  await expect.element(page.getByRole('mark')).not.toBeInTheDocument();
  expect(stage.textContent?.trim()).toBe('Ben');
});
