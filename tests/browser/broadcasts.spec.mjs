// Broadcasts: preview, delivery, dismissal and withdrawal.

import { apiOf, DESKTOP, expect, PHONE, shoot, signInAsAdmin, test } from './people.mjs';

/** Withdraws all broadcasts, so that the tests don't affect each other. */
test.afterEach(async ({ server }) => {
  const api = await apiOf(server, server.admin);
  for (const { id } of (await api.call('GET', '/r1/broadcasts?status=active')).items)
    await api.call('POST', `/r1/broadcasts/${id}/withdraw`, {});
});

test(
  'publishes an announcement until it is dismissed or withdrawn',
  { tag: '@gate' },
  async ({ arrive, browser, register, server }) => {
    const anna = await register('Anna');
    await anna.page.goto('/settings');
    const ben = await arrive('Ben', PHONE);
    const context = await browser.newContext({ baseURL: server.url, viewport: { ...DESKTOP, width: 1440 } });
    const admin = await signInAsAdmin(context, server);
    const { page } = admin;
    await page.goto('/admin/announcements');
    await expect(page.getByText('No announcements yet.')).toBeVisible();
    await admin.expectFlawless('no announcements');
    await page.getByRole('link', { name: 'New announcement' }).click();
    await expect(page).toHaveURL(/write=new/);
    await expect(page.getByText(/\d+ online now/)).toBeVisible();
    const send = page.getByRole('button', { name: /^Send to \d+ people$/ });
    await send.click();
    await expect(page.getByText('Enter a title')).toBeVisible();
    await page.getByRole('button', { name: 'Warning' }).click();
    await page.getByLabel('Title').fill('Short maintenance at 22:00');
    await page
      .getByLabel('Message', { exact: true })
      .fill('You can **keep writing**; see [the plan](https://example.org/plan).');
    const preview = page.getByRole('region', { name: 'Preview' });
    await expect(preview.getByText('keep writing')).toHaveCSS('font-weight', /[67]\d\d/);
    await expect(preview.getByRole('link', { name: 'the plan' })).toHaveAttribute('href', 'https://example.org/plan');
    // The form says that nobody is in the audience.
    await page.getByRole('button', { name: 'Certain people' }).click();
    await page.getByRole('button', { name: /^Send(?! me)/ }).click();
    await expect(page.getByText('Choose who gets it')).toBeVisible();
    await page.getByLabel('Admins').check();
    await expect(page.getByText('1 person', { exact: true })).toBeVisible();
    await admin.expectFlawless('an announcement that is written');
    await shoot(page, 'compose-1440');
    await page.setViewportSize(PHONE.viewport);
    await admin.expectFlawless('an announcement that is written on a phone');
    await shoot(page, 'compose-390');
    await page.setViewportSize({ ...DESKTOP, width: 1440 });
    await page.getByRole('button', { name: 'Everyone' }).click();
    await send.click();
    await expect(page.getByText('Announcement sent.')).toBeVisible();

    const row = page.getByRole('row').filter({ hasText: 'Short maintenance at 22:00' });
    await expect(row).toContainText('Running');
    for (const visitor of [anna, ben, admin]) {
      const banner = visitor.page.getByRole('status').filter({ hasText: 'Short maintenance at 22:00' });
      await expect(banner).toBeVisible();
      await expect(banner.getByRole('link', { name: 'the plan' })).toHaveAttribute('rel', /noopener/);
    }
    await anna.expectFlawless('an announcement above the settings');
    await ben.expectFlawless('an announcement on a phone');
    await shoot(anna.page, 'banner-1280');
    await shoot(ben.page, 'banner-390');
    // With the banner the page isn't higher than the screen.
    for (const visitor of [anna, ben]) {
      const fits = await visitor.page.evaluate(() => document.documentElement.scrollHeight <= window.innerHeight);
      expect(fits).toBe(true);
    }
    // The banner comes first in the tab order.
    await anna.page.goto('/');
    const away = anna.page.getByRole('button', { name: 'Dismiss “Short maintenance at 22:00”' });
    await expect(away).toBeVisible();
    await away.focus();
    await anna.page.keyboard.press('Enter');
    await expect(away).toHaveCount(0);
    await anna.page.reload();
    await expect(anna.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
    await expect
      .poll(async () => (await (await apiOf(server, anna)).call('GET', '/r1/broadcasts/active')).items.length)
      .toBe(0);
    await expect(away).toHaveCount(0);

    await page.reload();
    await expect(row).toContainText('Running');
    await admin.expectFlawless('announcements');
    await shoot(page, 'list-1440');
    await page.setViewportSize(PHONE.viewport);
    await admin.expectFlawless('announcements on a phone');
    await shoot(page, 'list-390');
    await page.setViewportSize({ ...DESKTOP, width: 1440 });
    await row.getByRole('link', { name: /^Edit/ }).click();
    await expect(page.getByText('Sending has started')).toBeVisible();
    await page.getByLabel('Title').fill('Maintenance at 23:00');
    await page.getByRole('button', { name: 'Save' }).click();
    await expect(ben.page.getByRole('status').filter({ hasText: 'Maintenance at 23:00' })).toBeVisible();
    await page.getByRole('button', { name: 'Withdraw “Maintenance at 23:00”' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Withdraw' }).click();
    await expect(page.getByRole('row').filter({ hasText: 'Maintenance at 23:00' })).toContainText('Withdrawn');
    await expect(ben.page.getByText('Maintenance at 23:00')).toHaveCount(0);

    // A broadcast that has ended can be read, and another one can start from it.
    await page.getByRole('link', { name: 'Maintenance at 23:00', exact: true }).click();
    const past = page.getByRole('region', { name: 'Maintenance at 23:00' });
    await expect(past.getByText('keep writing')).toBeVisible();
    await admin.expectFlawless('an announcement that is over');
    await shoot(page, 'past-1440');
    await page.setViewportSize(PHONE.viewport);
    await admin.expectFlawless('an announcement that is over, on a phone');
    await page.setViewportSize({ ...DESKTOP, width: 1440 });
    await past.getByRole('link', { name: 'Use again' }).click();
    await expect(page.getByRole('heading', { level: 1, name: 'New announcement' })).toBeVisible();
    await expect(page.getByLabel('Title')).toHaveValue('Maintenance at 23:00');
    await expect(page.getByRole('button', { name: 'Warning' })).toHaveAttribute('aria-pressed', 'true');
    await expect(page.getByRole('button', { name: /^Send to \d+ people$/ })).toBeVisible();
    await page.getByRole('link', { name: 'Cancel' }).click();
    await expect(page).toHaveURL(/announcements$/);

    // The search is in the URL.
    await page.getByLabel('Filter by state').selectOption({ label: 'Scheduled' });
    await expect(page).toHaveURL(/status=scheduled/);
    await expect(page.getByText('No announcements match.')).toBeVisible();
    await page.getByLabel('Filter by state').selectOption({ label: 'Any state' });
    await page.getByRole('searchbox', { name: 'Search announcements' }).fill('23:00');
    await expect(page).toHaveURL(/q=23/);
    await expect(page.getByRole('row')).toHaveCount(2);
    await page.route(/\/r1\/broadcasts\?/, (route) => route.abort());
    await page.reload();
    await expect(page.getByRole('heading', { name: 'Couldn’t load announcements' })).toBeVisible();
    await admin.expectFlawless('announcements that failed to load');
    await context.close();
  }
);

test('sends a test announcement to its author only', async ({ browser, register, server }) => {
  const ben = await register('Ben');
  const context = await browser.newContext({ baseURL: server.url, viewport: { ...DESKTOP, width: 1440 } });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/announcements?write=new');
  const attempt = page.getByRole('button', { name: 'Send me a test' });
  await attempt.click();
  await expect(page.getByText('Enter a title')).toBeVisible();
  await page.getByLabel('Title').fill('New menu in the canteen');
  await page.getByRole('checkbox', { name: /Email/ }).check();
  await attempt.click();
  await expect(page.getByText('Sent only to you.')).toBeVisible();
  await expect(page.getByRole('status').filter({ hasText: 'Test: New menu in the canteen' })).toBeVisible();
  // After the test the form keeps its content and still sends to everyone.
  await expect(page.getByLabel('Title')).toHaveValue('New menu in the canteen');
  await expect(page.getByRole('button', { name: /^Send to \d+ people$/ })).toBeEnabled();
  await expect
    .poll(() => server.mails.filter((mail) => JSON.stringify(mail).includes('New menu in the canteen')).length)
    .toBe(1);
  expect((await (await apiOf(server, ben)).call('GET', '/r1/broadcasts/active')).items).toEqual([]);
  await context.close();
});

test('shows critical announcements first and keeps others accessible', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const api = await apiOf(server, server.admin);
  const audience = { all: true };
  await api.call('POST', '/r1/broadcasts', { title: 'New voice messages', body: '', audience });
  const { id } = await api.call('POST', '/r1/broadcasts', {
    title: 'Sign in again',
    body: 'All sessions end at noon.',
    audience,
    severity: 'critical'
  });
  const { page } = anna;
  const alarm = page.getByRole('alert').filter({ hasText: 'Sign in again' });
  await expect(alarm).toBeVisible();
  await expect(alarm.getByRole('button')).toHaveCount(0);
  await expect(page.getByText('New voice messages')).toHaveCount(0);
  await page.getByRole('button', { name: '1 more announcement' }).click();
  await expect(page.getByText('New voice messages')).toBeVisible();
  await anna.expectFlawless('two announcements');
  await page.setViewportSize(PHONE.viewport);
  await anna.expectFlawless('two announcements on a phone');
  await shoot(page, 'two-390');
  // The broadcast is shown on other pages and at later visits, as long as it lasts.
  await page.goto('/notes');
  await expect(alarm).toBeVisible();
  await expect.poll(async () => (await api.call('GET', `/r1/broadcasts/${id}`)).seen).toBeGreaterThan(0);
  await api.call('PATCH', `/r1/broadcasts/${id}`, { ends_at: new Date(Date.now() + 2_500).toISOString() });
  await expect(alarm).toHaveCount(0);
});
