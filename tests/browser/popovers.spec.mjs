// Popovers at their buttons, and quick reactions.
import { expect, PHONE, shoot, test } from './people.mjs';

/** Whether a popover is beside an element: at most a few pixels above or below it, and inside the window. */
async function expectBeside(popover, anchor) {
  await expect
    .poll(async () => {
      const [box, at] = [await popover.boundingBox(), await anchor.boundingBox()];
      const gap = Math.max(box.y - (at.y + at.height), at.y - (box.y + box.height));
      const { width, height } = popover.page().viewportSize();
      const isInside = box.x >= 0 && box.y >= 0 && box.x + box.width <= width && box.y + box.height <= height;
      return isInside && gap >= 0 && gap < 12;
    })
    .toBe(true);
}

test('opens emoji, people and models at their buttons', { tag: '@gate' }, async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  await anna.write('Dinner at eight?');
  const { page } = anna;
  const article = anna.log.getByRole('article').filter({ hasText: 'Dinner at eight?' });

  // A quick reaction is one click.
  await article.hover();
  const quick = article.getByRole('group', { name: 'Quick reactions' }).getByRole('button');
  await expect(quick).toHaveCount(6);
  await shoot(page, 'quick-reactions-1440');
  await quick.nth(3).click();
  const chip = article.getByRole('list', { name: 'Reactions' }).getByRole('button', { name: /^🎉 1/ });
  await expect(chip).toBeVisible();

  // The picker opens at its button, and the message stays visible and isn't dimmed.
  await article.hover();
  const react = article.getByRole('button', { name: 'React', exact: true });
  await react.click();
  const picker = page.getByRole('dialog', { name: 'Pick an emoji' });
  await expect(picker.getByRole('searchbox')).toBeFocused();
  await expectBeside(picker, react);
  await expect(page.locator('.overlay')).toHaveCount(0);
  await shoot(page, 'popover-emoji-1440');
  await anna.expectFlawless('the emoji at a message');
  // Escape returns the focus, and a click outside only closes.
  await page.keyboard.press('Escape');
  await expect(picker).toHaveCount(0);
  await expect(react).toBeFocused();
  await react.click();
  await expect(picker).toBeVisible();
  await react.click();
  await expect(picker).toHaveCount(0);
  await react.click();
  await expect(picker.getByRole('searchbox')).toBeFocused();
  await anna.composer.click();
  await expect(picker).toHaveCount(0);
  await expect(anna.composer).toBeFocused();

  // The card of a person opens at the name.
  const name = article.getByRole('button', { name: 'You', exact: true });
  await name.click();
  const card = page.getByRole('dialog', { name: anna.name });
  await expect(card.getByText('(You)')).toBeVisible();
  await expectBeside(card, name);
  await shoot(page, 'popover-person-1440');
  await page.keyboard.press('Escape');
  await expect(card).toHaveCount(0);

  // The list of models opens at the button that names the model.
  await anna.openAssistant();
  const button = page.getByRole('button', { name: /^Model: / });
  await button.click();
  const models = page.getByRole('dialog', { name: 'Choose a model' });
  await expect(models.getByRole('option').first()).toBeVisible();
  await expectBeside(models, button);
  await shoot(page, 'popover-models-1440');
  await anna.expectFlawless('the models at their button');
  await page.keyboard.press('Escape');
  await expect(models).toHaveCount(0);
  await expect(button).toBeFocused();
});

test('shows popovers as sheets on a phone, with quick reactions on top of the actions', async ({
  arrive,
  register
}) => {
  const [anna, ben] = [await arrive('Anna', PHONE), await register('Ben')];
  await anna.openChatWith(ben);
  await anna.write('Dinner at eight?');
  const { page } = anna;
  const article = anna.log.getByRole('article').filter({ hasText: 'Dinner at eight?' });
  const devtools = await page.context().newCDPSession(page);
  const sheet = page.getByRole('dialog', { name: 'Message actions' });
  const hold = async () => {
    const box = await article.getByText('Dinner at eight?').boundingBox();
    const point = { x: box.x + box.width / 2, y: box.y + box.height / 2 };
    await devtools.send('Input.dispatchTouchEvent', { type: 'touchStart', touchPoints: [point] });
    await expect(sheet).toBeVisible();
    await devtools.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] });
  };
  await hold();
  await expect(sheet.getByRole('group', { name: 'Quick reactions' }).getByRole('button')).toHaveCount(6);
  await shoot(page, 'quick-reactions-390');
  await anna.expectFlawless('the actions with quick reactions');
  await sheet.getByRole('button', { name: 'React with 👍' }).tap();
  await expect(sheet).toHaveCount(0);
  await expect(article.getByRole('list', { name: 'Reactions' }).getByRole('button', { name: /^👍 1/ })).toBeVisible();

  await hold();
  await sheet.getByRole('button', { name: 'React', exact: true }).tap();
  const picker = page.getByRole('dialog', { name: 'Pick an emoji' });
  await expect(picker.getByRole('group', { name: 'Recent' })).toBeVisible();
  await expect
    .poll(async () => {
      const { x, y, width, height } = await picker.boundingBox();
      return [x, width, Math.round(y + height)];
    })
    .toEqual([0, 390, 844]);
  await shoot(page, 'popover-emoji-390');
  await anna.expectFlawless('the emoji on a phone');
  await picker.getByRole('button', { name: 'Close', exact: true }).tap();
  await expect(picker).toHaveCount(0);

  // The newest message and the composer stay visible above the sheet.
  for (let count = 1; count <= 12; count += 1) await anna.write(`Line ${count}`);
  await anna.sees('Line 12');
  await page.getByRole('button', { name: 'Insert emoji' }).tap();
  const newest = anna.log.getByRole('article').last();
  await expect(newest).toContainText('Line 12');
  await expect
    .poll(async () => {
      const [sheet, message, field] = [
        await picker.boundingBox(),
        await newest.boundingBox(),
        await anna.composer.boundingBox()
      ];
      return message.y > 56 && message.y + message.height <= field.y && field.y + field.height <= sheet.y;
    })
    .toBe(true);
  await shoot(page, 'popover-emoji-composer-390');
  await picker.getByRole('button', { name: 'Close', exact: true }).tap();
  await expect.poll(async () => (await anna.composer.boundingBox()).y).toBeGreaterThan(700);
});

test('returns the focus from a thread to its message', async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  await anna.write('Dinner at eight?');
  const { page } = anna;
  const article = anna.log.getByRole('article').filter({ hasText: 'Dinner at eight?' });
  await anna.composer.focus();
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('End');
  await expect(article).toBeFocused();
  await page.keyboard.press('t');
  const thread = page.getByRole('complementary', { name: 'Thread' });
  const composer = thread.getByRole('textbox', { name: 'Reply to thread' });
  await expect(composer).toBeFocused();
  await composer.fill('At nine');
  await composer.press('Enter');
  await expect(thread.getByRole('article').filter({ hasText: 'At nine' })).toBeVisible();
  await thread.getByRole('article').filter({ hasText: 'At nine' }).hover();
  await shoot(page, 'thread-1440');
  await composer.focus();
  await page.keyboard.press('Escape');
  await expect(thread).toHaveCount(0);
  await expect(article).toBeFocused();
});
