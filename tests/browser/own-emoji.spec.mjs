// Custom emoji of a workspace.

import { apiOf, expect, PHONE, shoot, test } from './people.mjs';

/** Picture that is larger than an emoji. */
async function drawn(page) {
  const url = await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.width = 300;
    canvas.height = 300;
    const brush = canvas.getContext('2d');
    brush.fillStyle = '#e8590c';
    brush.beginPath();
    brush.arc(150, 160, 120, 0, 2 * Math.PI);
    brush.moveTo(40, 120);
    brush.lineTo(50, 10);
    brush.lineTo(130, 60);
    brush.moveTo(260, 120);
    brush.lineTo(250, 10);
    brush.lineTo(170, 60);
    brush.fill();
    brush.fillStyle = '#fff';
    brush.fillRect(95, 130, 30, 40);
    brush.fillRect(175, 130, 30, 40);
    return canvas.toDataURL('image/png');
  });
  return Buffer.from(url.split(',')[1], 'base64');
}

test('manages custom emoji of a workspace', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna', { viewport: { width: 1440, height: 900 } }), await arrive('Ben', PHONE)];
  await anna.openChatWith(ben);
  await anna.write('Shall we ship it?');
  await ben.openConversation(anna.name);
  await ben.sees('Shall we ship it?');
  const chat = anna.page.url();
  const name = `ship_cat_${Date.now()}`;
  const its = (page) => page.getByRole('img', { name: `:${name}:` });

  // The picker links to the settings of the workspace.
  const asked = anna.log.getByRole('article').filter({ hasText: 'Shall we ship it?' });
  await asked.hover();
  await asked.getByRole('button', { name: 'React', exact: true }).click();
  const picker = anna.page.getByRole('dialog', { name: 'Pick an emoji' });
  await picker.getByRole('link', { name: 'Add an emoji' }).click();
  const section = anna.page.getByRole('region', { name: 'Emoji' });
  await expect(section.getByText('No custom emoji yet')).toBeVisible();
  await section.getByRole('button', { name: 'Add an emoji' }).click();
  const dialog = anna.page.getByRole('dialog', { name: 'Add an emoji' });
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(dialog.getByRole('alert')).toContainText('Choose a picture first');
  const buffer = await drawn(anna.page);
  await dialog.locator('input[type=file]').setInputFiles({
    name: 'notes.png',
    mimeType: 'image/png',
    buffer: Buffer.from('no picture')
  });
  await expect(dialog.getByRole('alert')).toContainText('can’t be shown');
  await dialog.locator('input[type=file]').setInputFiles({ name: 'Ship Cat.png', mimeType: 'image/png', buffer });
  await expect(dialog.getByLabel('Name')).toHaveValue('ship_cat');
  await dialog.getByLabel('Name').fill('tada');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(dialog.getByText('everyone has')).toBeVisible();
  await dialog.getByLabel('Name').fill(name);
  await anna.expectFlawless('adding an emoji');
  await shoot(anna.page, 'emoji-add-1440');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await expect(section.getByRole('listitem').filter({ hasText: `:${name}:` })).toContainText(anna.name);
  await anna.expectFlawless('emoji of a workspace');
  await shoot(anna.page, 'emoji-settings-1440');

  // The emoji is used as a reaction, which the other person sees without a reload.
  await anna.page.goto(chat);
  await asked.hover();
  await asked.getByRole('button', { name: 'React', exact: true }).click();
  await expect(picker.getByRole('group', { name: 'Custom' })).toBeVisible();
  await picker.getByRole('searchbox').fill('ship_cat');
  await anna.expectFlawless('picking one');
  await shoot(anna.page, 'emoji-picker-1440');
  await picker.getByRole('searchbox').press('Enter');
  const bens = ben.log.getByRole('article').filter({ hasText: 'Shall we ship it?' });
  const chip = bens.getByRole('list', { name: 'Reactions' }).getByRole('button', { name: new RegExp(`^:${name}:`) });
  await expect(chip.locator('img')).toHaveJSProperty('complete', true);
  await expect(chip.locator('img')).not.toHaveJSProperty('naturalWidth', 0);
  await chip.click();
  await expect(chip).toHaveAttribute('aria-pressed', 'true');

  // The emoji is completed while typing, and shown in the text.
  await anna.composer.fill('We do :ship_ca');
  await expect(anna.page.getByRole('option', { name: `:${name}:` })).toBeVisible();
  await shoot(anna.page, 'emoji-completing-1440');
  await anna.composer.press('Enter');
  await expect(anna.composer).toHaveValue(`We do :${name}: `);
  await anna.composer.press('Enter');
  await expect(its(ben.log)).toBeVisible();
  await expect(its(ben.log)).not.toHaveJSProperty('naturalWidth', 0);
  // The emoji is sent as a quick reaction to the last message.
  await anna.composer.fill(`+:${name}`);
  await anna.composer.press('Enter');
  await expect(anna.composer).toHaveValue(`+:${name}: `);
  await anna.composer.press('Enter');
  await expect(anna.composer).toHaveValue('');
  await expect(
    ben.log
      .getByRole('article')
      .last()
      .getByRole('list', { name: 'Reactions' })
      .getByRole('button', { name: `:${name}:` })
  ).toBeVisible();
  await expect.poll(() => its(ben.log).evaluate(({ naturalHeight }) => naturalHeight)).toBeLessThanOrEqual(128);
  await ben.expectFlawless('messages with emoji');
  await shoot(ben.page, 'emoji-message-390');
  await shoot(anna.page, 'emoji-message-1440');

  // Emoji are large if the message contains only a few of them.
  await anna.write(`:${name}: 🎉`);
  const large = ben.log.locator('.jumbo').filter({ has: its(ben.page) });
  await expect(large).toHaveText('🎉');
  const heightOf = (image) => image.evaluate(({ height }) => height);
  expect(await heightOf(its(large))).toBeGreaterThan(1.5 * (await heightOf(its(ben.log).first())));
  await ben.expectFlawless('an emoji alone');
  await shoot(ben.page, 'emoji-alone-390');

  // The emoji was removed, and its name is shown instead.
  const api = await apiOf(server, anna);
  const { items } = await api.call('GET', '/r1/workspaces');
  const home = items.find(({ personal }) => !personal);
  await ben.page.goto(`/workspaces/${home.id}#emoji`);
  await expect(ben.page.getByRole('region', { name: 'Emoji' }).getByText(`:${name}:`)).toBeVisible();
  await ben.expectFlawless('emoji on a phone');
  await shoot(ben.page, 'emoji-settings-390');
  await expect(ben.page.getByRole('button', { name: `Remove :${name}:` })).toHaveCount(0);
  await anna.page.goto(`/workspaces/${home.id}#emoji`);
  await anna.page.getByRole('button', { name: `Remove :${name}:` }).click();
  await anna.page
    .getByRole('alertdialog')
    .or(anna.page.getByRole('dialog'))
    .getByRole('button', { name: 'Remove' })
    .click();
  await expect(section.getByText('No custom emoji yet')).toBeVisible();
  await anna.page.goto(chat);
  await expect(anna.log.getByText(`We do :${name}:`)).toBeVisible();
  await expect(its(anna.log)).toHaveCount(0);
  await expect(anna.log.locator('.jumbo')).toHaveCount(0);
});
