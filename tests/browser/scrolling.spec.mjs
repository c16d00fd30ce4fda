// Position of the messages: found messages, long answers, and messages of others while one reads older ones.

import { apiOf, expect, PHONE, test } from './people.mjs';

const SIZES = [
  ['700 px', { viewport: { width: 1280, height: 700 } }],
  ['800 px @gate', { viewport: { width: 1280, height: 800 } }],
  ['900 px', { viewport: { width: 1440, height: 900 } }],
  ['1,200 px', { viewport: { width: 1440, height: 1_200 } }],
  ['phone', PHONE]
];

/** Messages whose heights differ, so that estimates of the heights are off. */
const textOf = (n) =>
  n % 5 === 0
    ? `number ${n}\n\n${'- a line of a list\n'.repeat(n % 9)}`
    : `number ${n} ${'and more words '.repeat((n * 7) % 60)}`;

/** Whether an element is within the list of messages, if its whole height fits in. */
const isInView = (log, target) =>
  target.evaluate((element, list) => {
    const [outer, inner] = [list.getBoundingClientRect(), element.getBoundingClientRect()];
    return inner.top >= outer.top - 1 && Math.min(inner.bottom, inner.top + outer.height) <= outer.bottom + 1;
  }, log);

for (const [size, options] of SIZES)
  test(`shows a message to which a link leads, and stays there: ${size}`, async ({ arrive, register, server }) => {
    const [anna, ben] = [await arrive('Anna', options), await register('Ben')];
    await anna.openChatWith(ben);
    const id = new URL(anna.page.url()).pathname.split('/').at(-1);
    const his = await apiOf(server, ben);
    const sent = [];
    for (let n = 0; n < 60; n += 1) sent.push(await his.send(id, textOf(n)));
    const { page } = anna;
    for (const n of [57, 50, 40, 20]) {
      await page.goto(`/c/${id}/m/${sent[n].id}`);
      const target = anna.log.locator('article', { hasText: new RegExp(`^.*number ${n}\\b`, 's') }).last();
      await expect(target).toHaveClass(/\bfound\b/);
      await expect(target).toBeInViewport();
      // A new message doesn't take the reader away.
      await his.send(id, `later than ${n}`);
      await expect(page.getByRole('button', { name: /new message/ })).toBeVisible();
      await expect(target).toBeInViewport();
      const log = await anna.log.elementHandle();
      expect(await isInView(log, target), `number ${n}`).toBe(true);
    }
  });

for (const [size, options] of [SIZES[1], SIZES[2], SIZES[4]])
  test(`shows messages to which search, pins and notifications lead: ${size}`, async ({ arrive, register, server }) => {
    const [anna, ben] = [await arrive('Anna', options), await register('Ben')];
    await anna.openChatWith(ben);
    const { page } = anna;
    const id = new URL(page.url()).pathname.split('/').at(-1);
    const [hers, his] = [await apiOf(server, anna), await apiOf(server, ben)];
    const sent = [];
    for (let n = 0; n < 60; n += 1) {
      const special = { 20: 'the lanternfish glows', 30: 'the bridge opens at six', 40: 'tea at the pier' }[n];
      sent.push(await (n === 40 ? hers : his).send(id, special ? `${textOf(n)}\n\n${special}` : textOf(n)));
    }
    await hers.call('PUT', `/r1/messages/${sent[30].id}/pin`);
    await his.call('PUT', `/r1/messages/${sent[40].id}/reactions/${encodeURIComponent('🎉')}`, {});
    const expectFound = async (text) => {
      const target = anna.log.locator('article', { hasText: text });
      await expect(target).toHaveClass(/\bfound\b/);
      const log = await anna.log.elementHandle();
      await expect.poll(() => isInView(log, target), text).toBe(true);
      // It stays when a message arrives.
      await his.send(id, `later than ${text}`);
      await expect(page.getByRole('button', { name: /new message/ })).toBeVisible();
      expect(await isInView(log, target), text).toBe(true);
    };

    await expect(async () => {
      await page.goto('/search?q=lanternfish');
      await expect(page.getByRole('link', { name: /lanternfish/ })).toBeVisible({ timeout: 2_000 });
    }).toPass();
    await page.getByRole('link', { name: /lanternfish/ }).click();
    await expectFound('the lanternfish glows');

    await page.goto('/activity');
    await page.getByRole('link', { name: /reacted/ }).click();
    await expectFound('tea at the pier');

    const header = page.getByRole('main').locator('header');
    if (size === 'phone') {
      await header.getByRole('button', { name: 'More actions' }).tap();
      await page.getByRole('menuitem', { name: 'Pinned and saved' }).tap();
    } else await header.getByRole('button', { name: 'Pinned messages' }).click();
    await page.getByRole('button', { name: /the bridge opens at six/ }).click();
    await expectFound('the bridge opens at six');
  });

for (const [size, options] of SIZES)
  test(`follows a long answer to its last button: ${size}`, async ({ arrive, upstream }) => {
    const anna = await arrive('Anna', options);
    await anna.openAssistant();
    for (const round of [1, 2]) {
      const words = Array.from({ length: 120 }, (_, n) =>
        n % 4 === 0 ? `\n\nParagraph ${n} of ${round}: ` : 'words that fill a line. '
      );
      upstream.next({ words: [...words, `The end of ${round}.`] });
      await anna.write(`A long answer, please, number ${round}`);
      await anna.sees(`The end of ${round}.`);
      await expect(anna.log.getByRole('button', { name: 'Copy' }).last()).toBeInViewport({ ratio: 1 });
      await expect(anna.page.getByRole('button', { name: /latest message|new message/ })).toHaveCount(0);
    }
    // Scrolling up stops that.
    await anna.log.hover();
    await anna.page.mouse.wheel(0, -400);
    await expect(anna.page.getByRole('button', { name: /latest message/ })).toBeVisible();
  });
