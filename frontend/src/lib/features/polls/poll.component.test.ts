import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import type { Message, Poll as PollData } from '#lib/api/types.ts';
import { createTestAppWith, Refusal } from '#lib/testing/app.ts';
import { BEN, CONVERSATION, conversationOf, ME, messageOf, UNBROKEN, viewOf } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { toasts } from '#lib/ui/toast/toast.svelte.ts';
import Poll from './poll.svelte';

const POLL: PollData = {
  options: ['Six', 'Seven'],
  multiple: false,
  anonymous: false,
  results: {
    options: [
      { votes: 3, user_ids: [BEN] },
      { votes: 1, user_ids: [] }
    ],
    voters: 4
  }
};

interface Options {
  own?: readonly number[];
  posting?: 'everyone' | 'admins';
  archived_at?: string;
  message?: Partial<Message>;
  width?: number;
  dir?: 'ltr' | 'rtl';
}

async function renderPoll(
  changes: Partial<PollData> = {},
  { own = [], archived_at, message, ...options }: Options = {}
) {
  const conversation = conversationOf({ kind: 'public_channel', title: 'harbour', archived_at: archived_at ?? null });
  const poll = { ...POLL, ...changes };
  const view = viewOf(messageOf('When?', { poll, ...message }));
  const id = view.id as string;
  const vote = `/messages/${id}/vote`;
  const testApp = await createTestAppWith([conversation], { [`GET ${vote}`]: { choices: own }, [`PUT ${vote}`]: {} });
  const { stage, server } = render(Poll, { id, view, poll }, { in: testApp, conversationId: CONVERSATION, ...options });
  return { stage, server, vote };
}

it('is a group with an option, its votes and its voters each', async () => {
  await renderPoll();
  const group = page.getByRole('group', { name: 'Poll: When?' });
  await expect.element(group).toHaveAccessibleDescription('One choice, names shown');
  await expect.element(page.getByRole('radio', { name: /^Six\W+Ben Okafor\W+2 more 3$/ })).not.toBeChecked();
  await expect.element(page.getByText('4 votes')).toBeVisible();
});

it('votes for one option', async () => {
  const { server, vote } = await renderPoll();
  await page.getByRole('radio', { name: /^Seven/ }).click();
  await expect.element(page.getByRole('radio', { name: /^Seven/ })).toBeChecked();
  await expect.poll(() => server.bodiesOf(`PUT ${vote}`)).toEqual([{ choices: [1] }]);
});

it('votes for several options by keyboard, and keeps the focus', async () => {
  const { server, vote } = await renderPoll({ multiple: true }, { own: [1] });
  await expect.element(page.getByRole('checkbox', { name: /^Seven/ })).toBeChecked();
  await userEvent.tab();
  await userEvent.keyboard(' ');
  await expect.poll(() => server.bodiesOf(`PUT ${vote}`)).toEqual([{ choices: [0, 1] }]);
  await expect.element(page.getByRole('checkbox', { name: /^Six/ })).toHaveFocus();
});

it('removes the vote', async () => {
  const { server, vote } = await renderPoll({}, { own: [0] });
  await page.getByRole('button', { name: 'Remove my vote' }).click();
  await expect.poll(() => server.bodiesOf(`PUT ${vote}`)).toEqual([{ choices: [] }]);
  await expect.element(page.getByRole('radio', { name: /^Six/ })).not.toBeChecked();
});

it('shows the vote from before if the server refuses the new one', async () => {
  const { server, vote } = await renderPoll({}, { own: [0] });
  server.answers[`PUT ${vote}`] = () => new Refusal(409, 'closed', 'The poll is closed.');
  await expect.element(page.getByRole('radio', { name: /^Six/ })).toBeChecked();
  await page.getByRole('radio', { name: /^Seven/ }).click();
  await expect.poll(() => toasts.at(-1)?.message).toBe('The poll is closed.');
  await expect.element(page.getByRole('radio', { name: /^Six/ })).toBeChecked();
});

it('accepts no votes after its end', async () => {
  await renderPoll({ results: { ...POLL.results, closed_at: '2026-11-20T12:00:00.000Z' } }, { own: [0] });
  await expect.element(page.getByRole('group')).toMatchTextContent(/4 votes\s*· Closed/);
  await expect.element(page.getByRole('radio', { name: /^Six/ })).toBeDisabled();
  await expect.element(page.getByRole('button')).not.toBeInTheDocument();
});

it('accepts no votes in an archived channel', async () => {
  await renderPoll({}, { archived_at: '2026-11-20T12:00:00.000Z' });
  await expect.element(page.getByRole('radio', { name: /^Six/ })).toBeDisabled();
});

it('is closed by the user who asks', async () => {
  const { server } = await renderPoll({}, { message: { sender: { kind: 'user', id: ME, name: 'Anna Berg' } } });
  await page.getByRole('button', { name: 'Close poll' }).click();
  await expect.poll(() => server.requests.at(-1)?.path).toMatch(/^\/messages\/.*\/closed$/);
});

it('is not closed by others', async () => {
  await renderPoll();
  await expect.element(page.getByRole('group')).toBeVisible();
  await expect.element(page.getByRole('button', { name: 'Close poll' })).not.toBeInTheDocument();
});

it('has no votes yet', async () => {
  const none = { votes: 0, user_ids: [] };
  const { stage } = await renderPoll({ results: { options: [none, none], voters: 0 } });
  await expect.element(page.getByText('0 votes')).toBeVisible();
  for (const share of stage.querySelectorAll('.share i')) expect(share.getBoundingClientRect().width).toBe(0);
});

it('wraps long options', async () => {
  const { stage } = await renderPoll({ options: [UNBROKEN, UNBROKEN] }, { width: 280 });
  await expect.element(page.getByRole('group')).toBeVisible();
  expectNoOverflow(stage);
});

it.each(['ltr', 'rtl'] as const)('follows the direction of the page (%s)', async (dir) => {
  const { stage } = await renderPoll({}, { dir });
  await expect.element(page.getByRole('group')).toBeVisible();
  const parts = [
    elementOf(page.getByRole('radio').first()),
    elementOf(page.getByText('Six')),
    stage.querySelector('li b') as Element
  ];
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
