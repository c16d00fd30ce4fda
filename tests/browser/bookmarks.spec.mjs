// Pinned, saved, forwarded and linked messages.

import { apiOf, expect, test } from './people.mjs';

const articleOf = (visitor, text) => visitor.log.getByRole('article').filter({ hasText: text });

async function more(visitor, text, action) {
  const article = articleOf(visitor, text);
  await article.hover();
  await article.getByRole('button', { name: 'More actions' }).click();
  await visitor.page.getByRole('menuitem', { name: action, exact: true }).click();
}

test('pins, saves, forwards and links messages', async ({ arrive, server }) => {
  const [anna, ben, carl] = [await arrive('Anna'), await arrive('Ben'), await arrive('Carl')];
  await anna.openChatWith(ben);
  await anna.write('The door code is 4711');
  await ben.openConversation(anna.name);
  await ben.sees('The door code is 4711');

  // A message is pinned for both, listed in the panel and unpinned.
  await more(ben, 'The door code', 'Pin');
  await expect(articleOf(anna, 'The door code').getByText('Pinned')).toBeVisible();
  await more(ben, 'The door code', 'Save for later');
  await expect(ben.page.getByText('Saved for later')).toBeVisible();
  await ben.page.getByRole('button', { name: 'Details' }).click();
  await ben.page.getByRole('button', { name: 'Pinned and saved' }).click();
  const panel = ben.page.getByRole('complementary', { name: 'Pinned and saved' });
  await expect(panel.getByRole('list', { name: 'Pinned' }).getByText('The door code is 4711')).toBeVisible();
  await ben.expectFlawless('pinned messages');
  await panel.getByRole('tab', { name: 'Saved' }).click();
  await expect(panel.getByRole('list', { name: 'Saved' }).getByText('The door code is 4711')).toBeVisible();
  await panel.getByRole('tab', { name: 'Pinned' }).click();
  await panel.getByRole('button', { name: 'Unpin' }).click();
  await expect(panel.getByText('No pinned messages')).toBeVisible();
  await expect(articleOf(anna, 'The door code').getByText('Pinned')).toHaveCount(0);

  // The page of saved items lists messages, scheduled messages and reminders, and each opens its conversation.
  await ben.page.getByRole('link', { name: 'Later', exact: true }).click();
  await expect(ben.page.getByRole('heading', { name: 'Later', level: 1 })).toBeVisible();
  await ben.expectFlawless('saved messages');
  const kinds = ben.page.getByRole('group', { name: 'Which messages' });
  await kinds.getByRole('button', { name: 'Scheduled' }).click();
  await expect(ben.page).toHaveURL(/\/saved\?tab=scheduled$/);
  await expect(ben.page.getByText('No scheduled messages')).toBeVisible();
  await ben.expectFlawless('no scheduled messages');
  await ben.page.reload();
  await expect(ben.page.getByText('No scheduled messages')).toBeVisible();
  await kinds.getByRole('button', { name: 'Reminders' }).click();
  await expect(ben.page.getByText('No reminders')).toBeVisible();
  await ben.expectFlawless('no reminders');
  await kinds.getByRole('button', { name: 'Drafts' }).click();
  await expect(ben.page.getByText('No drafts')).toBeVisible();
  await ben.expectFlawless('no drafts');
  await kinds.getByRole('button', { name: 'Saved' }).click();
  await ben.page.getByRole('button', { name: /The door code/ }).click();
  await expect(articleOf(ben, 'The door code')).toHaveClass(/found/);

  // A forwarded message doesn't show its source to readers without access to it.
  await anna.openChatWith(carl);
  await anna.page.getByRole('link', { name: ben.name }).first().click();
  await anna.sees('The door code');
  await more(anna, 'The door code', 'Forward');
  const dialog = anna.page.getByRole('dialog', { name: 'Forward message' });
  await dialog.getByRole('searchbox').fill(carl.name);
  await dialog.getByRole('button', { name: carl.name }).click();
  await dialog.getByRole('textbox', { name: /Add a message/ }).fill('For tomorrow');
  await anna.expectFlawless('passing a message on');
  await dialog.getByRole('button', { name: 'Forward', exact: true }).click();
  await carl.openConversation(anna.name);
  await carl.sees('For tomorrow');
  await expect(carl.log.getByText(/You can’t see the forwarded message/)).toBeVisible();
  await anna.page.getByRole('link', { name: carl.name }).first().click();
  await expect(articleOf(anna, 'For tomorrow').getByText('The door code is 4711')).toBeVisible();
  await anna.expectFlawless('a message that was passed on');

  // Linked messages are shown below the link to readers with access, and the link opens in the app.
  const api = await apiOf(server, anna);
  const { items } = await api.call('GET', '/r1/conversations');
  const chat = items.find(({ last_message }) => last_message?.content === 'The door code is 4711');
  const link = `/c/${chat.id}/m/${chat.last_message.id}`;
  const address = new URL(link, anna.page.url()).href;
  await anna.write(`As I said: ${address}`);
  const linking = articleOf(anna, 'As I said');
  await expect(linking.getByText('The door code is 4711')).toBeVisible();
  await anna.expectFlawless('a message that links to another one');
  await expect(articleOf(carl, 'As I said')).toBeVisible();
  await expect(articleOf(carl, 'As I said').getByText('The door code')).toHaveCount(0);
  await linking.getByRole('link', { name: address }).click();
  await expect(anna.page).toHaveURL(new RegExp(`/c/${chat.id}$`));
  await expect(articleOf(anna, 'The door code').first()).toHaveClass(/found/);
  expect(anna.page.context().pages()).toHaveLength(1);

  // A link opens an old message with those around it, or says that the reader has no access.
  await ben.page.goto(link);
  await expect(articleOf(ben, 'The door code')).toHaveClass(/found/);
  await carl.page.goto(link);
  await expect(carl.page.getByRole('heading', { name: 'Message not found' })).toBeVisible();
  await carl.expectFlawless('a message that one can’t see');
});

test('lists drafts of conversations and threads', async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  await anna.write('Where do we eat?');
  const { page } = anna;
  const article = articleOf(anna, 'Where do we eat?');
  await article.hover();
  await article.getByRole('button', { name: 'Reply in thread' }).click();
  const thread = page.getByRole('complementary', { name: 'Thread' });
  const reply = thread.getByRole('textbox', { name: 'Reply to thread' });
  await reply.fill('At the harb');
  await anna.composer.fill('By the way');
  await thread.getByRole('button', { name: 'Close thread' }).click();
  await page.getByRole('link', { name: 'Later', exact: true }).click();
  await page.getByRole('group', { name: 'Which messages' }).getByRole('button', { name: 'Drafts' }).click();
  const drafts = page.getByRole('list', { name: 'Drafts' }).getByRole('listitem');
  await expect(drafts).toHaveText([/By the way/, /In a thread.*At the harb/s]);
  await anna.expectFlawless('drafts');
  // A draft is discarded, and that is undone.
  await drafts.first().getByRole('button', { name: 'Discard draft' }).click();
  await expect(drafts).toHaveCount(1);
  await page.getByRole('button', { name: 'Undo' }).last().click();
  await expect(drafts).toHaveCount(2);
  // Each draft opens its conversation.
  await drafts
    .last()
    .getByRole('button', { name: /At the harb/ })
    .click();
  await expect(reply).toHaveValue('At the harb');
  await expect(anna.composer).toHaveValue('By the way');
});
