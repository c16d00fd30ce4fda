// Knowledge files of assistants, projects and workspaces.

import { apiOf, expect, PHONE, test } from './people.mjs';

test.use({ settings: { AI__PROVIDERS__FAKE__MODELS: 'small,large,embed-small' } });

const HANDBOOK = `# Connections

A pool in a region keeps eight warm connections.

# Leave

Everyone has thirty days of leave.
`;

const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64'
);

const file = (name, content, mimeType = 'text/markdown') => ({ name, mimeType, buffer: Buffer.from(content) });

for (const [size, options] of [
  ['a large screen', { viewport: { width: 1440, height: 900 } }],
  ['a phone', PHONE]
])
  test(`adds, cites and removes knowledge files, on ${size}`, async ({ register, upstream }) => {
    const anna = await register('Anna', options);
    const { page } = anna;
    await page.goto('/assistants/new');
    await page.getByLabel('Name', { exact: true }).fill(`Reader of ${anna.name}`);
    await page.getByRole('button', { name: 'Create and add files' }).click();
    const box = page.getByRole('region', { name: 'Knowledge' });
    await expect(box.getByText('No files yet.')).toBeVisible();
    await anna.expectFlawless('an assistant without files');

    const input = box.locator('input[type=file]');
    await input.setInputFiles([file('handbook.md', HANDBOOK), file('nothing.md', '')]);
    await expect(box.getByText('nothing.md is empty.')).toBeVisible();
    await expect(box.getByText(/^\d+ sections?, /)).toBeVisible();
    await input.setInputFiles([{ name: 'photo.png', mimeType: 'image/png', buffer: PICTURE }]);
    await expect(box.getByText('Can’t read photo.png.')).toBeVisible();
    await anna.expectFlawless('files of an assistant');
    await page.reload();
    await expect(box.getByText(/^\d+ sections?, /)).toBeVisible();

    await page.goto('/assistants');
    await page.getByRole('link', { name: `Ask Reader of ${anna.name}` }).click();
    upstream.next({ words: ['Eight', ' warm', ' connections', ' [1]', '. Not [7].'] });
    await anna.write('How many warm connections does a pool keep?');
    const mark = anna.log.getByRole('button', { name: /^Source 1: handbook\.md/ }).first();
    await expect(mark).toBeVisible();
    await expect(anna.log.getByText('Not [7].')).toBeVisible();
    await expect(anna.log.getByRole('list', { name: 'Sources' }).getByRole('listitem')).toHaveCount(1);
    await mark.focus();
    await page.keyboard.press('Enter');
    const source = page.getByRole('dialog', { name: 'handbook.md' });
    await expect(source).toContainText('eight warm connections');
    await anna.expectFlawless('a source of an answer');
    await source.getByRole('button', { name: 'Show more' }).click();
    await expect(source.getByRole('button', { name: 'Show more' })).toHaveCount(0);
    await expect(source).toContainText('eight warm connections');
    const link = source.getByRole('link', { name: 'Open at line 1' });
    await expect(link).toHaveAttribute(
      'href',
      /\/handbook\.md\?view=true#:~:text=%23%20Connections,-A%20pool%20in%20a%20region/
    );
    const shown = await page.request.get((await link.getAttribute('href')).split('#')[0]);
    expect([shown.status(), shown.headers()['content-type']]).toEqual([200, 'text/plain; charset=utf-8']);
    await anna.expectFlawless('a source that was opened');
    await page.keyboard.press('Escape');
    await expect(source).toHaveCount(0);
    await expect(mark).toBeFocused();
    await page.reload();
    await expect(mark).toBeVisible();
    const chat = page.url();

    await page.goto('/assistants');
    await page.getByRole('link', { name: `Edit Reader of ${anna.name}` }).click();
    await box.getByRole('button', { name: 'Remove handbook.md' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Remove file' }).click();
    await expect(page.getByText('handbook.md removed.')).toBeVisible();
    await expect(box.getByText(/^\d+ sections?, /)).toHaveCount(0);
    await page.goto(chat);
    await mark.click();
    await source.getByRole('button', { name: 'Show more' }).click();
    await expect(source.getByText('no longer part of the assistant’s knowledge')).toBeVisible();
    await expect(source).toContainText('eight warm connections');
  });

test('applies instructions and files of a project', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await anna.openAssistant();
  upstream.next({ words: ['Welcome', ' aboard.'] });
  await anna.write('Is anybody here?');
  await anna.sees('Welcome aboard.');

  await page.getByRole('button', { name: 'New conversation' }).first().click();
  await page.getByRole('dialog').getByRole('tab', { name: 'Assistant' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'New project' }).click();
  const making = page.getByRole('dialog', { name: 'New project' });
  await making.getByLabel('Project name').fill('Move');
  await making.getByRole('button', { name: 'Create project' }).click();
  const project = page.getByRole('dialog', { name: 'Project: Move' });
  const instructions = project.getByLabel('What should assistants know in these chats, and how should they answer?');
  await instructions.fill('Keep answers short.');
  await project.getByRole('button', { name: 'Save' }).click();
  await expect(project.getByRole('button', { name: 'Save' })).toBeDisabled();
  await project.locator('input[type=file]').setInputFiles([file('handbook.md', HANDBOOK)]);
  await expect(project.getByText(/^\d+ sections?, /)).toBeVisible();
  await anna.expectFlawless('a project');
  await page.keyboard.press('Escape');
  await expect(project).toHaveCount(0);

  const part = page.getByRole('region', { name: 'Move' });
  const menu = part.getByRole('button', { name: 'Actions for section Move' });
  await menu.press('Enter');
  await page.getByRole('menuitem', { name: 'New chat here' }).click();
  await expect(page.getByText('This chat will be in Move.')).toBeVisible();
  upstream.next({ words: ['Eight', ' connections', ' [1]', '.'] });
  await anna.write('How many warm connections does a pool keep?');
  await expect(anna.log.getByRole('button', { name: /^Source 1: handbook\.md/ }).first()).toBeVisible();
  await expect(part.getByRole('link')).toHaveCount(1);

  await page.reload();
  await menu.press('Enter');
  await page.getByRole('menuitem', { name: 'Project settings…' }).click();
  await expect(instructions).toHaveValue('Keep answers short.');
  await expect(project.getByText('handbook.md')).toBeVisible();
});

test('applies workspace files to all assistants', async ({ register, server, upstream }) => {
  const anna = await register('Anna');
  const { page } = anna;
  const api = await apiOf(server, anna);
  const workspace = await api.call('POST', '/r1/workspaces', { name: `Harbour of ${anna.name}` });
  await page.goto(`/workspaces/${workspace.id}`);
  const card = page.getByRole('region', { name: 'Knowledge for assistants' });
  await card.locator('input[type=file]').setInputFiles([file('handbook.md', HANDBOOK)]);
  await expect(card.getByText(/^\d+ sections?, /)).toBeVisible();
  await anna.expectFlawless('files of a workspace');
  const { items } = await api.call('GET', '/r1/assistants');
  const chat = await api.call('POST', '/r1/conversations', {
    kind: 'assistant',
    assistant_id: items[0].id,
    workspace_id: workspace.id
  });
  await page.goto(`/c/${chat.id}`);
  upstream.next({ words: ['Eight', ' [1].'] });
  await anna.write('How many warm connections does a pool keep?');
  await expect(anna.log.getByRole('button', { name: /^Source 1: handbook\.md/ }).first()).toBeVisible();
});

test('opens a PDF citation at its page', async ({ arrive, server, upstream }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  const printer = await page.context().newPage();
  await printer.setContent(
    '<p>Everyone has thirty days of leave.</p><p style="break-before: page">A pool keeps eight warm connections.</p>'
  );
  const handbook = await printer.pdf();
  await printer.close();
  const api = await apiOf(server, anna);
  const workspace = await api.call('POST', '/r1/workspaces', { name: `Yard of ${anna.name}` });
  await page.goto(`/workspaces/${workspace.id}`);
  const card = page.getByRole('region', { name: 'Knowledge for assistants' });
  await card
    .locator('input[type=file]')
    .setInputFiles([{ name: 'handbook.pdf', mimeType: 'application/pdf', buffer: handbook }]);
  await expect(card.getByText(/^\d+ sections?, /)).toBeVisible();
  const { items } = await api.call('GET', '/r1/assistants');
  const chat = await api.call('POST', '/r1/conversations', {
    kind: 'assistant',
    assistant_id: items[0].id,
    workspace_id: workspace.id
  });
  await page.goto(`/c/${chat.id}`);
  // The chunk that matches best comes first.
  upstream.next({ words: ['Eight', ' [1].'] });
  await anna.write('A pool keeps how many warm connections?');
  await anna.log
    .getByRole('button', { name: /^Source 1: handbook\.pdf, page 2/ })
    .first()
    .click();
  const source = page.getByRole('dialog', { name: 'handbook.pdf' });
  await source.getByRole('button', { name: 'Show more' }).click();
  const link = source.getByRole('link', { name: 'Open page 2' });
  await expect(link).toHaveAttribute('href', /\/handbook\.pdf\?view=true#page=2$/);
  const shown = await page.request.get((await link.getAttribute('href')).split('#')[0]);
  expect([shown.status(), shown.headers()['content-type']]).toEqual([200, 'application/pdf']);
  expect(shown.headers()['content-disposition']).toMatch(/^inline;/);
});
