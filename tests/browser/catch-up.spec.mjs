// Summaries of unread messages, of one conversation and of all.

import { apiOf, expect, PHONE, shoot, test } from './people.mjs';

for (const [size, options] of [
  ['wide', { viewport: { width: 1440, height: 900 } }],
  ['phone', PHONE]
])
  test(`summarises missed messages: ${size}`, async ({ arrive, server, upstream }) => {
    const [anna, ben] = [await arrive('Anna', options), await arrive('Ben')];
    await anna.openChatWith(ben);
    const id = new URL(anna.page.url()).pathname.split('/').at(-1);
    await anna.page.goto('/activity');
    const button = anna.page.getByRole('button', { name: 'Catch me up' });
    await expect(anna.page.getByRole('heading', { name: 'Activity' })).toBeVisible();
    await expect(button).toHaveCount(0);

    const his = await apiOf(server, ben);
    for (let n = 1; n <= 12; n += 1)
      await his.send(id, n === 12 ? `${anna.name}, can you book the room by Friday?` : `Point ${n} of the plan`);

    // All unread messages are summarised from the page of notifications.
    upstream.next({
      words: ['**Ben** asks you to book the room by Friday.[12]\n\nThe plan has', ' eleven points.[1][11]']
    });
    await button.click();
    const told = anna.page.getByRole('region', { name: 'Summary of unread messages' });
    await expect(told).toContainText('book the room by Friday');
    await anna.expectFlawless('what was missed everywhere');
    await shoot(anna.page, `catch-up-activity-${size}`);
    await told.getByRole('button', { name: 'Dismiss answer' }).click();
    await expect(told).toHaveCount(0);

    // Those of one conversation are summarised from its unread marker.
    await anna.page.goto(`/c/${id}`);
    await expect(button).toBeVisible();
    const broken = {
      status: 503,
      contentType: 'application/json',
      body: '{"status":"error","code":"unavailable","message":"No."}'
    };
    await anna.page.route(/\/catch-up$/, (route) => route.fulfill(broken));
    await button.click();
    await expect(told).toContainText('Couldn’t write a summary');
    await anna.page.unroute(/\/catch-up$/);
    upstream.next({
      words: ['**Ben** asks you to book the room', ' by Friday.[12]']
    });
    await told.getByRole('button', { name: 'Try again' }).click();
    await expect(told).toContainText('book the room');
    await anna.expectFlawless('what was missed here');
    await shoot(anna.page, `catch-up-conversation-${size}`);

    // The summary is visible to no one else, and its citations open the messages.
    await ben.openConversation(anna.name);
    await ben.sees('can you book the room');
    await expect(ben.page.getByRole('region', { name: 'Summary of unread messages' })).toHaveCount(0);
    await told.getByRole('link', { name: /^Source 12/ }).click();
    await expect(anna.log.getByRole('article').filter({ hasText: 'can you book the room' })).toHaveClass(/found/);
  });
