// AI gateway: usage and API keys; for admins also models and providers.

import { readFile } from 'node:fs/promises';
import { apiOf, DESKTOP, expect, PHONE, shoot, signInAsAdmin, test } from './people.mjs';

const KEYS = (page) => page.locator('#api-keys');

/** Calls the fake provider with a new API key. The cost is recorded a moment later. */
async function useModel(server, api) {
  const { key } = await api.call('POST', '/r1/api_keys', { name: 'laptop', scopes: ['gateway'] });
  const answer = await fetch(`${server.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'small', messages: [{ role: 'user', content: 'Hello' }], stream: true })
  });
  expect(answer.status).toBe(200);
  await answer.text();
  await expect.poll(async () => (await api.call('GET', '/r1/usage/requests')).total).toBeGreaterThan(0);
}

test('shows usage by day, model and key and exports it as CSV', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await page.getByRole('link', { name: 'Usage' }).click();
  await expect(page.getByRole('heading', { name: 'No usage yet' })).toBeVisible();
  await anna.expectFlawless('no usage');

  await useModel(server, await apiOf(server, anna));
  await page.reload();
  await expect(page.getByRole('img', { name: /^Credits per day/ })).toBeVisible();
  const table = page.getByRole('table', { name: 'Usage by Model' });
  await expect(table.getByRole('row', { name: /small/ })).toBeVisible();
  await page.getByRole('button', { name: 'By key' }).click();
  await expect(page.getByRole('table', { name: 'Usage by Key' }).getByRole('row', { name: /laptop/ })).toBeVisible();
  await page.getByRole('button', { name: 'By day' }).click();
  await expect(page.getByRole('table', { name: 'Usage by Day' }).getByRole('row')).toHaveCount(2);
  await expect(page.getByRole('table', { name: 'Last requests' }).getByRole('row', { name: /laptop/ })).toBeVisible();
  await anna.expectFlawless('usage');

  const [download] = await Promise.all([
    page.waitForEvent('download'),
    page.getByRole('button', { name: 'Export CSV' }).click()
  ]);
  expect(download.suggestedFilename()).toMatch(/^natter-usage-day-.*\.csv$/);
  expect(await readFile(await download.path(), 'utf8')).toMatch(/^Day,Requests,.*\r\n\d{4}-\d\d-\d\d,1,/);

  await page.setViewportSize(PHONE.viewport);
  await expect(page.getByRole('img', { name: /^Credits per day/ })).toBeVisible();
  await anna.expectFlawless('usage on a phone');
});

test('limits, changes and rotates an API key with a grace period', async ({ register, server }) => {
  const anna = await register('Anna');
  const { page } = anna;
  await page.goto('/settings#api-keys');
  const section = KEYS(page);
  await section.getByRole('button', { name: 'New API key' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('bot');
  await dialog.getByRole('checkbox', { name: /^Use AI/ }).check();
  await dialog.getByRole('checkbox', { name: 'small', exact: true }).check();
  await dialog.getByLabel('Budget in credits').fill('nothing');
  await dialog.getByText('More limits').click();
  await dialog.getByLabel('Requests per minute').fill('0');
  await dialog.getByRole('button', { name: 'Create key' }).click();
  await expect(dialog.getByText('Enter an amount, such as 50 or 0.5.')).toBeVisible();
  await expect(dialog.getByText('Enter a whole number, or leave it empty.')).toBeVisible();
  await anna.expectFlawless('the form for a key with limits');
  await dialog.getByLabel('Budget in credits').fill('200');
  await dialog.getByLabel('Requests per minute').fill('60');
  await dialog.getByRole('checkbox', { name: '/v1/messages' }).check();
  await dialog.getByLabel('Provider options').selectOption('Selected options');
  await dialog.getByRole('checkbox', { name: 'service_tier' }).check();
  await dialog.getByRole('button', { name: 'Create key' }).click();
  await expect(section.getByText('bot is ready')).toBeVisible();
  const first = await section.locator('.fresh code').innerText();
  const row = section.getByRole('listitem').filter({ hasText: 'bot' });
  await expect(row).toContainText('small · /v1/messages · 60 requests per minute · service_tier');
  await expect(row).toContainText('0 of 200 credits per month');
  await expect(row.getByRole('meter', { name: 'Budget for bot' })).toHaveAttribute('aria-valuenow', '0');
  await expect(section.getByRole('tab', { name: 'Anthropic Python' })).toBeVisible();
  await section.getByRole('tab', { name: 'Anthropic Python' }).click();
  await expect(section.getByRole('tabpanel')).toContainText(`base_url="${server.url}"`);
  await anna.expectFlawless('a key with limits');

  await row.getByRole('button', { name: 'Actions for bot' }).click();
  await page.getByRole('menuitem', { name: 'Edit' }).click();
  await expect(dialog.getByLabel('Budget in credits')).toHaveValue('200');
  await expect(dialog.getByRole('checkbox', { name: 'small', exact: true })).toBeChecked();
  await dialog.getByLabel('Budget in credits').fill('');
  await dialog.getByRole('checkbox', { name: 'small', exact: true }).uncheck();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(row).toContainText('All models');
  await expect(row.getByRole('meter')).toHaveCount(0);

  await row.getByRole('button', { name: 'Actions for bot' }).click();
  await page.getByRole('menuitem', { name: 'Rotate' }).click();
  await dialog.getByLabel('Keep the old key for').selectOption({ label: '24 hours' });
  await anna.expectFlawless('rotating a key');
  await dialog.getByRole('button', { name: 'Rotate key' }).click();
  await expect(row).toContainText('Old key works until');
  const second = await section.locator('.fresh code').innerText();
  expect(second).not.toBe(first);
  const models = (key) => fetch(`${server.url}/r1/models`, { headers: { authorization: `Bearer ${key}` } });
  // During the grace period both secrets are accepted.
  expect([(await models(first)).status, (await models(second)).status]).not.toContain(401);
  await page.setViewportSize(PHONE.viewport);
  await anna.expectFlawless('keys on a phone');
});

test('adds, changes and removes a model', { tag: '@gate' }, async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/models');
  await expect(page.getByRole('row').filter({ hasText: 'small' })).toBeVisible();
  await admin.expectFlawless('the models');
  await page.getByRole('button', { name: 'Add model' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('Enter a name.')).toBeVisible();
  await dialog.getByLabel('Name', { exact: true }).fill('fast');
  await dialog.getByLabel('Other names').fill('quick, rapid');
  await dialog.getByLabel('Model at the provider').fill('small');
  await dialog.getByLabel('Input price', { exact: true }).fill('0.25');
  await dialog.getByLabel('Output price').fill('2');
  await dialog.getByRole('checkbox', { name: 'Tools' }).check();
  await admin.expectFlawless('the form for a model');
  await dialog.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('row').filter({ hasText: 'also quick, rapid' });
  await expect(row).toContainText('0.25 input, 2 output');
  await expect(row).toContainText('Tools');

  // A model is found by any of its names.
  await page.getByRole('searchbox', { name: 'Search models' }).fill('rapid');
  await expect(page).toHaveURL(/q=rapid/);
  await expect(page.getByRole('table', { name: 'Models', exact: true }).getByRole('row')).toHaveCount(2);
  await page.getByRole('searchbox', { name: 'Search models' }).fill('none of them');
  await expect(page.getByText('No models match.')).toBeVisible();
  await page.getByRole('searchbox', { name: 'Search models' }).fill('');
  await expect(page).toHaveURL(/models$/);

  await row.getByRole('button', { name: 'Edit fast' }).click();
  await expect(dialog.getByLabel('Other names')).toHaveValue('quick, rapid');
  await dialog.getByLabel('Other names').fill('quick');
  await dialog.getByLabel('Thinking', { exact: true }).selectOption({ label: 'Effort levels' });
  await dialog.getByLabel('Effort levels, lowest').fill('low, enormous');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('Enter one or more of')).toBeVisible();
  await dialog.getByLabel('Effort levels, lowest').fill('low, high');
  await dialog.getByRole('button', { name: 'Save' }).click();
  const changed = page.getByRole('row').filter({ hasText: 'also quick' });
  await expect(changed).not.toContainText('rapid');
  await changed.getByRole('button', { name: 'Edit fast' }).click();
  await expect(dialog.getByLabel('Effort levels, lowest')).toHaveValue('low, high');
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  await changed.getByRole('button', { name: 'Remove fast' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(changed).toHaveCount(0);
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('the models on a phone');
  await context.close();
});

test('pauses and resumes a provider key', async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/providers');
  // The key is so short that none of its characters are shown.
  const key = page.getByRole('row').filter({ hasText: 'fake' });
  await expect(key).toContainText('Healthy');
  await admin.expectFlawless('the providers');
  await key.getByRole('button', { name: /^Pause key/ }).press('Enter');
  await page.getByRole('menuitem', { name: '30 min' }).press('Enter');
  await expect(key).toContainText('Paused');
  // The filter is in the URL.
  await page.getByRole('combobox', { name: 'Filter by state' }).selectOption({ label: 'Healthy' });
  await expect(page).toHaveURL(/status=ready/);
  await expect(page.getByText('No keys match.')).toBeVisible();
  await page.getByRole('combobox', { name: 'Filter by state' }).selectOption({ label: 'Paused' });
  await page.getByRole('combobox', { name: 'Filter by provider' }).selectOption('fake');
  await expect(page).toHaveURL(/provider=fake/);
  await page.reload();
  await expect(key).toContainText('Paused');
  await key.getByRole('button', { name: /^Resume key/ }).click();
  await expect(page.getByText('No keys match.')).toBeVisible();
  await page.getByRole('combobox', { name: 'Filter by state' }).selectOption({ label: 'All states' });
  await expect(page).toHaveURL(/\/admin\/providers\?provider=fake$/);
  await expect(key).toContainText('Healthy');
  await page.getByRole('button', { name: 'Test fake' }).click();
  await expect(key.getByRole('status')).toContainText(/Answered in|The test failed/);
  await admin.expectFlawless('a tested provider');
  await shoot(page, 'providers-1280');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('the providers on a phone');
  await shoot(page, 'providers-390');
  await page.route(/\/r1\/admin\/providers$/, (route) => route.abort());
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Couldn’t load the providers' })).toBeVisible();
  await admin.expectFlawless('providers that failed to load');
  await context.close();
});

test('adds, changes and removes a provider', async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/providers');
  await page.getByRole('button', { name: 'Add a provider' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Add a provider' }).click();
  await expect(dialog.getByText('Enter at least one model.')).toBeVisible();
  await admin.expectFlawless('the form for a provider');
  await shoot(page, 'provider-add-1280');
  await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('fake');
  await dialog.getByRole('textbox', { name: 'Models' }).fill('small\nlarge');
  await dialog.getByLabel('API key', { exact: true }).fill('sk-nothing-that-works-0001');
  await dialog.getByRole('button', { name: 'Add a provider' }).click();
  await expect(dialog.getByText('Another provider has this name.')).toBeVisible();
  await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('spare');
  await dialog.getByRole('button', { name: 'Add a provider' }).click();
  await expect(dialog).toHaveCount(0);
  const row = page.getByRole('row').filter({ hasText: 'spare' });
  await expect(row).toContainText('openai, added here');
  await expect(row).toContainText('…0001');
  await row.getByRole('button', { name: 'Edit spare' }).click();
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('a provider on a phone');
  await shoot(page, 'provider-edit-390');
  await page.setViewportSize(DESKTOP);
  await dialog.getByRole('button', { name: 'Remove key 0001' }).click();
  await dialog.getByLabel('Another API key', { exact: true }).fill('sk-nothing-that-works-0002');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(row).toContainText('…0002');
  await row.getByRole('button', { name: 'Edit spare' }).click();
  await dialog.getByRole('button', { name: 'Remove the provider' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(row).toHaveCount(0);
  await context.close();
});

test('shows total usage and sets a budget', async ({ browser, register, server }) => {
  const anna = await register('Anna');
  await useModel(server, await apiOf(server, anna));
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/usage');
  await expect(
    page.getByRole('table', { name: 'Usage by Person' }).getByRole('row', { name: anna.name })
  ).toBeVisible();
  await expect(page.getByText('No budgets yet')).toBeVisible();
  await admin.expectFlawless('what everyone has used');
  // The filter is in the URL.
  await page.getByRole('button', { name: 'By model' }).click();
  await page.getByRole('button', { name: '7 days' }).click();
  await expect(page).toHaveURL(/by=model/);
  await expect(page).toHaveURL(/range=week/);
  await page.reload();
  await expect(page.getByRole('button', { name: '7 days' })).toHaveAttribute('aria-pressed', 'true');
  await expect(page.getByRole('table', { name: 'Usage by Model' })).toBeVisible();
  await page.getByRole('button', { name: 'By person' }).click();
  await expect(
    page.getByRole('table', { name: 'Usage by Person' }).getByRole('row', { name: anna.name })
  ).toBeVisible();
  await page.getByRole('button', { name: 'Set a budget' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('Choose a person.')).toBeVisible();
  await dialog.getByRole('searchbox').fill(anna.name);
  await dialog.getByRole('button', { name: anna.name }).click();
  await dialog.getByRole('textbox', { name: 'Credits', exact: true }).fill('0.5');
  await admin.expectFlawless('the form for a budget');
  await dialog.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('table', { name: 'Budgets' }).getByRole('row', { name: anna.name });
  await expect(row).toContainText('of 0.5 credits');
  await row.getByRole('button', { name: 'Change the budget' }).click();
  await dialog.getByRole('textbox', { name: 'Credits', exact: true }).fill('2');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(row).toContainText('of 2 credits');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('usage and budgets on a phone');
  await row.getByRole('button', { name: 'Remove' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(row).toHaveCount(0);
  await context.close();
});

test('sets and removes a model allow-list', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const api = await apiOf(server, anna);
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/models');
  await expect(page.getByText('No limits yet')).toBeVisible();
  await page.getByRole('button', { name: 'Limit models' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog.getByText('Choose a person.')).toBeVisible();
  await expect(dialog.getByText('Choose at least one model.')).toBeVisible();
  await dialog.getByRole('searchbox').fill(anna.name);
  await dialog.getByRole('button', { name: anna.name }).click();
  await dialog.getByRole('checkbox', { name: 'large', exact: true }).check();
  await admin.expectFlawless('the form for allowed models');
  await dialog.getByRole('button', { name: 'Save' }).click();
  const row = page.getByRole('table', { name: 'Model access' }).getByRole('row', { name: anna.name });
  await expect(row).toContainText('large');
  await admin.expectFlawless('who can use which models');

  // Anna's model picker is empty, and a question to the default model says why it isn't sent.
  expect((await api.call('GET', '/r1/models')).items.map(({ name }) => name)).toEqual(['large']);
  await anna.openAssistant();
  await anna.write('Hello?');
  await expect(anna.page.getByText(/You may not use the model/)).toBeVisible();
  await anna.page.getByRole('button', { name: /^Model: / }).click();
  await expect(anna.page.getByRole('dialog').getByRole('option')).toHaveCount(1);
  await anna.expectFlawless('a model that one may not use');

  await row.getByRole('button', { name: `Edit the models that ${anna.name} can use` }).click();
  await dialog.getByRole('checkbox', { name: 'small', exact: true }).check();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(row).toContainText('small');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('who can use which models, on a phone');
  await row.getByRole('button', { name: `Remove the limit of ${anna.name}` }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Allow every model' }).click();
  await expect(row).toHaveCount(0);
  await context.close();
});
