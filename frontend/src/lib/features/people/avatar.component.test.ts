import { expect, it } from 'vitest';
import { newId } from '#lib/api/client.ts';
import { createTestApp } from '#lib/testing/app.ts';
import { ARABIC, LONG_NAME } from '#lib/testing/data.ts';
import { insetsOf } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import Avatar from './avatar.svelte';

const avatarOf = (stage: HTMLElement) => stage.firstElementChild as HTMLElement;

it.each([
  ['Ben Okafor', 'base', 'BO'],
  ['Ben Okafor', 'xs', 'B'],
  ['Ben', 'base', 'B'],
  [LONG_NAME, 'base', 'MO'],
  [ARABIC, 'base', 'ال'],
  ['', 'base', '?']
] as const)('shows the initials of “%s” in size %s', (name, size, initials) => {
  const { stage } = render(Avatar, { name, size });
  expect(stage.textContent?.trim()).toBe(initials);
  expect(avatarOf(stage).scrollWidth).toBeLessThanOrEqual(avatarOf(stage).clientWidth);
});

it('is skipped by screen readers, because the name is beside it', () => {
  const { stage } = render(Avatar, { name: 'Ben Okafor' });
  expect(avatarOf(stage).getAttribute('aria-hidden')).toBe('true');
});

it.each([
  ['xs', 18],
  ['s', 26],
  ['m', 32],
  ['base', 36],
  ['l', 44],
  ['xl', 72]
] as const)('is a square in size %s: %i px', (size, pixels) => {
  const { stage } = render(Avatar, { name: 'Ben Okafor', size });
  expect(avatarOf(stage).getBoundingClientRect()).toMatchObject({ width: pixels, height: pixels });
});

it('keeps the colour of a person when their name changes', () => {
  const { stage, update } = render(Avatar, { name: 'Ben Okafor', id: newId() });
  const colour = getComputedStyle(avatarOf(stage)).backgroundColor;
  update({ name: 'Benjamin Okafor' });
  expect(getComputedStyle(avatarOf(stage)).backgroundColor).toBe(colour);
});

it('requests the picture of a person, and shows the initials if it can’t be loaded', async () => {
  const [id, uploadId] = [newId(), newId()];
  const testApp = createTestApp({ 'GET /users/pictures': [{ user_id: id, upload_id: uploadId }] });
  const { server, stage } = render(Avatar, { name: 'Ben Okafor', id }, { in: testApp });
  await expect.poll(() => server.requests.at(-1)?.query.user_id).toContain(id);
  await expect.poll(() => stage.querySelector('img')).toBeNull();
  expect(stage.textContent?.trim()).toBe('BO');
});

it.each([undefined, 'anna@example.com'])('requests no picture of somebody without an account (id: %s)', async (id) => {
  const { server, stage } = render(Avatar, { name: 'Ben Okafor', id: id ?? null });
  expect(stage.querySelector('img')).toBeNull();
  expect(server.requests).toEqual([]);
});

it('shows an icon, or the emoji of an assistant', async () => {
  const { stage, update } = render(Avatar, { name: 'Skipper', kind: 'assistant' });
  expect(stage.querySelector('svg')?.classList).toContain('lucide-bot');
  update({ picture: { glyph: '⚓', hue: 40 } });
  expect(stage.textContent?.trim()).toBe('⚓');
  update({ picture: { glyph: 'anchor', hue: 40 } });
  await expect.poll(() => stage.querySelector('svg')).not.toBeNull();
  update({ picture: { glyph: 'icon-of-a-newer-server', hue: 40 } });
  await expect.poll(() => stage.querySelector('svg')?.classList).toContain('lucide-bot');
});

it('has a dot for the presence, at the same corner in each direction', () => {
  const corner = (dir: 'ltr' | 'rtl') => {
    const { stage } = render(Avatar, { name: 'Ben Okafor', status: 'dnd' }, { dir });
    const dot = stage.querySelector('.dot') as Element;
    expect(dot.classList).toContain('dnd');
    return insetsOf(dot, avatarOf(stage));
  };
  expect(corner('ltr')).toEqual(corner('rtl'));
});

it('has no dot if the presence is unknown', () => {
  const { stage } = render(Avatar, { name: 'Ben Okafor' });
  expect(stage.querySelector('.dot')).toBeNull();
});
