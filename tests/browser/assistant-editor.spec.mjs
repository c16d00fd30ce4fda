// Page that creates and edits an assistant.

import { expect, PHONE, test } from './people.mjs';

test('creates, asks, changes and deletes an assistant', { tag: '@gate' }, async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await page.getByRole('dialog').getByRole('tab', { name: 'Assistant' }).click();
  await page.getByRole('dialog').getByRole('link', { name: 'Manage assistants' }).click();
  await expect(page).toHaveTitle('Assistants · Natter');
  await expect(page.getByRole('list', { name: 'Assistants' }).getByText('Default', { exact: true })).toBeVisible();
  await anna.expectFlawless('assistants');

  await page.getByRole('link', { name: 'New assistant' }).click();
  await expect(page.getByRole('button', { name: 'Create assistant' })).toBeDisabled();
  await page.getByLabel('Name').fill('Scribe');
  await page.getByLabel('What is it for?').fill('Writes status notes');
  await page.getByLabel('Instructions').fill('Numbers first, then words.');
  await page.getByRole('button', { name: 'Add starter' }).click();
  await page.getByRole('textbox', { name: 'Starter 1' }).fill('What did we decide about {{topic}}?');
  await page.getByRole('button', { name: 'Change picture' }).click();
  const picture = page.getByRole('dialog', { name: 'Picture' });
  await picture.getByRole('button', { name: 'feather' }).click();
  await picture.getByRole('button', { name: 'Color 3' }).click();
  await anna.expectFlawless('a picture');
  await picture.getByRole('button', { name: 'Use picture' }).click();
  await page.getByRole('slider', { name: 'Creativity' }).fill('0.4');
  await page.getByRole('switch', { name: 'Answers when mentioned' }).click();
  await anna.expectFlawless('a new assistant');
  await page.getByRole('button', { name: 'Create assistant' }).click();
  await expect(page).toHaveURL(/\/assistants$/);

  await page.getByRole('link', { name: 'Ask Scribe' }).click();
  await page.getByRole('button', { name: 'What did we decide about topic…?' }).click();
  const asks = page.getByRole('dialog');
  await asks.getByLabel('topic').fill('the pool');
  await asks.getByRole('button', { name: 'Use prompt' }).click();
  upstream.next({ words: ['Eight', ' connections.'] });
  await anna.composer.press('Enter');
  await anna.sees('Eight connections.');
  const chat = page.url();

  await page.goto('/assistants');
  await page.getByRole('link', { name: 'Edit Scribe' }).click();
  await expect(page.getByLabel('Instructions')).toHaveValue('Numbers first, then words.');
  await expect(page.getByRole('switch', { name: 'Answers when mentioned' })).not.toBeChecked();
  await page.getByLabel('Name').fill('Scribe the Second');
  await page.getByRole('link', { name: 'Back to assistants' }).click();
  const leaving = page.getByRole('alertdialog', {
    name: 'Leave without saving?'
  });
  await leaving.getByRole('button', { name: 'Cancel' }).click();
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('Saved.')).toBeVisible();
  await page.reload();
  await expect(page.getByRole('heading', { level: 1, name: 'Scribe the Second' })).toBeVisible();

  await page.getByRole('button', { name: 'Delete assistant' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete assistant' }).click();
  await expect(page.getByText('Scribe the Second deleted.')).toBeVisible();
  await expect(page.getByRole('link', { name: 'Ask Scribe the Second' })).toHaveCount(0);
  await page.goto(chat);
  await expect(page.getByText('This assistant was deleted')).toBeVisible();
  await anna.sees('Eight connections.');
  await anna.expectFlawless('a chat whose assistant is gone');
});

test('shows editor errors at their fields and fits on phones', async ({ register }) => {
  const anna = await register('Anna', PHONE);
  const { page } = anna;
  await page.goto('/assistants/new');
  await page.getByLabel('What is it for?').fill('Finds things');
  await page.getByLabel('Maximum answer length').fill('many');
  await page.getByRole('button', { name: 'Create assistant' }).click();
  await expect(page.getByText('Enter a name.')).toBeVisible();
  await expect(page.getByText('Enter a number from 1 to')).toBeVisible();
  await anna.expectFlawless('a new assistant on a phone');
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow).toBeLessThanOrEqual(0);
});
