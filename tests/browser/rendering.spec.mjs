// Rendering of hostile, malformed and right-to-left texts.

import { HOSTILE } from '../../frontend/src/lib/features/markdown/hostile.ts';
import { apiOf, expect, PHONE, test } from './people.mjs';

/** Page of Anna and API client of Ben, in one conversation. */
async function conversation(arrive, server, options) {
  const anna = await arrive('Anna', options);
  const ben = await arrive('Ben');
  const api = await apiOf(server, ben);
  await ben.openChatWith(anna);
  await ben.write('the very first');
  await anna.openConversation(ben.name);
  await anna.sees('the very first');
  const { items } = await api.call('GET', '/r1/conversations');
  return { anna, ben, api, id: items[0].id };
}

test('renders hostile texts safely', async ({ arrive, server }) => {
  test.setTimeout(300_000);
  const { anna, api, id } = await conversation(arrive, server);
  for (const [at, { text }] of HOSTILE.entries()) {
    // The server may reject a text, but each one that it accepts must be rendered.
    await api.send(id, text).catch(() => undefined);
    await api.send(id, `after ${at}.`);
  }
  await anna.sees(`after ${HOSTILE.length - 1}.`);
  await anna.page.reload();
  await anna.sees(/^after \d+\.$/);
  const toEnd = anna.page.getByRole('button', { name: /newest message|new messages/ });
  if (await toEnd.isVisible()) await toEnd.click();
  await anna.write('still here');
  await anna.sees('still here');
  // Scrolling to the first message renders all of them.
  await anna.log.hover();
  await expect(async () => {
    await anna.page.mouse.wheel(0, -600);
    await expect(anna.log.getByText('the very first')).toBeVisible({ timeout: 100 });
  }).toPass({ timeout: 120_000, intervals: [0] });
  expect(anna.problems).toEqual([]);
  // Nothing is wider than the page.
  expect(await anna.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true);
});

test('renders formulas but not prices', async ({ arrive, server }) => {
  const { anna, api, id } = await conversation(arrive, server);
  await api.send(id, 'It is $5 and $10.');
  await api.send(id, 'Euler: $e^{i\\pi}+1=0$, and\n\n$$\\sum_{k=1}^n k = \\frac{n(n+1)}{2}$$\n\n\\(x\\) or \\[y\\]');
  await expect(anna.log.locator('.katex-html')).toHaveCount(4);
  await anna.sees('It is $5 and $10.');
  await expect(anna.log.locator('.katex-display')).toHaveCount(2);
  await api.send(id, 'Broken: $\\frac{1$ and $\\href{https://x.example}{a}$');
  await anna.sees('Broken:');
  await expect(anna.log.locator('.formula a')).toHaveCount(0);
  await anna.expectFlawless('formulas');
});

test('shows the real target of a misleading link', async ({ arrive, server }) => {
  const { anna, api, id } = await conversation(arrive, server);
  await api.send(id, '[https://bank.example](https://evil.example/login)');
  await expect(anna.log.getByRole('link')).toHaveText('https://evil.example/login');
  await expect(anna.log.getByText('bank.example')).toHaveCount(0);
});

test('hides incomplete markup while streaming', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  upstream.next({
    words: [
      'Here:\n\n',
      '| Region | p95 |\n',
      '|---|',
      '---:|\n| eu | 47 |\n\nSee ',
      '[the docs](https',
      '://x.example/d) now.'
    ],
    step: true
  });
  await anna.openAssistant();
  await anna.write('Compare.');
  upstream.release(3);
  await anna.sees('Here:');
  await expect(anna.page.getByText('Answering…').first()).toBeVisible();
  await expect(anna.log.getByText('Region')).toHaveCount(0);
  upstream.release(2);
  await expect(anna.log.getByRole('table')).toContainText('eu');
  await anna.sees('See');
  await expect(anna.log.getByText('[the docs]')).toHaveCount(0);
  upstream.release(1);
  await expect(anna.log.getByRole('link', { name: 'the docs' })).toBeVisible();
  await expect(anna.page.getByText('Answering…')).toHaveCount(0);
});

test('renders message styles', async ({ arrive, server }) => {
  const { anna, ben, api, id } = await conversation(arrive, server, PHONE);
  await api.send(id, '🚢🌊🎉');
  await expect(anna.log.locator('.jumbo, .msg').filter({ hasText: '🚢' }).first()).toBeVisible();
  await ben.write('```ts\nconst a = 1;\n```');
  await expect(ben.log.locator('.bubble.bare')).toBeVisible();
  await expect(ben.log.locator('.bubble.jumbo')).toBeVisible();
  await expect(ben.log.locator('.hljs-keyword')).toHaveText('const');
});

test('renders right-to-left text with left-to-right code', async ({ arrive, server }) => {
  const { anna, api, id } = await conversation(arrive, server, PHONE);
  const text = [
    'مرحبا بكم',
    'and from here',
    '- أولا\n- ثانيا',
    '> قال',
    '```js\nconst a = f(1);\n```',
    'انظر `f(1)` هنا'
  ];
  await api.send(id, text.join('\n\n'));
  await anna.sees('مرحبا بكم');
  const prose = anna.log.locator('.prose').filter({ hasText: 'مرحبا بكم' });
  /** Side of an element at which a text starts. */
  const begins = (selector, words) =>
    prose
      .locator(selector)
      .filter({ hasText: words })
      .last()
      .evaluate((element, words) => {
        const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
        let node = walker.nextNode();
        while (!node.data.includes(words)) node = walker.nextNode();
        const range = document.createRange();
        range.setStart(node, node.data.indexOf(words));
        range.setEnd(node, node.data.indexOf(words) + words.length);
        const [word, room] = [range.getBoundingClientRect(), element.getBoundingClientRect()];
        return word.right > room.right - 4 ? 'right' : word.left < room.left + 4 ? 'left' : 'between';
      }, words);
  expect(await begins('p', 'مرحبا')).toBe('right');
  expect(await begins('p', 'and')).toBe('left');
  expect(await begins('li > .inset', 'أولا')).toBe('right');
  expect(await begins('pre > code', 'const')).toBe('left');
  const sides = (selector, name) =>
    prose
      .locator(selector)
      .first()
      .evaluate((element, name) => getComputedStyle(element)[name], name);
  expect([await sides('li', 'paddingRight'), await sides('li', 'paddingLeft')]).toEqual(['22px', '0px']);
  expect([await sides('blockquote', 'borderRightWidth'), await sides('blockquote', 'borderLeftWidth')]).toEqual([
    '2px',
    '0px'
  ]);
  // After a text that is written from left to right, each block has a direction of its own.
  await api.send(id, 'Two of these\n\n- one\n- أولا\n- [ ] ثانيا\n\n> قال\n\n| أ | ب |\n|---|---|\n| ج | د |');
  const mixed = anna.log.locator('.prose').filter({ hasText: 'Two of these' });
  const directions = mixed.locator('li, blockquote, table');
  await expect(directions).toHaveCount(5);
  expect(await directions.evaluateAll((all) => all.map((one) => getComputedStyle(one).direction))).toEqual([
    'ltr',
    'rtl',
    'rtl',
    'rtl',
    'rtl'
  ]);
  // The brackets come after the name, as in code.
  const order = await prose.locator(':not(pre) > code').evaluate((element) => {
    const at = (start, end) => {
      const range = document.createRange();
      range.setStart(element.firstChild, start);
      range.setEnd(element.firstChild, end);
      return range.getBoundingClientRect().left;
    };
    return at(0, 1) < at(1, 2);
  });
  expect(order).toBe(true);
});

test('isolates right-to-left names in previews and titles', async ({ arrive, server }) => {
  const { anna, ben, api, id } = await conversation(arrive, server);
  await api.call('PATCH', '/r1/users/me', { display_name: 'נועה לוי' });
  await api.send(id, '| الاسم | n |\n|---|---|\n| Anna | 1 |\n| فاطمة الزهراء | 2 |');
  await api.send(id, '- [x] تم');
  await api.send(id, 'العربية أولاً، then words');
  const { page } = anna;
  await page.reload();
  await anna.sees('then words');
  const words = (locator) =>
    locator.evaluate((element) => {
      const parts = [];
      for (const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT); walker.nextNode();) {
        for (const { 0: text, index } of walker.currentNode.data.matchAll(/\S+/g)) {
          const range = new Range();
          range.setStart(walker.currentNode, index);
          range.setEnd(walker.currentNode, index + text.length);
          parts.push({ text, left: range.getBoundingClientRect().left });
        }
      }
      return parts.sort((one, other) => other.left - one.left).map(({ text }) => text);
    });
  // The text is aligned as in the message.
  const inOrder = ['العربية', 'أولاً،', 'words', 'then'];
  expect(await words(anna.log.getByText('then words'))).toEqual(inOrder);
  const row = page.getByRole('complementary').getByRole('link', { name: 'נועה לוי' }).locator('xpath=ancestor::div[1]');
  expect(await words(row.getByText('then words'))).toEqual(inOrder);
  // A message of the app is written from left to right, although it starts with a name that isn't.
  await ben.composer.pressSequentially('a');
  const typing = page.getByText('is typing');
  await expect(typing).toBeVisible();
  const said = (await words(typing)).map((word) => word.replace(/[\u2068\u2069]/g, ''));
  expect(said).toEqual(['typing', 'is', 'נועה', 'לוי']);
  // A name is beside its avatar.
  const edge = (locator, side) =>
    locator.evaluate((element, side) => {
      const range = new Range();
      range.selectNodeContents(element);
      return Math.round(range.getBoundingClientRect()[side]);
    }, side);
  const picture = await row.locator('.av').first().boundingBox();
  const name = await edge(row.getByRole('link', { name: 'נועה לוי' }), 'left');
  expect(name - picture.x - picture.width).toBeLessThan(20);
  const cells = anna.log.getByRole('cell');
  expect(await edge(cells.filter({ hasText: 'Anna' }), 'right')).toBe(
    await edge(cells.filter({ hasText: 'فاطمة الزهراء' }), 'right')
  );
  // The check mark is in the middle of its box.
  const [box, mark] = [anna.log.locator('.tick.done'), anna.log.locator('.tick.done svg')];
  const [around, within] = [await box.boundingBox(), await mark.boundingBox()];
  expect(Math.abs(around.y + around.height / 2 - within.y - within.height / 2)).toBeLessThan(1);
  await page.goto(`/search?q=${encodeURIComponent('العربية')}`);
  expect(await words(page.getByRole('main').locator('[data-hit] .bidi'))).toEqual(inOrder);
});
