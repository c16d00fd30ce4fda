// Export of a conversation, which can be read without the server.

import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { inflateRawSync } from 'node:zlib';
import { apiOf, expect, shoot, test } from './people.mjs';

/** Entries of a ZIP file, read from its central directory. */
function unzip(bytes) {
  const found = [];
  for (let at = bytes.readUInt32LE(bytes.length - 6); bytes.readUInt32LE(at) === 0x02014b50;) {
    const [name, extra, comment] = [28, 30, 32].map((place) => bytes.readUInt16LE(at + place));
    const local = bytes.readUInt32LE(at + 42);
    const data = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28);
    const packed = bytes.subarray(data, data + bytes.readUInt32LE(at + 20));
    const content = bytes.readUInt16LE(at + 10) === 0 ? packed : inflateRawSync(packed);
    found.push({ name: bytes.toString('utf8', at + 46, at + 46 + name), content });
    at += 46 + name + extra + comment;
  }
  return found;
}

const RUNS = '<script>document.title = "run"</script><img src=x onerror="document.title = \'run\'">';

test(
  'exports a conversation that opens offline and runs no scripts',
  { tag: '@gate' },
  async ({ browser, register, server }) => {
    const [anna, ben] = [await register('Anna'), await register('Ben')];
    const [api, bens] = [await apiOf(server, anna), await apiOf(server, ben)];
    const id = await api.openSingle(bens);
    const { page } = anna;
    await api.send(id, 'Hello **Ben**, the price is < 5 & > 3');
    await bens.send(id, RUNS);
    const secret = await bens.send(id, 'A secret');
    await bens.call('DELETE', `/r1/messages/${secret.id}`);
    await api.send(id, 'Two lines:\nand the second.');
    await page.goto(`/c/${id}`);
    await expect(anna.composer).toBeVisible();
    const picture = await page.screenshot({ clip: { x: 0, y: 0, width: 60, height: 40 } });
    await page.locator('form input[type=file]').setInputFiles([
      { name: 'view.png', mimeType: 'image/png', buffer: picture },
      { name: 'page.html', mimeType: 'text/html', buffer: Buffer.from(`<html>${RUNS}</html>`) }
    ]);
    const tray = page.getByRole('list', { name: 'Attached files' });
    await expect(tray.getByText('page.html', { exact: true })).toBeVisible();
    await anna.write('With files');
    await expect(tray).toHaveCount(0);
    await expect.poll(async () => (await api.call('GET', `/r1/conversations/${id}/messages`)).items.length).toBe(5);

    await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
    await page.getByRole('menuitem', { name: 'Export…' }).click();
    const dialog = page.getByRole('dialog', { name: 'Export the conversation' });
    await dialog.getByRole('switch', { name: 'Include files' }).click();
    await anna.expectFlawless('what is exported');
    await shoot(page, 'export-1280');
    await dialog.getByRole('button', { name: 'Export', exact: true }).click();
    await expect(dialog.getByText('Your export is ready.')).toBeVisible({ timeout: 20_000 });
    await anna.expectFlawless('an export that is ready');
    const [download] = await Promise.all([
      page.waitForEvent('download'),
      dialog.getByRole('button', { name: 'Download' }).click()
    ]);
    const files = unzip(await readFile(await download.path()));
    expect(files.map(({ name }) => name.split('/').pop())).toEqual(['messages.html', 'view.png', 'page.html.txt']);

    const folder = await mkdtemp(join(tmpdir(), 'natter-export-'));
    const context = await browser.newContext();
    try {
      for (const { name, content } of files) {
        await mkdir(dirname(join(folder, name)), { recursive: true });
        await writeFile(join(folder, name), content);
      }
      const opened = await context.newPage();
      const asked = [];
      opened.on('request', (request) => asked.push(request.url()));
      await opened.goto(pathToFileURL(join(folder, 'messages.html')).href);
      const { items } = await api.call('GET', `/r1/conversations/${id}/messages`);
      const messages = items.toSorted((a, b) => a.seq - b.seq);
      const shown = await opened.locator('article').evaluateAll((list) => list.map((one) => one.id));
      expect(shown).toEqual(messages.map((message) => `m-${message.id}`));
      for (const { id, content } of messages.filter(({ content }) => content !== ''))
        expect(await opened.locator(`[id="m-${id}"] p`).first().innerText()).toBe(content);
      await expect(opened.getByText('A secret')).toHaveCount(0);
      await expect
        .poll(() => opened.getByRole('img', { name: 'view.png' }).evaluate((image) => image.naturalWidth))
        .toBeGreaterThan(0);
      await expect(opened).not.toHaveTitle('run');
      await shoot(opened, 'export-opened');
      await opened.getByRole('link', { name: 'page.html' }).click();
      await expect(opened.getByText(RUNS)).toBeVisible();
      await expect(opened).not.toHaveTitle('run');
      expect(asked.filter((url) => !url.startsWith('file:'))).toEqual([]);
    } finally {
      await context.close();
      await rm(folder, { recursive: true, force: true });
    }
  }
);
