// Chat with an assistant with a prompt, a picture, a tool, an edit and a change of the model; and an exhausted budget.

import { apiOf, expect, PHONE, test } from './people.mjs';
import { startTools } from './tool-server.mjs';

test.use({ settings: { OUTGOING__ALLOW: '127.0.0.1' } });

const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64'
);

for (const [size, options] of [
  ['a large screen', { viewport: { width: 1440, height: 900 } }],
  ['a phone', PHONE]
])
  test(`completes a chat with a prompt, picture, tool, edit and model change, on ${size}`, async ({
    register,
    server,
    upstream
  }) => {
    const anna = await register('Anna', options);
    const { page } = anna;
    const tools = await startTools();
    const admin = await apiOf(server, server.admin);
    const forge = `Forge${anna.name.split(' ')[1]}`;
    const added = { name: forge, transport: 'http', url: tools.url, visible_to: 'everyone' };
    const { id: forgeId } = await admin.call('POST', '/r1/admin/mcp_servers', added);
    await admin.call('POST', `/r1/admin/mcp_servers/${forgeId}/refresh`);
    await admin.call('PATCH', `/r1/admin/mcp_servers/${forgeId}`, { modes: { find_issues: 'auto' } });
    const api = await apiOf(server, anna);
    const workspace = (await api.call('GET', '/r1/workspaces')).items.find(({ personal }) => !personal);
    const command = `pool-${anna.name.split(' ')[1].toLowerCase()}`;
    await api.call('POST', '/r1/prompts', {
      workspace_id: workspace.id,
      command,
      title: 'About the pool',
      content: 'What should the pool look like in {{region}}?',
      visibility: 'private'
    });

    await page.goto('/assistants/new');
    await page.getByLabel('Name', { exact: true }).fill(`Pooler of ${anna.name}`);
    await page.getByRole('switch', { name: 'Allow tools' }).click();
    await page.getByRole('checkbox', { name: forge }).check();
    await page.getByRole('button', { name: 'Create assistant' }).click();
    await page.getByRole('link', { name: `Ask Pooler of ${anna.name}` }).click();

    await anna.composer.pressSequentially(`/${command}`);
    await page.getByRole('listbox', { name: 'Prompts' }).getByRole('option').first().click();
    const asks = page.getByRole('dialog', { name: 'About the pool' });
    await asks.getByLabel('region').fill('eu-west');
    await asks.getByRole('button', { name: 'Use prompt' }).click();
    await page
      .locator('form input[type=file]')
      .setInputFiles([{ name: 'graph.png', mimeType: 'image/png', buffer: PICTURE }]);
    await expect(page.getByText('small can’t see pictures.')).toBeVisible();
    await anna.expectFlawless('a picture for a model that can’t see it');
    upstream.next({ calls: [{ name: `${forge}__find_issues`, given: { query: 'pool' } }] });
    upstream.next({ words: ['Eight', ' connections.'] });
    await anna.composer.press('Enter');
    await anna.sees('Eight connections.');
    const steps = anna.log.getByRole('list', { name: 'Tools used' });
    await steps.getByText('Find issues').click();
    await expect(steps.getByText('find_issues has worked')).toBeVisible();
    expect(tools.called).toEqual(['find_issues']);
    await expect(anna.log.getByText('What should the pool look like in eu-west?')).toBeVisible();
    await expect(anna.log.getByRole('button', { name: 'graph.png, open' })).toBeVisible();
    await anna.expectFlawless('an answer to a prompt with a picture');

    upstream.next({ words: ['Nine', ' connections.'] });
    await anna.composer.press('ArrowUp');
    await anna.composer.fill('And in us-east?');
    await anna.composer.press('Enter');
    await anna.sees('Nine connections.');
    const versions = anna.log.getByRole('group', { name: 'Versions' }).first();
    await expect(versions).toContainText('2 of 2');
    await versions.getByRole('button', { name: 'Previous version' }).click();
    await anna.sees('Eight connections.');

    upstream.next({ words: ['Eight,', ' says the large one.'] });
    await page.getByRole('button', { name: 'Regenerate with another model' }).click();
    const picker = page.getByRole('dialog', { name: 'Regenerate with another model' });
    await picker.getByRole('option', { name: /^large/ }).click();
    await anna.sees('Eight, says the large one.');
    await expect(anna.log.getByRole('article').last()).toContainText('large');
    await anna.expectFlawless('an answer by another model');
    await admin.call('DELETE', `/r1/admin/mcp_servers/${forgeId}`);
    tools.stop();
  });

test('reports an exhausted budget at the composer', async ({ arrive, server }) => {
  const admin = await apiOf(server, server.admin);
  await admin.call('PUT', '/r1/admin/models/dear', {
    deployments: [{ provider: 'fake', model: 'small', weight: 1, priority: 0 }],
    price: { input: 900_000_000, cached: 900_000_000, output: 900_000_000 }
  });
  const anna = await arrive('Anna');
  const api = await apiOf(server, anna);
  const { id } = await api.call('GET', '/r1/users/me');
  await admin.call('PUT', `/r1/admin/budgets/user/${id}`, { limit: 1, period: 'month' });
  await anna.openAssistant();
  await anna.page.getByRole('button', { name: /^Model: / }).click();
  await anna.page.getByRole('dialog').getByRole('option', { name: /^dear/ }).click();
  await anna.write('How many connections?');
  await expect(anna.page.getByRole('alert').filter({ hasText: /budget/i })).toBeVisible();
  await expect(anna.page).toHaveURL(/\/c\/new\?/);
  await expect(anna.page.getByRole('alert').filter({ hasText: /budget/i })).toBeVisible();
  await anna.expectFlawless('a budget that has run out');
});
