import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { createTestAppWith } from '#lib/testing/app.ts';
import { BEN, CONVERSATION, conversationOf, LONG_NAME, ME, memberOf } from '#lib/testing/data.ts';
import { expectEllipsis, expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import TypingIndicator from './typing-indicator.svelte';

const [carla, dario] = [memberOf('Carla'), memberOf('Dario')];
const members = [memberOf('Anna', { user_id: ME }), memberOf('Ben Okafor', { user_id: BEN }), carla, dario];

async function renderIn(options: { dir?: 'ltr' | 'rtl'; width?: number } = {}, people = members) {
  const conversation = conversationOf({ kind: 'group', title: 'Crew', members: people, member_count: people.length });
  const testApp = await createTestAppWith([conversation]);
  const { stage } = render(TypingIndicator, {}, { in: testApp, conversationId: CONVERSATION, ...options });
  const type = (user_id: string, active = true) =>
    testApp.receive('typing', { conversation_id: CONVERSATION, user_id, active });
  return { stage, type };
}

it('says who is typing, politely', async () => {
  const { stage, type } = await renderIn();
  expect(stage.firstElementChild?.getAttribute('aria-live')).toBe('polite');
  expect(stage.textContent?.trim()).toBe('');
  type(BEN);
  await expect.element(page.getByText('Ben Okafor is typing')).toBeVisible();
  type(carla.user_id);
  await expect.element(page.getByText('Ben Okafor and Carla are typing')).toBeVisible();
  type(dario.user_id);
  await expect.element(page.getByText('3 people are typing')).toBeVisible();
  for (const id of [BEN, carla.user_id]) type(id, false);
  await expect.element(page.getByText('Dario is typing')).toBeVisible();
});

it('ends when nothing is heard of the writer for six seconds', async () => {
  const { stage, type } = await renderIn();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  type(BEN);
  await expect.element(page.getByText('Ben Okafor is typing')).toBeVisible();
  vi.advanceTimersByTime(6000);
  await expect.poll(() => stage.textContent?.trim()).toBe('');
});

it('takes the same space whether someone is typing or not', async () => {
  const { stage, type } = await renderIn();
  const { height } = stage.getBoundingClientRect();
  type(BEN);
  await expect.element(page.getByText('Ben Okafor is typing')).toBeVisible();
  expect(stage.getBoundingClientRect().height).toBe(height);
});

it('doesn’t say that the user is typing', async () => {
  const { stage, type } = await renderIn();
  type(ME);
  type(BEN);
  await expect.element(page.getByText('Ben Okafor is typing')).toBeVisible();
  expect(stage.textContent).not.toContain('Anna');
});

it('cuts a long name with an ellipsis', async () => {
  const { stage, type } = await renderIn({ width: 260 }, [memberOf(LONG_NAME, { user_id: BEN })]);
  type(BEN);
  const words = page.getByText(/is typing$/);
  await expect.element(words).toBeVisible();
  expectNoOverflow(stage);
  expectEllipsis(elementOf(words));
});

it.each(['ltr', 'rtl'] as const)('has the face before the words (%s)', async (dir) => {
  const { stage, type } = await renderIn({ dir });
  type(BEN);
  const words = page.getByText('Ben Okafor is typing');
  await expect.element(words).toBeVisible();
  const parts = [stage.querySelector('.av') as Element, elementOf(words)];
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
