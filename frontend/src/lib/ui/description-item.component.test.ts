import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { LONG_NAME, UNBROKEN } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { render, text } from '#lib/testing/render.svelte.ts';
import DescriptionItem from './description-item.svelte';

it('is a term and its definition', async () => {
  render(DescriptionItem, { label: 'Owner', children: text('Anna') });
  await expect.element(page.getByRole('term')).toMatchTextContent('Owner');
  await expect.element(page.getByRole('definition')).toMatchTextContent('Anna');
});

it.each([LONG_NAME, UNBROKEN])('wraps a long value: %s', (value) => {
  const { stage } = render(DescriptionItem, { label: 'Owner', children: text(value) }, { width: 280 });
  expectNoOverflow(stage);
});
