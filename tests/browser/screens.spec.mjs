// All screens in both themes and sizes: axe finds no violations, and there are no errors. Pages on a desktop are in pages.spec.mjs as well.

import { apiOf, DESKTOP, expect, PHONE, test, Visitor } from './people.mjs';

const LOOKS = [
  { name: 'desktop, light', tag: '@long', options: { viewport: DESKTOP, colorScheme: 'light' } },
  { name: 'desktop, dark', tag: '@long', options: { viewport: DESKTOP, colorScheme: 'dark' } },
  { name: 'phone, light', tag: '@long', options: { ...PHONE, colorScheme: 'light' } },
  { name: 'phone, dark', options: { ...PHONE, colorScheme: 'dark' } }
];

const DOORS = [
  ['/forgot-password', 'Forgot your password?'],
  ['/reset-password?token=x', 'Choose a new password'],
  ['/reset-password', 'This link no longer works'],
  ['/verify-email?token=x', 'Verify your email'],
  ['/verify-email', 'This link no longer works'],
  ['/invite', 'This invitation is no longer valid'],
  ['/login?error=oauth_denied', 'Welcome back'],
  ['/login?challenge=x', 'Two-step verification']
];

for (const { name, tag = [], options } of LOOKS) {
  test(`signed-out screens are accessible (${name})`, { tag }, async ({ browser, server }) => {
    const context = await browser.newContext({ baseURL: server.url, ...options });
    const nobody = new Visitor(await context.newPage(), 'Nobody');
    await nobody.page.goto('/');
    await expect(nobody.page.getByLabel('Email')).toBeVisible();
    await nobody.expectFlawless('sign-in');
    await nobody.page
      .getByRole('link', { name: /create (an )?account|sign up/i })
      .first()
      .click();
    await expect(nobody.page.getByLabel('Display name')).toBeVisible();
    await nobody.expectFlawless('sign-up');
    for (const [path, heading] of DOORS) {
      await nobody.page.goto(path);
      await expect(nobody.page.getByRole('heading', { name: heading })).toBeVisible();
      await nobody.expectFlawless(path);
    }
    await context.close();
  });

  test(`signed-in screens are accessible (${name})`, { tag }, async ({ arrive, server }) => {
    const anna = await arrive('Anna', options);
    await anna.expectFlawless('the start');
    await anna.page.getByRole('button', { name: 'New conversation' }).first().click();
    await expect(anna.page.getByRole('dialog')).toBeVisible();
    await anna.expectFlawless('the picker');
    await anna.page.keyboard.press('Escape');
    await anna.openAssistant();
    await anna.expectFlawless('an empty conversation');
    await anna.write('Hello');
    await anna.sees('Hello there.');
    await anna.expectFlawless('a conversation');
    await anna.page.goto('/settings');
    await expect(anna.page.getByRole('heading').first()).toBeVisible();
    await anna.expectFlawless('the settings');
    const api = await apiOf(server, anna);
    const { id } = await api.call('POST', '/r1/workspaces', { name: 'A workspace with a rather long name for a tile' });
    await anna.page.goto(`/workspaces/${id}`);
    await expect(anna.page.getByRole('list', { name: 'Members' })).toBeVisible();
    await anna.expectFlawless('the settings of a workspace');
  });
}
