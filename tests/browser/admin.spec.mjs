// Console: bans, accessibility of its pages, failed requests, and no access for others than admins.

import { DESKTOP, expect, signInAsAdmin, test } from './people.mjs';

test(
  'bans a network, lifts the ban and records both in the audit log',
  { tag: '@gate' },
  async ({ browser, server }) => {
    const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
    const admin = await signInAsAdmin(context, server);
    const { page } = admin;
    await page.goto('/');
    await page.getByRole('link', { name: 'Admin' }).click();
    await page.getByRole('navigation', { name: 'Admin' }).getByRole('link', { name: 'Bans' }).click();
    await expect(page.getByText('No bans. The firewall')).toBeVisible();
    await page.getByRole('button', { name: 'Ban an IP address' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('IP address or range').fill('203.0.113');
    await dialog.getByRole('button', { name: 'Ban', exact: true }).click();
    await expect(dialog.getByText(/Enter an IP address or range/)).toBeVisible();
    await expect(dialog.getByText('Enter a reason.')).toBeVisible();
    await admin.expectFlawless('the form for a ban');
    await dialog.getByLabel('IP address or range').fill('203.0.113.0/24');
    await dialog.getByLabel('Duration').selectOption('7200');
    await dialog.getByLabel('Reason').fill('Keeps guessing passwords');
    await dialog.getByRole('button', { name: 'Ban', exact: true }).click();
    const row = page.getByRole('row').filter({ hasText: '203.0.113.0/24' });
    await expect(row).toContainText('Keeps guessing passwords');
    await expect(row).toContainText(server.admin.display_name);
    await expect(row).toContainText(/in (2 hours|1\d\d minutes)/);
    await admin.expectFlawless('the bans');
    await page.getByRole('combobox', { name: 'Filter by who set the ban' }).selectOption({ label: 'Firewall' });
    await expect(page).toHaveURL(/by=firewall/);
    await expect(page.getByText('No bans match.')).toBeVisible();
    await page.getByRole('combobox', { name: 'Filter by who set the ban' }).selectOption({ label: 'Admins' });
    await page.getByRole('searchbox', { name: 'IP address or reason' }).fill('guessing');
    await expect(page).toHaveURL(/q=guessing/);
    await expect(row).toBeVisible();
    await admin.expectFlawless('bans that were searched');
    await page.getByRole('searchbox', { name: 'IP address or reason' }).fill('');
    await row.getByRole('button', { name: /Lift/ }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Lift' }).click();
    await expect(row).toHaveCount(0);

    await page.getByRole('link', { name: 'Audit log' }).click();
    const rows = page.getByRole('row');
    const added = rows.filter({ hasText: 'IP address banned' });
    await expect(added).toContainText(server.admin.display_name);
    await added.getByRole('button').first().click();
    await expect(rows).toHaveCount(2);
    await expect(page.getByRole('combobox', { name: 'Filter by action' })).toHaveValue('admin.ban_added');
    await admin.expectFlawless('the audit log');
    await page.getByRole('combobox', { name: 'Filter by action' }).selectOption({ label: 'Ban lifted' });
    await expect(rows.filter({ hasText: 'Ban lifted' })).toHaveCount(1);
    await expect(rows).toHaveCount(2);
    await page.getByRole('button', { name: 'Clear filter' }).click();
    await expect(added).toBeVisible();
    await context.close();
  }
);

test('reports failed console requests and loads them on retry', async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  const lists = /\/r1\/admin\//;
  await page.route(lists, (route) => route.abort());
  await page.goto('/admin/audit-log');
  await expect(page.getByRole('heading', { name: 'Couldn’t load the audit log' })).toBeVisible();
  await page.unroute(lists);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('table')).toBeVisible();

  // The code of the page can't be loaded.
  await page.goto('/');
  await expect(page.getByRole('link', { name: 'Admin' })).toBeVisible();
  await page.route(/\/_app\//, (route) => route.abort());
  await page.getByRole('link', { name: 'Admin' }).click();
  await expect(page.getByRole('heading', { name: 'Couldn’t load this page' })).toBeVisible();
  await admin.expectFlawless('a page that can not be brought');
  await page.unroute(/\/_app\//);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await context.close();
});

test('denies the console to everyone but admins', async ({ arrive }) => {
  const anna = await arrive('Anna');
  const asked = [];
  anna.page.on('request', (request) => asked.push(new URL(request.url()).pathname));
  await anna.page.goto('/admin/bans');
  await expect(anna.page.getByRole('heading', { name: 'Page not found' })).toBeVisible();
  await expect(anna.page.getByRole('link', { name: 'Admin' })).toHaveCount(0);
  expect(asked.filter((path) => path.startsWith('/r1/admin'))).toEqual([]);
  await anna.expectFlawless('the console, for others');
});
