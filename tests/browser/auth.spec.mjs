// Sign-in: email verification, password reset, second factor, passkeys, invitations and expired sessions.

import * as OTPAuth from 'otpauth';
import { startServer } from '../clients/server.mjs';
import { linkTo } from './mail.mjs';
import { apiOf, DESKTOP, expect, giveAuthenticator, PASSWORD, PHONE, test, Visitor } from './people.mjs';

const NEW_PASSWORD = 'Better-Horse-10-Battery';

/** TOTP code of a secret, at present or `later` seconds from now. */
function codeOf(secret, later = 0) {
  const totp = new OTPAuth.TOTP({ secret: OTPAuth.Secret.fromBase32(secret) });
  return totp.generate({ timestamp: Date.now() + later * 1000 });
}

/** Visitor with a page who isn't signed in. */
async function stranger(browser, server, options = {}) {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP, ...options });
  return new Visitor(await context.newPage(), 'Stranger');
}

/** Ends the session of a page, as if done on another device. */
async function endSessionOf(server, visitor) {
  const api = await apiOf(server, visitor);
  const { items } = await api.call('GET', '/r1/usersessions');
  for (const { id, current } of items) if (!current) await api.call('DELETE', `/r1/usersessions/${id}`);
}

test('verifies an email address by the link in the mail', { tag: '@gate' }, async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const note = anna.page.getByRole('region', { name: 'Verify your email' });
  await expect(note).toContainText(anna.email);
  const below = await note.evaluate(
    (one) =>
      one.getBoundingClientRect().top - one.parentElement.querySelector('nav.scroll').getBoundingClientRect().bottom
  );
  expect(below, 'it comes late, and moves no conversation').toBeGreaterThanOrEqual(0);
  await anna.expectFlawless('the note');
  const first = await linkTo(server, anna.email, 'verify-email');
  await note.getByRole('button', { name: 'Resend link' }).click();
  await expect(anna.page.getByText(`Link sent to ${anna.email}.`, { exact: true })).toBeVisible();
  await expect(note.getByRole('button', { name: /^Wait/ })).toBeDisabled();
  const second = await linkTo(server, anna.email, 'verify-email', { after: 1 });

  await anna.page.goto(first);
  await anna.page.getByRole('button', { name: 'Verify email' }).click();
  await expect(anna.page.getByRole('heading', { name: 'This link no longer works' })).toBeFocused();
  await anna.expectFlawless('a link that is gone');
  await anna.page.goto(second);
  await anna.expectFlawless('confirming');
  await anna.page.getByRole('button', { name: 'Verify email' }).click();
  await expect(anna.page.getByRole('heading', { name: 'Email verified' })).toBeFocused();
  await anna.page.getByRole('link', { name: 'Go to chats' }).click();
  await expect(anna.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  await expect(note).toHaveCount(0);
});

test('asks for the password when verifying on another device', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const link = await linkTo(server, anna.email, 'verify-email');
  await ben.page.goto(link);
  await ben.page.getByRole('button', { name: 'Verify email' }).click();
  await expect(ben.page.getByText('You’re not signed in to this account here.')).toBeVisible();
  await ben.expectFlawless('the password of another account');
  await ben.page.getByLabel('Password', { exact: true }).fill('Wrong-Horse-9-Battery');
  await ben.page.getByRole('button', { name: 'Verify email' }).click();
  await expect(ben.page.getByRole('alert')).toBeVisible();
  await ben.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await ben.page.getByRole('button', { name: 'Verify email' }).click();
  await expect(ben.page.getByRole('heading', { name: 'Email verified' })).toBeFocused();
  await ben.page.getByRole('link', { name: 'Go to chats' }).click();
  await expect(ben.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  await anna.page.reload();
  await expect(anna.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  await expect(anna.page.getByRole('region', { name: 'Verify your email' })).toHaveCount(0);
});

test('announces no mail without email delivery and tells the admin what to configure', async ({ browser }) => {
  const server = await startServer({ AUTH__SETUP_TOKEN: 'from the log' });
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = new Visitor(await context.newPage(), 'Admin');
  await admin.page.goto('/sign-up');
  await admin.page.getByLabel('Display name').fill('Admin');
  await admin.page.getByLabel('Email').fill('admin@example.test');
  await admin.page.getByLabel('Password', { exact: true }).fill(PASSWORD);
  const token = admin.page.getByLabel('Setup token');
  await admin.expectFlawless('the first account');
  await admin.page.getByRole('button', { name: 'Create account' }).click();
  await expect(admin.page.getByText('Enter the setup token from the server’s log.')).toBeVisible();
  await token.fill('from the log');
  await admin.page.getByRole('button', { name: 'Create account' }).click();
  const setUp = admin.page.getByRole('region', { name: 'Email isn’t set up' }).getByRole('link', { name: 'Set it up' });
  await expect(setUp).toHaveAttribute('href', '/admin/setup');
  await admin.expectFlawless('the note that email is off');
  await admin.page.getByRole('region', { name: 'Email isn’t set up' }).getByRole('button', { name: 'Close' }).click();
  await admin.page.reload();
  await expect(admin.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  await admin.page.waitForLoadState('networkidle');
  await expect(admin.page.getByRole('region', { name: 'Email isn’t set up' })).toHaveCount(0);

  const other = await stranger(browser, server);
  await other.page.goto('/forgot-password');
  await expect(other.page.getByText('Ask its admin to give you a new password.')).toBeVisible();
  await other.page.goto('/sign-up');
  await expect(other.page.getByLabel('Setup token')).toHaveCount(0);
  other.name = 'Ben';
  await other.signUp();
  await expect(other.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  await expect(other.page.getByRole('region', { name: /email/i })).toHaveCount(0);
  await other.page.context().close();
  await context.close();
  await server.stop();
});

test('reports a failed provider sign-in to a signed-in user', async ({ arrive }) => {
  const anna = await arrive('Anna');
  await anna.page.goto('/login?error=oauth_denied');
  await expect(anna.page.getByText('Sign-in wasn’t completed. Try again, or use another method.')).toHaveCount(1);
  await expect(anna.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
});

test('leads a signed-in user to account linking', async ({ arrive }) => {
  const anna = await arrive('Anna');
  await anna.page.goto('/login?error=link_required');
  await expect(anna.page.getByText('link the provider here')).toHaveCount(1);
  await expect(anna.page).toHaveURL(/\/settings#identities$/);
  await expect(anna.page.getByRole('heading', { name: 'Profile' })).toBeVisible();
  await anna.page.goto('/settings#api-keys');
  await expect(anna.page.getByRole('heading', { name: 'API keys' })).toBeInViewport();
});

test('resets a password by the link in the mail', async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna', PHONE);
  const other = await stranger(browser, server, PHONE);
  await other.page.goto('/sign-in');
  await other.page.getByLabel('Email').fill(anna.email);
  await other.page.getByRole('link', { name: 'Forgot password?' }).click();
  await expect(other.page.getByLabel('Email')).toHaveValue(anna.email);
  await other.expectFlawless('forgotten');
  await other.page.getByRole('button', { name: 'Send link' }).click();
  await expect(other.page.getByRole('heading', { name: 'Check your email' })).toBeFocused();
  const link = await linkTo(server, anna.email, 'reset-password');

  await other.page.goto(link);
  await other.page.getByLabel('New password', { exact: true }).fill('password');
  await expect(other.page.getByRole('meter')).toHaveAttribute('aria-valuetext', 'Very weak');
  await other.page.getByRole('button', { name: 'Save password' }).click();
  await expect(other.page.getByLabel('New password', { exact: true })).toHaveAttribute('aria-invalid', 'true');
  await other.page.getByLabel('New password', { exact: true }).fill(NEW_PASSWORD);
  await expect(other.page.getByRole('meter')).toHaveAttribute('aria-valuetext', 'Strong');
  await other.expectFlawless('a new password');
  await other.page.getByRole('button', { name: 'Save password' }).click();
  await expect(other.page.getByRole('heading', { name: 'Password changed' })).toBeFocused();

  // All sessions have ended, and the link can't be used again.
  await expect(anna.page.getByRole('dialog', { name: 'Sign in again' })).toBeVisible();
  await other.page.getByRole('link', { name: 'Sign in' }).click();
  other.email = anna.email;
  await other.signIn(NEW_PASSWORD);
  await other.page.context().clearCookies();
  await other.page.goto(link);
  await other.page.getByLabel('New password', { exact: true }).fill('Another-Horse-11-Battery');
  await other.page.getByRole('button', { name: 'Save password' }).click();
  await expect(other.page.getByRole('heading', { name: 'This link no longer works' })).toBeVisible();
  await other.page.context().close();
});

test('keeps drafts when a session expires', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  await anna.openChatWith(ben);
  await anna.write('before');
  await anna.sees('before');
  await anna.composer.fill('half a thou');
  await endSessionOf(server, anna);

  const dialog = anna.page.getByRole('dialog', { name: 'Sign in again' });
  await expect(dialog).toBeVisible();
  await expect(dialog.getByLabel('Email')).toHaveValue(anna.email);
  await expect(dialog.getByLabel('Password', { exact: true })).toBeFocused();
  await anna.page.keyboard.press('Escape');
  await expect(dialog).toBeVisible();
  await anna.expectFlawless('signing in again');
  await dialog.getByLabel('Password', { exact: true }).fill('Wrong-Horse-9-Battery');
  await dialog.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(dialog.getByRole('alert')).toContainText('Wrong email or password');
  // A message arrives while the session is expired.
  await ben.openConversation(anna.name);
  await ben.write('are you there?');
  await ben.sees('are you there?');
  await dialog.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await anna.page.evaluate(() => (window.isSamePage = true));
  await dialog.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(dialog).toHaveCount(0);
  await anna.sees('are you there?');
  await expect(anna.composer).toHaveValue('half a thou');
  await anna.write('half a thought');
  await ben.sees('half a thought');
  expect(await anna.page.evaluate(() => window.isSamePage)).toBe(true);
});

test('starts a new page when another account signs in after expiry', async ({ arrive, register, server }) => {
  const anna = await arrive('Anna');
  const ben = await register('Ben');
  await anna.openChatWith(ben);
  await anna.composer.fill('only Anna may see this');
  await endSessionOf(server, anna);
  const dialog = anna.page.getByRole('dialog', { name: 'Sign in again' });
  await dialog.getByLabel('Email').fill(ben.email);
  await dialog.getByLabel('Password', { exact: true }).fill(PASSWORD);
  await anna.page.evaluate(() => (window.isSamePage = true));
  await dialog.getByRole('button', { name: 'Sign in', exact: true }).click();
  await expect(anna.page.getByRole('button', { name: new RegExp(`You: ${ben.name}`) }).first()).toBeVisible();
  await expect(dialog).toHaveCount(0);
  expect(await anna.page.evaluate(() => window.isSamePage)).toBeUndefined();
  await anna.openConversation(anna.name);
  await expect(anna.composer).toHaveValue('');
});

test('asks for a TOTP or recovery code', async ({ browser, register, server }) => {
  const anna = await register('Anna');
  const api = await apiOf(server, anna);
  const { secret } = await api.call('POST', '/r1/auth/totp', { password: PASSWORD });
  const { recovery_codes } = await api.call('POST', '/r1/auth/totp/confirm', { code: codeOf(secret) });

  const other = await stranger(browser, server);
  await other.page.goto('/sign-in?next=/settings');
  await other.fillSignIn(anna.email);
  const code = other.page.getByLabel('Code from your authenticator app');
  await expect(code).toBeFocused();
  await other.expectFlawless('the second step');
  await code.fill(codeOf(secret, 600));
  await expect(other.page.getByText('That code is wrong or was already used. Try another one.')).toBeVisible();
  await expect(code).toHaveValue('');
  // The form is submitted after the sixth digit.
  await code.fill(codeOf(secret, 30));
  await expect(other.page.getByRole('heading', { name: 'Profile' })).toBeVisible();

  await other.page.context().clearCookies();
  await other.page.goto('/sign-in');
  await other.fillSignIn(anna.email);
  await other.page.getByRole('button', { name: 'Use a recovery code' }).click();
  await expect(other.page.getByLabel('Recovery code')).toBeFocused();
  await other.page.getByLabel('Recovery code').fill(` ${recovery_codes[0]} `);
  await other.page.getByRole('button', { name: 'Continue', exact: true }).click();
  await expect(other.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();

  await other.page.context().clearCookies();
  await other.page.goto('/sign-in');
  await other.fillSignIn(anna.email);
  for (let wrong = 1; wrong <= 5; wrong += 1) {
    await expect(code).toBeEnabled();
    await code.fill('000000');
    if (wrong < 5) await expect(code).toHaveValue('');
  }
  await expect(other.page.getByRole('alert')).toContainText('had too many wrong codes');
  await expect(other.page.getByLabel('Email')).toHaveValue(anna.email);
  await other.page.context().close();
});

test('translates provider errors and removes them from the URL', async ({ page, server }) => {
  await page.goto(`${server.url}/login?error=oauth_denied&next=/settings`);
  await expect(page.getByRole('alert')).toHaveText('Sign-in wasn’t completed. Try again, or use another method.');
  await expect(page.getByRole('link', { name: 'Create an account' })).toHaveAttribute(
    'href',
    /next=%2Fsettings|next=\/settings/
  );
  await page.goto(`${server.url}/login?error=Call+0123+to+unlock+your+account`);
  await expect(page.getByRole('alert')).toHaveText('Sign-in failed. Try again, or use another method.');
  await page.goto(`${server.url}/login?challenge=secret&methods=recovery_code&next=/settings`);
  await expect(page.getByLabel('Recovery code')).toBeFocused();
  await expect(page.getByLabel('Code from your authenticator app')).toHaveCount(0);
  await expect(page).toHaveURL(`${server.url}/sign-in?next=%2Fsettings`);
});

test('localises sign-in errors', async ({ browser, server }) => {
  const { page } = await stranger(browser, server, { locale: 'vi-VN' });
  await page.goto('/sign-up', { waitUntil: 'networkidle' });
  await page.getByLabel('Tên hiển thị').fill('Lan');
  // The address is longer than the server allows, which only the server checks.
  await page.getByLabel('Email').fill(`${'lan.'.repeat(15)}lan@${'example.'.repeat(30)}com`);
  await page.getByLabel('Mật khẩu', { exact: true }).fill(PASSWORD);
  await page.getByRole('button', { name: 'Tạo tài khoản' }).click();
  await expect(page.getByText('Quá dài hoặc quá nhiều. Hãy bớt lại.')).toBeVisible();
  await page.context().close();
});

test('signs in with a passkey', async ({ browser, server }) => {
  const anna = await stranger(browser, server);
  await giveAuthenticator(anna.page);
  await anna.signUp();
  await anna.page.evaluate(async () => {
    const ask = async (path, body) => {
      const answer = await fetch(`/r1/auth/passkeys/register/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body)
      });
      if (!answer.ok) throw new Error(await answer.text());
      return (await answer.json()).data;
    };
    const start = await ask('start', {});
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(start.publicKey);
    const credential = (await navigator.credentials.create({ publicKey })).toJSON();
    await ask('finish', { challenge_id: start.challenge_id, credential, name: 'Laptop' });
  });
  const isIn = anna.page.getByRole('button', { name: new RegExp(`You: ${anna.name}`) }).first();
  await anna.signOut();
  // The browser offers the passkey in its autofill. The virtual authenticator accepts at once.
  await expect(isIn).toBeVisible();

  await anna.page.addInitScript(() => {
    PublicKeyCredential.isConditionalMediationAvailable = async () => false;
  });
  await anna.page.reload();
  await anna.signOut();
  await anna.page.getByRole('button', { name: 'Use a passkey' }).click();
  await expect(isIn).toBeVisible();
  await anna.page.context().close();
});

test(
  'previews an invitation and accepts it after sign-up',
  { tag: '@gate' },
  async ({ arrive, browser, register, server }) => {
    const anna = await register('Anna');
    const api = await apiOf(server, anna);
    const workspace = await api.call('POST', '/r1/workspaces', {
      name: 'Laboratory of things with a rather long name'
    });
    const invitation = await api.call('POST', `/r1/workspaces/${workspace.id}/invitations`, { max_uses: 2 });
    const link = `/invite?token=${encodeURIComponent(invitation.token)}`;

    const other = await stranger(browser, server, PHONE);
    await other.page.goto(link);
    await expect(other.page.getByRole('heading', { name: /^Join Laboratory/ })).toBeVisible();
    await expect(other.page.getByText(`${anna.name} invited you as a member.`)).toBeVisible();
    await other.expectFlawless('an invitation');
    await other.page.getByRole('link', { name: 'Create an account and join' }).click();
    await other.fillSignUp();
    await expect(other.page.getByText('You joined Laboratory')).toBeVisible();
    await expect(other.page.getByRole('button', { name: /^Workspace: Laboratory/ }).first()).toBeVisible();

    const ben = await arrive('Ben');
    await ben.page.goto(link);
    await expect(ben.page.getByText(ben.email)).toBeVisible();
    await ben.page.getByRole('button', { name: /^Join Laboratory/ }).click();
    await expect(ben.page.getByText('You joined Laboratory')).toBeVisible();

    const late = await stranger(browser, server);
    await late.page.goto(link);
    await expect(late.page.getByRole('heading', { name: 'This invitation is no longer valid' })).toBeVisible();
    await late.expectFlawless('an invitation that is over');
    await other.page.context().close();
    await late.page.context().close();
  }
);

test('rejects an invitation for another address', async ({ arrive, register, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  const dora = await register('Dora');
  await anna.page.goto(await linkTo(server, anna.email, 'verify-email'));
  await anna.page.getByRole('button', { name: 'Verify email' }).click();
  await expect(anna.page.getByRole('heading', { name: 'Email verified' })).toBeVisible();
  const api = await apiOf(server, anna);
  const workspace = await api.call('POST', '/r1/workspaces', { name: 'Archive' });
  const email = `cleo-${Date.now()}@example.test`;
  await api.call('POST', `/r1/workspaces/${workspace.id}/invitations`, { email, role: 'guest' });
  const link = await linkTo(server, email, 'invite');
  await ben.page.goto(link);
  await expect(ben.page.getByText(/invited (you )?as a guest\./)).toBeVisible();
  await ben.page.getByRole('button', { name: 'Join Archive' }).click();
  await expect(ben.page.getByRole('alert')).toContainText('for a different email');
  await ben.expectFlawless('an invitation for somebody else');
  await ben.page.evaluate(() => (window.isBens = true));
  await ben.page.getByRole('button', { name: 'Use another account' }).click();
  await expect(ben.page.getByRole('heading', { name: 'Welcome back' })).toBeVisible();
  expect(await ben.page.evaluate(() => window.isBens)).toBe(true);
  // The page is reloaded for the next account, which sees the invitation.
  await ben.fillSignIn(dora.email);
  await expect(ben.page.getByText(`(${dora.email})`)).toBeVisible();
  await expect(ben.page.getByRole('alert')).toContainText('for a different email');
  expect(await ben.page.evaluate(() => window.isBens)).toBeUndefined();
});

test.describe('a server with its own policy', () => {
  let server;
  test.beforeAll(async () => {
    server = await startServer({
      RATE_LIMIT__ENABLED: 'true',
      AUTH__SIGNUP: 'invite',
      AUTH__PASSWORD__MIN_LENGTH: '12',
      AUTH__PASSWORD__DIGIT: 'false',
      AUTH__FAILED_SIGNINS: '2',
      AUTH__FAILED_WINDOW: '3'
    });
  });
  test.afterAll(() => server.stop());

  test('enforces invitation-only sign-up and password rules', async ({ browser }) => {
    const nobody = await stranger(browser, server);
    await nobody.page.goto('/sign-up');
    await expect(nobody.page.getByRole('heading', { name: 'By invitation only' })).toBeVisible();
    await nobody.expectFlawless('by invitation only');
    await nobody.page.goto(`/sign-up?next=${encodeURIComponent('/invite?token=nonsense')}`);
    await nobody.page.getByLabel('Password', { exact: true }).fill('abcdefgh');
    await expect(nobody.page.getByText('At least 12 characters')).toBeVisible();
    await expect(nobody.page.getByText('A number')).toHaveCount(0);
    await nobody.page.context().close();
  });

  test('rate-limits password guesses with a countdown', async ({ browser }) => {
    const nobody = await stranger(browser, server);
    await nobody.page.goto('/sign-in');
    const button = nobody.page.getByRole('button', { name: 'Sign in', exact: true });
    for (let tries = 0; tries < 3; tries += 1) {
      await nobody.fillSignIn('nobody@example.test', `Wrong-Horse-${tries}-Battery`);
      await expect(nobody.page.getByRole('alert')).toBeVisible();
    }
    await expect(nobody.page.getByRole('alert')).toContainText('Too many failed attempts');
    await expect(nobody.page.getByRole('button', { name: /^Wait \d+ s$/ })).toBeDisabled();
    await expect(button).toBeEnabled();
    await expect(nobody.page.getByRole('alert')).toHaveCount(0);
    await nobody.page.context().close();
  });
});
