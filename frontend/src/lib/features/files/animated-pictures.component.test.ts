import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { newId } from '#lib/api/client.ts';
import { uploadOf } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import Picture from './components/picture.svelte';
import Viewer from './viewer.svelte';

const GIF = uploadOf('wave.gif', {
  media_type: 'image/gif',
  size: 90_000,
  width: 320,
  height: 200,
  thumbhash: '1QcSHQRnh493V4dIh4eXh1h4kJUI'
});
/** Picture of the viewer, which is requested for the first time there. */
const SHOWN = { ...GIF, id: newId() };

/** Counts the requests for a form of the picture. */
const requestsOf = (end: string) => () =>
  performance.getEntriesByType('resource').filter(({ name }) => name.includes(SHOWN.id) && name.endsWith(end)).length;

// The browser of these tests prefers reduced motion.
it('shows a GIF still, with a mark, to users who want less motion', () => {
  const props = { upload: GIF, width: 320, onlost: () => undefined } as const;
  const { stage } = render(Picture, props, { conversationId: newId() });
  expect(stage.querySelector('img')?.getAttribute('src')).toMatch(/\?size=320$/);
  expect(stage.textContent?.trim()).toBe('GIF');
});

it('has no mark on other pictures', () => {
  const props = { upload: { ...GIF, media_type: 'image/png' }, width: 320, onlost: () => undefined } as const;
  const { stage } = render(Picture, props, { conversationId: newId() });
  expect(stage.textContent?.trim()).toBe('');
});

it('plays a still GIF on request in the viewer, and stops it again', async () => {
  // The browser records a limited number of requests, which those of earlier tests may have reached.
  performance.clearResourceTimings();
  const viewing = { pictures: [{ ...SHOWN, by: 'Mai', time: 0 }], at: 0 };
  render(Viewer, { viewing, onclose: () => undefined });
  await expect.poll(requestsOf('1280')).toBe(1);
  expect(requestsOf('wave.gif')()).toBe(0);
  await userEvent.click(page.getByRole('button', { name: 'Play animation' }));
  await expect.poll(requestsOf('wave.gif')).toBe(1);
  await userEvent.click(page.getByRole('button', { name: 'Stop animation' }));
  await expect.element(page.getByRole('button', { name: 'Play animation' })).toBeVisible();
});
