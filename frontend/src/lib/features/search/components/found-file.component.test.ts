import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { uploadOf } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import FoundFile from './found-file.svelte';

it('shows a picture', async () => {
  render(FoundFile, {
    file: uploadOf('harbour.png', { media_type: 'image/png', thumbhash: '1QcSHQRnh493V4dIh4eXh1h4kJUI' })
  });
  await expect
    .element(page.getByRole('img', { name: 'harbour.png' }))
    .toHaveAttribute('src', expect.stringMatching(/harbour\.png\?size=320$/));
});

it('says how long a voice message is, not the name of its file', async () => {
  render(FoundFile, { file: uploadOf('voice.webm', { media_type: 'audio/webm', kind: 'voice', duration_ms: 12_300 }) });
  await expect.element(page.getByText('Voice message, 0:12')).toBeVisible();
  await expect.element(page.getByText('voice.webm')).not.toBeInTheDocument();
});

it('names other files with their size', async () => {
  render(FoundFile, { file: uploadOf('tides.pdf', { media_type: 'application/pdf', size: 2_048 }) });
  await expect.element(page.getByText('tides.pdf')).toBeVisible();
  await expect.element(page.getByText(/2(\.0)? (KB|KiB|kB)/)).toBeVisible();
});
