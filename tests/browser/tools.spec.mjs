// Tools of assistants: an admin adds a server of tools, an assistant gets some of them, and the asker has the last word.

import { createServer } from 'node:http';
import { DESKTOP, expect, PHONE, signInAsAdmin, test } from './people.mjs';

test.use({ settings: { OUTGOING__ALLOW: '127.0.0.1' } });

const TOOLS = [
  {
    name: 'find_issues',
    title: 'Find issues',
    description: 'Finds issues by words.',
    inputSchema: { type: 'object', properties: { query: { type: 'string' } } },
    annotations: { readOnlyHint: true },
  },
  {
    name: 'close_issue',
    title: 'Close an issue',
    description: 'Closes an issue for good.',
    inputSchema: { type: 'object', properties: { number: { type: 'integer' } } },
  },
];

/** A server of tools that answers each question at once. */
async function startTools() {
  const called = [];
  const answers = {
    initialize: ({ protocolVersion }) => ({
      protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name: 'forge', version: '1' },
    }),
    'tools/list': () => ({ tools: TOOLS }),
    'tools/call': ({ name }) => {
      called.push(name);
      return { content: [{ type: 'text', text: `${name} has worked` }] };
    },
  };
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    if (request.method !== 'POST') return response.writeHead(405).end();
    const { id, method, params } = JSON.parse(text);
    if (id === undefined) return response.writeHead(202).end();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: answers[method]?.(params ?? {}) ?? {} }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}/mcp`, called, stop };
}

test('tools are added, given to an assistant, called, and asked about first', async ({ arrive, browser, server, upstream }) => {
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
  await dialog.getByLabel('Who may give it to assistants').selectOption('Everyone');
  await admin.expectFlawless('the form for a server of tools');
  await dialog.getByRole('button', { name: 'Add tool server' }).click();
  const card = page.getByRole('region', { name: 'Forge' });
  await expect(card.getByText('Ready')).toBeVisible();
  await expect(card.getByLabel('When an assistant wants to use Find issues')).toHaveValue('auto');
  await expect(card.getByLabel('When an assistant wants to use Close an issue')).toHaveValue('ask');
  await admin.expectFlawless('a server of tools');

  const anna = await arrive('Anna');
  await anna.page.goto('/assistants/new');
  await anna.page.getByLabel('Name', { exact: true }).fill('Smith');
  await anna.page.getByRole('switch', { name: 'Let it use tools' }).click();
  await anna.page.getByRole('checkbox', { name: 'Forge' }).check();
  await anna.page.getByRole('checkbox', { name: 'All its tools' }).uncheck();
  await expect(anna.page.getByRole('checkbox', { name: /Close an issue/ })).toBeChecked();
  await anna.expectFlawless('the tools of an assistant');
  await anna.page.getByRole('button', { name: 'Create assistant' }).click();
  await anna.page.getByRole('link', { name: 'Ask Smith' }).click();

  upstream.next({
    words: ['Let me look.'],
    calls: [
      { name: 'Forge__find_issues', given: { query: 'pool' } },
      { name: 'Forge__close_issue', given: { number: 482 } },
    ],
  });
  upstream.next({ words: ['It', ' is', ' closed.'] });
  await anna.write('Close the issue about the pool');
  const ask = anna.log.getByRole('region').filter({ hasText: 'Close an issue' });
  await expect(ask).toContainText('482');
  await expect(ask.getByRole('alert')).toContainText('wants to use a tool');
  expect(tools.called).not.toContain('close_issue');
  await anna.expectFlawless('a tool that asks first');
  await ask.getByRole('button', { name: 'Allow Close an issue' }).press('Enter');
  await anna.sees('It is closed.');
  expect(tools.called.toSorted()).toEqual(['close_issue', 'find_issues']);

  // What it was given and what came of it can be looked at, now and later.
  await anna.page.reload();
  const steps = anna.log.getByRole('list', { name: 'Tools used' });
  await expect(steps.getByRole('listitem')).toHaveCount(2);
  await steps.getByText('Find issues').click();
  await expect(steps.getByText('find_issues has worked')).toBeVisible();
  await anna.expectFlawless('tools that were used');
  await anna.page.setViewportSize(PHONE.viewport);
  await anna.expectFlawless('tools that were used, on a phone');

  // Denied, it isn't called; the answer goes on without.
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
