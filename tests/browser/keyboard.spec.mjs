// Use by keyboard: visible focus, focus traps and restored focus.

import { choose, press, tabTo } from './keys.mjs';
import { apiOf, DESKTOP, expect, PASSWORD, test, Visitor } from './people.mjs';

/** Checks that the Tab key stays inside the dialog. */
async function expectTrap(page, dialog) {
  await expect(dialog).toBeVisible();
  const isInside = () => dialog.evaluate((element) => element.contains(document.activeElement));
  await expect.poll(isInside).toBe(true);
  for (let step = 0; step < 15; step += 1) {
    await page.keyboard.press(step < 10 ? 'Tab' : 'Shift+Tab');
    expect(await isInside()).toBe(true);
  }
}

/** Opens a dialog by its button and closes it, and checks that the button has the focus again. */
async function openAndLeave(page, button, dialog) {
  await press(page, button);
  await expectTrap(page, dialog);
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(button).toBeFocused();
}

test('signs in and opens workspace settings by keyboard', async ({ arrive, browser, server }) => {
  const someone = await arrive('Anna');
  const api = await apiOf(server, someone);
  await api.call('POST', '/r1/workspaces', { name: 'Harbour' });

  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const anna = new Visitor(await context.newPage(), 'Anna');
  const { page } = anna;
  const region = (name) => page.getByRole('region', { name, exact: true });
  await page.goto('/sign-in');
  await tabTo(page, page.getByLabel('Email'));
  await page.keyboard.type(someone.email);
  await tabTo(page, page.getByLabel('Password', { exact: true }));
  await page.keyboard.type(PASSWORD);
  await page.keyboard.press('Enter');

  const self = page.getByRole('button', { name: new RegExp(`^You: ${someone.name}`) });
  await expect(self).toBeVisible();
  await press(page, self);
  await expect(page.getByRole('menu')).toBeVisible();
  // The second key is pressed before the menu has the focus.
  await self.dispatchEvent('keydown', { key: 'ArrowDown' });
  await expect(page.getByRole('menu')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(self).toBeFocused();
  await page.keyboard.press('Enter');
  await choose(page, 'Settings');
  await expect(page.getByRole('heading', { name: 'Profile' })).toBeVisible();

  const devices = region('Devices');
  await expect(devices.getByRole('listitem')).toHaveCount(3);
  await openAndLeave(page, devices.getByRole('button', { name: 'Sign out all others' }), page.getByRole('alertdialog'));
  await page.keyboard.press('Enter');
  await page.getByRole('alertdialog').waitFor();
  await press(page, page.getByRole('alertdialog').getByRole('button', { name: 'Sign out all others' }));
  await expect(devices.getByRole('listitem')).toHaveCount(1);

  const keys = region('API keys');
  const add = keys.getByRole('button', { name: 'New API key' });
  const dialog = page.getByRole('dialog');
  await openAndLeave(page, add, dialog);
  await page.keyboard.press('Enter');
  await tabTo(page, dialog.getByLabel('Name'));
  await page.keyboard.type('nightly');
  await page.keyboard.press('Enter');
  await expect(keys.getByText('nightly is ready')).toBeVisible();
  await expect(add).toBeFocused();
  const actions = keys.getByRole('button', { name: 'Actions for nightly' });
  await press(page, actions);
  await choose(page, 'Revoke');
  await page.getByRole('alertdialog').waitFor();
  await press(page, page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }));
  await expect(actions).toHaveCount(0);
  // The row that had the focus was removed, and the focus stays nearby.
  await expect.poll(() => page.evaluate(() => document.activeElement === document.body)).toBe(false);

  await press(page, page.getByRole('link', { name: 'Chats' }).first());
  const where = page.getByRole('button', { name: /^Workspace:/ });
  await press(page, where);
  await expect(page.getByRole('menu')).toBeVisible();
  await choose(page, 'Harbour');
  await expect(page.getByRole('button', { name: 'Workspace: Harbour' })).toBeFocused();
  await page.keyboard.press('Enter');
  await choose(page, 'Workspace settings');
  await expect(page.getByRole('heading', { level: 1, name: 'Harbour' })).toBeVisible();
  await tabTo(page, page.getByLabel('Workspace name'));
  await page.keyboard.press('End');
  await page.keyboard.type(' of all');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('heading', { level: 1, name: 'Harbour of all' })).toBeVisible();
  await openAndLeave(page, region('Invitations').getByRole('button', { name: 'Invite', exact: true }), dialog);
  await openAndLeave(page, region('Leave or delete').getByRole('button', { name: 'Delete…' }), dialog);
  expect(anna.problems).toEqual([]);
  await context.close();
});
