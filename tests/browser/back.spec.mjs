// Back on a phone: it closes what lies over the page, one at a time, and only then leaves it.

import { apiOf, expect, PHONE, test } from './people.mjs';

test('Back closes what is on top, and only then leaves the page', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna', PHONE), await arrive('Ben')];
  const [annasApi, bensApi] = [await apiOf(server, anna), await apiOf(server, ben)];
  const id = await annasApi.openSingle(bensApi);
  const { page } = anna;
  const dialog = page.getByRole('dialog');
  await page.goto('/');

  // A dialog over the list: the list stays.
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await expect(dialog).toBeVisible();
  await page.goBack();
  await expect(dialog).toHaveCount(0);
  await expect(page).toHaveURL(`${server.url}/`);

  // One that is closed by its own button, on the way to a conversation, costs no Back afterwards.
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await dialog.getByRole('button', { name: 'Close' }).click();
  await expect(dialog).toHaveCount(0);
  await anna.openConversation(ben.name);
  await anna.write('A question');
  await anna.sees('A question');

  // The side panel, and a dialog over it.
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

  // What can be done with a message, and the dialog that it leads to.
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

  // Nothing lies over it: Back leaves it.
  await page.goBack();
  await expect(page).toHaveURL(`${server.url}/`);
  await expect(page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  expect(anna.problems).toEqual([]);
});
