// Threads: live replies, following, solved state and drafts.

import { expect, PHONE, test } from './people.mjs';

/** Panel of the thread; on phones its page. */
const threadOf = (visitor) =>
  visitor.page.getByRole('complementary', { name: 'Thread' }).or(visitor.page.getByRole('main', { name: 'Thread' }));
const articleOf = (visitor, text) => visitor.page.getByRole('main').getByRole('article').filter({ hasText: text });

const said = (thread, text) => thread.getByRole('article').filter({ hasText: text });

async function replyTo(visitor, text) {
  const article = articleOf(visitor, text);
  await article.hover();
  await article.getByRole('button', { name: 'Reply in thread' }).click();
  await expect(threadOf(visitor)).toBeVisible();
}

async function say(visitor, text) {
  const composer = threadOf(visitor).getByRole('textbox', { name: 'Reply to thread' });
  await composer.fill(text);
  await composer.press('Enter');
}

test('replies in, follows and finds threads', { tag: '@gate' }, async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  await anna.openChatWith(ben);
  await anna.write('Where do we eat?');
  await ben.openConversation(anna.name);
  await ben.sees('Where do we eat?');

  // A reply in the panel is shown without a reload and counted at the message.
  await replyTo(ben, 'Where do we eat?');
  const bens = threadOf(ben);
  await expect(bens.getByText('No replies yet')).toBeVisible();
  await ben.expectFlawless('a thread without replies');
  await say(ben, 'At the harbour');
  await expect(bens.getByRole('article').filter({ hasText: 'At the harbour' })).toBeVisible();
  await expect(ben.log.getByText('At the harbour')).toHaveCount(0);
  const link = articleOf(anna, 'Where do we eat?').getByRole('button', { name: /1 reply/ });
  await expect(link).toBeVisible();
  // The author of the first message follows the thread.
  const entry = anna.page.getByRole('link', { name: /^Threads/ });
  await expect(entry).toHaveAccessibleName(/1/);
  await anna.expectFlawless('a message with a thread');
  await link.click();
  const annas = threadOf(anna);
  await expect(said(annas, 'At the harbour')).toBeVisible();
  await expect(entry).toHaveAccessibleName('Threads');
  await say(ben, 'Or on the hill');
  await expect(said(annas, 'Or on the hill')).toBeVisible();
  await expect(articleOf(anna, 'Where do we eat?').getByRole('button', { name: /2 replies/ })).toBeVisible();
  await anna.expectFlawless('a thread');

  // A reply is also sent to the conversation, with a link back.
  await annas.getByRole('checkbox', { name: `Also send to ${ben.name}` }).check();
  await say(anna, 'The hill it is');
  await expect(annas.getByText(`Also sent to ${ben.name}`)).toBeVisible();
  await ben.sees('The hill it is');
  await ben.page.keyboard.press('Escape');
  await expect(bens).toHaveCount(0);
  await articleOf(ben, 'The hill it is').getByRole('button', { name: 'In a thread' }).click();
  await expect(said(bens, 'Or on the hill')).toBeVisible();

  // Replies written offline are sent once.
  await ben.page.context().setOffline(true);
  await say(ben, 'Written in a tunnel');
  await expect(said(bens, 'Written in a tunnel')).toBeVisible();
  await say(anna, 'Meanwhile');
  await ben.page.context().setOffline(false);
  await expect(said(bens, 'Meanwhile')).toBeVisible();
  await expect(said(annas, 'Written in a tunnel')).toHaveCount(1);
  await expect(articleOf(ben, 'Where do we eat?').getByRole('button', { name: /5 replies/ })).toBeVisible();

  // A draft belongs to its thread.
  const draft = bens.getByRole('textbox', { name: 'Reply to thread' });
  await draft.fill('half a thought');
  await bens.getByRole('button', { name: 'Close thread' }).click();
  await expect(ben.composer).toHaveValue('');
  await articleOf(ben, 'Where do we eat?')
    .getByRole('button', { name: /5 replies/ })
    .click();
  await expect(draft).toHaveValue('half a thought');
  await draft.fill('');

  // The thread is marked as solved for both, and not followed any more.
  await annas.getByRole('button', { name: 'Mark as solved' }).click();
  await expect(bens.getByRole('button', { name: 'Mark as open' })).toBeVisible();
  await expect(articleOf(ben, 'Where do we eat?').getByText('Solved')).toBeVisible();
  await anna.page.getByRole('link', { name: /^Threads/ }).click();
  await expect(anna.page.getByRole('heading', { name: 'Threads', level: 1 })).toBeVisible();
  await expect(anna.page.getByText('No unread threads')).toBeVisible();
  await anna.expectFlawless('no unread threads');
  await anna.page.getByRole('button', { name: 'Solved' }).click();
  const row = anna.page.getByRole('main').getByRole('button', { name: /Where do we eat\?/ });
  await expect(row).toBeVisible();
  await anna.page.getByRole('main').getByRole('button', { name: 'Unread' }).click();
  // Replies in an open thread are marked read.
  await annas.getByRole('button', { name: 'Close thread' }).click();
  await say(ben, 'One more thing');
  await expect(row).toContainText('1');
  await anna.expectFlawless('an unread thread');
  await row.click();
  await expect(said(annas, 'One more thing')).toBeVisible();
  await anna.page.getByRole('button', { name: 'Following', exact: true }).click();
  await expect(row).toBeVisible();
  await annas.getByRole('button', { name: 'Unfollow thread' }).click();
  await expect(anna.page.getByText('No threads yet')).toBeVisible();
});

test('opens a thread as a page on phones', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna', PHONE), await arrive('Ben')];
  await ben.openChatWith(anna);
  await ben.write('A question');
  await replyTo(ben, 'A question');
  await say(ben, 'and something to it');
  await anna.openConversation(ben.name);
  await articleOf(anna, 'A question')
    .getByRole('button', { name: /1 reply/ })
    .click();
  await expect(said(threadOf(anna), 'and something to it')).toBeVisible();
  await say(anna, 'an answer');
  await expect(said(threadOf(ben), 'an answer')).toBeVisible();
  await anna.expectFlawless('a thread on a phone');
  await threadOf(anna).getByRole('button', { name: 'Close thread' }).click();
  await expect(anna.composer).toBeVisible();
});
