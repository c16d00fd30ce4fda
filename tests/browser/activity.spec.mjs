// Page of notifications, numbers of unread ones, and notification settings.

import { apiOf, DESKTOP, expect, PHONE, shoot, test } from './people.mjs';

test('lists notifications on the activity page and marks them read with their conversation', async ({
  arrive,
  server
}) => {
  const [anna, ben] = [await arrive('Anna', { viewport: { ...DESKTOP, width: 1440 } }), await arrive('Ben')];
  const entry = ben.page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /^Activity/ });
  await entry.click();
  await expect(ben.page.getByRole('heading', { name: 'Nothing yet' })).toBeVisible();
  await ben.expectFlawless('no activity');
  await shoot(ben.page, 'activity-empty-1280');

  await anna.openChatWith(ben);
  await anna.write('Dinner at **eight**?');
  const row = ben.page.getByRole('main').getByRole('listitem').filter({ hasText: anna.name });
  await expect(row).toContainText('sent you a message');
  await expect(row).toContainText('Dinner at eight?');
  await expect(entry).toHaveAccessibleName(/1 unread/);
  await anna.write('Or at nine?');
  await expect(row).toContainText('2 messages');
  await expect(row).toContainText('Or at nine?');
  await expect(row).toHaveCount(1);

  // Further kinds of notifications, for the screenshots.
  const [annas, bens] = [await apiOf(server, anna), await apiOf(server, ben)];
  const me = await bens.call('GET', '/r1/users/me');
  const channel = await annas.call('POST', '/r1/conversations', {
    kind: 'private_channel',
    title: `Launch ${Date.now()}`,
    member_ids: [me.id]
  });
  const send = (api, body) =>
    api.call('POST', `/r1/conversations/${channel.id}/messages`, {
      client_id: crypto.randomUUID(),
      ...body
    });
  await bens.call('PATCH', '/r1/notifications/settings', {
    keywords: ['invoice']
  });
  // Waits for the requests before the next step.
  const own = await send(bens, { content: 'Staging is green again.' });
  await send(annas, {
    content: `@${ben.name} can you confirm the EU queue?`,
    mentions: [{ kind: 'user', id: me.id }]
  });
  await send(annas, {
    content: 'The **invoice** for October is in the folder.'
  });
  await annas.call('PUT', `/r1/messages/${own.id}/reactions/${encodeURIComponent('🎉')}`, {});
  await send(annas, { content: 'Then we ship it.', thread_id: own.id });
  await expect(ben.page.getByText('wrote your keyword “invoice”')).toBeVisible();
  await expect(ben.page.getByText('mentioned you')).toBeVisible();
  await expect(ben.page.getByRole('main').getByText(/replied/)).toBeVisible();
  await expect(ben.page.getByRole('main').getByText(/reacted/)).toBeVisible();
  await ben.expectFlawless('activity');
  await ben.page.setViewportSize({ ...DESKTOP, width: 1440 });
  await shoot(ben.page, 'activity-1440');
  await ben.page.setViewportSize(PHONE.viewport);
  await ben.expectFlawless('activity on a phone');
  await shoot(ben.page, 'activity-390');
  await ben.page.setViewportSize(DESKTOP);

  // A filter is selected, and a click opens the message of a notification.
  await ben.page.getByRole('button', { name: 'Mentions', exact: true }).click();
  await expect(ben.page.getByRole('main').getByRole('listitem').filter({ hasText: 'mentioned you' })).toBeVisible();
  await expect(ben.page.getByText('wrote your keyword')).toHaveCount(0);
  await ben.page.getByRole('button', { name: 'Keywords', exact: true }).click();
  await expect(ben.page.getByText('wrote your keyword')).toBeVisible();
  await expect(ben.page.getByText('mentioned you')).toHaveCount(0);
  await ben.page.getByRole('button', { name: 'Exports', exact: true }).click();
  await expect(ben.page.getByRole('heading', { name: 'Nothing here' })).toBeVisible();
  await ben.page.getByRole('button', { name: 'Mentions', exact: true }).click();
  await ben.page.getByRole('link', { name: /mentioned you/ }).click();
  await expect(ben.page).toHaveURL(new RegExp(`/c/${channel.id}`));
  await ben.sees('can you confirm the EU queue?');

  // Messages of a visible conversation are marked read at once, so they leave no unread notification.
  await ben.openConversation(anna.name);
  await ben.sees('Or at nine?');
  await anna.write('Fine, at nine.');
  await ben.sees('Fine, at nine.');
  await ben.page
    .getByRole('navigation', { name: 'Main' })
    .getByRole('link', { name: /^Activity/ })
    .click();
  await ben.page.getByRole('button', { name: 'Unread', exact: true }).click();
  await expect(ben.page.getByRole('main').getByRole('listitem').filter({ hasText: 'at nine' })).toHaveCount(0);
  await ben.page.getByRole('button', { name: 'Mark all as read' }).click();
  await expect(entry).toHaveAccessibleName('Activity');

  // The request fails and is retried.
  await ben.page.route(/\/r1\/notifications\?/, (route) => route.abort());
  await ben.page.getByRole('button', { name: 'Reactions', exact: true }).click();
  await expect(ben.page.getByText('Couldn’t load your activity')).toBeVisible();
  await ben.expectFlawless('activity that could not be loaded');
  await shoot(ben.page, 'activity-failed-1280');
  await ben.page.unroute(/\/r1\/notifications\?/);
  await ben.page.getByRole('button', { name: 'Try again' }).click();
  await expect(ben.page.getByRole('main').getByText(/reacted/)).toBeVisible();
});

test('stores notification settings', async ({ register }) => {
  const anna = await register('Anna', { viewport: { ...DESKTOP, width: 1440 } });
  const { page } = anna;
  await page.goto('/settings#notifications');
  const section = page.getByRole('region', { name: 'Notifications' });
  await expect(section.getByRole('radio', { name: /Mentions/ })).toBeChecked();
  await section.getByRole('radio', { name: /All messages/ }).click();
  const input = section.getByRole('textbox', { name: 'Add a keyword' });
  for (const word of ['invoice', 'hoá đơn']) {
    await input.fill(word);
    await input.press('Enter');
    await expect(section.getByRole('button', { name: `Remove ${word}` })).toBeVisible();
  }
  await input.fill('!!!');
  await input.press('Enter');
  await expect(section.getByRole('alert')).toContainText('at least one letter');
  await input.fill('');
  await section.getByRole('switch', { name: 'Pause notifications at set hours' }).click();
  await section.getByRole('button', { name: 'Sunday' }).click();
  await section.getByLabel('From', { exact: true }).selectOption('22:00');
  await section.getByLabel('Do not disturb').selectOption({ label: 'For 30 minutes' });
  await expect(section.getByLabel('Do not disturb')).toContainText(/Ends in/);
  await section.getByLabel('By email').selectOption({ label: 'After 30 minutes' });
  await section.getByRole('switch', { name: 'Show the message text' }).click();
  await anna.expectFlawless('notification settings');
  await section.scrollIntoViewIfNeeded();
  await shoot(page, 'notification-settings-1440');
  await page.setViewportSize(PHONE.viewport);
  await anna.expectFlawless('notification settings on a phone');
  await shoot(page, 'notification-settings-390');

  await page.reload();
  await expect(section.getByRole('radio', { name: /All messages/ })).toBeChecked();
  await expect(section.getByRole('button', { name: 'Remove hoá đơn' })).toBeVisible();
  await expect(section.getByRole('button', { name: 'Sunday' })).toHaveAttribute('aria-pressed', 'false');
  await expect(section.getByLabel('From', { exact: true })).toHaveValue('22:00');
  await expect(section.getByLabel('By email')).toHaveValue('30');
  await expect(section.getByRole('switch', { name: 'Show the message text' })).not.toBeChecked();
});

test('lists conversations with their own notification level and resets them', async ({ register, server }) => {
  const anna = await register('Anna', { viewport: { ...DESKTOP, width: 1440 } });
  const { page } = anna;
  const api = await apiOf(server, anna);
  const title = `Harvest ${Date.now()}`;
  const channel = await api.call('POST', '/r1/conversations', {
    kind: 'private_channel',
    title
  });
  await page.goto('/settings#notifications');
  const section = page.getByRole('region', { name: 'Notifications' });
  await expect(section.getByRole('radio', { name: /Mentions/ })).toBeVisible();
  await expect(section.getByRole('heading', { name: 'Exceptions' })).toHaveCount(0);

  // If the settings of a conversation are changed elsewhere, the list is updated.
  const own = `/r1/conversations/${channel.id}/own`;
  await api.call('PATCH', own, {
    notify: 'all',
    muted_until: '9999-12-31T00:00:00.000Z'
  });
  const row = section.getByRole('list', { name: 'Exceptions' }).getByRole('listitem').filter({ hasText: title });
  const level = row.getByRole('combobox', { name: `Notify me in ${title}` });
  await expect(level).toHaveValue('all');
  await expect(row).toContainText('Muted');
  await anna.expectFlawless('exceptions');
  await shoot(page, 'notification-exceptions-1440');
  await page.setViewportSize(PHONE.viewport);
  await anna.expectFlawless('exceptions on a phone');
  await shoot(page, 'notification-exceptions-390');

  await row.getByRole('button', { name: `Unmute ${title}` }).click();
  await expect(row).not.toContainText('Muted');
  await level.selectOption('none');
  await expect(level).toHaveValue('none');
  // A conversation that is no exception any more stays in the list until the page is left.
  await level.selectOption('usual');
  await expect(level).toHaveValue('usual');
  const chosen = async () => (await api.call('GET', `/r1/conversations/${channel.id}`)).own;
  await expect.poll(chosen).toMatchObject({ notify: 'mentions', notify_chosen: false });
  await page.reload();
  await expect(section.getByRole('radio', { name: /Mentions/ })).toBeVisible();
  await expect(row).toHaveCount(0);
});
