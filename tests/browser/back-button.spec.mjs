// Back button on phones, also in landscape. It closes one layer at a time and then leaves the page.

import { apiOf, expect, PHONE, SIDEWAYS, test } from './people.mjs';

test('closes the top layer with Back before leaving the page', async ({ register, server }) => {
  const [anna, ben] = [await register('Anna', PHONE), await register('Ben')];
  const [annasApi, bensApi] = [await apiOf(server, anna), await apiOf(server, ben)];
  const id = await annasApi.openSingle(bensApi);
  const { page } = anna;
  const dialog = page.getByRole('dialog');
  await page.goto('/');

  // A dialog above the list.
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await expect(dialog).toBeVisible();
  await page.goBack();
  await expect(dialog).toHaveCount(0);
  await expect(page).toHaveURL(`${server.url}/`);

  // A layer that was closed by its own button leaves no entry that going back would have to pass.
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await expect(dialog).toHaveCount(0);
  await anna.openConversation(ben.name);
  await anna.write('A question');
  await anna.sees('A question');

  // A dialog above the side panel.
  const details = page.getByRole('heading', { name: 'Details' });
  await page.getByRole('button', { name: 'Details', exact: true }).click();
  await expect(details).toBeVisible();
  await page.keyboard.press('ControlOrMeta+k');
  await expect(dialog).toBeVisible();
  await page.goBack();
  await expect(dialog).toHaveCount(0);
  await expect(details).toBeVisible();
  await page.goBack();
  await expect(details).toHaveCount(0);
  await expect(anna.composer).toBeVisible();

  // A sheet with actions, and the dialog that it opens.
  const sheet = page.getByRole('dialog', { name: 'Message actions' });
  const devtools = await page.context().newCDPSession(page);
  const box = await page.getByRole('article').filter({ hasText: 'A question' }).boundingBox();
  const touchPoints = [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }];
  await devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints });
  await expect(sheet).toBeVisible();
  await devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  await sheet.getByRole('button', { name: 'Forward', exact: true }).tap();
  await expect(sheet).toHaveCount(0);
  await expect(dialog).toBeVisible();
  await page.goBack();
  await expect(dialog).toHaveCount(0);
  await expect(page).toHaveURL(`${server.url}/c/${id}`);

  // If no layer is open, the back button leaves the page.
  await page.goBack();
  await expect(page).toHaveURL(`${server.url}/`);
  await expect(page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  expect(anna.problems).toEqual([]);
});

test('shows one column on a phone in landscape', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna', SIDEWAYS), await arrive('Ben', { viewport: SIDEWAYS.viewport })];
  const id = await (await apiOf(server, anna)).openSingle(await apiOf(server, ben));
  const { page } = anna;
  const [list, panel, tabbar] = ['.app > .list', '.app > .panel', '.app > .tabbar'].map((part) => page.locator(part));

  // The list is as wide as the screen.
  await page.goto('/');
  await expect(page.getByRole('link', { name: ben.name }).first()).toBeVisible();
  await expect(tabbar).toBeVisible();
  await expect.poll(async () => (await list.boundingBox())?.width).toBe(SIDEWAYS.viewport.width);

  // A conversation is as wide too, and its messages and composer are visible.
  await anna.openConversation(ben.name);
  await expect(list).toBeHidden();
  await expect(tabbar).toBeHidden();
  await anna.write('Seen from the side');
  const message = page.getByRole('article').filter({ hasText: 'Seen from the side' });
  await expect(message).toBeInViewport();
  await expect(anna.composer).toBeInViewport();
  await anna.expectFlawless('a conversation on a phone that is held sideways');

  // The side panel is as wide too, and the back button closes it.
  await page.getByRole('button', { name: 'Details', exact: true }).click();
  await expect(page.getByRole('heading', { name: 'Details' })).toBeVisible();
  await expect.poll(async () => (await panel.boundingBox())?.width).toBe(SIDEWAYS.viewport.width);
  await expect(anna.composer).toBeHidden();
  await page.goBack();
  await expect(anna.composer).toBeVisible();

  // The sheet is higher than the screen, but all its actions can be reached.
  const devtools = await page.context().newCDPSession(page);
  const box = await message.boundingBox();
  const touchPoints = [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }];
  const sheet = page.getByRole('dialog', { name: 'Message actions' });
  await devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints });
  await expect(sheet).toBeVisible();
  await devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  for (const end of [sheet.getByRole('button').last(), sheet.getByRole('button').first()]) {
    await end.scrollIntoViewIfNeeded();
    await expect(end).toBeInViewport({ ratio: 0.9 });
  }
  await page.goBack();
  await expect(sheet).toHaveCount(0);
  await expect(page).toHaveURL(`${server.url}/c/${id}`);
  expect(anna.problems).toEqual([]);

  // A low window on a desktop keeps the columns side by side.
  await ben.openConversation(anna.name);
  for (const part of ['.app > .rail', '.app > .list']) await expect(ben.page.locator(part)).toBeVisible();
});
