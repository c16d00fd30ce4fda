// Polls: creation by command, live votes, anonymity and closing.

import { expect, PHONE, test } from './people.mjs';

for (const [size, options] of [
  ['wide', {}],
  ['phone', PHONE]
])
  test(`creates, votes in and closes a poll: ${size}`, async ({ arrive }) => {
    const [anna, ben] = [await arrive('Anna', options), await arrive('Ben')];
    await anna.openChatWith(ben);
    await anna.write('/poll When do we go?');
    const dialog = anna.page.getByRole('dialog', { name: 'New poll' });
    await expect(dialog.getByLabel('Question')).toHaveValue('When do we go?');
    await expect(dialog.getByRole('button', { name: 'Create poll' })).toBeDisabled();
    await dialog.getByRole('textbox', { name: 'Option 1' }).fill('Friday');
    await dialog.getByRole('textbox', { name: 'Option 1' }).press('Enter');
    await dialog.getByRole('textbox', { name: 'Option 2' }).fill('friday');
    await dialog.getByRole('textbox', { name: 'Option 2' }).press('Enter');
    await dialog.getByRole('textbox', { name: 'Option 3' }).fill('Monday');
    await anna.expectFlawless('a new poll');
    await dialog.getByRole('button', { name: 'Create poll' }).click();
    await expect(dialog.getByText('Two options are the same.')).toBeVisible();
    await dialog.getByRole('textbox', { name: 'Option 2' }).fill('Saturday');
    await dialog.getByRole('button', { name: 'Create poll' }).click();
    await expect(dialog).toHaveCount(0);
    await expect(anna.composer).toHaveValue('');

    // Ben changes his vote, and Anna sees it without a reload.
    await ben.openConversation(anna.name);
    const [hers, his] = [anna, ben].map(({ log }) => log.getByRole('group', { name: 'Poll: When do we go?' }));
    await his.getByRole('radio', { name: /Friday/ }).check();
    await expect(hers.getByText('1 vote')).toBeVisible();
    await expect(hers.getByRole('listitem').filter({ hasText: 'Friday' })).toContainText(ben.name);
    await his.getByRole('radio', { name: /Monday/ }).check();
    await expect(hers.getByRole('listitem').filter({ hasText: 'Monday' })).toContainText('1');
    await hers.getByRole('radio', { name: /Monday/ }).check();
    await expect(his.getByText('2 votes')).toBeVisible();
    await anna.expectFlawless('a poll');
    await ben.expectFlawless('a poll');
    await his.getByRole('button', { name: 'Remove my vote' }).click();
    await expect(hers.getByText('1 vote')).toBeVisible();

    // After a reload the votes are the same, and a closed poll accepts none.
    await anna.page.reload();
    await expect(hers.getByRole('radio', { name: /Monday/ })).toBeChecked();
    await hers.getByRole('button', { name: 'Close poll' }).click();
    await expect(his.getByText('Closed')).toBeVisible();
    await expect(his.getByRole('radio', { name: /Friday/ })).toBeDisabled();
    await expect(his.getByRole('button', { name: 'Close poll' })).toHaveCount(0);
  });

test('restores a poll dialog after an accidental close', async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  await anna.write('/poll When do we go?');
  const dialog = anna.page.getByRole('dialog', { name: 'New poll' });
  await dialog.getByRole('textbox', { name: 'Option 1' }).fill('Friday');
  await dialog.getByRole('textbox', { name: 'Option 2' }).fill('Monday');
  await dialog.getByLabel('Anonymous').check();
  await anna.page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await anna.write('/poll');
  await expect(dialog.getByLabel('Question')).toHaveValue('When do we go?');
  await expect(dialog.getByRole('textbox', { name: 'Option 2' })).toHaveValue('Monday');
  await expect(dialog.getByLabel('Anonymous')).toBeChecked();
  await dialog.getByRole('button', { name: 'Create poll' }).click();
  await expect(dialog).toHaveCount(0);
  // The dialog doesn't restore a poll that was created.
  await anna.write('/poll');
  await expect(dialog.getByLabel('Question')).toHaveValue('');
  // The dialog doesn't restore a poll that was cancelled.
  await dialog.getByLabel('Question').fill('Whether at all?');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await expect(dialog).toHaveCount(0);
  await anna.write('/poll');
  await expect(dialog.getByLabel('Question')).toHaveValue('');
});

test('keeps voters of an anonymous poll hidden', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  await anna.openChatWith(ben);
  await anna.write('/poll');
  const dialog = anna.page.getByRole('dialog', { name: 'New poll' });
  await dialog.getByLabel('Question').fill('What for lunch?');
  await dialog.getByRole('textbox', { name: 'Option 1' }).fill('Pho');
  await dialog.getByRole('textbox', { name: 'Option 2' }).fill('Banh mi');
  await dialog.getByLabel('Several choices').check();
  await dialog.getByLabel('Anonymous').check();
  await dialog.getByRole('button', { name: 'Create poll' }).click();
  await ben.openConversation(anna.name);
  const [hers, his] = [anna, ben].map(({ log }) => log.getByRole('group', { name: 'Poll: What for lunch?' }));
  await his.getByRole('checkbox', { name: /Pho/ }).check();
  await his.getByRole('checkbox', { name: /Banh mi/ }).check();
  await expect(hers.getByText('1 vote')).toBeVisible();
  await expect(hers).not.toContainText(ben.name);
  await expect(his.getByRole('checkbox', { name: /Pho/ })).toBeChecked();
});
