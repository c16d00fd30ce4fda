// Directory of the members of a workspace, and their profiles.

import { Person } from '../clients/server.mjs';
import { apiOf, expect, PHONE, shoot, test } from './people.mjs';

for (const [size, options] of [
  ['wide', {}],
  ['phone', PHONE]
])
  test(`finds and messages people in the directory: ${size}`, async ({ register, server }) => {
    test.setTimeout(180_000);
    const [anna, ben] = [await register('Anna', options), await register('Ben')];
    for (let at = 0; at < 55; at += 1)
      await Person.signUp(server.url, `Somebody ${String(at).padStart(2, '0')} ${size}`);
    await ben.page.goto('/settings');
    await ben.page.getByRole('button', { name: 'Set a status' }).click();
    const status = ben.page.getByRole('dialog', { name: 'Your status' });
    await status.getByRole('button', { name: 'On holiday' }).click();
    await status.getByRole('button', { name: 'Save' }).click();
    await expect(status).toHaveCount(0);

    const { page } = anna;
    await page.goto('/people');
    await expect(page.getByRole('heading', { name: 'People', level: 1 })).toBeVisible();
    await expect(page.getByRole('main').getByRole('listitem').first()).toBeVisible();
    await anna.expectFlawless('the people');
    await page.getByRole('searchbox', { name: 'Search people' }).fill(ben.name);
    const row = page.getByRole('main').getByRole('button', { name: new RegExp(ben.name) });
    await expect(page.getByRole('main').getByRole('listitem')).toHaveCount(1);
    await expect(row).toContainText('On holiday');
    await row.click();
    const card = page.getByRole('dialog', { name: ben.name });
    await expect(card).toContainText('On holiday');
    await expect(card).toContainText('Online');
    await anna.expectFlawless('a profile');
    await page.keyboard.press('Escape');
    await expect(row).toBeFocused();

    await page.getByRole('searchbox', { name: 'Search people' }).fill('nobody by that name');
    await expect(page.getByText(/nobody by that name/)).toBeVisible();
    await page.getByRole('searchbox', { name: 'Search people' }).fill(ben.name);
    await row.click();
    await card.getByRole('button', { name: 'Send a message' }).click();
    await expect(anna.composer).toBeVisible();
    await anna.write('Have a good time!');
    await ben.page.goto('/');
    await ben.openConversation(anna.name);
    await ben.sees('Have a good time!');
  });

/** Account of a visitor as the server has it. */
async function accountOf({ page }) {
  const answer = await page.context().request.get('/r1/users/me');
  return (await answer.json()).data;
}

for (const [size, options] of [
  ['wide', {}],
  ['phone', PHONE]
])
  test(`shows local times unless they are hidden: ${size}`, async ({ arrive, register }) => {
    test.setTimeout(120_000);
    // Both time zones have no daylight saving time.
    const anna = await arrive('Anna', { ...options, timezoneId: 'Asia/Ho_Chi_Minh' });
    const ben = await register('Ben', { ...options, timezoneId: 'Asia/Dubai' });
    await expect.poll(async () => (await accountOf(anna)).timezone).toBe('Asia/Ho_Chi_Minh');

    await ben.page.goto('/people');
    await ben.page.getByRole('searchbox', { name: 'Search people' }).fill(anna.name);
    const row = ben.page.getByRole('main').getByRole('button', { name: new RegExp(anna.name) });
    const card = ben.page.getByRole('dialog', { name: anna.name });
    const openCard = async () => {
      await row.click();
      await expect(card.getByText(/^Joined/)).toBeVisible();
    };
    await expect(row).toContainText(/\d\d:\d\d local time/);
    await openCard();
    await expect(card).toContainText(/\d\d:\d\d local time \(3 h ahead of you\)/);
    await ben.expectFlawless('a profile with a local time');
    await shoot(ben.page, `local-time-card-${size}`);
    await ben.page.keyboard.press('Escape');

    // The chosen time zone stays; that of the device is only offered.
    await anna.page.goto('/settings');
    const profile = anna.page.getByRole('region', { name: 'Profile', exact: true });
    const zone = profile.getByRole('combobox', { name: 'Time zone' });
    await expect(zone).toHaveValue('Asia/Ho_Chi_Minh');
    await expect(profile.getByText(/another time zone/)).toHaveCount(0);
    await zone.selectOption('Africa/Abidjan');
    await expect(profile.getByText('This device is in another time zone: Ho Chi Minh.')).toBeVisible();
    await expect(zone).toHaveValue('Africa/Abidjan');
    await anna.expectFlawless('the time zone');
    await shoot(anna.page, `local-time-settings-${size}`);
    await anna.page.reload();
    await expect(zone).toHaveValue('Africa/Abidjan');
    const notifications = anna.page.getByRole('region', { name: 'Notifications', exact: true });
    await notifications.getByRole('switch', { name: 'Pause notifications at set hours' }).click();
    await expect(notifications.getByText('Africa/Abidjan')).toBeVisible();
    await openCard();
    await expect(card).toContainText('(4 h behind you)');
    await ben.page.keyboard.press('Escape');
    await profile.getByRole('button', { name: 'Use it' }).click();
    await expect(zone).toHaveValue('Asia/Ho_Chi_Minh');
    await expect(profile.getByText(/another time zone/)).toHaveCount(0);

    const shown = profile.getByRole('switch', { name: 'Show my local time' });
    await expect(shown).toBeChecked();
    await shown.click();
    await expect(shown).not.toBeChecked();
    await expect.poll(async () => (await accountOf(anna)).show_timezone).toBe(false);
    await openCard();
    await expect(card).not.toContainText('local time');
    await ben.page.reload();
    await ben.page.getByRole('searchbox', { name: 'Search people' }).fill(anna.name);
    await expect(ben.page.getByRole('main').getByRole('listitem')).toHaveCount(1);
    await expect(row).not.toContainText('local time');
  });

test('updates a local time while it is visible', async ({ arrive }) => {
  const anna = await arrive('Anna', { timezoneId: 'Asia/Dubai' });
  await expect.poll(async () => (await accountOf(anna)).timezone).toBe('Asia/Dubai');
  const ben = await arrive('Ben', { timezoneId: 'UTC' });
  await ben.page.clock.install({ time: new Date('2026-11-25T09:59:30Z') });
  await ben.page.goto('/people');
  await ben.page.getByRole('searchbox', { name: 'Search people' }).fill(anna.name);
  await ben.page
    .getByRole('main')
    .getByRole('button', { name: new RegExp(anna.name) })
    .click();
  const card = ben.page.getByRole('dialog', { name: anna.name });
  await expect(card).toContainText('13:59 local time (4 h ahead of you)');
  await ben.page.clock.runFor(30_000);
  await expect(card).toContainText('14:00 local time (4 h ahead of you)');
});

test('opens a profile from a message and from a mention', { tag: '@gate' }, async ({ arrive, register, server }) => {
  const [anna, ben, carla] = [await arrive('Anna'), await register('Ben'), await register('Carla')];
  const [hers, his, others] = [await apiOf(server, anna), await apiOf(server, ben), await apiOf(server, carla)];
  const group = await hers.openGroup('Harbour', his, others);
  await his.send(group, `Ask @${carla.name} about it`);
  const { page } = anna;
  await anna.openConversation('Harbour');
  const said = anna.log.getByRole('article').filter({ hasText: 'about it' });
  const card = (name) => page.getByRole('dialog', { name });

  // The profile opens by the name of the author.
  const author = said.getByRole('button', { name: ben.name });
  await author.click();
  await expect(card(ben.name)).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(card(ben.name)).toHaveCount(0);
  await expect(author).toBeFocused();
  // It opens by the avatar.
  await said.locator('.av').first().click();
  await expect(card(ben.name)).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(card(ben.name)).toHaveCount(0);
  // It opens by a mention, with the keyboard.
  const mention = said.getByRole('button', { name: `@${carla.name}` });
  await mention.focus();
  await page.keyboard.press('Enter');
  await expect(card(carla.name)).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(card(carla.name)).toHaveCount(0);
  await expect(mention).toBeFocused();
  // It opens by a keyboard shortcut on the message.
  await said.focus();
  await page.keyboard.press('p');
  await expect(card(ben.name)).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(said).toBeFocused();
  await anna.expectFlawless('messages whose authors can be looked at');
});

test('applies a rename from another device to open lists', async ({ register, server }) => {
  const anna = await register('Anna');
  const { page } = anna;
  await page.goto('/people');
  await page.getByRole('searchbox', { name: 'Search people' }).fill(anna.name);
  const own = page.getByRole('main').getByRole('button', { name: /\(You\)/ });
  await expect(own).toContainText(anna.name);
  const api = await apiOf(server, anna);
  // An event delivers the change, so the test waits for it.
  await expect(async () => {
    await api.call('PATCH', '/r1/users/me', { display_name: `${anna.name} Voss` });
    await expect(own).toContainText(`${anna.name} Voss`, { timeout: 2_000 });
  }).toPass();
});
