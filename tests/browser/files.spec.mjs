// Attachments: choosing, dropping, pasting, uploading and viewing files, and voice messages.

import { readFile } from 'node:fs/promises';
import { crc32, deflateSync } from 'node:zlib';
import { apiOf, expect, PHONE, test } from './people.mjs';

test.use({
  launchOptions: async ({ launchOptions }, use) => {
    const fake = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
    await use({ ...launchOptions, args: [...launchOptions.args, ...fake] });
  }
});

/** Picture with a single colour. */
function png(name, width, height, colour) {
  const piece = (type, data) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.concat([Buffer.from([0]), ...Array.from({ length: width }, () => Buffer.from(colour))]);
  const pixels = deflateSync(Buffer.concat(Array.from({ length: height }, () => row)));
  const parts = [piece('IHDR', head), piece('IDAT', pixels), piece('IEND', Buffer.alloc(0))];
  const buffer = Buffer.concat([Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]), ...parts]);
  return { name, mimeType: 'image/png', buffer };
}

const text = (name, content) => ({ name, mimeType: 'text/plain', buffer: Buffer.from(content) });

const tray = (visitor) => visitor.page.getByRole('list', { name: 'Attached files' });

async function attach(visitor, ...files) {
  await visitor.page.locator('form input[type=file]').setInputFiles(files);
  for (const { name } of files) await expect(tray(visitor).getByText(name, { exact: true })).toBeVisible();
}

async function annaWithBen(arrive, server, options = {}) {
  const anna = await arrive('Anna', options);
  const ben = await arrive('Ben');
  const [annasApi, bensApi] = [await apiOf(server, anna), await apiOf(server, ben)];
  const id = await annasApi.openSingle(bensApi);
  await anna.page.goto(`/c/${id}`);
  await ben.page.goto(`/c/${id}`);
  for (const { composer } of [anna, ben]) await expect(composer).toBeVisible();
  return { anna, ben, id, bensApi };
}

test('sends, views, zooms and saves attachments', { tag: '@gate' }, async ({ arrive, server }) => {
  const { anna, ben } = await annaWithBen(arrive, server);
  await attach(anna, png('harbour.png', 640, 480, [40, 90, 160]), png('wall.png', 300, 500, [200, 180, 90]));
  await attach(anna, text('notes.md', 'what we decided'));
  await anna.write('From the workshop');
  await expect(tray(anna)).toHaveCount(0);
  await ben.sees('From the workshop');
  for (const name of ['harbour.png', 'wall.png']) {
    const picture = ben.log.getByRole('img', { name });
    await expect.poll(() => picture.evaluate((image) => image.naturalWidth)).toBeGreaterThan(0);
  }
  await ben.expectFlawless('a message with files');

  const saving = ben.page.waitForEvent('download');
  await ben.log.getByRole('link', { name: 'Download notes.md' }).click();
  const saved = await saving;
  expect(saved.suggestedFilename()).toBe('notes.md');
  expect(await readFile(await saved.path(), 'utf8')).toBe('what we decided');

  const thumbnail = ben.log.getByRole('button', { name: 'harbour.png, open' });
  await thumbnail.focus();
  await ben.page.keyboard.press('Enter');
  const viewer = ben.page.getByRole('dialog', { name: 'harbour.png' });
  await expect(viewer.getByText('1 of 2')).toBeVisible();
  await ben.expectFlawless('the viewer');
  await ben.page.keyboard.press('+');
  await expect(viewer.getByRole('button', { name: 'Zoom out' })).toBeEnabled();
  await ben.page.keyboard.press('-');
  await expect(viewer.getByRole('button', { name: 'Zoom out' })).toBeDisabled();
  await ben.page.keyboard.press('ArrowRight');
  await expect(ben.page.getByRole('dialog', { name: 'wall.png' }).getByText('2 of 2')).toBeVisible();
  await ben.page.keyboard.press('Escape');
  await expect(ben.page.getByRole('dialog')).toHaveCount(0);
  await expect(thumbnail).toBeFocused();
});

test('keeps attachments across conversations and reloads', async ({ arrive, server }) => {
  const { anna, ben, id } = await annaWithBen(arrive, server);
  const { page, composer } = anna;
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route('**/r1/uploads', async (route) => {
    await held;
    await route.continue().catch(() => {}); // The page was reloaded.
  });
  await attach(anna, text('plan.txt', 'the plan'));
  await composer.fill('half a sentence');
  await page.goto('/');
  await page.goto(`/c/${id}`);
  await expect(tray(anna).getByText('plan.txt')).toBeVisible();
  await expect(composer).toHaveValue('half a sentence');
  await expect(tray(anna).getByText('Uploading, 0%')).toBeVisible();
  release();
  await expect(tray(anna).getByText('Uploading')).toHaveCount(0);
  await composer.press('Enter');
  await expect(ben.log.getByRole('link', { name: 'Download plan.txt' })).toBeVisible();
});

test('sends messages in order after their uploads and omits rejected files', async ({ arrive, server }) => {
  const { anna, ben } = await annaWithBen(arrive, server);
  const { page } = anna;
  let answer;
  const held = new Promise((resolve) => (answer = resolve));
  await page.route('**/r1/uploads', async (route) => {
    const how = await held;
    if (how === 'refuse')
      await route.fulfill({ status: 415, json: { status: 'error', code: 'type_refused', message: 'No.' } });
    else await route.continue();
  });
  await attach(anna, text('trace.bin', 'bytes'));
  await anna.write('with a trace');
  await anna.write('right behind it');
  await expect(anna.log.getByText('Uploading, ')).toBeVisible();
  await expect(ben.log.getByText('right behind it')).toHaveCount(0);
  answer('refuse');
  await expect(anna.log.getByText('Files like trace.bin aren’t allowed here.')).toBeVisible();
  await ben.sees('right behind it');
  await anna.log.getByRole('button', { name: 'Send without the file' }).click();
  await ben.sees('with a trace');
  await expect(anna.log.getByText('Not sent')).toHaveCount(0);
});

test('sends attachments chosen offline', async ({ arrive, server }) => {
  const { anna, ben } = await annaWithBen(arrive, server);
  await anna.page.context().setOffline(true);
  await expect(anna.page.getByText('Offline:')).toBeVisible();
  await attach(anna, png('graph.png', 320, 200, [30, 140, 90]));
  await anna.write('from the train');
  await expect(anna.log.getByText('Will be uploaded when you’re back online.')).toBeVisible();
  await anna.page.context().setOffline(false);
  await expect(ben.log.getByRole('img', { name: 'graph.png' })).toBeVisible();
  await ben.sees('from the train');
});

test('warns about unsent messages at sign-out and clears them', async ({ arrive, server }) => {
  const { anna, ben, id, bensApi } = await annaWithBen(arrive, server);
  const { page } = anna;
  let release;
  const held = new Promise((resolve) => (release = resolve));
  await page.route('**/r1/uploads', async (route) => {
    await held;
    await route.abort().catch(() => {}); // The page has changed.
  });
  await attach(anna, text('plan.txt', 'the plan'));
  await anna.write('with the plan');
  await expect(anna.log.getByText('Uploading, ')).toBeVisible();
  await attach(anna, text('second.txt', 'another plan'));
  const kept = () =>
    page.evaluate(async () => {
      const done = (asked) =>
        new Promise((resolve, reject) => {
          asked.onsuccess = () => resolve(asked.result);
          asked.onerror = () => reject(asked.error);
        });
      const keys = Object.keys(localStorage).filter((key) => /^natter\.(draft|reply|searches)/.test(key));
      for (const [name, store] of [
        ['natter-outbox', 'messages'],
        ['natter-files', 'files']
      ]) {
        const database = await done(indexedDB.open(name));
        keys.push(...(await done(database.transaction(store).objectStore(store).getAllKeys())));
        database.close();
      }
      return keys;
    });
  // One unsent message and two files are stored in the browser.
  await expect.poll(async () => (await kept()).filter((key) => !key.startsWith('natter.')).length).toBe(3);
  await page.goto('/settings');
  const signOut = page.getByRole('button', { name: 'Sign out', exact: true });
  const asked = page.getByRole('alertdialog', { name: 'Sign out anyway?' });
  await signOut.click();
  await expect(asked).toContainText(`A message isn’t sent in ${ben.name}.`);
  // The draft consists of the file that doesn't belong to the message.
  await expect(asked).toContainText('A draft is only on this device.');
  await asked.getByRole('button', { name: 'Cancel' }).click();
  await expect(asked).toHaveCount(0);
  await expect(page.getByRole('heading', { name: 'Profile' })).toBeVisible();
  await signOut.click();
  await asked.getByRole('button', { name: 'Sign out' }).click();
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await expect.poll(kept).toEqual([]);
  release();
  await page.unroute('**/r1/uploads');

  await anna.signIn();
  await page.goto(`/c/${id}`);
  await bensApi.send(id, 'what is the plan?');
  await anna.sees('what is the plan?');
  await expect(anna.log.getByText('with the plan')).toHaveCount(0);
  await expect(tray(anna)).toHaveCount(0);
  await expect(ben.log.getByText('with the plan')).toHaveCount(0);
});

test('resumes a large upload after a disconnect', async ({ arrive, server }) => {
  const { anna, ben } = await annaWithBen(arrive, server);
  const asked = [];
  let lost = 1;
  await anna.page.route('**/r1/uploads/tus**', async (route) => {
    asked.push(route.request().method());
    if (route.request().method() === 'PATCH' && lost-- > 0) await route.abort('connectionreset');
    else await route.continue();
  });
  const large = { ...text('trace.txt', ''), buffer: Buffer.alloc(6 * 1024 * 1024, 'many words ') };
  await attach(anna, large);
  await anna.write('the whole trace');
  const link = ben.log.getByRole('link', { name: 'Download trace.txt, TXT, 6 MB' });
  await expect(link).toBeVisible();
  expect(asked).toEqual(['POST', 'PATCH', 'HEAD', 'PATCH']);
  const saving = ben.page.waitForEvent('download');
  await link.click();
  const saved = await readFile(await (await saving).path());
  expect(saved.equals(large.buffer)).toBe(true);
});

test('accepts dropped and pasted files and checks limits before sending', async ({ arrive, server }) => {
  const { anna, ben } = await annaWithBen(arrive, server);
  const { page, composer } = anna;
  await expect(async () => {
    const isKept = await page.evaluate(() => {
      const dataTransfer = new DataTransfer();
      dataTransfer.items.add(new File(['dropped'], 'dropped.html', { type: 'text/html' }));
      return ['dragenter', 'dragover', 'drop'].every((type) => {
        const event = new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer });
        document.body.dispatchEvent(event);
        return event.defaultPrevented;
      });
    });
    expect(isKept).toBe(true);
    await expect(tray(anna).getByText('dropped.html').first()).toBeVisible({ timeout: 1_000 });
  }).toPass();
  const paste = (files, html) =>
    composer.evaluate(
      (element, { files, html }) => {
        const clipboardData = new DataTransfer();
        for (const name of files) clipboardData.items.add(new File(['x'], name, { type: 'image/png' }));
        if (html) clipboardData.setData('text/html', html);
        if (html) clipboardData.setData('text/plain', 'plain');
        element.dispatchEvent(new ClipboardEvent('paste', { bubbles: true, cancelable: true, clipboardData }));
      },
      { files, html }
    );
  await paste(['pasted.png']);
  await expect(tray(anna).getByText('pasted.png')).toBeVisible();
  await paste([], '<table><tr><th>Region</th><th>p95</th></tr><tr><td>eu-west</td><td>131 | 84</td></tr></table>');
  await expect(composer).toHaveValue('| Region | p95 |\n| --- | --- |\n| eu-west | 131 \\| 84 |\n');
  await page
    .locator('form input[type=file]')
    .setInputFiles(Array.from({ length: 10 }, (_, at) => text(`many${at}.txt`, 'x')));
  await expect(page.getByRole('alert').filter({ hasText: 'A message can have up to 10 files.' })).toBeVisible();
  await expect(tray(anna).getByRole('listitem')).toHaveCount(10);
  await page.locator('form input[type=file]').setInputFiles(text('empty.txt', ''));
  await expect(page.getByRole('alert').filter({ hasText: 'empty.txt is empty.' })).toBeVisible();
  await tray(anna).getByRole('button', { name: 'Remove dropped.html' }).first().click();
  await expect(tray(anna).getByText('dropped.html')).toHaveCount(0);
  await anna.expectFlawless('files that are attached');
  await composer.press('Enter');
  await expect(ben.log.getByRole('table')).toBeVisible();
  await expect(ben.log.getByRole('link', { name: /^Download many/ }).first()).toBeVisible();
});

for (const [size, options] of [
  ['a desk', {}],
  ['a phone', PHONE]
])
  test(`records, previews and plays a voice message, on ${size}`, async ({ arrive, server }) => {
    const { anna, ben } = await annaWithBen(arrive, server, { permissions: ['microphone'], ...options });
    const { page } = anna;
    await anna.composer.fill('a text that stays');
    await page.getByRole('button', { name: 'Record voice message' }).click();
    const bar = page.getByRole('group', { name: 'Recording a voice message' });
    await expect(bar.getByRole('timer')).toHaveText('0:01');
    await anna.expectFlawless('recording');
    await bar.getByRole('button', { name: 'Stop and listen' }).click();
    await bar.getByRole('button', { name: 'Play', exact: true }).click();
    await expect(bar.getByRole('button', { name: 'Pause' }).or(bar.getByRole('slider'))).not.toHaveCount(0);
    await bar.getByRole('button', { name: 'Send voice message' }).click();
    await expect(anna.composer).toHaveValue('a text that stays');
    const heard = ben.log.getByRole('group', { name: 'Voice message' });
    await expect(heard.locator('rect')).toHaveCount(64);
    await heard.getByRole('button', { name: 'Play', exact: true }).click();
    await expect.poll(() => heard.getByRole('slider').getAttribute('aria-valuetext')).not.toMatch(/^0:00/);
    await heard.getByRole('button', { name: 'Speed, 1×' }).click();
    await expect(heard.getByRole('button', { name: 'Speed, 1.5×' })).toBeVisible();
    await ben.expectFlawless('a voice message');
  });

test('transcribes speech into the composer', async ({ arrive, server }) => {
  const { anna } = await annaWithBen(arrive, server, { permissions: ['microphone'] });
  const { page, composer } = anna;
  await page.route('**/r1/auth/policy', async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    body.data.transcriptions = true;
    await route.fulfill({ response: answer, json: body });
  });
  let said = '';
  await page.route('**/r1/transcriptions*', (route) =>
    route.fulfill({ json: { success: true, code: 'ok', message: '', status: 'success', data: { text: said } } })
  );
  await page.reload();
  await composer.fill('Please note:');
  await page.getByRole('button', { name: 'Record voice message' }).click();
  const bar = page.getByRole('group', { name: 'Recording a voice message' });
  await expect(bar.getByRole('timer')).toHaveText('0:01');
  await bar.getByRole('button', { name: 'Transcribe' }).click();
  await expect(bar.getByRole('alert')).toContainText('Couldn’t hear any words');
  await anna.expectFlawless('a recording without words');
  said = 'the tide comes at six.';
  await bar.getByRole('button', { name: 'Transcribe' }).click();
  await expect(composer).toHaveValue('Please note: the tide comes at six.');
  await expect(bar).toHaveCount(0);
  await expect(composer).toBeFocused();
});

test('discards a recording and explains a denied microphone', async ({ arrive, server }) => {
  const { anna } = await annaWithBen(arrive, server);
  const { page, composer } = anna;
  const record = page.getByRole('button', { name: 'Record voice message' });
  const bar = page.getByRole('group', { name: 'Recording a voice message' });
  await record.click();
  await expect(bar.getByRole('timer')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(bar).toHaveCount(0);
  await expect(composer).toBeFocused();
  await page.evaluate(() => {
    navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
  });
  await record.click();
  await expect(bar.getByRole('alert')).toContainText('Allow it in your browser’s settings');
  await bar.getByRole('button', { name: 'Close' }).click();
  await expect(composer).toBeFocused();
});

test('warns before sending pictures to a model without vision', async ({ arrive }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await page.route('**/r1/models?*', async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    for (const model of body.data.items) model.capabilities = { ...model.capabilities, images: false };
    await route.fulfill({ response: answer, json: body });
  });
  await anna.openAssistant();
  await attach(anna, png('graph.png', 320, 200, [30, 140, 90]));
  await expect(page.getByText('can’t see pictures. Its answer will use only the text.')).toBeVisible();
  await page.getByRole('button', { name: 'Choose another model' }).click();
  await expect(page.getByRole('dialog').getByRole('option').first()).toBeVisible();
  await page.keyboard.press('Escape');
  // The file of the draft survives a reload, although the conversation doesn't exist yet.
  await page.reload();
  await expect(page.getByText('can’t see pictures')).toBeVisible();
  await tray(anna).getByRole('button', { name: 'Remove graph.png' }).click();
  await expect(page.getByText('can’t see pictures')).toHaveCount(0);
  await attach(anna, { name: 'film.mp4', mimeType: 'video/mp4', buffer: Buffer.from('a film') });
  await expect(page.getByText('Assistants can’t read film.mp4.')).toBeVisible();
});

for (const [size, options] of [
  ['a large screen', { viewport: { width: 1440, height: 900 } }],
  ['a phone', PHONE]
])
  test(`lists files of a conversation in its panel, on ${size}`, async ({ arrive, server }) => {
    const { anna, id, bensApi } = await annaWithBen(arrive, server, options);
    const { page } = anna;
    await attach(anna, png('harbour.png', 640, 480, [40, 90, 160]), png('wall.png', 300, 500, [200, 180, 90]));
    await anna.write('From the workshop');
    await attach(anna, text('notes.md', 'what we decided'), text('Bản đồ.txt', 'a map'));
    await anna.write('And the notes');
    await expect(anna.log.getByRole('link', { name: 'Download notes.md' })).toBeVisible();
    for (let count = 0; count < 40; count += 1) await bensApi.send(id, `Message ${count}`);
    await anna.sees('Message 39');

    const openPanel = async () => {
      await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
      await page.getByRole('menuitem', { name: 'Pictures and files' }).click();
    };
    await openPanel();
    const panel = page
      .getByRole('complementary', { name: 'Pictures and files' })
      .or(page.getByRole('main', { name: 'Pictures and files' }));
    await expect(panel.getByRole('button', { name: /^harbour\.png from / })).toBeVisible();
    await anna.expectFlawless('pictures of a conversation');
    await panel.getByRole('button', { name: /^wall\.png from / }).click();
    const viewer = page.getByRole('dialog', { name: 'wall.png' });
    await expect(viewer).toBeVisible();
    await anna.expectFlawless('a picture from the panel');
    await (size === 'a phone' ? page.goBack() : page.keyboard.press('Escape'));
    await expect(viewer).toHaveCount(0);

    await panel.getByRole('tab', { name: 'Pictures' }).focus();
    await page.keyboard.press('ArrowRight');
    await expect(panel.getByRole('tab', { name: 'Files' })).toBeFocused();
    await expect(panel.getByRole('link', { name: 'Download notes.md' })).toBeVisible();
    await anna.expectFlawless('files of a conversation');
    await panel.getByRole('button', { name: 'Documents' }).click();
    await expect(panel.getByRole('link', { name: 'Download notes.md' })).toBeVisible();
    await panel.getByRole('button', { name: 'Video' }).click();
    await expect(panel.getByText('No files match these filters.')).toBeVisible();
    await panel.getByRole('button', { name: 'Clear filters' }).click();
    await expect(panel.getByRole('button', { name: 'All', exact: true })).toHaveAttribute('aria-pressed', 'true');
    await panel.getByRole('searchbox', { name: 'Search by name' }).fill('ban do');
    await expect(panel.getByRole('link', { name: 'Download notes.md' })).toHaveCount(0);
    await expect(panel.getByRole('link', { name: 'Download Bản đồ.txt' })).toBeVisible();
    await panel.getByRole('searchbox', { name: 'Search by name' }).fill('nowhere');
    await expect(panel.getByText('No files match these filters.')).toBeVisible();
    await panel.getByRole('button', { name: 'Clear filters' }).click();
    await panel.getByRole('button', { name: /^Show in conversation.*notes\.md/ }).click();
    await expect(anna.log.getByRole('link', { name: 'Download notes.md' })).toBeInViewport();
  });

test('reports pictures the model couldn’t see', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  await anna.openAssistant();
  await attach(anna, png('graph.png', 320, 200, [30, 140, 90]), text('notes.md', 'what we decided'));
  upstream.next({ words: ['Only', ' words.'] });
  await anna.write('What is this?');
  await anna.sees('Only words.');
  await expect(anna.log.getByText('small can’t see graph.png.')).toBeVisible();
  await expect(anna.log.getByText('notes.md', { exact: false })).toHaveCount(1);
  await anna.expectFlawless('what an answer was written without');
});

/** PDF file with one empty page, as from a scanner. */
function scan(name) {
  const objects = [
    '<< /Type /Catalog /Pages 2 0 R >>',
    '<< /Type /Pages /Kids [3 0 R] /Count 1 >>',
    '<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << >> >>',
    '<< /Length 3 >>\nstream\nq Q\nendstream'
  ];
  let file = '%PDF-1.4\n';
  const places = objects.map((object, index) => {
    const place = file.length;
    file += `${index + 1} 0 obj\n${object}\nendobj\n`;
    return place;
  });
  const table = places.map((place) => `${String(place).padStart(10, '0')} 00000 n \n`).join('');
  const start = file.length;
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}`;
  file += `trailer\n<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${start}\n%%EOF\n`;
  return { name, mimeType: 'application/pdf', buffer: Buffer.from(file) };
}

test('reports scanned documents without text and a suitable model', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  await anna.page.route('**/r1/models?*', async (route) => {
    const answer = await route.fetch();
    const body = await answer.json();
    const [model] = body.data.items;
    body.data.items.push({
      ...model,
      name: 'far-sighted',
      is_default: false,
      capabilities: { ...model.capabilities, pdf: true }
    });
    body.data.total += 1;
    await route.fulfill({ response: answer, json: body });
  });
  await anna.openAssistant();
  await attach(anna, scan('contract.pdf'));
  upstream.next({ words: ['There is', ' no text.'] });
  await anna.write('What does it say?');
  await anna.sees('There is no text.');
  await expect(anna.log.getByText('contract.pdf has no text, only pictures')).toBeVisible();
  await expect(anna.log.getByText('Ask again with far-sighted to include these.')).toBeVisible();
  await anna.expectFlawless('a scanned document that was not read');
});

test('virtualises and searches two thousand files', async ({ arrive, server }) => {
  const { anna } = await annaWithBen(arrive, server);
  const { page } = anna;
  const COUNT = 2_000;
  const fileOf = (seq) => {
    const created_at = new Date(Date.UTC(2026, 0, 1) + seq * 3_600_000).toISOString();
    const id = `00000000-0000-7000-8000-${String(seq).padStart(12, '0')}`;
    const upload = {
      id,
      name: `sheet ${seq}.csv`,
      kind: 'file',
      media_type: 'text/csv',
      size: 10,
      status: 'ready',
      created_at
    };
    return { upload, message_id: id, seq, sender: { kind: 'user', id, name: 'Somebody' }, created_at };
  };
  await page.route(/\/r1\/conversations\/[^/]+\/files\?/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    const [before, limit] = [Number(query.get('before_seq') ?? COUNT + 1), Number(query.get('limit'))];
    const items = [];
    for (let seq = before - 1; seq > 0 && items.length <= limit; seq -= 1)
      if (`sheet ${seq}.csv`.includes(query.get('q') ?? '')) items.push(fileOf(seq));
    return route.fulfill({
      json: { success: true, data: { items: items.slice(0, limit), has_more: items.length > limit } }
    });
  });
  await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Pictures and files' }).click();
  const panel = page.getByRole('complementary', { name: 'Pictures and files' });
  await panel.getByRole('tab', { name: 'Files' }).click();
  const rows = panel.getByRole('link', { name: /^Download sheet/ });
  await expect(panel.getByRole('link', { name: 'Download sheet 2000.csv' })).toBeVisible();
  await expect
    .poll(
      async () => {
        await panel.locator('.scroll').evaluate((element) => (element.scrollTop = element.scrollHeight));
        return panel.getByRole('link', { name: 'Download sheet 1.csv' }).count();
      },
      { intervals: [20], timeout: 60_000 }
    )
    .toBe(1);
  expect(await rows.count()).toBeLessThan(60);
  await anna.expectFlawless('the end of two thousand files');
  await panel.getByRole('searchbox', { name: 'Search by name' }).fill('sheet 177');
  await expect(panel.getByRole('link', { name: 'Download sheet 1779.csv' })).toBeVisible();
  await expect(rows).toHaveCount(11);
});

test('pages through all pictures in the viewer', async ({ arrive, server }) => {
  const { anna } = await annaWithBen(arrive, server);
  const { page } = anna;
  const COUNT = 130;
  const pictureOf = (seq) => {
    const created_at = new Date(Date.UTC(2026, 0, 1) + seq * 3_600_000).toISOString();
    const id = `00000000-0000-7000-8000-${String(seq).padStart(12, '0')}`;
    const look = { width: 64, height: 48, thumbhash: '1QcSHQRnh493V4dIh4eXh1h4kJUI' };
    const upload = {
      id,
      name: `picture ${seq}.png`,
      kind: 'file',
      media_type: 'image/png',
      size: 10,
      status: 'ready',
      created_at,
      ...look
    };
    return { upload, message_id: id, seq, sender: { kind: 'user', id, name: 'Somebody' }, created_at };
  };
  await page.route(/\/r1\/conversations\/[^/]+\/files\?/, (route) => {
    const query = new URL(route.request().url()).searchParams;
    const [before, limit] = [Number(query.get('before_seq') ?? COUNT + 1), Number(query.get('limit'))];
    const items = Array.from({ length: Math.min(limit, before - 1) }, (_, at) => pictureOf(before - 1 - at));
    return route.fulfill({ json: { success: true, data: { items, has_more: before - 1 > limit } } });
  });
  await page.getByRole('main').locator('header').getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Pictures and files' }).click();
  const panel = page.getByRole('complementary', { name: 'Pictures and files' });
  await panel.getByRole('button', { name: /^picture 130\.png from / }).click();
  await expect(page.getByRole('dialog', { name: 'picture 130.png' })).toBeVisible();
  await expect(page.getByText(/^1 of \d+\+$/)).toBeVisible();
  await expect
    .poll(
      async () => {
        await page.keyboard.press('End');
        return page.getByRole('dialog', { name: 'picture 1.png', exact: true }).count();
      },
      { intervals: [50], timeout: 30_000 }
    )
    .toBe(1);
  await expect(page.getByText('130 of 130', { exact: true })).toBeVisible();
  await expect(page.getByRole('button', { name: 'Next picture' })).toBeDisabled();
});
