// Pages of the console: accounts, workspaces, configuration and set-up.

import { apiOf, DESKTOP, expect, PASSWORD, PHONE, shoot, signInAsAdmin, test } from './people.mjs';

test('suspends and restores an account', { tag: '@gate' }, async ({ arrive, browser, server }) => {
  const anna = await arrive('Anna');
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin');
  await page.getByRole('navigation', { name: 'Admin' }).getByRole('link', { name: 'Users' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Users' })).toBeVisible();
  await page.getByRole('searchbox', { name: 'Name, email or ID' }).fill(anna.email);
  await expect(page).toHaveURL(/q=/);
  await expect(page.getByRole('row')).toHaveCount(2);
  await admin.expectFlawless('the users');
  await page.getByRole('button', { name: anna.name }).click();
  const dialog = page.getByRole('dialog', { name: anna.name });
  await expect(dialog.getByText(anna.email)).toBeVisible();
  await expect(dialog.getByRole('heading', { name: 'Devices' })).toBeVisible();
  await expect(dialog.getByRole('button', { name: /^Sign out/ }).first()).toBeVisible();
  await admin.expectFlawless('somebody');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('somebody on a phone');
  await page.setViewportSize(DESKTOP);

  await dialog.getByRole('button', { name: 'Suspend…' }).click();
  const asking = page.getByRole('dialog', { name: /^Suspend/ });
  await asking.getByLabel('Reason').fill('Sends spam');
  await admin.expectFlawless('the question before a suspension');
  await asking.getByRole('button', { name: 'Suspend', exact: true }).click();
  await expect(dialog.getByText('Sends spam')).toBeVisible();
  // The sessions end without a reload of the page.
  await expect(anna.page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
  await anna.fillSignIn();
  await expect(anna.page.getByText('This account is suspended.')).toBeVisible();
  await page.keyboard.press('Escape');
  await page.getByRole('combobox', { name: 'Filter by state' }).selectOption('suspended');
  await expect(page).toHaveURL(/status=suspended/);
  await expect(page.getByRole('row').filter({ hasText: anna.email })).toContainText('Suspended');

  await page.getByRole('button', { name: anna.name }).click();
  await dialog.getByRole('button', { name: 'Restore' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Restore' }).click();
  await expect(dialog.getByText('Sends spam')).toHaveCount(0);
  await anna.page.reload();
  await anna.signIn();
  await dialog.getByRole('link', { name: 'Their actions in the audit log' }).click();
  await expect(page).toHaveURL(/actor=/);
  await expect(page.getByRole('table')).toBeVisible();
  await context.close();
});

test('suspends and restores idle accounts in bulk', async ({ arrive, browser, server }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/users');
  await page.getByRole('combobox', { name: 'Filter by last active' }).selectOption({ label: 'Idle for 30 days' });
  await expect(page).toHaveURL(/idle=30/);
  await expect(page.getByText('No accounts match.')).toBeVisible();
  await page.getByRole('combobox', { name: 'Filter by last active' }).selectOption({ label: 'Any time' });
  for (const { name } of [anna, ben]) await page.getByRole('checkbox', { name: `Select ${name}` }).check();
  const picked = page.getByRole('group', { name: '2 selected' });
  await admin.expectFlawless('two accounts selected');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('two accounts selected on a phone');
  await page.setViewportSize(DESKTOP);
  await picked.getByRole('button', { name: 'Suspend…' }).click();
  const asking = page.getByRole('dialog', { name: 'Suspend accounts: 2?' });
  await asking.getByLabel('Reason').fill('Idle');
  await asking.getByRole('button', { name: 'Suspend', exact: true }).click();
  await expect(page.getByText('Accounts suspended: 2')).toBeVisible();
  await expect(picked).toHaveCount(0);
  for (const { email } of [anna, ben]) {
    await expect(page.getByRole('row').filter({ hasText: email })).toContainText('Suspended');
    await expect(() =>
      expect(
        server.mails.some((mail) => JSON.stringify(mail).includes(email) && JSON.stringify(mail).includes('suspended'))
      ).toBe(true)
    ).toPass();
  }
  // The admin's own account in the selection is skipped, with a note.
  await page.getByRole('combobox', { name: 'Filter by state' }).selectOption('suspended');
  await page.getByRole('checkbox', { name: 'Select all on this page' }).check();
  await page.getByRole('button', { name: 'Restore' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Restore' }).click();
  await expect(page.getByText(/^Accounts restored: /)).toBeVisible();
  await expect(page.getByRole('row').filter({ hasText: anna.email })).toHaveCount(0);
  await context.close();
});

test('invites an account that chooses its password', async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/users');
  await page.getByRole('button', { name: 'Add user' }).click();
  const dialog = page.getByRole('dialog', { name: 'Add user' });
  await dialog.getByRole('button', { name: 'Create account' }).click();
  await expect(dialog.getByLabel('Email')).toBeFocused();
  await admin.expectFlawless('the form for somebody new');
  const email = `dora-${Date.now()}@example.test`;
  await dialog.getByLabel('Email').fill(email);
  await dialog.getByLabel('Name').fill('Dora Vesper');
  await dialog.getByRole('button', { name: 'Create account' }).click();
  await expect(page.getByText(`A link was sent to ${email}.`)).toBeVisible();
  await expect(page.getByRole('row').filter({ hasText: email })).toContainText('Unverified');
  let link;
  await expect(async () => {
    const mail = server.mails.find((one) => JSON.stringify(one).includes(email));
    link = /reset-password\?token=[\w-]+/.exec(JSON.stringify(mail))?.[0];
    expect(link).toBeTruthy();
  }).toPass();
  const guest = await (await browser.newContext({ baseURL: server.url, viewport: DESKTOP })).newPage();
  await guest.goto(`/${link}`);
  await guest.getByLabel('New password', { exact: true }).fill(PASSWORD);
  await guest
    .getByRole('button', { name: /password/i })
    .last()
    .click();
  await expect(
    guest
      .getByRole('link', { name: /sign in/i })
      .or(guest.getByRole('button', { name: 'Sign in' }))
      .first()
  ).toBeVisible();
  await guest.context().close();
  await context.close();
});

test('transfers and deletes a workspace', async ({ browser, register, server }) => {
  const [anna, ben] = [await register('Anna'), await register('Ben')];
  const [annas, bens] = [await apiOf(server, anna), await apiOf(server, ben)];
  const name = 'Harbour and Quay';
  const { id } = await annas.call('POST', '/r1/workspaces', { name });
  await annas.call('POST', `/r1/workspaces/${id}/members`, { user_id: bens.id });
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto(`/admin/workspaces?q=${encodeURIComponent(name)}`);
  await expect(page.getByRole('row').filter({ hasText: name })).toContainText(anna.name);
  await admin.expectFlawless('the workspaces');
  await page.getByRole('button', { name }).click();
  const dialog = page.getByRole('dialog', { name });
  await expect(dialog.getByText('Members')).toBeVisible();
  await admin.expectFlawless('a workspace');
  await dialog.getByRole('button', { name: 'Change owner…' }).click();
  const choice = page.getByRole('dialog', { name: 'Change owner…' });
  await choice.getByRole('button', { name: `Make owner: ${ben.name}` }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Make owner' }).click();
  await expect(dialog.getByRole('link', { name: ben.name })).toBeVisible();
  await dialog.getByRole('button', { name: 'Delete…' }).click();
  const asking = page.getByRole('dialog', { name: `Delete ${name}?` });
  await asking.getByRole('button', { name: 'Delete workspace' }).click();
  await expect(asking.getByText(/doesn’t match/)).toBeVisible();
  await asking.getByRole('textbox').fill(name);
  await asking.getByRole('button', { name: 'Delete workspace' }).click();
  await expect(page.getByText('No workspaces match.')).toBeVisible();
  await context.close();
});

test('lists conversations by place without their content', async ({ browser, register, server }) => {
  const anna = await register('Anna');
  const annas = await apiOf(server, anna);
  const { id } = await annas.call('POST', '/r1/workspaces', { name: 'Quayside' });
  const open = (kind, title) => annas.call('POST', '/r1/conversations', { workspace_id: id, kind, title });
  for (let n = 0; n < 52; n += 1) await open('private_channel', `berth-${n}`);
  const { id: secret } = await open('public_channel', 'lighthouse');
  await annas.call('POST', `/r1/conversations/${secret}/messages`, {
    client_id: crypto.randomUUID(),
    content: 'a secret'
  });
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/workspaces?q=Quayside');
  await page
    .getByRole('row')
    .filter({ hasText: 'Quayside' })
    .getByRole('link', { name: /^conversations: / })
    .click();
  await expect(page).toHaveURL(new RegExp(`/admin/conversations\\?workspace=${id}`));
  await expect(page.getByRole('row').nth(1)).toContainText('lighthouse');
  await expect(page.getByText('secret')).toHaveCount(0);
  await expect(page.getByRole('row')).toHaveCount(51);
  await admin.expectFlawless('the conversations');
  await shoot(page, 'conversations-1280');
  await page.getByRole('button', { name: 'Next page' }).click();
  await expect(page.getByRole('row').last()).not.toContainText('lighthouse');
  await expect(page.getByRole('button', { name: 'Next page' })).toBeDisabled();
  await page.getByRole('button', { name: 'Previous page' }).click();
  await expect(page.getByRole('row').nth(1)).toContainText('lighthouse');
  await page.getByRole('combobox', { name: 'Filter by kind' }).selectOption({ label: 'Channel' });
  await expect(page).toHaveURL(/kind=public_channel/);
  await page.getByRole('button', { name: 'Show all workspaces' }).click();
  await expect(page).not.toHaveURL(/workspace=/);
  await page.getByRole('searchbox', { name: 'Name or ID' }).fill('LIGHT');
  await expect(page.getByRole('row')).toHaveCount(2);
  await page.reload();
  await expect(page.getByRole('row').last()).toContainText('lighthouse');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('the conversations on a phone');
  await shoot(page, 'conversations-390');
  await page.getByRole('combobox', { name: 'Filter by state' }).selectOption({ label: 'Archived' });
  await expect(page.getByText('No conversations match.')).toBeVisible();
  await context.close();
});

test('transfers and deletes a channel', async ({ browser, register, server }) => {
  const [anna, ben] = [await register('Anna'), await register('Ben')];
  const [annas, bens] = [await apiOf(server, anna), await apiOf(server, ben)];
  const title = `slipway-${anna.name.toLowerCase()}`.replaceAll(' ', '-');
  const { id } = await annas.call('POST', '/r1/conversations', { kind: 'private_channel', title });
  await annas.call('POST', `/r1/conversations/${id}/members`, { user_id: bens.id });
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto(`/admin/conversations?q=${encodeURIComponent(title)}`);
  await page.getByRole('button', { name: title }).click();
  const dialog = page.getByRole('dialog', { name: title });
  await expect(dialog.getByRole('link', { name: anna.name })).toBeVisible();
  await admin.expectFlawless('a conversation');
  await shoot(page, 'conversation-1280');
  await dialog.getByRole('button', { name: 'Change owner…' }).click();
  const choice = page.getByRole('dialog', { name: 'Change owner…' });
  await choice.getByRole('button', { name: `Make owner: ${ben.name}` }).click();
  await admin.expectFlawless('making somebody the owner of a conversation');
  await page.getByRole('alertdialog').getByRole('button', { name: 'Make owner' }).click();
  await expect(dialog.getByRole('link', { name: ben.name })).toBeVisible();
  await page.setViewportSize(PHONE.viewport);
  await shoot(page, 'conversation-390');
  await dialog.getByRole('button', { name: 'Delete…' }).click();
  const asking = page.getByRole('dialog', { name: `Delete ${title}?` });
  await asking.getByRole('button', { name: 'Delete conversation' }).click();
  await expect(asking.getByText(/doesn’t match/)).toBeVisible();
  await asking.getByRole('textbox').fill(title);
  await admin.expectFlawless('deleting a conversation on a phone');
  await shoot(page, 'conversation-delete-390');
  await asking.getByRole('button', { name: 'Delete conversation' }).click();
  await expect(page.getByText('No conversations match.')).toBeVisible();
  await context.close();
});

test('sets up a new installation in several visits', { tag: '@gate' }, async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin');
  await page.getByRole('link', { name: 'Continue setup' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Setup' })).toBeVisible();
  await expect(page.getByText('You opened this page at this address')).toBeVisible();
  await page.getByRole('button', { name: 'Send me a test message' }).click();
  await expect(page.getByText(`Sent to ${server.admin.email}.`)).toBeVisible();
  await page.getByRole('button', { name: 'Ask a test question' }).click();
  await expect(page.getByText(/small/).first()).toBeVisible();
  await page.getByRole('button', { name: 'Create invitation link' }).click();
  await expect(page.getByText(/\/invite\?token=/)).toBeVisible();
  await admin.expectFlawless('the set-up');
  await page.setViewportSize(PHONE.viewport);
  await admin.expectFlawless('the set-up on a phone');
  await page.reload();
  await expect(page.getByText(/^Worked/).first()).toBeVisible();
  await page.getByRole('button', { name: 'Finish setup' }).click();
  await expect(page.getByRole('button', { name: 'Remind me again' })).toBeVisible();
  await page.goto('/admin');
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible();
  await expect(page.getByRole('link', { name: 'Continue setup' })).toHaveCount(0);
  await context.close();
});

test('shows settings with their sources', async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/settings?source=environment');
  await expect(page.getByText('NATTER__SERVER__PUBLIC_URL').filter({ visible: true })).toHaveCount(1);
  await expect(page.getByRole('row').filter({ hasText: 'ai.providers.fake.keys' })).toContainText('Set, hidden');
  await page.getByRole('searchbox').fill('public_url');
  await expect(page.getByRole('row')).toHaveCount(2);
  await admin.expectFlawless('the configuration');
  await page.getByRole('searchbox').fill('nothing like it');
  await expect(page.getByText('No settings match.')).toBeVisible();
  await context.close();
});

test('opens all console pages on a phone', async ({ browser, server }) => {
  const context = await browser.newContext({ baseURL: server.url, ...PHONE });
  const { page } = await signInAsAdmin(context, server);
  await page.goto('/admin');
  const links = page.getByRole('navigation', { name: 'Admin' }).getByRole('link');
  await expect(links.first()).toBeVisible();
  for (const link of await links.all()) {
    await link.click();
    await expect(link).toHaveAttribute('aria-current', 'page');
    await expect(page.getByRole('main').getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.getByRole('status', { name: 'Loading' })).toHaveCount(0);
    const width = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    expect(width, 'the page is not wider than the screen').toBeLessThanOrEqual(0);
  }
  await context.close();
});
