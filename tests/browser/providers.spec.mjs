// Sign-in with a real identity provider.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { freePort, startServer } from '../clients/server.mjs';
import { apiOf, DESKTOP, expect, test, Visitor } from './people.mjs';

/** Identity provider, and a server that trusts it. An account with the subject `sub` has the address `sub@idp.test`. */
let provider;
let server;

test.beforeAll(async () => {
  const port = await freePort();
  const url = `http://localhost:${port}`;
  const program = new URL('../idp/server.mjs', import.meta.url).pathname;
  provider = spawn(process.execPath, [program, `${url}/r1/auth/oauth/harbour/callback`], {
    stdio: ['pipe', 'pipe', 'ignore']
  });
  const [line] = await once(createInterface({ input: provider.stdout }), 'line');
  const { oidc, client } = JSON.parse(line);
  server = await startServer({
    SERVER__PORT: port,
    SERVER__PUBLIC_URL: url,
    AUTH__OAUTH__HARBOUR__KIND: 'oidc',
    AUTH__OAUTH__HARBOUR__ISSUER: oidc,
    AUTH__OAUTH__HARBOUR__CLIENT_ID: client.id,
    AUTH__OAUTH__HARBOUR__CLIENT_SECRET: client.secret
  });
  server.url = url;
});

test.afterAll(async () => {
  await server.stop();
  provider.stdin.end();
});

async function visit(browser, name) {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  return new Visitor(await context.newPage(), name);
}

/** Fills in the sign-in page of the provider. */
async function signInThere(page, sub) {
  await page.locator('input[name="login"]').fill(sub);
  await page.locator('input[name="password"]').fill('whatever');
  await page.locator('button[type="submit"]').click();
  await page.locator('button[type="submit"]').click();
}

test('signs up with a provider and returns to the requested page', async ({ browser }) => {
  const mai = await visit(browser, 'Mai');
  await mai.page.goto('/sign-in?next=/settings');
  await mai.expectFlawless('sign-in with a provider');
  await mai.page.getByRole('link', { name: 'Continue with Harbour' }).click();
  await signInThere(mai.page, 'mai');
  await expect(mai.page.getByRole('heading', { name: 'Profile' })).toBeVisible();
  await expect(mai.page.getByLabel('Display name')).toHaveValue('mai');
  await mai.page.context().close();
});

test('returns to the sign-in page after cancelling at the provider', async ({ browser }) => {
  const nobody = await visit(browser, 'Nobody');
  await nobody.page.goto('/sign-up');
  await nobody.page.getByRole('link', { name: 'Continue with Harbour' }).click();
  await nobody.page.getByRole('link', { name: /cancel/i }).click();
  await expect(nobody.page.getByRole('alert')).toHaveText(
    'Sign-in wasn’t completed. Try again, or use another method.'
  );
  await nobody.page.context().close();
});

test('links a provider to an existing account after sign-in', async ({ browser }) => {
  const elena = await visit(browser, 'Elena');
  elena.email = 'elena@idp.test';
  await elena.signUp();
  await elena.page.context().clearCookies();
  await elena.page.goto('/sign-in');
  await elena.page.getByRole('link', { name: 'Continue with Harbour' }).click();
  await signInThere(elena.page, 'elena');
  await expect(elena.page.getByRole('status').filter({ hasText: 'Sign in as usual to add Harbour' })).toBeVisible();
  await elena.expectFlawless('an address that is taken');
  await elena.signIn();
  const api = await apiOf(server, elena);
  await expect.poll(async () => (await api.call('GET', '/r1/auth/identities')).items).toHaveLength(1);
  await elena.page.context().close();
});

test('renews an expired session with a provider popup', async ({ browser }) => {
  const tam = await visit(browser, 'Tam');
  await tam.page.goto('/sign-in');
  await tam.page.getByRole('link', { name: 'Continue with Harbour' }).click();
  await signInThere(tam.page, 'tam');
  await tam.openAssistant();
  await tam.composer.fill('half a thou');
  await tam.page.evaluate(() => (window.isSamePage = true));
  // The session is ended by another session of the account.
  const other = await tam.page.context().browser().newContext({ baseURL: server.url });
  const elsewhere = await other.newPage();
  await elsewhere.goto('/sign-in');
  await elsewhere.getByRole('link', { name: 'Continue with Harbour' }).click();
  await signInThere(elsewhere, 'tam');
  await elsewhere.goto('/settings');
  await elsewhere.getByRole('button', { name: 'Sign out all others' }).click();
  await elsewhere.getByRole('alertdialog').getByRole('button', { name: 'Sign out all others' }).click();

  const dialog = tam.page.getByRole('dialog', { name: 'Sign in again' });
  await expect(dialog).toBeVisible();
  const opening = tam.page.waitForEvent('popup');
  await dialog.getByRole('link', { name: 'Continue with Harbour' }).click();
  const window_ = await opening;
  // If the provider still has a session, the popup closes without asking the user for anything.
  const closed = window_.isClosed() ? Promise.resolve() : window_.waitForEvent('close');
  await expect(dialog).toHaveCount(0);
  await closed;
  await expect(tam.composer).toHaveValue('half a thou');
  expect(await tam.page.evaluate(() => window.isSamePage)).toBe(true);
  await other.close();
  await tam.page.context().close();
});

test('links and unlinks a provider but keeps the last sign-in method', async ({ browser }) => {
  const lena = await visit(browser, 'Lena');
  await lena.signUp();
  await lena.page.goto('/settings');
  const section = lena.page.getByRole('region', { name: 'Linked accounts', exact: true });
  await section.getByRole('link', { name: 'Link Harbour' }).click();
  await signInThere(lena.page, 'lena-there');
  await expect(section.getByText(/lena-there@idp.test · linked/)).toBeVisible();
  await expect(section.getByRole('link', { name: 'Link Harbour' })).toHaveCount(0);
  await lena.expectFlawless('a linked account');
  await section.getByRole('button', { name: 'Unlink Harbour' }).click();
  await lena.page.getByRole('alertdialog').getByRole('button', { name: 'Unlink' }).click();
  await expect(section.getByText('No linked accounts yet.')).toBeVisible();
  await lena.page.context().close();

  const oda = await visit(browser, 'Oda');
  await oda.page.goto('/sign-in?next=/settings');
  await oda.page.getByRole('link', { name: 'Continue with Harbour' }).click();
  await signInThere(oda.page, 'oda');
  const only = oda.page.getByRole('region', { name: 'Linked accounts', exact: true });
  await only.getByRole('button', { name: 'Unlink Harbour' }).click();
  await oda.page.getByRole('alertdialog').getByRole('button', { name: 'Unlink' }).click();
  await expect(only.getByRole('alert')).toContainText('This is your only way to sign in.');
  await expect(oda.page.getByRole('button', { name: 'Email me a setup link' })).toBeVisible();
  await oda.expectFlawless('the settings of an account without a password');
  await oda.page.context().close();
});
