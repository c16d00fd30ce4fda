// Custom status and presence.

import { expect, PHONE, test, Visitor } from './people.mjs';

for (const [size, options] of [
  ['wide', {}],
  ['phone', PHONE]
])
  test(`sets, shows and clears a custom status: ${size}`, async ({ arrive, register }) => {
    const [anna, ben] = [await register('Anna', options), await arrive('Ben')];
    await ben.openChatWith(anna);
    await ben.write('Are you there?');
    await ben.sees('Are you there?');
    const { page } = anna;
    const dialog = page.getByRole('dialog', { name: 'Your status' });

    await page.goto('/settings');
    await page.getByRole('button', { name: 'Set a status' }).click();
    await expect(dialog.getByLabel('What are you up to?')).toBeFocused();
    await anna.expectFlawless('the status');
    await dialog.getByRole('button', { name: 'In a meeting' }).click();
    await expect(dialog.getByLabel('What are you up to?')).toHaveValue('In a meeting');
    await expect(dialog.getByLabel('Clear after')).toHaveValue('hour');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(dialog).toHaveCount(0);
    await expect(page.getByRole('button', { name: 'In a meeting' })).toBeVisible();

    // Ben sees the status in the list, in the header and at the members.
    await expect(
      ben.page.getByRole('banner').or(ben.page.locator('header.bar')).getByText('📅 In a meeting').first()
    ).toBeVisible();
    await expect(ben.page.locator('.conv').getByTitle('In a meeting')).toBeVisible();
    await ben.page.getByRole('button', { name: 'Details' }).first().click();
    const panel = ben.page.getByRole('complementary', { name: 'Details' });
    await expect(panel.getByText('In a meeting')).toBeVisible();
    await ben.expectFlawless('the people with a status');

    // Another emoji is chosen from the full picker.
    await page.getByRole('button', { name: 'In a meeting' }).click();
    await dialog.getByRole('button', { name: 'Pick an emoji' }).click();
    await dialog.getByRole('searchbox').fill('palm tree');
    await dialog.getByRole('searchbox').press('Enter');
    await dialog.getByLabel('What are you up to?').fill('By the sea');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await expect(ben.page.locator('header.bar').getByText('🌴 By the sea').first()).toBeVisible();

    await page.getByRole('button', { name: 'By the sea' }).click();
    await dialog.getByRole('button', { name: 'Clear status' }).click();
    await expect(page.getByRole('button', { name: 'Set a status' })).toBeVisible();
    await expect(ben.page.getByText('By the sea')).toHaveCount(0);
  });

test('synchronises the chosen presence between devices', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const context = await browser.newContext({ baseURL: server.url });
  const elsewhere = new Visitor(await context.newPage(), 'Elsewhere');
  elsewhere.email = anna.email;
  await elsewhere.page.goto('/sign-in');
  await elsewhere.signIn();
  const self = ({ page }, status) => page.getByRole('button', { name: new RegExp(`You: .+, ${status}`) });
  const choose = async (visitor, before, status) => {
    await self(visitor, before).click();
    await visitor.page.getByRole('menuitemradio', { name: status }).click();
    for (const device of [anna, elsewhere]) await expect(self(device, status)).toBeVisible();
  };
  await choose(anna, 'Online', 'Do not disturb');
  await anna.page.reload();
  await choose(elsewhere, 'Do not disturb', 'Online');
  await context.close();
});
