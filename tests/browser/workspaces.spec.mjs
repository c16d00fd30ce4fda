// Workspaces from their creation to their deletion.

import { Person } from '../clients/server.mjs';
import { linksTo, verifyEmail } from './mail.mjs';
import { apiOf, expect, PHONE, shoot, test } from './people.mjs';

const SECTION = (page, name) => page.getByRole('region', { name, exact: true });

test('creates, fills, transfers and leaves a workspace', { tag: '@gate' }, async ({ arrive, register, server }) => {
  const anna = await arrive('Anna');
  const ben = await register('Ben');
  const { page } = anna;
  await page.getByRole('button', { name: /^Workspace:/ }).click();
  await page.getByRole('menuitem', { name: 'New workspace' }).click();
  await page.getByRole('dialog').getByLabel('Workspace name').fill('Harbor');
  await page.getByRole('dialog').getByRole('button', { name: 'Create workspace' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Harbor' })).toBeVisible();
  await page.getByLabel('Workspace name').fill('Harbour');
  await page.getByRole('button', { name: 'Save' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Harbour' })).toBeVisible();

  const people = SECTION(page, 'People');
  await people.getByLabel('Add by email').fill(`nobody-${ben.email}`);
  await people.getByRole('button', { name: 'Add' }).click();
  await expect(people.locator('.error')).toBeVisible();

  const invitations = SECTION(page, 'Invitations');
  await invitations.getByRole('button', { name: 'Invite', exact: true }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Send invitation' }).click();
  await expect(dialog.getByText('Enter your email.')).toBeVisible();
  await anna.expectFlawless('the form for an invitation');
  await dialog.getByRole('radio', { name: 'By link' }).click();
  await dialog.getByLabel('Role').selectOption('guest');
  await dialog.getByRole('button', { name: 'Create link' }).click();
  await expect(invitations.getByText('Your link is ready')).toBeVisible();
  const link = new URL(await invitations.locator('.fresh code').innerText());
  expect(link.origin).toBe(server.url);
  const benApi = await apiOf(server, ben);
  await benApi.call('POST', '/r1/invitations/accept', { token: link.searchParams.get('token') });

  await page.reload();
  await expect(invitations.getByText('1 of 10 used')).toBeVisible();
  const row = people.getByRole('listitem').filter({ hasText: ben.name });
  const role = row.getByRole('combobox', { name: `Role of ${ben.name}` });
  await expect(role).toHaveValue('guest');
  await role.selectOption('admin');
  await expect(page.getByText('Saved.')).toBeVisible();
  await page.reload();
  await expect(role).toHaveValue('admin');
  await people.getByRole('searchbox').fill('zzz');
  await expect(people.getByText('No results for “zzz”.')).toBeVisible();
  await people.getByRole('searchbox').fill(ben.name);
  await expect(people.getByRole('listitem')).toHaveCount(1);
  await anna.expectFlawless('the settings of a workspace');

  await invitations.getByRole('button', { name: /^Revoke invitation/ }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }).click();
  await expect(invitations.getByText('No open invitations.')).toBeVisible();

  const leaving = SECTION(page, 'Leave or delete');
  await expect(leaving.getByRole('button', { name: 'Leave…' })).toBeDisabled();
  await row.getByRole('button', { name: `Actions for ${ben.name}` }).click();
  await page.getByRole('menuitem', { name: 'Make owner' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Make owner' }).click();
  await expect(row.getByText('Owner')).toBeVisible();
  await leaving.getByRole('button', { name: 'Leave…' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Leave workspace' }).click();
  await expect(page).toHaveURL(`${server.url}/`);
  const names = async (api) => (await api.call('GET', '/r1/workspaces')).items.map(({ name }) => name);
  expect(await names(await apiOf(server, anna))).not.toContain('Harbour');

  // The new owner deletes the workspace.
  const workspace = (await benApi.call('GET', '/r1/workspaces')).items.find(({ name }) => name === 'Harbour');
  await ben.page.goto(`/workspaces/${workspace.id}`);
  await SECTION(ben.page, 'Leave or delete').getByRole('button', { name: 'Delete…' }).click();
  const last = ben.page.getByRole('dialog');
  await last.getByLabel(/to confirm$/).fill('Harbor');
  await last.getByRole('button', { name: 'Delete workspace' }).click();
  await expect(last.getByText('Type “Harbour” exactly.')).toBeVisible();
  await ben.expectFlawless('the question before deleting a workspace');
  await last.getByLabel(/to confirm$/).fill('Harbour');
  await last.getByRole('button', { name: 'Delete workspace' }).click();
  await expect(ben.page).toHaveURL(`${server.url}/`);
  expect(await names(benApi)).not.toContain('Harbour');
});

test('applies added, renamed and removed workspaces live', async ({ arrive, register, server }) => {
  const anna = await register('Anna');
  const ben = await arrive('Ben');
  const api = await apiOf(server, anna);
  const { id } = await api.call('POST', '/r1/workspaces', { name: 'Lakesid' });
  const tile = (name) => ben.page.getByRole('navigation', { name: 'Main' }).getByRole('button', { name, exact: true });
  await anna.page.goto(`/workspaces/${id}`);
  const people = SECTION(anna.page, 'People');
  await people.getByLabel('Add by email').fill(ben.email);
  await people.getByRole('button', { name: 'Add' }).click();
  await expect(people.getByRole('listitem')).toHaveCount(2);
  await expect(tile('Lakesid')).toBeVisible();
  await ben.page.goto(`/workspaces/${id}`);
  await ben.page.evaluate(() => (window.isSamePage = true));
  await expect(ben.page.getByRole('button', { name: /^You: .*Online$/ })).toBeVisible();
  await anna.page.getByLabel('Workspace name').fill('Lakeside');
  await anna.page.getByRole('button', { name: 'Save' }).click();
  await expect(ben.page.getByRole('heading', { level: 1, name: 'Lakeside' })).toBeVisible();
  await expect(tile('Lakeside')).toBeVisible();
  await expect(ben.page.getByLabel('Workspace name')).toHaveCount(0);
  await people.getByRole('button', { name: `Actions for ${ben.name}` }).click();
  await anna.page.getByRole('menuitem', { name: 'Remove' }).click();
  await anna.page.getByRole('alertdialog').getByRole('button', { name: 'Remove' }).click();
  await expect(people.getByRole('listitem')).toHaveCount(1);
  await expect(ben.page.getByText('You’re no longer in Lakeside.')).toBeVisible();
  await expect(ben.page.getByRole('heading', { name: 'Workspace not found' })).toBeVisible();
  await expect(tile('Lakeside')).toHaveCount(0);
  await ben.expectFlawless('a workspace that one is no longer in');
  expect(await ben.page.evaluate(() => window.isSamePage)).toBe(true);
});

test('leaves a workspace that is deleted while writing', async ({ register, server }) => {
  const anna = await register('Anna');
  const ben = await register('Ben');
  const [api, benApi] = [await apiOf(server, anna), await apiOf(server, ben)];
  const { id } = await api.call('POST', '/r1/workspaces', { name: 'Pier' });
  const others = [benApi.id, (await Person.signUp(server.url, 'Cleo')).id];
  for (const user_id of others) await api.call('POST', `/r1/workspaces/${id}/members`, { user_id });
  const room = { kind: 'group', title: 'On the pier', workspace_id: id, member_ids: others };
  const { id: conversation } = await api.call('POST', '/r1/conversations', room);
  await ben.page.goto(`/c/${conversation}`);
  await ben.composer.fill('half a word');
  await expect(ben.page.getByRole('button', { name: 'Workspace: Pier' })).toBeVisible();
  await api.call('DELETE', `/r1/workspaces/${id}`);
  await expect(ben.page.getByText('You’re no longer in Pier.')).toBeVisible();
  await expect(ben.page.getByText('Conversation not found')).toBeVisible();
  await expect(ben.page.getByRole('button', { name: 'Workspace: Home' })).toBeVisible();
});

test('joins a workspace by email domain', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben');
  await verifyEmail(server, anna);
  await verifyEmail(server, ben);
  const { id } = await (await apiOf(server, anna)).call('POST', '/r1/workspaces', { name: 'Observatory' });
  await anna.page.goto(`/workspaces/${id}`);
  const general = SECTION(anna.page, 'Observatory');
  await general.getByLabel('Email domains that can join').fill('nonsense');
  await general.getByRole('button', { name: 'Add' }).click();
  await expect(general.getByText('Enter a domain, such as example.com.')).toBeVisible();
  await general.getByLabel('Email domains that can join').fill('elsewhere.example');
  await general.getByRole('button', { name: 'Add' }).click();
  // The user needs a verified address at the domain.
  await expect(general.locator('.error')).toBeVisible();
  await general.getByLabel('Email domains that can join').fill(anna.email);
  await general.getByRole('button', { name: 'Add' }).click();
  await expect(general.getByRole('listitem')).toHaveText('example.test');
  await anna.expectFlawless('a domain that may join');

  await ben.page.reload();
  await ben.page.getByRole('button', { name: /^Workspace:/ }).click();
  await ben.page.getByRole('menuitem', { name: /Observatory/ }).click();
  await expect(ben.page.getByRole('button', { name: 'Workspace: Observatory' })).toBeVisible();
  await anna.page.reload();
  await expect(SECTION(anna.page, 'People').getByRole('listitem')).toHaveCount(2);
  await general.getByRole('button', { name: 'Remove example.test' }).click();
  await expect(general.getByRole('listitem')).toHaveCount(0);
});

test('invites people from the workspace menu', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  const menu = page.getByRole('button', { name: /^Workspace:/ });
  await menu.click();
  await page.getByRole('menuitem', { name: 'New workspace' }).click();
  await page.getByRole('dialog').getByLabel('Workspace name').fill('Quay');
  await page.getByRole('dialog').getByRole('button', { name: 'Create workspace' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Quay' })).toBeVisible();
  await page.goto(server.url);
  await menu.click();
  await page.getByRole('menuitem', { name: 'Quay' }).click();
  await menu.click();
  await page.getByRole('menuitem', { name: 'Invite people' }).click();
  const dialog = page.getByRole('dialog', { name: 'Invite to Quay' });
  await dialog.getByRole('radio', { name: 'By link' }).click();
  await dialog.getByRole('button', { name: 'Create link' }).click();
  await expect(dialog.getByText('Your link is ready')).toBeVisible();
  await expect(dialog.locator('.fresh code')).toContainText(`${server.url}/`);
  await anna.expectFlawless('the link of an invitation');
});

test('invites a pasted list and a CSV file of people', async ({ arrive, server }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await verifyEmail(server, anna);
  const { id } = await (await apiOf(server, anna)).call('POST', '/r1/workspaces', { name: 'Lock Keepers' });
  await page.goto(`/workspaces/${id}`);
  const section = SECTION(page, 'Invitations');
  await section.getByRole('button', { name: 'Invite' }).click();
  const dialog = page.getByRole('dialog', { name: 'Invite to Lock Keepers' });
  const emails = dialog.getByRole('textbox', { name: 'Emails' });
  await emails.fill('Mai and Tom');
  await dialog.getByRole('button', { name: 'Send invitation' }).click();
  await expect(emails).toHaveAttribute('aria-invalid', 'true');

  // A list as it is copied from a mail, with names and one address twice, and a file of a spreadsheet.
  const at = `${Date.now()}@example.test`;
  const [mai, tom, liv] = ['mai', 'tom', 'liv'].map((name) => `${name}-${at}`);
  await emails.fill(`Mai Tran <${mai}>, ${tom}; ${tom.toUpperCase()}\n${anna.email}`);
  await expect(dialog.getByText('3 emails')).toBeVisible();
  const chooser = page.waitForEvent('filechooser');
  await dialog.getByRole('button', { name: 'Add from a file (CSV)' }).click();
  const file = (name, text) => ({ name, mimeType: 'text/csv', buffer: Buffer.from(text) });
  await (
    await chooser
  ).setFiles(file('team.csv', `"Name","Email"\r\n"Dahl, Liv","${liv}"\r\n"Tran, Mai","${mai}"\r\n`));
  await expect(dialog.getByText('4 emails')).toBeVisible();
  await shoot(page, 'invite-many-1440');
  await anna.expectFlawless('a list of addresses');
  await dialog.getByRole('button', { name: 'Send 4 invitations' }).click();

  // The address of a member is left, with the reason; the others get their links.
  await expect(dialog.getByRole('alert')).toContainText('Sent: 3. Not sent: 1.');
  await expect(dialog.getByRole('alert').getByRole('listitem')).toHaveText(`${anna.email}: Already a member`);
  await expect(emails).toHaveValue(anna.email);
  await anna.expectFlawless('an address that is not invited');
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  const invited = section.getByRole('listitem');
  await expect(invited).toHaveCount(3);
  for (const email of [mai, tom, liv]) {
    await expect(invited.filter({ hasText: email })).toHaveCount(1);
    await expect.poll(() => linksTo(server, email, 'invite').length, email).toBe(1);
  }
  expect(linksTo(server, anna.email, 'invite')).toEqual([]);
});

test('says that a file has no addresses, and which people are invited already: phone', async ({ arrive, server }) => {
  const anna = await arrive('Anna', PHONE);
  const { page } = anna;
  await verifyEmail(server, anna);
  const api = await apiOf(server, anna);
  const { id } = await api.call('POST', '/r1/workspaces', { name: 'Bridge' });
  const email = `mai-${Date.now()}@example.test`;
  await api.call('POST', `/r1/workspaces/${id}/invitations`, { email, role: 'member' });
  await page.goto(`/workspaces/${id}`);
  await SECTION(page, 'Invitations').getByRole('button', { name: 'Invite' }).tap();
  const dialog = page.getByRole('dialog', { name: 'Invite to Bridge' });
  const chooser = page.waitForEvent('filechooser');
  await dialog.getByRole('button', { name: 'Add from a file (CSV)' }).tap();
  await (await chooser).setFiles({ name: 'names.csv', mimeType: 'text/csv', buffer: Buffer.from('Mai\nTom\n') });
  await expect(page.getByText('No emails found in names.csv.')).toBeVisible();
  const other = `tom-${Date.now()}@example.test`;
  await dialog.getByRole('textbox', { name: 'Emails' }).fill(`${email} ${other}`);
  await dialog.getByRole('button', { name: 'Send 2 invitations' }).tap();
  await expect(dialog.getByRole('alert').getByRole('listitem')).toHaveText(`${email}: Already invited`);
  await shoot(page, 'invite-many-390');
  await anna.expectFlawless('people who are invited already');
});
