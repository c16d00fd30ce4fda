// Large numbers of reactions, pins, threads and saved messages.

import { randomUUID } from 'node:crypto';
import { apiOf, expect, PHONE, shoot, test } from './people.mjs';

const THREADS = 240;
const PINS = 100;
/** Fifty emoji, from 😀 on. */
const FACES = Array.from({ length: 50 }, (_, at) => String.fromCodePoint(0x1f600 + at));

/** Whether the content is wider than the page. */
const isTooWide = (page) => page.evaluate(() => document.documentElement.scrollWidth > innerWidth);

test('handles fifty reactions, a hundred pins and hundreds of threads and bookmarks', async ({ arrive, server }) => {
  test.setTimeout(240_000);
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben', PHONE)];
  await anna.openChatWith(ben);
  await anna.write('Good morning');
  await anna.sees(/^(Sent|Delivered)$/);
  const [hers, his] = [await apiOf(server, anna), await apiOf(server, ben)];
  const { items } = await hers.call('GET', '/r1/conversations');
  const chat = items.find(({ last_message }) => last_message?.content === 'Good morning');
  const ask = async (content) => {
    const root = await hers.send(chat.id, content);
    const reply = { client_id: randomUUID(), content: `To ${content}`, thread_id: root.id };
    await his.call('POST', `/r1/conversations/${chat.id}/messages`, reply);
    return root;
  };
  await ask('the oldest question');
  let early;
  for (let at = 0; at < THREADS; at += 20) {
    const roots = await Promise.all(Array.from({ length: 20 }, (_, index) => ask(`question ${at + index}`)));
    await Promise.all(roots.map(({ id }) => hers.call('PUT', `/r1/messages/${id}/saved`, {})));
    early ??= roots[0];
    if (at < PINS) await Promise.all(roots.map(({ id }) => his.call('PUT', `/r1/messages/${id}/pin`, {})));
  }
  const last = await hers.send(chat.id, 'Any face will do');
  for (const face of FACES) await his.call('PUT', `/r1/messages/${last.id}/reactions/${encodeURIComponent(face)}`, {});

  // Fifty reactions wrap on all screens. Another one is rejected with a reason.
  for (const [visitor, size] of [
    [anna, 'wide'],
    [ben, 'phone']
  ]) {
    await visitor.page.goto(`/c/${chat.id}/m/${last.id}`);
    const article = visitor.log.getByRole('article').filter({ hasText: 'Any face will do' });
    const faces = article.getByRole('list', { name: 'Reactions' }).getByRole('button', { name: / 1: / });
    await expect(faces).toHaveCount(50);
    expect(await isTooWide(visitor.page)).toBe(false);
    await visitor.expectFlawless(`fifty reactions, ${size}`);
    await shoot(visitor.page, `plenty-reactions-${size}`);
  }
  const { page } = anna;
  await anna.write('+🦊');
  await expect(page.getByText('A message can have up to 50 different reactions.').first()).toBeVisible();

  // A hundred pins are listed. Another one is rejected with a hint.
  await page.getByRole('button', { name: 'Details' }).click();
  await page.getByRole('button', { name: 'Pinned and saved' }).click();
  const panel = page.getByRole('complementary', { name: 'Pinned and saved' });
  await expect(panel.getByRole('list', { name: 'Pinned' }).getByRole('listitem')).toHaveCount(PINS);
  await anna.expectFlawless('a hundred pinned messages');
  await shoot(page, 'plenty-pins');
  const article = anna.log.getByRole('article').filter({ hasText: 'Any face will do' });
  await article.hover();
  await article.getByRole('button', { name: 'More actions' }).click();
  await page.getByRole('menuitem', { name: 'Pin', exact: true }).click();
  await expect(
    page.getByText('A conversation can have up to 100 pinned messages. Unpin one first.').first()
  ).toBeVisible();

  // There are hundreds of threads, of which only the visible ones are rendered. The oldest can be reached.
  await page.goto('/threads');
  const threads = page.getByRole('main').getByRole('button', { name: /question/ });
  await expect(threads.first()).toBeVisible();
  expect(await threads.count()).toBeLessThan(80);
  await anna.expectFlawless('hundreds of threads');
  await shoot(page, 'plenty-threads');
  await threads.first().hover();
  const oldest = page.getByRole('main').getByRole('button', { name: /the oldest question/ });
  await expect(async () => {
    await page.mouse.wheel(0, 20_000);
    await expect(oldest).toBeVisible({ timeout: 250 });
  }).toPass({ timeout: 60_000 });
  await oldest.click();
  await expect(page.getByRole('complementary', { name: 'Thread' }).getByText('To the oldest question')).toBeVisible();

  // Saved messages are loaded page by page.
  await page.goto('/saved');
  const saved = page.getByRole('list', { name: 'Saved' }).getByRole('listitem');
  await expect(saved).toHaveCount(50);
  await anna.expectFlawless('hundreds of saved messages');
  await shoot(page, 'plenty-saved');
  await page.getByRole('button', { name: 'Show more' }).click();
  await expect(saved).toHaveCount(100);

  // A message at the end of the list is shown as saved in its conversation.
  await page.goto(`/c/${chat.id}/m/${early.id}`);
  const first = anna.log.getByRole('article').filter({ hasText: 'question 0' });
  await first.hover();
  await first.getByRole('button', { name: 'More actions' }).click();
  await expect(page.getByRole('menuitem', { name: 'Remove from saved' })).toBeVisible();
});
