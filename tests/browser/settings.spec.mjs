// Settings of the account.

import { readFile } from 'node:fs/promises';
import * as OTPAuth from 'otpauth';
import { Person, startServer } from '../clients/server.mjs';
import { apiOf, DESKTOP, expect, giveAuthenticator, PASSWORD, test, Visitor } from './people.mjs';

const SECTION = (page, name) => page.getByRole('region', { name, exact: true });

async function settingsOf(visitor) {
  await visitor.page.goto('/settings');
  await expect(visitor.page.getByRole('heading', { name: 'Profile' })).toBeVisible();
  return visitor.page;
}

function signIn(server, { email }) {
  return fetch(`${server.url}/r1/auth/signin`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD })
  });
}

test('sets up, requires and disables two-factor sign-in', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const page = await settingsOf(anna);
  const section = SECTION(page, 'Two-step verification');
  await section.getByRole('button', { name: 'Set up' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Current password').fill('Wrong-Horse-9-Battery');
  await dialog.getByRole('button', { name: 'Next' }).click();
  await expect(dialog.getByText('That’s not your current password.')).toBeVisible();
  await dialog.getByLabel('Current password').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Next' }).click();
  await expect(dialog.getByRole('img', { name: /QR code/ })).toBeVisible();
  const totp = new OTPAuth.TOTP({
    secret: OTPAuth.Secret.fromBase32(await dialog.getByLabel('Setup key', { exact: true }).innerText())
  });
  await anna.expectFlawless('the setup key');

  const code = dialog.getByLabel('Code from your authenticator app');
  await expect(code).toBeFocused();
  await code.fill('12345');
  await dialog.getByRole('button', { name: 'Turn on' }).click();
  await expect(dialog.getByText('Enter all six digits.')).toBeVisible();
  await code.fill(totp.generate());
  await dialog.getByRole('button', { name: 'Turn on' }).click();
  await expect(dialog.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem')).toHaveCount(10);
  const saving = page.waitForEvent('download');
  await dialog.getByRole('button', { name: 'Download' }).click();
  const file = await readFile(await (await saving).path(), 'utf8');
  expect(file).toContain(await dialog.getByRole('listitem').first().innerText());
  await anna.expectFlawless('the recovery codes');
  await dialog.getByRole('button', { name: 'I’ve saved them' }).click();
  await expect(section.getByText('On', { exact: true })).toBeVisible();
  expect((await signIn(server, anna)).status).toBe(202);

  await section.getByRole('button', { name: 'Turn off' }).click();
  // A code can be used only once, but the next one is accepted early.
  await dialog.getByLabel('Code from your authenticator app').fill(totp.generate({ timestamp: Date.now() + 30_000 }));
  await dialog.getByRole('button', { name: 'Turn off' }).click();
  await expect(section.getByRole('button', { name: 'Set up' })).toBeVisible();
  expect((await signIn(server, anna)).status).toBe(200);
});

test('adds, renames and removes a passkey', async ({ arrive }) => {
  const anna = await arrive('Anna');
  await giveAuthenticator(anna.page);
  const page = await settingsOf(anna);
  const section = SECTION(page, 'Passkeys');
  await expect(section.getByText(/No passkeys yet/)).toBeVisible();
  await section.getByRole('button', { name: 'Add a passkey' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Name').fill('My laptop');
  await dialog.getByRole('button', { name: 'Next' }).click();
  await expect(section.getByRole('listitem').filter({ hasText: 'My laptop' })).toBeVisible();
  await anna.expectFlawless('a passkey');
  await section.getByRole('button', { name: 'Rename My laptop' }).click();
  await expect(dialog.getByLabel('Name')).toHaveValue('My laptop');
  await dialog.getByLabel('Name').fill('The old laptop');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(dialog).toHaveCount(0);
  await page.reload();
  await expect(section.getByRole('listitem')).toContainText('The old laptop');
  await section.getByRole('button', { name: 'Remove The old laptop' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(section.getByText(/No passkeys yet/)).toBeVisible();
});

test('shows an API key once and revokes it', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const page = await settingsOf(anna);
  const section = SECTION(page, 'API keys');
  await section.getByRole('button', { name: 'New API key' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('checkbox', { name: /^Read/ }).uncheck();
  await dialog.getByRole('button', { name: 'Create key' }).click();
  await expect(dialog.getByText('Enter a name.')).toBeVisible();
  await expect(dialog.getByText('Choose at least one permission.')).toBeVisible();
  await anna.expectFlawless('the form for a key');
  await dialog.getByLabel('Name').fill('nightly');
  await dialog.getByRole('checkbox', { name: /^Read/ }).check();
  await dialog.getByRole('button', { name: 'Create key' }).click();
  await expect(section.getByText('nightly is ready')).toBeVisible();
  const key = await section.locator('.fresh code').innerText();
  const ask = () => fetch(`${server.url}/r1/conversations`, { headers: { authorization: `Bearer ${key}` } });
  expect((await ask()).status).toBe(200);

  await page.reload();
  const row = section.getByRole('listitem').filter({ hasText: 'nightly' });
  await expect(row).toContainText('Read');
  await expect(page.getByText(key)).toHaveCount(0);
  await anna.expectFlawless('a key');
  await row.getByRole('button', { name: 'Actions for nightly' }).click();
  await page.getByRole('menuitem', { name: 'Revoke' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }).click();
  await expect(row).toHaveCount(0);
  expect((await ask()).status).toBe(401);
});

test('lists and signs out other devices', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const [one, two] = [await apiOf(server, anna), await apiOf(server, anna)];
  const page = await settingsOf(anna);
  const section = SECTION(page, 'Devices');
  await expect(section.getByRole('listitem')).toHaveCount(3);
  await expect(section.getByRole('listitem').first()).toContainText('This device');
  await section
    .getByRole('button', { name: /^Sign out (?!all)/ })
    .first()
    .click();
  await expect(section.getByRole('listitem')).toHaveCount(2);
  await section.getByRole('button', { name: 'Sign out all others' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Sign out all others' }).click();
  await expect(section.getByRole('listitem')).toHaveCount(1);
  for (const ended of [one, two]) await expect(ended.call('GET', '/r1/users/me')).rejects.toThrow('401');
});

test('exports and deletes an account but keeps its messages', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  await anna.openChatWith(ben);
  await anna.write('Remember me.');
  await anna.sees('Remember me.');

  const other = await anna.page.context().newPage();
  await other.goto('/');
  await expect(other.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  const page = await settingsOf(anna);
  const section = SECTION(page, 'Your data');
  const saving = page.waitForEvent('download');
  await section.getByRole('button', { name: 'Download' }).click();
  const exported = JSON.parse(await readFile(await (await saving).path(), 'utf8'));
  expect(exported.user.email).toBe(anna.email);
  expect(JSON.stringify(exported.messages)).toContain('Remember me.');

  await section.getByRole('button', { name: 'Delete…' }).click();
  const dialog = page.getByRole('dialog');
  const go = dialog.getByRole('button', { name: 'Delete account' });
  await dialog.getByLabel(/to confirm$/).fill('somebody@example.test');
  await dialog.getByLabel('Current password').fill(PASSWORD);
  await go.click();
  await expect(dialog.getByText(/Type “[^”]+” exactly/)).toBeVisible();
  await dialog.getByLabel(/to confirm$/).fill(anna.email);
  await dialog.getByLabel('Current password').fill('Wrong-Horse-9-Battery');
  await go.click();
  await expect(dialog.getByText('That’s not your current password.')).toBeVisible();
  await anna.expectFlawless('the question before deleting');
  await dialog.getByLabel('Current password').fill(PASSWORD);
  await go.click();
  // Both tabs show the sign-in page. The role excludes other labels with “email”.
  for (const tab of [page, other]) {
    await expect(tab).toHaveURL(/\/sign-in(\?|$)/);
    await expect(tab.getByRole('textbox', { name: 'Email' })).toBeVisible();
  }
  expect((await signIn(server, anna)).status).toBe(401);

  await ben.page.reload();
  await ben.openConversation('Deleted user');
  await ben.sees('Remember me.');

  // The address can be used for a new account.
  await page.getByRole('link', { name: 'Create an account' }).click();
  await anna.fillSignUp();
  const listed = page.getByRole('navigation', { name: 'Conversations' }).getByRole('link');
  await expect(listed).toHaveText(['general']);
});

test('keeps the section in the URL in view until the user scrolls', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  for (let session = 0; session < 4; session += 1) await apiOf(server, anna);
  const { page } = anna;
  let lists;
  await page.route(/\/r1\/(auth\/passkeys|usersessions)/, async (route) => {
    await lists.promise;
    await route.continue();
  });
  const target = page.getByRole('heading', { name: 'API keys' });
  const first = page.getByRole('heading', { name: 'Profile' });
  const releaseLists = async () => {
    lists.resolve();
    await expect(SECTION(page, 'Devices').getByRole('listitem')).toHaveCount(5);
    await page.waitForLoadState('networkidle');
  };

  lists = Promise.withResolvers();
  await page.goto('/settings#api-keys');
  await expect(target).toBeInViewport();
  await releaseLists();
  await expect(target).toBeInViewport();
  await expect(first).not.toBeInViewport();

  lists = Promise.withResolvers();
  await page.reload();
  await expect(target).toBeInViewport();
  await target.hover();
  await page.mouse.wheel(0, -10_000);
  await expect(first).toBeInViewport();
  await releaseLists();
  await expect(first).toBeInViewport();
});

test('sends mail in the chosen language', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const page = await settingsOf(anna);
  const language = page.getByRole('combobox', { name: 'Email language' });
  await expect(language).toHaveValue('en');
  await expect(page.getByText(/^Used for emails and receipts/)).toBeVisible();
  await language.selectOption({ label: 'Tiếng Việt' });
  await expect(page.getByText('Saved.')).toBeVisible();
  await expect(language).toHaveValue('vi');
  expect((await (await apiOf(server, anna)).call('GET', '/r1/users/me')).language).toBe('vi');
});

test('reports failed settings requests and loads them on retry', async ({ arrive }) => {
  const anna = await arrive('Anna');
  const lists = /\/r1\/(api_keys|usersessions|auth\/passkeys)/;
  await anna.page.route(lists, (route) => route.abort());
  const page = await settingsOf(anna);
  for (const [name, sentence] of [
    ['API keys', 'Couldn’t load your API keys'],
    ['Devices', 'Couldn’t load your devices'],
    ['Passkeys', 'Couldn’t load your passkeys']
  ]) {
    await expect(SECTION(page, name).getByText(sentence)).toBeVisible();
  }
  await anna.expectFlawless('lists that failed');
  await page.unroute(lists);
  await SECTION(page, 'Devices').getByRole('button', { name: 'Try again' }).click();
  await expect(SECTION(page, 'Devices').getByText('This device')).toBeVisible();
  // The other sections are loaded after a reconnect.
  await page.context().setOffline(true);
  await page.context().setOffline(false);
  await expect(SECTION(page, 'API keys').getByText(/No API keys yet/)).toBeVisible();
  await expect(SECTION(page, 'Passkeys').getByText(/No passkeys yet/)).toBeVisible();

  // Dialogs are loaded on demand as well.
  await page.route(/\/_app\//, (route) => route.abort());
  await SECTION(page, 'API keys').getByRole('button', { name: 'New API key' }).click();
  await expect(page.getByText('Couldn’t load this. Check your connection, then try again.')).toBeVisible();
  await page.unroute(/\/_app\//);
  await SECTION(page, 'API keys').getByRole('button', { name: 'New API key' }).click();
  await expect(page.getByRole('dialog', { name: 'New API key' })).toBeVisible();
});

test.describe('a server with a short confirmation period', () => {
  let server;
  test.beforeAll(async () => {
    server = await startServer({ AUTH__FRESH_FOR: '4', SERVER__TRUSTED_PROXIES: '127.0.0.1' });
    // The first account is created directly, because through a proxy it would need the set-up token.
    await Person.signUp(server.url, 'First');
  });
  test.afterAll(() => server.stop());

  const untilStale = (page) =>
    expect.poll(async () => (await (await page.request.get('/r1/auth/confirm')).json()).data.fresh_until).toBe(null);

  const askForKey = async (page) => {
    const section = SECTION(page, 'API keys');
    await section.getByRole('button', { name: 'New API key' }).click();
    const form = page.getByRole('dialog', { name: 'New API key' });
    await form.getByLabel('Name').fill('nightly');
    await form.getByRole('button', { name: 'Create key' }).click();
    return { section, form };
  };

  test('asks for the password and continues the action', async ({ browser }) => {
    // The headers are those of a proxy in Germany.
    const extraHTTPHeaders = { 'X-Forwarded-For': '203.0.113.9', 'CF-IPCountry': 'DE' };
    const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP, extraHTTPHeaders });
    const anna = new Visitor(await context.newPage(), 'Anna');
    await anna.signUp();
    const page = await settingsOf(anna);
    await expect(SECTION(page, 'Devices').getByText('Germany · signed in just now')).toBeVisible();
    await untilStale(page);
    const { section, form } = await askForKey(page);
    const question = page.getByRole('dialog', { name: 'Confirm it’s you' });
    await expect(question.getByLabel('Current password', { exact: true })).toBeFocused();
    await anna.expectFlawless('the question who sits here');
    await question.getByLabel('Current password', { exact: true }).fill('Wrong-Horse-9-Battery');
    await question.getByRole('button', { name: 'Confirm' }).click();
    await expect(question.getByText('That’s not your current password.')).toBeVisible();
    await page.keyboard.press('Escape');
    await expect(question).toHaveCount(0);
    await expect(form.getByRole('alert')).toHaveText('Confirm it’s you, then try again.');
    await expect(form.getByLabel('Name')).toHaveValue('nightly');
    await form.getByRole('button', { name: 'Create key' }).click();
    await question.getByLabel('Current password', { exact: true }).fill(PASSWORD);
    await question.getByRole('button', { name: 'Confirm' }).click();
    await expect(section.getByText('nightly is ready')).toBeVisible();
    await expect(page.getByRole('dialog')).toHaveCount(0);
    await context.close();
  });

  test('accepts a passkey as confirmation', async ({ browser }) => {
    // Passkeys require a host name instead of an IP address.
    const baseURL = server.url.replace('127.0.0.1', 'localhost');
    const context = await browser.newContext({ baseURL, viewport: DESKTOP });
    const anna = new Visitor(await context.newPage(), 'Anna');
    await anna.signUp();
    const page = await settingsOf(anna);
    await giveAuthenticator(page);
    await untilStale(page);
    const passkeys = SECTION(page, 'Passkeys');
    await passkeys.getByRole('button', { name: 'Add a passkey' }).click();
    const naming = page.getByRole('dialog', { name: 'Add a passkey' });
    await naming.getByLabel('Name').fill('My laptop');
    await naming.getByRole('button', { name: 'Next' }).click();
    const question = page.getByRole('dialog', { name: 'Confirm it’s you' });
    await question.getByLabel('Current password', { exact: true }).fill(PASSWORD);
    await question.getByRole('button', { name: 'Confirm' }).click();
    await expect(passkeys.getByRole('listitem')).toContainText('My laptop');
    await untilStale(page);
    const { section } = await askForKey(page);
    await question.getByRole('button', { name: 'Use a passkey' }).click();
    await expect(section.getByText('nightly is ready')).toBeVisible();
    await context.close();
  });
});

test('shows and removes a profile picture', { tag: '@gate' }, async ({ arrive, register, server }) => {
  const [anna, ben, carl] = [await arrive('Anna'), await arrive('Ben'), await register('Carl')];
  const page = await settingsOf(anna);
  const section = SECTION(page, 'Profile');
  const drawn = await page.evaluate(() => {
    const canvas = document.createElement('canvas');
    canvas.width = 600;
    canvas.height = 400;
    const brush = canvas.getContext('2d');
    brush.fillStyle = '#e8590c';
    brush.fillRect(0, 0, 600, 400);
    return canvas.toDataURL('image/png');
  });
  await section.locator('input[type="file"]').setInputFiles({
    name: 'me.png',
    mimeType: 'image/png',
    buffer: Buffer.from(drawn.split(',')[1], 'base64')
  });
  await expect(section.getByRole('button', { name: 'Change picture' })).toBeVisible();
  await expect(section.locator('.av img')).toBeVisible();
  await anna.expectFlawless('one’s own picture');

  const [her, his, third] = [await apiOf(server, anna), await apiOf(server, ben), await apiOf(server, carl)];
  await her.send(await her.openGroup('Faces', his, third), 'What do you think?');
  await ben.openConversation('Faces');
  // Pictures are requested again after a while.
  await ben.page.reload();
  await ben.sees('What do you think?');
  const face = ben.log.getByRole('article').filter({ hasText: 'What do you think?' }).locator('.av img').first();
  await expect(face).toBeVisible();
  await expect.poll(() => face.evaluate((img) => img.naturalWidth)).toBe(256);

  await section.getByRole('button', { name: 'Remove picture' }).click();
  await expect(section.getByRole('button', { name: 'Add a picture' })).toBeVisible();
  await expect(section.locator('.av img')).toHaveCount(0);
  await ben.page.reload();
  await ben.sees('What do you think?');
  await expect(ben.log.locator('.av img')).toHaveCount(0);
});

test('stores, changes and removes custom instructions', async ({ arrive }) => {
  const anna = await arrive('Anna');
  const page = await settingsOf(anna);
  const section = SECTION(page, 'Your instructions');
  const field = section.getByLabel('What should assistants know, and how should they answer?');
  const save = section.getByRole('button', { name: 'Save' });
  await expect(save).toBeDisabled();
  await field.fill('Keep answers short.');
  await save.click();
  await expect(page.getByText('Saved.').first()).toBeVisible();
  await anna.expectFlawless('instructions');
  await page.reload();
  await expect(field).toHaveValue('Keep answers short.');
  await field.fill('');
  await save.click();
  await expect(save).toBeDisabled();
  await page.reload();
  await expect(field).toHaveValue('');
});
