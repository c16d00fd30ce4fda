// Prompts: saving, search after a slash, and variables.

import { expect, PHONE, test } from './people.mjs';

async function keep(visitor, { command, title, text }) {
  const { page } = visitor;
  await page.getByRole('button', { name: 'New prompt' }).click();
  const dialog = page.getByRole('dialog', { name: 'New prompt' });
  await dialog.getByLabel('Command').fill(command);
  await dialog.getByLabel('Title').fill(title);
  await dialog.getByLabel('Text').fill(text);
  await dialog.getByRole('button', { name: 'Create prompt' }).click();
  await expect(dialog).toHaveCount(0);
}

test('saves, finds, fills and sends a prompt', async ({ register }) => {
  const anna = await register('Anna');
  const { page } = anna;
  await page.goto('/prompts');
  await expect(page.getByText('No prompts yet.')).toBeVisible();
  await anna.expectFlawless('no prompts');

  await page.getByRole('button', { name: 'New prompt' }).click();
  const dialog = page.getByRole('dialog', { name: 'New prompt' });
  await dialog.getByLabel('Command').fill('status note');
  await dialog.getByRole('button', { name: 'Create prompt' }).click();
  await expect(dialog.getByText('Use letters, digits, - and _, without spaces.')).toBeVisible();
  await dialog.getByLabel('Command').fill('/status-note');
  await dialog.getByLabel('Title').fill('Status note in house style');
  await dialog.getByLabel('Text').fill('Write a status note about {{topic}} for {{audience}}.');
  await expect(dialog.getByText('Placeholders: topic, audience')).toBeVisible();
  await anna.expectFlawless('a new prompt');
  await dialog.getByRole('button', { name: 'Create prompt' }).click();
  await keep(anna, {
    command: 'standup',
    title: 'Yesterday, today, blocked',
    text: 'What did I do yesterday?'
  });
  await expect(page.getByRole('list', { name: 'Prompts' }).getByRole('listitem')).toHaveCount(2);
  await anna.expectFlawless('prompts');

  await anna.openAssistant();
  await anna.composer.pressSequentially('/sta');
  const offers = page.getByRole('listbox', { name: 'Prompts' });
  await expect(offers.getByRole('option')).toHaveCount(2);
  await anna.expectFlawless('prompts in the composer');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('Enter');
  const asks = page.getByRole('dialog', { name: 'Status note in house style' });
  await asks.getByLabel('topic').fill('the pool');
  await asks.getByRole('button', { name: 'Use prompt' }).click();
  await expect(asks.getByText('Enter a value.')).toBeVisible();
  await anna.expectFlawless('what a prompt asks for');
  await asks.getByLabel('audience').fill('everyone');
  await asks.getByLabel('audience').press('Enter');
  await expect(anna.composer).toHaveValue('Write a status note about the pool for everyone.');
  await expect(anna.composer).toBeFocused();
  await anna.composer.press('Enter');
  await anna.sees('Hello there.');

  // A prompt without variables is inserted at once, and the text before it stays.
  await anna.composer.fill('In three lines.');
  await page.getByRole('button', { name: 'Prompts' }).click();
  await offers.getByRole('option', { name: '/standup' }).click();
  await expect(anna.composer).toHaveValue('What did I do yesterday?\n\nIn three lines.');
});

test('sends other slashes as text and closes prompts by Escape', async ({ register }) => {
  const anna = await register('Anna');
  const { page } = anna;
  await page.goto('/prompts');
  await keep(anna, {
    command: 'standup',
    title: 'Yesterday and today',
    text: 'What now?'
  });
  await anna.openAssistant();
  const offers = page.getByRole('listbox', { name: 'Prompts' });
  await anna.composer.pressSequentially('/st');
  await expect(offers).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(offers).toHaveCount(0);
  await anna.composer.fill('');
  await anna.composer.pressSequentially('/usr');
  await expect(page.getByText('No prompts match “usr”.')).toBeVisible();
  await page.keyboard.press('Enter');
  await anna.sees('/usr');
});

test('changes and deletes prompts on all screen sizes', async ({ register }) => {
  const anna = await register('Anna', PHONE);
  const { page } = anna;
  await page.goto('/prompts');
  await keep(anna, {
    command: 'standup',
    title: 'Yesterday and today',
    text: 'What now?'
  });
  await page.getByRole('button', { name: 'Edit /standup' }).click();
  const dialog = page.getByRole('dialog', { name: 'Edit prompt' });
  await dialog.getByLabel('Title').fill('What waits');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByText('What waits')).toBeVisible();
  await page.getByRole('button', { name: 'Delete /standup' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Delete prompt' }).click();
  await expect(page.getByText('No prompts yet.')).toBeVisible();
  await anna.expectFlawless('prompts on a phone');
});
