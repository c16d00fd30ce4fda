// Change of the email address of an account.

import { linksTo, linkTo, verifyEmail } from './mail.mjs';
import { apiOf, DESKTOP, expect, PASSWORD, PHONE, shoot, test, Visitor } from './people.mjs';

/** Address that doesn't contain the previous one. */
const nextOf = ({ email }) => email.replace('@', '.next@');

/** Opens the settings and requests a change. */
async function request({ page }, email) {
  await page.goto('/settings');
  const profile = page.getByRole('region', { name: 'Profile', exact: true });
  await profile.getByRole('button', { name: 'Change email' }).click();
  const dialog = page.getByRole('dialog', { name: 'Change email' });
  await dialog.getByRole('textbox', { name: 'New email' }).fill(email);
  await dialog.getByRole('button', { name: 'Send links' }).click();
  return { profile, dialog };
}

async function confirm({ page }, link) {
  await page.goto(link);
  await page.getByRole('button', { name: 'Confirm', exact: true }).click();
}

test(
  'changes the email address once both addresses have confirmed',
  { tag: '@gate' },
  async ({ arrive, browser, server }) => {
    const anna = await arrive('Anna');
    await verifyEmail(server, anna);
    const email = nextOf(anna);
    const { profile, dialog } = await request(anna, email);
    await expect(dialog).toHaveCount(0);
    const status = profile.getByRole('status');
    await expect(status).toContainText(`Changing to ${email}. Open the links we sent there and to ${anna.email}`);
    await shoot(anna.page, 'email-change-1440');
    await anna.expectFlawless('a change that waits');

    // The links are opened on another device, on which nobody is signed in.
    const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
    const other = new Visitor(await context.newPage(), 'Other');
    const fromNew = await linkTo(server, email, 'confirm-email');
    const fromCurrent = await linkTo(server, anna.email, 'confirm-email');
    await confirm(other, fromNew);
    await expect(other.page.getByRole('heading', { name: 'Confirmed. One more step' })).toBeFocused();
    await expect(other.page.getByText('Now open the link we sent to your current email.')).toBeVisible();
    await other.expectFlawless('the first confirmation');
    // The settings follow. Until both have confirmed, the previous address stays.
    await expect(status).toContainText(`Changing to ${email}. Open the link we sent to ${anna.email}`);
    await expect(profile.getByText(anna.email, { exact: true })).toBeVisible();

    await confirm(other, fromCurrent);
    await expect(other.page.getByRole('heading', { name: 'Email changed' })).toBeFocused();
    await expect(other.page.getByText(`From now on, sign in with ${email}.`)).toBeVisible();
    await other.expectFlawless('the second confirmation');
    await expect(status).toHaveCount(0);
    await expect(profile.getByText(email, { exact: true })).toBeVisible();
    const notices = () =>
      server.mails.filter(({ to, subject }) => to.includes(anna.email) && /was changed$/.test(subject));
    await expect.poll(() => notices().length, 'the previous address is informed').toBe(1);
    expect(notices()[0].text).toContain(email);

    await other.page.getByRole('link', { name: 'Sign in' }).click();
    await other.fillSignIn(anna.email);
    await expect(other.page.getByRole('alert')).toBeVisible();
    other.email = email;
    await other.signIn();
    await confirm(other, fromNew);
    await expect(other.page.getByRole('heading', { name: 'This link no longer works' })).toBeFocused();
    await context.close();
  }
);

test('refuses addresses that cannot be used, and cancels a change: phone', async ({ arrive, register, server }) => {
  const [anna, ben] = [await arrive('Anna', PHONE), await register('Ben')];
  const { page } = anna;
  const { profile, dialog } = await request(anna, anna.email);
  const field = dialog.getByRole('textbox', { name: 'New email' });
  await expect(dialog.getByText('This is your email already.')).toBeVisible();
  await field.fill(ben.email);
  await dialog.getByRole('button', { name: 'Send links' }).tap();
  await expect(dialog.getByText('Another account uses this email')).toBeVisible();
  await expect(field).toHaveAttribute('aria-invalid', 'true');
  await shoot(page, 'email-change-taken-390');
  await anna.expectFlawless('an address that is taken');

  // The current address was never verified, so only the new one confirms.
  const email = nextOf(anna);
  await field.fill(email);
  await dialog.getByRole('button', { name: 'Send links' }).tap();
  await expect(profile.getByRole('status')).toContainText(`Changing to ${email}. Open the link we sent there`);
  const cancelled = await linkTo(server, email, 'confirm-email');
  expect(linksTo(server, anna.email, 'confirm-email')).toEqual([]);
  await profile.getByRole('button', { name: 'Cancel change' }).tap();
  await expect(page.getByText('Your email stays as it is.')).toBeVisible();
  await expect(profile.getByRole('status')).toHaveCount(0);
  await confirm(anna, cancelled);
  await expect(page.getByRole('heading', { name: 'This link no longer works' })).toBeFocused();
  await expect(page.getByText('It has expired, was already used or the change was canceled.')).toBeVisible();
  await anna.expectFlawless('the link of a cancelled change');
});

test('replaces the links when they are sent again, and keeps the address if another account gets the new one', async ({
  arrive,
  server
}) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  const email = nextOf(anna);
  const { profile } = await request(anna, email);
  const first = await linkTo(server, email, 'confirm-email');
  await profile.getByRole('button', { name: 'Resend links' }).click();
  const second = await linkTo(server, email, 'confirm-email', { after: 1 });
  await confirm(anna, first);
  await expect(page.getByRole('heading', { name: 'This link no longer works' })).toBeFocused();
  const answer = await fetch(`${server.url}/r1/auth/signup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email, password: PASSWORD, display_name: 'Somebody Else' })
  });
  expect(answer.status).toBe(201);
  await confirm(anna, second);
  await expect(page.getByRole('heading', { name: 'Another account uses this email' })).toBeFocused();
  await anna.expectFlawless('an address that was taken meanwhile');
  expect((await (await apiOf(server, anna)).call('GET', '/r1/users/me')).email).toBe(anna.email);
});
