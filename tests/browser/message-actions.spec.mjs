// Actions on messages by keyboard and touch.

import * as keys from './keys.mjs';
import { expect, PHONE, test } from './people.mjs';

const { choose } = keys;
const tabTo = (page, target) => keys.tabTo(page, target, { isLookedAt: false });
const press = (page, target) => keys.press(page, target, { isLookedAt: false });

const articleOf = (visitor, text) => visitor.log.getByRole('article').filter({ hasText: text });

test('performs message actions by keyboard', async ({ arrive }) => {
  const [anna, ben, carl] = [await arrive('Anna'), await arrive('Ben'), await arrive('Carl')];
  await carl.openChatWith(anna);
  await carl.write('Hello Anna');
  await ben.openChatWith(anna);
  await ben.write('Dinner at eight?');
  const { page } = anna;
  await anna.openConversation(ben.name);
  await anna.sees('Dinner at eight?');
  const article = articleOf(anna, 'Dinner at eight?');
  const goToLast = async (last) => {
    await anna.composer.focus();
    // This moves to the actions of the last message; if it has none, to the list.
    await page.keyboard.press('Shift+Tab');
    await page.keyboard.press('End');
    await expect(last).toBeFocused();
  };

  // The keys are listed in the dialog of shortcuts.
  await goToLast(article);
  await page.keyboard.press('?');
  const shortcuts = page.getByRole('dialog', { name: 'Keyboard shortcuts' });
  await expect(shortcuts.getByText('React, forward, save, remind me, mark as unread')).toBeVisible();
  await anna.expectFlawless('the shortcuts');
  await page.keyboard.press('Escape');
  await expect(shortcuts).toHaveCount(0);

  // Typing in the picker searches it.
  await goToLast(article);
  await page.keyboard.press('+');
  const picker = page.getByRole('dialog', { name: 'Pick an emoji' });
  await expect(picker.getByRole('searchbox')).toBeFocused();
  await page.keyboard.type('party pop');
  await page.keyboard.press('Enter');
  await expect(picker).toHaveCount(0);
  // Escape leads back from the actions to the message, and then to the composer.
  await goToLast(article);
  await page.keyboard.press('Tab');
  await expect(article.getByRole('list', { name: 'Reactions' }).getByRole('button').first()).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(article).toBeFocused();
  await page.keyboard.press('Escape');
  await expect(anna.composer).toBeFocused();
  const chip = articleOf(ben, 'Dinner at eight?')
    .getByRole('list', { name: 'Reactions' })
    .getByRole('button', { name: /^🎉/ });
  await expect(chip).toHaveAccessibleName(`🎉 1: ${anna.name}`);

  await goToLast(article);
  await page.keyboard.press('s');
  await expect(page.getByText('Saved for later')).toBeVisible();

  await goToLast(article);
  await page.keyboard.press('m');
  const reminding = page.getByRole('dialog', { name: 'Remind me' });
  await expect(reminding.getByLabel('Note (optional)')).toBeFocused();
  await page.keyboard.type('Book a table');
  await press(page, reminding.getByRole('button', { name: 'Set reminder' }));
  await expect(page.getByText(/Reminder set for/)).toBeVisible();

  await goToLast(article);
  await page.keyboard.press('t');
  const thread = page.getByRole('complementary', { name: 'Thread' });
  await expect(thread.getByRole('textbox', { name: 'Reply to thread' })).toBeFocused();
  await page.keyboard.type('Better at nine');
  await page.keyboard.press('Enter');
  await expect(articleOf(ben, 'Dinner at eight?').getByRole('button', { name: /1 reply/ })).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(thread).toHaveCount(0);

  await goToLast(article);
  await page.keyboard.press('f');
  const forwarding = page.getByRole('dialog', { name: 'Forward message' });
  await expect(forwarding.getByRole('searchbox')).toBeFocused();
  await page.keyboard.type(carl.name);
  await press(page, forwarding.getByRole('button', { name: carl.name }));
  await tabTo(page, forwarding.getByRole('textbox', { name: /Add a message/ }));
  await page.keyboard.type('Will you come?');
  await press(page, forwarding.getByRole('button', { name: 'Forward', exact: true }));
  await expect(forwarding).toHaveCount(0);
  await carl.sees('Will you come?');

  // Actions without a key are in the “More” menu.
  await goToLast(article);
  await press(page, article.getByRole('button', { name: 'More actions' }));
  await choose(page, 'Pin');
  await expect(articleOf(ben, 'Dinner at eight?').getByText('Pinned')).toBeVisible();

  // A poll is created by a command, and voted on at its message.
  await anna.composer.focus();
  await page.keyboard.insertText('/poll Where?');
  await page.keyboard.press('Enter');
  const asking = page.getByRole('dialog', { name: 'New poll' });
  await expect(asking.getByLabel('Question')).toHaveValue('Where?');
  await tabTo(page, asking.getByRole('textbox', { name: 'Option 1' }));
  await page.keyboard.type('Harbour');
  await page.keyboard.press('Enter');
  await expect(asking.getByRole('textbox', { name: 'Option 2' })).toBeFocused();
  await page.keyboard.type('Hill');
  await press(page, asking.getByRole('button', { name: 'Create poll' }));
  await expect(asking).toHaveCount(0);
  const poll = anna.log.getByRole('group', { name: 'Poll: Where?' });
  await expect(poll).toBeVisible();
  await goToLast(anna.log.getByRole('article').last());
  const options = ben.log.getByRole('group', { name: 'Poll: Where?' }).getByRole('listitem');
  await tabTo(page, poll.getByRole('radio', { name: /Harbour/ }));
  await page.keyboard.press('Space');
  await expect(options.filter({ hasText: 'Harbour' })).toContainText(anna.name);
  // The focus stays in the poll.
  await page.keyboard.press('ArrowDown');
  await expect(poll.getByRole('radio', { name: /Hill/ })).toBeFocused();
  await expect(options.filter({ hasText: 'Hill' })).toContainText(anna.name);
  await expect(options.filter({ hasText: 'Harbour' })).not.toContainText(anna.name);
  await press(page, poll.getByRole('button', { name: 'Close poll' }));
  await expect(ben.log.getByRole('group', { name: 'Poll: Where?' }).getByText('Closed')).toBeVisible();
  await expect(anna.log.getByRole('article').last()).toBeFocused();
  await anna.expectFlawless('a conversation after all that');
});

test('performs message actions by touch', async ({ arrive }) => {
  const [anna, ben, carl] = [await arrive('Anna', PHONE), await arrive('Ben'), await arrive('Carl')];
  await carl.openChatWith(anna);
  await carl.write('Hello Anna');
  await ben.openChatWith(anna);
  await ben.write('Dinner at eight?');
  const { page } = anna;
  await anna.openConversation(ben.name);
  await anna.sees('Dinner at eight?');
  const article = articleOf(anna, 'Dinner at eight?');
  const bens = articleOf(ben, 'Dinner at eight?');
  const devtools = await page.context().newCDPSession(page);
  const touch = (type, touchPoints) => devtools.send('Input.dispatchTouchEvent', { type, touchPoints });
  const sheet = page.getByRole('dialog', { name: 'Message actions' });
  /** Long-presses a message and taps an action of the sheet. */
  const hold = async (action) => {
    const words = article.getByText('Dinner at eight?');
    // Waits until the message doesn't move and no toast covers it.
    await words.tap({ trial: true });
    const box = await words.boundingBox();
    await touch('touchStart', [{ x: box.x + box.width / 2, y: box.y + box.height / 2 }]);
    await expect(sheet).toBeVisible();
    await touch('touchEnd', []);
    await sheet.getByRole('button', { name: action, exact: true }).tap();
    await expect(sheet).toHaveCount(0);
  };

  await hold('React');
  const picker = page.getByRole('dialog', { name: 'Pick an emoji' });
  const usual = picker.getByRole('group', { name: 'Recent' }).getByRole('button').first();
  await expect(usual).toBeVisible();
  await usual.tap();
  await expect(picker).toHaveCount(0);
  const chips = article.getByRole('list', { name: 'Reactions' }).getByRole('button', { name: / 1: / });
  await expect(chips).toHaveCount(1);
  await chips.first().tap();
  await expect(bens.getByRole('list', { name: 'Reactions' })).toHaveCount(0);

  await hold('Save for later');
  await expect(page.getByText('Saved for later')).toBeVisible();
  await hold('Pin');
  for (const one of [bens, article]) await expect(one.getByText('Pinned')).toBeVisible();

  await hold('Remind me');
  const reminding = page.getByRole('dialog', { name: 'Remind me' });
  await reminding.getByRole('button', { name: 'Tomorrow morning' }).tap();
  await anna.expectFlawless('choosing when to be reminded, on a phone');
  await reminding.getByRole('button', { name: 'Set reminder' }).tap();
  await expect(page.getByText(/Reminder set for/)).toBeVisible();

  await hold('Forward');
  const forwarding = page.getByRole('dialog', { name: 'Forward message' });
  await forwarding.getByRole('searchbox').fill(carl.name);
  await forwarding.getByRole('button', { name: carl.name }).tap();
  await forwarding.getByRole('textbox', { name: /Add a message/ }).fill('Will you come?');
  await anna.expectFlawless('passing a message on, on a phone');
  await forwarding.getByRole('button', { name: 'Forward', exact: true }).tap();
  await expect(forwarding).toHaveCount(0);
  await carl.sees('Will you come?');

  await page.goto('/');
  await anna.openConversation(ben.name);
  await anna.sees('Dinner at eight?');
  await hold('Reply in thread');
  const thread = page.getByRole('main', { name: 'Thread' });
  await thread.getByRole('textbox', { name: 'Reply to thread' }).fill('Better at nine');
  await thread.getByRole('textbox', { name: 'Reply to thread' }).press('Enter');
  await expect(bens.getByRole('button', { name: /1 reply/ })).toBeVisible();
  await thread.getByRole('button', { name: 'Close thread' }).tap();
  await expect(anna.composer).toBeVisible();

  await ben.write('/poll Where?');
  const asking = ben.page.getByRole('dialog', { name: 'New poll' });
  await asking.getByRole('textbox', { name: 'Option 1' }).fill('Harbour');
  await asking.getByRole('textbox', { name: 'Option 2' }).fill('Hill');
  await asking.getByRole('button', { name: 'Create poll' }).click();
  await anna.log.getByRole('group', { name: 'Poll: Where?' }).getByRole('radio', { name: /Hill/ }).tap();
  await expect(ben.log.getByRole('group', { name: 'Poll: Where?' }).getByText('1 vote')).toBeVisible();

  // The saved message is listed.
  await page.goto('/saved');
  await page.getByRole('button', { name: /Dinner at eight/ }).tap();
  await expect(articleOf(anna, 'Dinner at eight?')).toHaveClass(/found/);
  await anna.expectFlawless('a message that was kept, on a phone');
});

test('uses files, export and notes by keyboard', async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  const { page } = anna;
  const file = { name: 'agenda.md', mimeType: 'text/markdown', buffer: Buffer.from('# Agenda') };
  await page.locator('form input[type=file]').setInputFiles([file]);
  const tray = page.getByRole('list', { name: 'Attached files' });
  await expect(tray.getByText('agenda.md', { exact: true })).toBeVisible();
  await anna.write('For Monday');
  await expect(tray).toHaveCount(0);
  await expect(anna.log.getByRole('link', { name: /agenda\.md/ })).toBeVisible();
  const menu = page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' });

  // A file is opened in the panel, and its message from there.
  await press(page, menu);
  await expect(page.getByRole('menu')).toBeVisible();
  await choose(page, 'Pictures and files');
  const panel = page.getByRole('complementary', { name: 'Pictures and files' });
  await tabTo(page, panel.getByRole('tab', { name: 'Pictures' }));
  await page.keyboard.press('ArrowRight');
  await expect(panel.getByRole('tab', { name: 'Files' })).toBeFocused();
  await expect(panel.getByRole('button', { name: /agenda\.md/ })).toBeVisible();
  await press(page, panel.getByRole('button', { name: /agenda\.md/ }));
  await expect(articleOf(anna, 'For Monday')).toHaveClass(/found/);

  // The whole conversation is exported.
  await press(page, menu);
  await expect(page.getByRole('menu')).toBeVisible();
  await choose(page, 'Export…');
  const dialog = page.getByRole('dialog', { name: 'Export the conversation' });
  await tabTo(page, dialog.getByRole('switch', { name: 'Include files' }));
  await page.keyboard.press('Space');
  await press(page, dialog.getByRole('button', { name: 'Export', exact: true }));
  await expect(dialog.getByText('Your export is ready.')).toBeVisible({ timeout: 20_000 });
  const [download] = await Promise.all([
    page.waitForEvent('download'),
    press(page, dialog.getByRole('button', { name: 'Download' }))
  ]);
  expect(download.suggestedFilename()).toMatch(/^conversation-.+\.zip$/);

  // A note is written, pinned and sent.
  await press(page, page.getByRole('link', { name: 'Notes' }));
  await press(page, page.getByRole('button', { name: 'New note' }).first());
  await expect(page.getByRole('textbox', { name: 'Title' })).toBeFocused();
  await page.keyboard.type('Monday');
  await page.keyboard.press('Enter');
  await page.keyboard.type('- [ ] Ask for a quote');
  const pin = page.getByRole('main').getByRole('button', { name: 'Pin', exact: true });
  await press(page, pin);
  await expect(pin).toHaveAttribute('aria-pressed', 'true');
  await expect(page.getByRole('heading', { name: 'Pinned' })).toBeVisible();
  await press(page, page.getByRole('button', { name: 'Send to chat' }));
  const sending = page.getByRole('dialog', { name: 'Send to chat' });
  await expect(sending.getByRole('searchbox')).toBeFocused();
  await page.keyboard.type(ben.name);
  await press(page, sending.getByRole('button', { name: ben.name }));
  await expect(anna.composer).toHaveValue('**Monday**\n\n- [ ] Ask for a quote');
});
