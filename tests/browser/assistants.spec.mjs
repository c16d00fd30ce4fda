// Chats with an assistant: creation, title, renaming and deletion.

import { apiOf, expect, PHONE, test } from './people.mjs';

const conversations = async (server, visitor) =>
  (await (await apiOf(server, visitor)).call('GET', '/r1/conversations')).items.filter(
    ({ kind }) => kind === 'assistant'
  );

test('creates a conversation with the first question only', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  for (let look = 0; look < 3; look += 1) {
    await anna.page.getByRole('link', { name: 'Ask a question' }).click();
    await expect(anna.composer).toBeVisible();
    await anna.page.goto('/');
  }
  await anna.openAssistant();
  expect(await conversations(server, anna)).toEqual([]);
  await anna.write('What is a port?');
  await anna.sees('Hello there.');
  expect(await conversations(server, anna)).toHaveLength(1);
  await expect(anna.page).toHaveURL(/\/c\/(?!new)/);
  await anna.page.goBack();
  await expect(anna.page).not.toHaveURL(/\/c\/new/);
});

test('renames and deletes an assistant chat', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  await anna.openAssistant();
  await anna.write('What is a port?');
  await anna.sees('Hello there.');
  const header = anna.page.getByRole('main').getByRole('banner').or(anna.page.locator('.convo > .bar')).first();
  await header.getByRole('button', { name: 'More actions' }).click();
  await anna.page.getByRole('menuitem', { name: 'Rename' }).click();
  const dialog = anna.page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('Ports and hosts');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(anna.page.getByRole('heading', { name: 'Ports and hosts' })).toBeVisible();
  await expect(anna.page).toHaveTitle(/Ports and hosts/);

  // The menu opens by right click, by keyboard and by its button.
  const row = anna.page
    .getByRole('navigation', { name: 'Conversations' })
    .getByRole('link', { name: 'Ports and hosts' });
  await row.click({ button: 'right' });
  await expect(anna.page.getByRole('menuitem', { name: 'Rename' })).toBeVisible();
  await anna.expectFlawless('the menu of a row');
  await anna.page.keyboard.press('Escape');
  await row.focus();
  await anna.page.keyboard.press('Shift+F10');
  await anna.page.getByRole('menuitem', { name: 'Delete conversation' }).click();
  await anna.page.getByRole('alertdialog').or(dialog).getByRole('button', { name: 'Delete conversation' }).click();
  await expect(row).toHaveCount(0);
  await expect(anna.page).toHaveURL(`${server.url}/`);
  expect(await conversations(server, anna)).toEqual([]);
});

test('shows details and menu in the header on phones', async ({ arrive }) => {
  const anna = await arrive('Anna', PHONE);
  await anna.openAssistant();
  await anna.expectFlawless('a first question on a phone');
  await anna.write('What is a port?');
  await anna.sees('Hello there.');
  await anna.page.getByRole('button', { name: 'Details', exact: true }).click();
  await expect(anna.page.getByRole('heading', { name: 'Details' })).toBeVisible();
  await anna.expectFlawless('the details of an assistant on a phone');
});

test('asks an edited prompt again and switches between its versions', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  await anna.openAssistant();
  upstream.next({ words: ['About', ' ports.'] });
  await anna.write('What is a port?');
  await anna.sees('About ports.');
  upstream.next({ words: ['And', ' more.'] });
  await anna.write('Tell me more.');
  await anna.sees('And more.');

  upstream.next({ words: ['About', ' hosts.'] });
  const question = anna.log.getByRole('article').filter({ hasText: 'What is a port?' });
  await question.hover();
  await question.getByRole('button', { name: 'Edit' }).click();
  await anna.composer.fill('What is a host?');
  await anna.composer.press('Enter');
  await anna.sees('About hosts.');
  await expect(anna.log.getByText('And more.')).toHaveCount(0);
  await expect(question).toHaveCount(0);

  const versions = anna.log.getByRole('group', { name: 'Versions' });
  await expect(versions).toContainText('2 of 2');
  await anna.expectFlawless('versions of a prompt');
  await versions.getByRole('button', { name: 'Previous version' }).click();
  await anna.sees('And more.');
  await expect(anna.log.getByText('About hosts.')).toHaveCount(0);
  await anna.page.reload();
  await expect(question).toBeVisible();
  await anna.log.getByRole('button', { name: 'Next version' }).first().click();
  await anna.sees('About hosts.');

  upstream.next({ words: ['Hosts,', ' again.'] });
  await anna.page.getByRole('button', { name: 'Regenerate', exact: true }).last().click();
  await anna.sees('Hosts, again.');
  await anna.log.getByRole('button', { name: 'Previous version' }).last().click();
  await anna.sees('About hosts.');
});

test('doesn’t count answers to own prompts as unread', async ({ arrive, server, upstream }) => {
  const anna = await arrive('Anna');
  const { page, log } = anna;
  await anna.openAssistant();
  for (const topic of ['ports', 'hosts']) {
    upstream.next({ words: Array.from({ length: 60 }, (_, at) => `All about ${topic}, line ${at}.\n\n`) });
    await anna.write(`Tell me of ${topic}`);
    await anna.sees(`All about ${topic}, line 59.`);
  }
  await log.hover();
  await page.mouse.wheel(0, -2_000);
  const toEnd = page.getByRole('button', { name: 'Jump to latest message' });
  await expect(toEnd).toBeVisible();
  // The question is sent from another device while this page shows the old state.
  upstream.next({ words: ['Some', ' networks.'] });
  const api = await apiOf(server, anna);
  const chat = /[^/]+$/.exec(page.url())[0];
  await api.send(chat, 'Tell me of networks');
  const list = page.getByRole('navigation', { name: 'Conversations' });
  await expect(list.getByText('Some networks.')).toBeVisible();
  await expect(toEnd).toBeVisible();
  await expect(page.getByRole('button', { name: /new message/ })).toHaveCount(0);
});

test('titles a chat after its first answer', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  await anna.openAssistant();
  upstream.next({ words: ['A', ' port', ' is', ' a', ' number.'] });
  await anna.write('What is a port?');
  await anna.sees('A port is a number.');
  await expect(anna.page.getByRole('main').getByRole('heading', { level: 1 })).toHaveText('What is a port?');
  await expect(anna.page).toHaveTitle(/What is a port\?/);
});

test('shares a chat by link until sharing stops', async ({ arrive, register, upstream }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openAssistant();
  upstream.next({ words: ['About', ' ports', ' and **hosts**.'] });
  await anna.write('What is a port?');
  await anna.sees('About ports and hosts.');
  const { page } = anna;
  const header = page.getByRole('main').getByRole('banner').or(page.locator('.convo > .bar')).first();
  const open = async () => {
    await header.getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Share…' }).click();
  };
  await open();
  const dialog = page.getByRole('dialog', { name: 'Share this chat' });
  await dialog.getByRole('button', { name: 'Create link' }).click();
  await expect(dialog.getByText(/^2 messages, as of /)).toBeVisible();
  await anna.expectFlawless('sharing a chat');
  const link = await dialog.locator('code').textContent();
  await page.keyboard.press('Escape');

  await ben.page.goto(link);
  const shared = ben.page.getByRole('region', { name: 'What is a port?' });
  await expect(shared.getByText('What is a port?')).toBeVisible();
  await expect(ben.page.getByText('About ports and hosts.')).toBeVisible();
  await expect(ben.page.getByText(`Shared by ${anna.name}, as of`)).toBeVisible();
  await ben.expectFlawless('a shared chat');

  await open();
  await dialog.getByRole('button', { name: 'Stop sharing' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Stop sharing' }).click();
  await expect(dialog.getByRole('button', { name: 'Create link' })).toBeVisible();
  await ben.page.reload();
  await expect(ben.page.getByRole('alert')).toContainText('Couldn’t load the shared chat');
});
