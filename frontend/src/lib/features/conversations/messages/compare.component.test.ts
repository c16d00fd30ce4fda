import { expect, it } from 'vitest';
import { page } from 'vitest/browser';
import { createTestAppWith } from '#lib/testing/app.ts';
import { CONVERSATION, conversationOf, messageOf, viewOf } from '#lib/testing/data.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import '../../../../styles/chat.css';
import Compare from './compare.svelte';

const LONG = Array.from({ length: 60 }, (_, at) => `Paragraph ${at}.`).join('\n\n');
const small = { kind: 'assistant', id: 'a1', name: 'Scribe' } as const;

async function renderComparison() {
  const first = messageOf(LONG, { sender: small, model: 'small', conversation_id: CONVERSATION });
  const second = messageOf('Short answer.', { sender: small, model: 'large', status: 'streaming' });
  const testApp = await createTestAppWith([conversationOf({ kind: 'assistant' })], {
    [`GET /conversations/${CONVERSATION}/messages`]: { items: [first], has_more: false },
    [`POST /messages/${first.id}/compare`]: second
  });
  const comparing = { conversationId: CONVERSATION, model: 'large', first: viewOf(first), question: null };
  const { view } = render(Compare, { comparing }, { in: testApp, conversationId: CONVERSATION });
  await view.log.load();
}

const side = (name: string) => page.getByRole('region', { name });

it('starts a streaming answer below its model, beside a long answer', async () => {
  await renderComparison();
  const text = side('large').getByText('Short answer.');
  await expect.element(text).toBeVisible();
  const { bottom } = elementOf(side('large').getByRole('heading')).getBoundingClientRect();
  expect(elementOf(text).getBoundingClientRect().top - bottom).toBeLessThan(24);
});

it('shows the button of a long answer without scrolling', async () => {
  await renderComparison();
  const button = side('small').getByRole('button', { name: 'Continue with this answer' });
  await expect.element(button).toBeVisible();
  const body = document.querySelector('.dialog-body')!.getBoundingClientRect();
  const { top, bottom } = elementOf(button).getBoundingClientRect();
  expect(top).toBeGreaterThan(body.top);
  expect(bottom).toBeLessThanOrEqual(body.bottom);
});
