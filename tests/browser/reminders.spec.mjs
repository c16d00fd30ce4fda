// Reminders by the menu and by `/remind`, which appear on the page of notifications.

import { apiOf, DESKTOP, expect, PHONE, shoot, test } from './people.mjs';

const articleOf = (visitor, text) => visitor.log.getByRole('article').filter({ hasText: text });

test('reminds of a message', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben', { viewport: { ...DESKTOP, width: 1440 } })];
  await anna.openChatWith(ben);
  await anna.write('Pay the invoice by Friday');
  await ben.openConversation(anna.name);
  await ben.sees('Pay the invoice');

  // A reminder is set, listed with the saved messages, and cancelled.
  const article = articleOf(ben, 'Pay the invoice');
  await article.hover();
  await article.getByRole('button', { name: 'More actions' }).click();
  await ben.page.getByRole('menuitem', { name: 'Remind me', exact: true }).click();
  const dialog = ben.page.getByRole('dialog', { name: 'Remind me' });
  await dialog.getByLabel('Note (optional)').fill('Before noon');
  await dialog.getByRole('button', { name: 'Tomorrow morning' }).click();
  await ben.expectFlawless('choosing when to be reminded');
  await shoot(ben.page, 'remind-dialog-1440');
  await dialog.getByRole('button', { name: 'Set reminder' }).click();
  await expect(ben.page.getByText(/Reminder set for/)).toBeVisible();
  await ben.page.getByRole('button', { name: 'Details' }).click();
  await ben.page.getByRole('button', { name: 'Pinned and saved' }).click();
  const panel = ben.page.getByRole('complementary', {
    name: 'Pinned and saved'
  });
  await panel.getByRole('tab', { name: 'Reminders' }).click();
  const list = panel.getByRole('list', { name: 'Reminders' });
  await expect(list.getByText('Pay the invoice by Friday')).toBeVisible();
  await expect(list.getByText(/Before noon/)).toBeVisible();
  await ben.expectFlawless('reminders');
  await shoot(ben.page, 'reminders-1440');
  await list.getByRole('button', { name: 'Delete reminder' }).click();
  await expect(panel.getByText('No reminders')).toBeVisible();

  // The reminder is due.
  const bens = await apiOf(server, ben);
  const { items } = await bens.call('GET', '/r1/conversations');
  const { last_message } = items.find((chat) => chat.last_message?.content === 'Pay the invoice by Friday');
  const at = new Date(Date.now() + 1_500).toISOString();
  await bens.call('POST', `/r1/messages/${last_message.id}/reminders`, {
    at,
    note: 'Before noon'
  });
  await expect(ben.page.getByText('Reminder: Before noon')).toBeVisible();
  await ben.page.goto('/activity');
  const row = ben.page.getByRole('main').getByRole('listitem').filter({ hasText: 'Before noon' });
  await expect(row).toContainText('Reminder');
  await ben.expectFlawless('a reminder that is due');
  await shoot(ben.page, 'reminded-1440');
  await ben.page.setViewportSize(PHONE.viewport);
  await shoot(ben.page, 'reminded-390');
  await row.getByRole('link').click();
  await expect(articleOf(ben, 'Pay the invoice')).toHaveClass(/found/);
});

test('creates a reminder by /remind', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben', { viewport: { ...DESKTOP, width: 1440 } })];
  await anna.openChatWith(ben);
  await ben.openConversation(anna.name);
  const { page, composer } = ben;

  // The conversation has no message to be reminded of, so the command isn't offered.
  await composer.pressSequentially('/remi');
  await expect(page.getByRole('option', { name: '/remind' })).toHaveCount(0);
  await composer.fill('');
  await anna.write('The harbour master wants the plans');
  await ben.sees('The harbour master');

  await composer.pressSequentially('/remi');
  await expect(page.getByRole('listbox', { name: 'Commands' }).getByRole('option')).toHaveCount(1);
  await composer.press('Enter');
  await expect(composer).toHaveValue('/remind ');

  // If the time is unclear, the user is asked again, and the text stays.
  await composer.fill('/remind me someday to call the harbour master');
  await composer.press('Enter');
  await expect(page.getByText('Say when, such as “in 20 minutes”')).toBeVisible();
  await expect(composer).toHaveValue('/remind me someday to call the harbour master');
  await ben.expectFlawless('a reminder without a time');
  await shoot(page, 'remind-unclear-1440');
  await composer.fill('/remind me in 3 years to call the harbour master');
  await composer.press('Enter');
  await expect(page.getByText('Choose a time within the next year.')).toBeVisible();
  await expect(composer).toHaveValue('/remind me in 3 years to call the harbour master');
  await expect(articleOf(ben, 'call the harbour master')).toHaveCount(0);

  // If the time is clear, the reminder is confirmed, listed with its note, and cancelled.
  await composer.fill('/remind me tomorrow at 9 to call the harbour master');
  await composer.press('Enter');
  await expect(page.getByText(/Reminder set for .* 09:00/)).toBeVisible();
  await expect(composer).toHaveValue('');
  await shoot(page, 'remind-command-1440');
  await page.getByRole('button', { name: 'Details' }).click();
  await page.getByRole('button', { name: 'Pinned and saved' }).click();
  const panel = page.getByRole('complementary', { name: 'Pinned and saved' });
  await panel.getByRole('tab', { name: 'Reminders' }).click();
  const list = panel.getByRole('list', { name: 'Reminders' });
  await expect(list.getByRole('listitem')).toHaveCount(1);
  await expect(list.getByText('The harbour master wants the plans')).toBeVisible();
  await expect(list.getByText(/call the harbour master/)).toBeVisible();
  await expect(list.getByText(/09:00/)).toBeVisible();
  await ben.expectFlawless('a reminder asked for by /remind');
  await list.getByRole('button', { name: 'Delete reminder' }).click();
  await expect(panel.getByText('No reminders')).toBeVisible();
});
