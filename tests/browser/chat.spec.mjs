// Chats between two people and with an assistant.

import { apiOf, expect, PHONE, test } from './people.mjs';

test('exchanges messages between desktop and phone', { tag: '@gate' }, async ({ arrive }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben', PHONE);

  await anna.openChatWith(ben);
  await anna.write('Hello **Ben**, have you seen `main.rs`?');
  await anna.sees('Hello Ben, have you seen main.rs?');
  await expect(anna.log.locator('strong')).toHaveText('Ben');

  await ben.openConversation(anna.name);
  await ben.sees('Hello Ben');
  await ben.composer.pressSequentially('Ye');
  await expect(anna.page.getByText(`${ben.name} is typing`)).toBeVisible();
  await ben.write('Yes, it is short.');
  await anna.sees('Yes, it is short.');
  await expect(
    anna.log
      .getByText(/Read by/)
      .or(anna.log.getByLabel(/Read by/))
      .first()
  ).toBeAttached();

  await anna.expectFlawless('a conversation on a desktop');
  await ben.expectFlawless('a conversation on a phone');
});

test('resumes a streaming answer after a reload', { tag: '@gate' }, async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  upstream.next({ words: ['One', ' two', ' three', ' four', ' five.'], step: true });
  await anna.openAssistant();
  await anna.write('Count to five.');
  upstream.release(2);
  await anna.sees('One two');
  await anna.page.reload();
  await anna.sees('One two');
  await expect(anna.page.getByRole('button', { name: 'Stop', exact: true }).first()).toBeVisible();
  upstream.release(3);
  await anna.sees('One two three four five.');
  await expect(anna.page.getByRole('button', { name: 'Stop', exact: true })).toHaveCount(0);
  await anna.expectFlawless('an answer');
});

test('stops an answer', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  upstream.next({ words: ['Never', ' ending', ' story'], step: true });
  await anna.openAssistant();
  await anna.write('Tell me a story.');
  upstream.release(2);
  await anna.sees('Never ending');
  await anna.page.getByRole('button', { name: 'Stop', exact: true }).first().click();
  await anna.sees('Stopped');
  upstream.release(1);
  await anna.page.reload();
  await anna.sees('Stopped');
  await expect(anna.log.getByText('story', { exact: false }).filter({ hasText: 'ending story' })).toHaveCount(0);
});

test('reports a failed answer and retries it', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  // The provider rejects the question with an error that isn't retried.
  upstream.next({ status: 400 });
  await anna.openAssistant();
  await anna.write('Will this work?');
  await anna.sees(/No answer/);
  await anna.expectFlawless('a failed answer');
  await anna.page.getByRole('button', { name: 'Try again' }).first().click();
  await anna.sees('Hello there.');
});

test('sends offline messages once and in order', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  await anna.openChatWith(ben);
  await anna.write('before');
  await anna.sees('before');
  await ben.openConversation(anna.name);
  await ben.sees('before');

  const here = anna.page.locator('.convo .title p');
  await expect(here).toHaveText('Online');
  const pane = anna.page.locator('.convo .pane');
  const before = await pane.boundingBox();
  await anna.page.context().setOffline(true);
  await expect(anna.page.getByText('Offline').first()).toBeVisible();
  expect(await pane.boundingBox(), 'what says it pushes no message up').toEqual(before);
  // Ben's presence is unknown while Anna is disconnected.
  await expect(here).toHaveText('');
  await anna.write('first');
  await anna.write('second');
  await anna.sees('second');
  await ben.write('while you were away');
  await anna.page.context().setOffline(false);

  await anna.sees('while you were away');
  await ben.sees('second');
  await expect(here).toHaveText('Online');
  const api = await apiOf(server, anna);
  const [conversation] = (await api.call('GET', '/r1/conversations')).items;
  const contents = (await api.eventLog(conversation.id))
    .filter(({ type }) => type === 'message.created')
    .map(({ payload }) => payload.message.content);
  expect(contents.filter((content) => content !== 'while you were away')).toEqual(['before', 'first', 'second']);
  expect(contents).toHaveLength(4);
});

test('keeps the list in place while disconnected', async ({ arrive }) => {
  const { page } = await arrive('Anna');
  const list = page.getByRole('navigation', { name: 'Conversations' });
  const said = page.getByText('Your messages will be sent when you’re back online.');
  await expect(page.getByRole('link', { name: 'Later' })).toBeVisible();
  await expect(list).toBeVisible();
  const { x, y, width } = await list.boundingBox();
  await page.context().setOffline(true);
  await expect(said).toBeVisible();
  expect(await list.boundingBox()).toMatchObject({ x, y, width });
  await page.context().setOffline(false);
  await expect(said).toHaveCount(0);
});

test('reconnects after a server restart', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  await anna.openChatWith(ben);
  await anna.write('before the crash');
  await anna.sees('before the crash');
  await server.restart();
  await anna.write('after the crash');
  await ben.openConversation(anna.name);
  await ben.sees('after the crash');
});

test('edits the last own message by arrow up', async ({ arrive }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  await anna.openChatWith(ben);
  await anna.write('a tpyo');
  await anna.sees('a tpyo');
  // A message can be edited once it has reached the server.
  await anna.sees(/^(Sent|Delivered)$/);
  await anna.composer.press('ArrowUp');
  await expect(anna.page.getByText('Editing message')).toBeVisible();
  const editor = anna.page.locator(':focus');
  await expect(editor).toHaveValue('a tpyo');
  await editor.fill('a typo');
  await editor.press('Enter');
  await anna.sees('a typo');
  await ben.openConversation(anna.name);
  await ben.sees('a typo');
  await ben.sees('edited');
});

test('scrolls a thousand messages to both ends', async ({ arrive, register, server }) => {
  const anna = await arrive('Anna');
  const ben = await register('Ben');
  await anna.openChatWith(ben);
  await anna.write('the very first');
  await anna.sees('the very first');
  const api = await apiOf(server, ben);
  const [conversation] = (await api.call('GET', '/r1/conversations')).items;
  for (let batch = 0; batch < 60; batch += 1) {
    await Promise.all(
      Array.from({ length: 25 }, (_, index) => api.send(conversation.id, `line ${batch * 25 + index}`))
    );
  }
  await api.send(conversation.id, 'the very last');
  await anna.page.reload();
  // The conversation opens at the unread marker.
  await anna.sees(/^line \d+$/);
  const toEnd = anna.page.getByRole('button', { name: /latest message|new message/ });
  if (await toEnd.isVisible()) await toEnd.click();
  await anna.sees('the very last');
  // Only the rows near the visible ones are rendered.
  expect(await anna.log.getByText(/^line \d+$/).count()).toBeLessThan(200);
  await anna.log.hover();
  const first = anna.log.getByText('the very first');
  await expect(async () => {
    await anna.page.mouse.wheel(0, -20_000);
    await expect(first).toBeVisible({ timeout: 250 });
  }).toPass({ timeout: 60_000 });
});
