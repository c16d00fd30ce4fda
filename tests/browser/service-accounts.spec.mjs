// Service accounts in the console: their keys, disabling, and usage.

import { DESKTOP, expect, PHONE, shoot, signInAsAdmin, test } from './people.mjs';

test('creates a service account with a key, disables and deletes it', { tag: '@gate' }, async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/service-accounts');
  await expect(page.getByText('No service accounts yet.')).toBeVisible();
  await admin.expectFlawless('no service accounts');
  await page.getByRole('button', { name: 'New service account' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Create service account' }).click();
  await expect(dialog.getByRole('textbox', { name: 'Name' })).toBeFocused();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('Nightly report');
  await dialog.getByRole('textbox', { name: 'Description' }).fill('Sums up the day');
  await admin.expectFlawless('the form for a service account');
  await shoot(page, 'service-account-new-1440');
  await dialog.getByRole('button', { name: 'Create service account' }).click();

  await expect(page.getByRole('heading', { level: 1, name: 'Nightly report' })).toBeVisible();
  await page.getByRole('button', { name: 'New API key' }).click();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('cron');
  await dialog.getByRole('button', { name: 'Create key' }).click();
  await expect(page.getByText(/^nk_.{43}$/)).toBeVisible();
  await admin.expectFlawless('a service account with a new key');
  await shoot(page, 'service-account-1440');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('a service account on a phone');
  await shoot(page, 'service-account-390');
  await page.setViewportSize(DESKTOP);

  await page.getByRole('button', { name: 'Disable' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Disable' }).click();
  await expect(page.getByText('This service account is disabled.')).toBeVisible();
  await page.locator('#main').getByRole('link', { name: 'Usage' }).click();
  await expect(page.getByText('Only the usage of Nightly report.')).toBeVisible();
  await page.goBack();
  await page.getByRole('link', { name: 'Service accounts' }).first().click();
  const row = page.getByRole('row').filter({ hasText: 'Nightly report' });
  await expect(row).toContainText('Disabled');
  await admin.expectFlawless('the service accounts');
  await shoot(page, 'service-accounts-1440');
  await row.getByRole('button', { name: /Nightly report/ }).press('Enter');
  await page.getByRole('button', { name: 'Delete' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete' }).click();
  await expect(page.getByText('No service accounts yet.')).toBeVisible();
  await context.close();
});
