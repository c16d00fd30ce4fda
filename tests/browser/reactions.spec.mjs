// Reactions: adding, live updates and removal.

import { expect, PHONE, test } from './people.mjs';

/** Opens the list of people who have reacted: by the menu, or by the sheet on phones. */
async function askWho({ page }, article, isPhone) {
  if (!isPhone) {
    await article.hover();
    await article.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Who reacted', exact: true }).click();
    return;
  }
  const devtools = await page.context().newCDPSession(page);
  const touch = (type, touchPoints) => devtools.send('Input.dispatchTouchEvent', { type, touchPoints });
  const box = await article.getByText('Dinner at eight?').boundingBox();
  await touch('touchStart', [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }]);
  const sheet = page.getByRole('dialog', { name: 'Message actions' });
  await expect(sheet).toBeVisible();
  await touch('touchEnd', []);
  await sheet.getByRole('button', { name: 'Who reacted', exact: true }).tap();
}

for (const [size, options] of [
  ['wide', {}],
  ['phone', PHONE]
])
  test(`adds and shows reactions: ${size}`, async ({ arrive }) => {
    const [anna, ben] = [await arrive('Anna', options), await arrive('Ben')];
    await anna.openChatWith(ben);
    await anna.write('Dinner at eight?');
    await ben.openConversation(anna.name);
    await ben.sees('Dinner at eight?');

    // A reaction is added by the menu, where the emoji is searched.
    const bens = ben.log.getByRole('article').filter({ hasText: 'Dinner at eight?' });
    await bens.hover();
    await bens.getByRole('button', { name: 'React', exact: true }).click();
    const picker = ben.page.getByRole('dialog', { name: 'Pick an emoji' });
    await expect(picker.getByRole('group', { name: 'Recent' })).toBeVisible();
    await ben.expectFlawless('the emoji');
    await picker.getByRole('group', { name: 'Emoji categories' }).getByRole('button', { name: 'Flags' }).click();
    await expect(picker.getByRole('group', { name: 'Flags', exact: true }).getByRole('button')).not.toHaveCount(0);
    await picker.getByRole('searchbox').fill('no such thing');
    await expect(picker.getByText('No emoji found.')).toBeVisible();
    await picker.getByRole('searchbox').fill('party pop');
    await picker.getByRole('searchbox').press('Enter');
    await expect(picker).toHaveCount(0);

    // Both see the reaction, and the user's own is highlighted.
    const annas = anna.log.getByRole('article').filter({ hasText: 'Dinner at eight?' });
    const chip = (article) => article.getByRole('list', { name: 'Reactions' }).getByRole('button', { name: /^🎉/ });
    await expect(chip(bens)).toHaveAttribute('aria-pressed', 'true');
    await expect(chip(annas)).toHaveAttribute('aria-pressed', 'false');
    await expect(chip(annas)).toHaveAccessibleName(`🎉 1: ${ben.name}`);
    await chip(annas).click();
    await expect(chip(bens)).toHaveAccessibleName(`🎉 2: You, ${anna.name}`);
    await expect(chip(annas)).toHaveAttribute('aria-pressed', 'true');
    await anna.expectFlawless('a message with reactions');

    // The people who have reacted are listed.
    await askWho(anna, annas, size === 'phone');
    const dialog = anna.page.getByRole('dialog', { name: 'Who reacted' });
    const party = dialog.getByRole('region', { name: '🎉 2' });
    await expect(party.getByRole('button', { name: ben.name })).toBeVisible();
    await expect(party.getByRole('button', { name: anna.name })).toContainText('(You)');
    await anna.expectFlawless('who reacted');
    await anna.page.keyboard.press('Escape');
    await expect(dialog).toHaveCount(0);

    // Another reaction is added by keyboard: the emoji that was used last.
    await annas.getByRole('button', { name: 'Add a reaction' }).click();
    const hers = anna.page.getByRole('dialog', { name: 'Pick an emoji' });
    await hers.getByRole('searchbox').press('Tab');
    await anna.page.keyboard.press('Tab');
    await anna.page.keyboard.press('ArrowRight');
    await anna.page.keyboard.press('Enter');
    await expect(annas.getByRole('list', { name: 'Reactions' }).getByRole('listitem')).toHaveCount(3);
    await chip(annas).click();
    await expect(chip(bens)).toHaveAccessibleName('🎉 1: You');
    await chip(bens).click();
    await expect(chip(annas)).toHaveCount(0);

    // The picker and the event use the same form of the emoji, so it is one reaction, which the same button removes.
    const thumb = (article) => article.getByRole('list', { name: 'Reactions' }).getByRole('button', { name: /^👍/ });
    await bens.getByRole('button', { name: 'Add a reaction' }).click();
    await picker.getByRole('searchbox').fill('thumbs up');
    await picker.getByRole('searchbox').press('Enter');
    await expect(thumb(annas)).toHaveAccessibleName(`👍 1: ${ben.name}`);
    await expect(thumb(bens)).toHaveAccessibleName('👍 1: You');
    await thumb(bens).click();
    await expect(thumb(annas)).toHaveCount(0);
    await expect(thumb(bens)).toHaveCount(0);

    // After a reload the reactions are the same.
    await ben.page.reload();
    await expect(bens.getByRole('list', { name: 'Reactions' }).getByRole('listitem')).toHaveCount(2);
    // Later events don't count a reaction again.
    const first = bens.getByRole('list', { name: 'Reactions' }).getByRole('button').first();
    await expect(first).toHaveAccessibleName(/ 1: /);
    await anna.write('Or at nine?');
    await ben.sees('Or at nine?');
    await expect(first).toHaveAccessibleName(/ 1: /);

    // A reaction is shown at once, and reverted if there is no connection.
    const [onItsWay, arrived] = [Promise.withResolvers(), Promise.withResolvers()];
    await ben.page.route(/\/reactions\//, async (route) => {
      onItsWay.resolve();
      await arrived.promise;
      await route.abort();
    });
    await first.click();
    await onItsWay.promise;
    await expect(first).toHaveAccessibleName(/ 2: You, /);
    await expect(first).toHaveAttribute('aria-pressed', 'true');
    arrived.resolve();
    await expect(first).toHaveAccessibleName(/ 1: /);
    await expect(first).toHaveAttribute('aria-pressed', 'false');
    await expect(
      ben.page
        .getByRole('alert')
        .or(ben.page.getByRole('status'))
        .filter({ hasText: /connection|offline|reach/i })
        .first()
    ).toBeVisible();
  });
