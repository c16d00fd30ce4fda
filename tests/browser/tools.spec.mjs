// Tools: an admin adds a server, an assistant gets its tools, and the user approves calls.

import { apiOf, DESKTOP, expect, PHONE, signInAsAdmin, test } from './people.mjs';
import { startSignedIn } from '../mcp/signed-in.mjs';
import { startTools } from './tool-server.mjs';

test.use({ settings: { OUTGOING__ALLOW: '127.0.0.1' } });

test('adds, grants, approves and calls tools', { tag: '@gate' }, async ({ browser, register, server, upstream }) => {
  const tools = await startTools();
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  const { page } = admin;
  await page.goto('/admin/tools');
  await expect(page.getByText('No tool servers yet.')).toBeVisible();
  await page.getByRole('button', { name: 'Add tool server' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Add tool server' }).click();
  await expect(dialog.getByText('Enter a name.')).toBeVisible();
  await dialog.getByLabel('Name', { exact: true }).first().fill('Forge');
  await dialog.getByLabel('Address').fill(tools.url);
  await dialog.getByLabel('Who can add it to assistants').selectOption('Everyone');
  await admin.expectFlawless('the form for a server of tools');
  await dialog.getByRole('button', { name: 'Add tool server' }).click();
  const card = page.getByRole('region', { name: 'Forge' });
  await expect(card.getByText('Ready')).toBeVisible();
  await expect(card.getByText('Read-only')).toBeVisible();
  await expect(card.getByLabel('Permission for Find issues')).toHaveValue('ask');
  await card.getByLabel('Permission for Find issues').selectOption('auto');
  await expect(card.getByLabel('Permission for Close an issue')).toHaveValue('ask');
  await admin.expectFlawless('a server of tools');

  const anna = await register('Anna');
  await anna.page.goto('/assistants/new');
  await anna.page.getByLabel('Name', { exact: true }).fill('Smith');
  await anna.page.getByRole('switch', { name: 'Allow tools' }).click();
  await anna.page.getByRole('checkbox', { name: 'Forge' }).check();
  await anna.page.getByRole('checkbox', { name: 'All tools' }).uncheck();
  await expect(anna.page.getByRole('checkbox', { name: /Close an issue/ })).toBeChecked();
  await anna.expectFlawless('the tools of an assistant');
  await anna.page.getByRole('button', { name: 'Create assistant' }).click();
  await anna.page.getByRole('link', { name: 'Ask Smith' }).click();

  upstream.next({
    words: ['Let me look.'],
    calls: [
      { name: 'Forge__find_issues', given: { query: 'pool' } },
      { name: 'Forge__close_issue', given: { number: 482 } }
    ]
  });
  upstream.next({ words: ['It', ' is', ' closed.'] });
  await anna.write('Close the issue about the pool');
  const ask = anna.log.getByRole('region').filter({ hasText: 'Close an issue' });
  await expect(ask).toContainText('482');
  await expect(ask.getByRole('alert')).toContainText('wants to use a tool');
  // A tool that only reads runs without approval.
  await expect.poll(() => tools.called).toEqual(['find_issues']);
  await anna.expectFlawless('a tool that asks first');
  await ask.getByRole('button', { name: 'Allow Close an issue' }).press('Enter');
  await anna.sees('It is closed.');
  expect(tools.called.toSorted()).toEqual(['close_issue', 'find_issues']);

  // After a reload the arguments and results can still be viewed.
  await anna.page.reload();
  const steps = anna.log.getByRole('list', { name: 'Tools used' });
  await expect(steps.getByRole('listitem')).toHaveCount(2);
  await steps.getByText('Find issues').click();
  await expect(steps.getByText('find_issues has worked')).toBeVisible();
  await anna.expectFlawless('tools that were used');
  await anna.page.setViewportSize(PHONE.viewport);
  await anna.expectFlawless('tools that were used, on a phone');

  // The call is denied: the tool isn't called, and the answer continues.
  upstream.next({ calls: [{ name: 'Forge__close_issue', given: { number: 483 } }] });
  upstream.next({ words: ['Then', ' not.'] });
  await anna.write('And the other one');
  await ask.getByRole('button', { name: 'Deny Close an issue' }).click();
  await anna.sees('Then not.');
  await expect(anna.log.getByText('Denied', { exact: true })).toBeVisible();
  expect(tools.called.filter((name) => name === 'close_issue')).toHaveLength(1);

  await page.getByRole('button', { name: 'Remove Forge' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Remove tool server' }).click();
  await expect(card).toHaveCount(0);
  await context.close();
  tools.stop();
});

test('edits tool arguments and saves and revokes an approval', async ({ register, server, upstream }) => {
  const tools = await startTools();
  const admin = await apiOf(server, server.admin);
  const forge = await admin.call('POST', '/r1/admin/mcp_servers', {
    name: 'Forge',
    transport: 'http',
    url: tools.url,
    visible_to: 'everyone'
  });
  await admin.call('POST', `/r1/admin/mcp_servers/${forge.id}/refresh`);
  const anna = await register('Anna');
  const { page } = anna;
  const api = await apiOf(server, anna);
  const workspace = (await api.call('GET', '/r1/workspaces')).items.find(({ personal }) => !personal);
  const smith = await api.call('POST', '/r1/assistants', {
    name: `Smith of ${anna.name}`,
    workspace_id: workspace.id,
    tools_enabled: true,
    tools: [{ server_id: forge.id, tools: null }]
  });
  await page.goto(`/c/new?assistant=${smith.id}`);
  const wants = (number) => {
    upstream.next({ words: ['Let me close it.'], calls: [{ name: 'Forge__close_issue', given: { number } }] });
    upstream.next({ words: [`Closed`, ` for ${number}.`] });
  };

  wants(482);
  await anna.write('Close the issue about the pool');
  const ask = anna.log.getByRole('region').filter({ hasText: 'Close an issue' });
  await ask.getByRole('button', { name: 'Edit first: Close an issue' }).press('Enter');
  await expect(ask.getByLabel('Number')).toBeFocused();
  await anna.expectFlawless('a form for what a tool is given');
  await ask.getByLabel('Number').fill('0');
  await ask.getByRole('button', { name: 'Allow with changes' }).click();
  await expect(ask.getByText('Enter 1 or more.')).toBeVisible();
  await ask.getByRole('button', { name: 'Cancel' }).click();
  await expect(ask.getByRole('button', { name: 'Edit first: Close an issue' })).toBeFocused();
  await ask.getByRole('button', { name: 'Edit first: Close an issue' }).click();
  await ask.getByLabel('Number').fill('483');
  await ask.getByLabel('Comment').fill('Fixed by the new pool');
  await page.setViewportSize(PHONE.viewport);
  await anna.expectFlawless('a form for what a tool is given, on a phone');
  await page.setViewportSize(DESKTOP);
  await ask.getByRole('button', { name: 'Edit as JSON' }).click();
  await expect(ask.getByLabel('Input')).toHaveValue(/"comment": "Fixed by the new pool"/);
  await ask.getByLabel('Input').fill('{"number": 484');
  await ask.getByRole('button', { name: 'Allow with changes' }).click();
  await expect(ask.getByText('Enter a JSON object, such as')).toBeVisible();
  await ask.getByLabel('Input').fill('{"number": 484, "comment": "Fixed"}');
  await ask.getByRole('button', { name: 'Allow with changes' }).click();
  await anna.sees('Closed for 482.');
  expect(tools.given).toEqual([{ number: 484, comment: 'Fixed' }]);
  await anna.log.getByText('Close an issue').click();
  await expect(anna.log.getByText('The input was changed')).toBeVisible();

  wants(500);
  await anna.write('And the next one');
  await ask.getByRole('checkbox', { name: 'Don’t ask again' }).check();
  await ask.getByRole('button', { name: 'Allow Close an issue' }).click();
  await anna.sees('Closed for 500.');
  wants(501);
  await anna.write('And one more');
  await anna.sees('Closed for 501.');
  expect(tools.called).toHaveLength(3);

  await page.goto('/settings#tool-permissions');
  const section = page.getByRole('region', { name: 'Tool permissions' });
  await expect(section.getByText(/^Smith of .*, from Forge, since/)).toBeVisible();
  await anna.expectFlawless('tools that are allowed for good');
  await section.getByRole('button', { name: /^Ask again before/ }).click();
  await expect(section.getByText('No tools run without asking.')).toBeVisible();
  await admin.call('DELETE', `/r1/admin/mcp_servers/${forge.id}`);
  tools.stop();
});

test('enables and uses built-in tools', async ({ register, server, upstream }) => {
  const anna = await register('Anna');
  const { page } = anna;
  const api = await apiOf(server, anna);
  const workspace = await api.call('POST', '/r1/workspaces', { name: `Harbour of ${anna.name}` });
  const { server_id } = await api.call('GET', `/r1/workspaces/${workspace.id}/tools`);
  const ada = await api.call('POST', '/r1/assistants', {
    name: `Ada of ${anna.name}`,
    workspace_id: workspace.id,
    tools_enabled: true,
    tools: [{ server_id, tools: null }]
  });
  const chat = await api.call('POST', '/r1/conversations', {
    kind: 'assistant',
    assistant_id: ada.id,
    workspace_id: workspace.id
  });

  await page.goto(`/workspaces/${workspace.id}`);
  const choice = page.getByLabel('Permission for Calculate');
  await expect(choice).toHaveValue('off');
  await choice.selectOption('Runs automatically');
  await expect(choice).toHaveValue('auto');
  await expect(page.getByLabel('Permission for Read a web page')).toHaveValue('off');
  await anna.expectFlawless('Natter’s own tools of a workspace');
  await page.setViewportSize(PHONE.viewport);
  await anna.expectFlawless('Natter’s own tools of a workspace, on a phone');
  await page.setViewportSize(DESKTOP);

  await page.goto(`/c/${chat.id}`);
  upstream.next({ words: ['Let me see.'], calls: [{ name: 'Natter__calculate', given: { expression: '2^64 - 1' } }] });
  upstream.next({ words: ['It', ' is that.'] });
  await anna.write('How many are there?');
  await anna.sees('It is that.');
  const steps = anna.log.getByRole('list', { name: 'Tools used' });
  await steps.getByText('Calculate', { exact: true }).click();
  await expect(steps.getByText('18446744073709551615')).toBeVisible();
});

test('uses a prompt of a tool server', async ({ arrive, register, server }) => {
  const tools = await startTools();
  const admin = await apiOf(server, server.admin);
  const forge = await admin.call('POST', '/r1/admin/mcp_servers', {
    name: 'Smithy',
    transport: 'http',
    url: tools.url,
    visible_to: 'everyone'
  });
  await admin.call('POST', `/r1/admin/mcp_servers/${forge.id}/refresh`);
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  await anna.composer.pressSequentially('/triage');
  const offer = anna.page.getByRole('option', { name: /triage/ }).filter({ hasText: 'Smithy' });
  await expect(offer).toBeVisible();
  await anna.expectFlawless('a prompt of a server of tools');
  await offer.click();
  const dialog = anna.page.getByRole('dialog', { name: 'Triage an issue' });
  await dialog.getByLabel('number').fill('482');
  await anna.expectFlawless('what a prompt of a server asks for');
  await dialog.getByRole('button', { name: 'Use prompt' }).click();
  await expect(anna.composer).toHaveValue('What is to be done about issue 482?');
  await admin.call('DELETE', `/r1/admin/mcp_servers/${forge.id}`);
  tools.stop();
});

test('connects, reconnects and disconnects an account of a tool server', async ({
  browser,
  register,
  server,
  upstream
}) => {
  const box = await startSignedIn();
  const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP });
  const admin = await signInAsAdmin(context, server);
  await admin.page.goto('/admin/tools');
  await admin.page.getByRole('button', { name: 'Add tool server' }).first().click();
  const dialog = admin.page.getByRole('dialog');
  await dialog.getByLabel('Name', { exact: true }).first().fill('Box');
  await dialog.getByLabel('Address').fill(box.url);
  await dialog.getByLabel('Sign-in').selectOption('Each person’s own account (OAuth)');
  await dialog.getByLabel('Who can add it to assistants').selectOption('Everyone');
  await admin.expectFlawless('the form for a server that people sign in to');
  await dialog.getByRole('button', { name: 'Add tool server' }).click();
  const card = admin.page.getByRole('region', { name: 'Box' });
  await expect(card.getByText('Connect your account to see the tools of Box.')).toBeVisible();
  await admin.expectFlawless('a server that people sign in to');
  box.orders.name = 'root';
  await card.getByRole('button', { name: 'Connect your Box account' }).click();
  await expect(card.getByText('Ready')).toBeVisible();
  await card.getByLabel('Permission for Who am I').selectOption('auto');
  const api = await apiOf(server, server.admin);
  const { items } = await api.call('GET', '/r1/mcp_servers');
  const { id } = items.find(({ name }) => name === 'Box');

  const anna = await register('Anna');
  const { page } = anna;
  const own = await apiOf(server, anna);
  const boxer = await own.call('POST', '/r1/assistants', {
    name: `Boxer of ${anna.name}`,
    tools_enabled: true,
    tools: [{ server_id: id, tools: null }]
  });
  await page.goto(`/c/new?assistant=${boxer.id}`);
  const asks = (words) => {
    upstream.next({ calls: [{ name: 'Box__whoami', given: {} }] });
    upstream.next({ words: [words] });
  };
  asks('Connect it first.');
  await anna.write('Who am I');
  await anna.sees('Connect it first.');
  await expect(anna.log.getByText('Connect your Box account, then ask again.')).toBeVisible();
  await anna.expectFlawless('a tool that needs an account');
  box.orders.name = 'anna';
  await anna.log.getByRole('button', { name: 'Connect your Box account' }).click();
  await expect(anna.log.getByText('Your Box account is connected. Ask again to use it.')).toBeVisible();
  asks('That is Anna.');
  await anna.write('And now');
  await anna.sees('That is Anna.');
  expect(box.seen.called).toEqual(['anna']);

  // The answer says that the connection has expired.
  box.forget();
  asks('Not any longer.');
  await anna.write('And still');
  await anna.sees('Not any longer.');
  await expect(anna.log.getByText('Reconnect your Box account, then ask again.').last()).toBeVisible();
  await page.goto('/settings');
  const accounts = page
    .getByRole('list', { name: 'Connected accounts' })
    .getByRole('listitem')
    .filter({ hasText: 'Box' });
  await expect(accounts).toContainText('Reconnect to use all its tools.');
  await anna.expectFlawless('an account that has expired');
  await accounts.getByRole('button', { name: 'Reconnect your Box account' }).click();
  await expect(accounts).toContainText('Connected since');
  await accounts.getByRole('button', { name: 'Disconnect Box' }).click();
  await page.getByRole('alertdialog').getByRole('button', { name: 'Disconnect' }).click();
  await expect(accounts).toContainText('Not connected');
  expect([box.seen.revoked, box.seen.problems]).toEqual([1, []]);

  // The page says that connecting was cancelled.
  box.orders.denies = true;
  await accounts.getByRole('button', { name: 'Connect your Box account' }).click();
  await expect(page.getByRole('heading', { name: 'Your account isn’t connected' })).toBeVisible();
  await expect(page.getByText('The sign-in was canceled.')).toBeVisible();
  await anna.expectFlawless('an account that was not connected');
  await api.call('DELETE', `/r1/admin/mcp_servers/${id}`);
  await context.close();
  box.stop();
});
