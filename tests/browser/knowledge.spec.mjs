// Files that an assistant answers from: given, read, cited, removed.

import { expect, PHONE, test } from './people.mjs';

test.use({ settings: { AI__PROVIDERS__FAKE__MODELS: 'small,large,embed-small' } });

const HANDBOOK = `# Connections

A pool in a region keeps eight warm connections.

# Leave

Everyone has thirty days of leave.
`;

const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
);

const file = (name, content, mimeType = 'text/markdown') => ({ name, mimeType, buffer: Buffer.from(content) });

for (const [size, options] of [
  ['a large screen', { viewport: { width: 1440, height: 900 } }],
  ['a phone', PHONE],
])
  test(`files are given to an assistant, read, cited in an answer, and removed, on ${size}`, async ({ arrive, upstream }) => {
    const anna = await arrive('Anna', options);
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
    await expect(box.getByText(/^\d+ pieces?, /)).toBeVisible();
    await input.setInputFiles([{ name: 'photo.png', mimeType: 'image/png', buffer: PICTURE }]);
    await expect(box.getByText('photo.png can’t be read.')).toBeVisible();
    await anna.expectFlawless('files of an assistant');
    await page.reload();
    await expect(box.getByText(/^\d+ pieces?, /)).toBeVisible();

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
    await source.getByRole('button', { name: 'Show more of it' }).click();
    await expect(source.getByRole('button', { name: 'Show more of it' })).toHaveCount(0);
    await expect(source).toContainText('eight warm connections');
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
    await expect(box.getByText(/^\d+ pieces?, /)).toHaveCount(0);
    await page.goto(chat);
    await mark.click();
    await source.getByRole('button', { name: 'Show more of it' }).click();
    await expect(source.getByText('no longer part of the assistant’s knowledge')).toBeVisible();
    await expect(source).toContainText('eight warm connections');
  });
