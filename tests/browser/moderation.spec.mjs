// Reports, hidden messages and warnings; slow mode and word filter.

import { apiOf, DESKTOP, expect, PHONE, signInAsAdmin, test } from './people.mjs';

/** Creates a channel in a workspace of these people, which the first of them owns. */
async function channelOf(server, title, ...visitors) {
  const apis = await Promise.all(visitors.map((visitor) => apiOf(server, visitor)));
  const { id: workspace_id } = await apis[0].call('POST', '/r1/workspaces', { name: 'Harbour' });
  const others = apis.slice(1).map(({ id }) => id);
  for (const user_id of others) await apis[0].call('POST', `/r1/workspaces/${workspace_id}/members`, { user_id });
  const kind = 'public_channel';
  const { id } = await apis[0].call('POST', '/r1/conversations', { kind, title, workspace_id, member_ids: others });
  for (const { page } of visitors) await page.goto(`/c/${id}`);
  return { id, apis };
}

const said = (visitor, text) => visitor.log.getByRole('article').filter({ hasText: text });

for (const [size, options] of [
  ['wide', {}],
  ['phone', PHONE]
])
  test(`reports and hides a message and warns its author: ${size}`, async ({ arrive, browser, server }) => {
    const [anna, ben] = [await arrive('Anna'), await arrive('Ben', options)];
    await channelOf(server, 'Launch week', anna, ben);
    await ben.write('You are all fools');
    await anna.sees('You are all fools');
    await said(anna, 'You are all fools').hover();
    await said(anna, 'You are all fools').getByRole('button', { name: 'More actions' }).click();
    await anna.page.getByRole('menuitem', { name: 'Report', exact: true }).click();
    const dialog = anna.page.getByRole('dialog', { name: 'Report this message' });
    await anna.expectFlawless('a report that is written');
    await dialog.getByLabel('Reason').selectOption({ label: 'Harassment or bullying' });
    await dialog.getByLabel('Anything to add? (optional)').fill('Not the first time.');
    await dialog.getByRole('button', { name: 'Send report' }).click();
    await expect(anna.page.getByText('Thank you. The admins will look at it.')).toBeVisible();

    const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP, ...options });
    const admin = await signInAsAdmin(context, server);
    const { page } = admin;
    await page.goto('/admin/reports?status=open');
    const row = page.getByRole('row').filter({ hasText: 'You are all fools' }).first();
    await expect(row).toContainText('Harassment or bullying');
    await admin.expectFlawless('the reports');
    await page.getByLabel('Filter by reason').selectOption({ label: 'Spam' });
    await expect(page).toHaveURL(/reason=spam/);
    await expect(row).toHaveCount(0);
    await page.getByLabel('Filter by reason').selectOption({ label: 'Any reason' });
    await row.getByRole('button', { name: 'You are all fools' }).focus();
    await page.keyboard.press('Enter');
    const report = page.getByRole('dialog', { name: 'Report', exact: true });
    await expect(report).toContainText(`Reported by ${anna.name}`);
    await expect(report).toContainText('Not the first time.');
    await expect(report.getByRole('link', { name: ben.name })).toHaveAttribute('href', /\/admin\/users\?id=/);
    await admin.expectFlawless('a report');
    await report.getByRole('button', { name: 'Assign to me' }).click();
    await expect(report.getByText('In review')).toBeVisible();
    await report.getByLabel('Warn the author').check();
    await report.getByLabel('Message to the author (optional)').fill('Please be kind.');
    await report.getByRole('button', { name: 'Apply and close' }).click();
    await expect(report).toContainText('message hidden, author warned');
    await admin.expectFlawless('a closed report');

    // The message is hidden for both without a reload.
    await expect(anna.log.getByText('Hidden by a moderator')).toBeVisible();
    await expect(said(anna, 'You are all fools')).toHaveCount(0);
    const warning = ben.page.getByRole('dialog', { name: 'A message from the moderators' });
    await expect(warning).toContainText('Please be kind.');
    await ben.expectFlawless('a warning');
    await ben.page.reload();
    await warning.getByRole('button', { name: 'I’ve read it' }).click();
    await expect(warning).toHaveCount(0);
    await expect(ben.log.getByText('A moderator has hidden your message from others')).toBeVisible();
    await ben.log.getByRole('button', { name: 'Show message' }).click();
    await expect(ben.log.getByText('You are all fools')).toBeVisible();
    await ben.expectFlawless('a hidden message of one’s own');
    await anna.expectFlawless('a hidden message');

    await report.getByRole('button', { name: 'Show the message again' }).click();
    await anna.sees('You are all fools');
    await report.getByRole('button', { name: 'Close', exact: true }).click();
    await expect(page).not.toHaveURL(/id=/);
    await page.route(/\/r1\/admin\/reports/, (route) => route.abort());
    await page.reload();
    await expect(page.getByRole('heading', { name: 'Couldn’t load the reports' })).toBeVisible();
    await context.close();
  });

for (const [size, options] of [
  ['wide', {}],
  ['phone', PHONE]
])
  test(`applies slow mode and the word filter: ${size}`, async ({ arrive, server }) => {
    const [anna, ben] = [await arrive('Anna'), await arrive('Ben', options)];
    const { id, apis } = await channelOf(server, 'Calm', anna, ben);
    await anna.page.getByRole('link', { name: 'Calm', exact: true }).first().click({ button: 'right' });
    await anna.page.getByRole('menuitem', { name: 'Channel settings' }).click();
    const settings = anna.page.getByRole('dialog', { name: 'Channel settings' });
    await settings.getByLabel('Slow mode').selectOption({ label: '30 seconds' });
    await settings.getByRole('button', { name: 'Save', exact: true }).click();
    await expect(anna.page.getByText('Saved')).toBeVisible();
    await settings.getByLabel('Unwanted words').fill('Darn\nheck it');
    await settings.getByLabel('Messages with one of these words').selectOption({ label: 'are sent with **** instead' });
    await settings.getByRole('button', { name: 'Save words' }).click();
    await expect(settings.getByLabel('Unwanted words')).toHaveValue('Darn\nheck it');
    await anna.expectFlawless('a channel’s settings');
    await expect
      .poll(() => apis[0].call('GET', `/r1/conversations/${id}/word_filter`))
      .toEqual({
        action: 'mask',
        words: ['Darn', 'heck it']
      });

    await ben.write('Oh därn, really');
    await anna.sees('Oh ****, really');
    await ben.sees('Oh ****, really');
    await expect(ben.page.getByText('Slow mode: one message every 30 seconds.')).toBeVisible();
    await expect(ben.page.getByRole('timer')).toContainText(/You can write again in \d+ s\./);
    await ben.page.getByRole('textbox', { name: 'Message' }).fill('Once more');
    await expect(ben.page.getByRole('button', { name: 'Send', exact: true })).toBeDisabled();
    await ben.expectFlawless('slow mode');
    await apis[0].call('PATCH', `/r1/conversations/${id}`, { slow_mode_seconds: 0 });
    await expect(ben.page.getByRole('timer')).toHaveCount(0);
    await ben.page.getByRole('button', { name: 'Send', exact: true }).click();
    await anna.sees('Once more');

    await apis[0].call('PUT', `/r1/conversations/${id}/word_filter`, { action: 'refuse', words: ['darn'] });
    await ben.page.getByRole('textbox', { name: 'Message' }).fill('DARN');
    await ben.page.keyboard.press('Enter');
    await expect(ben.log.getByText('Your message contains a word that isn’t allowed in this channel.')).toBeVisible();
  });
