import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { UNBROKEN, uploadOf } from '#lib/testing/data.ts';
import { expectEllipsis, expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import FileCard from './file-card.svelte';

it('downloads a file, and says how large it is', async () => {
  render(FileCard, { upload: uploadOf('tides.txt') });
  const link = page.getByRole('link', { name: /^Download tides.txt, TXT, 2\D*KB$/i });
  await expect.element(link).toHaveAttribute('download', 'tides.txt');
  await expect.element(link).toHaveAttribute('href', expect.stringMatching(/^\/files\//));
});

it('opens a PDF in a new tab, and says so', async () => {
  render(FileCard, { upload: uploadOf('tides.pdf', { media_type: 'application/pdf' }) });
  const link = page.getByRole('link', { name: /^tides.pdf, .*, opens in a new tab$/ });
  await expect.element(link).toHaveAttribute('target', '_blank');
  await expect.element(link).toHaveAttribute('rel', 'noopener');
  await expect.element(link).not.toHaveAttribute('download');
});

it.each([
  ['pending', 'Checking for viruses…'],
  ['refused', 'Blocked by the virus scanner']
] as const)('can’t be opened while it is %s', async (status, about) => {
  render(FileCard, { upload: uploadOf('tides.txt', { status }) });
  await expect.element(page.getByText(about)).toBeVisible();
  await expect.element(page.getByRole('link')).not.toBeInTheDocument();
});

it('cuts a long name with an ellipsis, and has it as its title', async () => {
  const { stage } = render(FileCard, { upload: uploadOf(`${UNBROKEN}.txt`) }, { width: 240 });
  await expect.element(page.getByTitle(`${UNBROKEN}.txt`)).toBeVisible();
  expectNoOverflow(stage);
  expectEllipsis(elementOf(page.getByText(`${UNBROKEN}.txt`)));
  expect(elementOf(page.getByRole('link')).getBoundingClientRect().width).toBeLessThanOrEqual(240);
});

it.each(['ltr', 'rtl'] as const)('has the type before the name and the action behind it (%s)', (dir) => {
  const { stage } = render(FileCard, { upload: uploadOf('tides.txt') }, { dir });
  const parts = ['.thumb', '.text', 'a > .icon'].map((part) => stage.querySelector(part) as Element);
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
