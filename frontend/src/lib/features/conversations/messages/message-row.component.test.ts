import { beforeAll, expect, it, onTestFinished } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import type { Member, Message } from '#lib/api/types.ts';
import { createTestAppWith } from '#lib/testing/app.ts';
import {
  ARABIC,
  BEN,
  CONVERSATION,
  conversationOf,
  CREATED_AT,
  LONG_NAME,
  ME,
  memberOf,
  messageOf,
  rowOf,
  UNBROKEN,
  uploadOf
} from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import { deferredComponents } from '../deferred-components.svelte.ts';
import type { Row } from '../rows.ts';
import MessageRow from './message-row.svelte';

beforeAll(async () => void Object.assign(deferredComponents, await import('../components/deferred-parts.ts')));

interface Options {
  row?: Partial<Row>;
  isBeginning?: boolean;
  dir?: 'ltr' | 'rtl';
  width?: number;
  members?: Member[];
}

async function renderMessage(message: Message, { row = {}, isBeginning = false, members, ...options }: Options = {}) {
  const testApp = await createTestAppWith([
    conversationOf({ kind: 'group', title: 'Crew', ...(members && { members }) })
  ]);
  const given = { row: { ...rowOf(message), isHead: true, opensDay: false, ...row }, isBeginning };
  return render(MessageRow, given, { in: testApp, conversationId: CONVERSATION, ...options });
}

const mine = { sender: { kind: 'user', id: ME, name: 'Anna Berg' } } as const;
const article = page.getByRole('article');

it('is an article with the sender and the time', async () => {
  await renderMessage(messageOf('Tide at six'));
  await expect.element(article).toMatchTextContent('Tide at six');
  await expect.element(page.getByRole('article', { name: /Ben Okafor\W*, 11:00$/ })).toBeVisible();
  await expect.element(page.getByRole('time')).toHaveAttribute('datetime', CREATED_AT);
});

it('can be translated by the browser, but for names and code', async () => {
  const { stage } = await renderMessage(messageOf('The tide rises at `six`'));
  const isTranslated = (selector: string) => stage.querySelector<HTMLElement>(selector)?.translate;
  await expect.element(article).toMatchTextContent('The tide rises at six');
  expect(['.who', '.av', 'code', '.prose p'].map(isTranslated)).toEqual([false, false, false, true]);
});

it('names the user “You”', async () => {
  await renderMessage(messageOf('Tide at six', mine));
  await expect.element(page.getByRole('article', { name: /^\W*You/ })).toBeVisible();
});

it('opens the profile of its sender', async () => {
  const { app } = await renderMessage(messageOf('Tide at six'));
  await page.getByRole('button', { name: 'Ben Okafor' }).click();
  await expect.poll(() => app.shell.subject).toBe(BEN);
});

it('has no sender between others of the same one', async () => {
  const { stage } = await renderMessage(messageOf('Tide at six'), { row: { isHead: false } });
  expect(stage.querySelector('header')).toBeNull();
  await expect.element(page.getByText('11:00')).toBeInTheDocument();
});

it('begins a day, the unread messages, and the conversation', async () => {
  await renderMessage(messageOf('Tide at six'), { row: { opensDay: true, opensUnread: true }, isBeginning: true });
  await expect.element(page.getByRole('heading', { level: 2 })).toMatchTextContent('20 November 2024');
  await expect.element(page.getByText('New since 11:00')).toBeVisible();
  await expect.element(page.getByText('This is the beginning of Crew.')).toBeVisible();
});

it('says that it was edited', async () => {
  await renderMessage(messageOf('Tide at six', { edited_at: '2026-11-20T10:05:00.000Z' }));
  await expect.element(page.getByText('edited')).toBeVisible();
});

it('shows what was attached, and the reactions', async () => {
  const more = { attachments: [uploadOf('tides.txt')], reactions: [{ emoji: '👍', count: 1, user_ids: [ME] }] };
  await renderMessage(messageOf('Tide at six', more));
  await expect.element(page.getByRole('link', { name: /Download tides.txt/ })).toBeVisible();
  await expect.element(page.getByRole('button', { name: '👍 1: You' })).toHaveAttribute('aria-pressed', 'true');
});

it('shows the rest of a long message only when it is asked to', async () => {
  const long = `${'All hands on deck. '.repeat(800)}The end.`;
  await renderMessage(messageOf(long));
  await expect.element(article).not.toMatchTextContent('The end.');
  await page.getByRole('button', { name: /^Show all 15,2\d\d characters$/ }).click();
  await expect.element(article).toMatchTextContent('The end.');
});

it('shows its tools only while it is pointed at', async () => {
  await renderMessage(messageOf('Tide at six'));
  const tools = page.getByRole('button', { name: 'Reply', exact: true });
  await expect.element(tools).not.toBeInTheDocument();
  await article.hover();
  await expect.element(tools).toBeVisible();
});

it('is reached by keyboard, but not by Tab', async () => {
  await renderMessage(messageOf('Tide at six'));
  await expect.element(article).toHaveAttribute('tabindex', '-1');
});

it.each([UNBROKEN, `\`${UNBROKEN}\``, `https://example.com/${UNBROKEN}`, `- ${UNBROKEN}`, `> ${UNBROKEN}`])(
  'wraps or scrolls a long text: %s',
  async (content) => {
    const message = messageOf(content, { sender: { kind: 'user', id: BEN, name: LONG_NAME } });
    const { stage } = await renderMessage(message, { width: 320 });
    await expect.element(article).toMatchTextContent(UNBROKEN);
    expectNoOverflow(stage);
  }
);

it('wraps a long mention', async () => {
  const members = [memberOf(LONG_NAME, { user_id: BEN })];
  const { stage } = await renderMessage(messageOf(`@${LONG_NAME} wrote this.`), { width: 320, members });
  await expect.poll(() => stage.querySelector('.at')?.textContent).toContain(LONG_NAME);
  expectNoOverflow(stage);
  const { right } = (stage.querySelector('.at') as Element).getBoundingClientRect();
  expect(right).toBeLessThanOrEqual(stage.getBoundingClientRect().right);
});

it('scrolls long lines of code', async () => {
  const { stage } = await renderMessage(messageOf(`\`\`\`\n${UNBROKEN}\n\`\`\``), { width: 320 });
  await expect.element(page.getByRole('code')).toBeVisible();
  expectNoOverflow(stage);
});

it.each(['ltr', 'rtl'] as const)('has the face before the text in a page of this direction (%s)', async (dir) => {
  const { stage } = await renderMessage(messageOf('Tide at six'), { dir });
  const parts = [stage.querySelector('.av') as Element, stage.querySelector('.bubble') as Element];
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});

it('writes a text from right to left in a page from left to right', async () => {
  const { stage } = await renderMessage(messageOf(`- ${ARABIC}`));
  const item = stage.querySelector('.prose li') as Element;
  expect(item.matches(':dir(rtl)')).toBe(true);
  expectRightToLeft(item, item.querySelector('.inset') as Element);
});

it('shows the source text if rendering fails', async () => {
  const broken = Object.defineProperty({ ...rowOf(messageOf('Tide at six')).view }, 'mentions', {
    get: () => {
      throw new Error('broken');
    }
  });
  await renderMessage(messageOf('Tide at six'), { row: { view: broken } });
  await expect.element(page.getByText('Couldn’t format this message. It’s shown as plain text.')).toBeVisible();
  await expect.element(article).toMatchTextContent('Tide at six');
});

const quick = page.getByRole('group', { name: 'Quick reactions' });
const toolbar = page.getByRole('toolbar', { name: 'Message actions' });

it('reacts with one of six emoji in its toolbar, the last used ones first', async () => {
  const message = messageOf('Tide at six');
  const { server } = await renderMessage(message, { width: 800 });
  localStorage.setItem('natter.emoji', '🦀');
  await article.hover();
  await expect.poll(() => quick.getByRole('button').elements().length).toBe(6);
  await quick.getByRole('button', { name: 'React with 🦀' }).click();
  const path = `PUT /messages/${message.id}/reactions/${encodeURIComponent('🦀')}`;
  await expect.poll(() => server.requests.map(({ method, path }) => `${method} ${path}`)).toContain(path);
});

it.each([
  [800, 6],
  [600, 3],
  [360, 0]
])('has a toolbar that leaves the name of the author free (%i px)', async (width, count) => {
  const { stage } = await renderMessage(messageOf('Tide at six'), { width });
  await article.hover();
  await expect.element(toolbar).toBeVisible();
  await expect.poll(() => quick.getByRole('button').elements().length).toBe(count);
  const [bar, name] = [toolbar.element(), stage.querySelector('.who')!].map((each) => each.getBoundingClientRect());
  const isBeside = bar!.left >= name!.right || bar!.bottom <= name!.top + 1;
  expect(isBeside).toBe(true);
});

it('keeps the actions that a narrow toolbar lacks in its menu', async () => {
  const main = document.body.appendChild(document.createElement('div'));
  main.id = 'main';
  onTestFinished(() => main.remove());
  await renderMessage(messageOf('Tide at six', mine), { width: 360 });
  await article.hover();
  await page.getByRole('button', { name: 'More actions' }).click();
  for (const name of ['Edit', 'Copy', 'Delete'])
    await expect.element(page.getByRole('menuitem', { name })).toBeVisible();
});

it('moves between the buttons of the toolbar by the arrow keys', async () => {
  await renderMessage(messageOf('Tide at six'), { width: 800 });
  await article.hover();
  const [first] = quick.getByRole('button').elements() as HTMLElement[];
  first!.focus();
  await userEvent.keyboard('{ArrowLeft}');
  await expect.element(page.getByRole('button', { name: 'More actions' })).toHaveFocus();
  await userEvent.keyboard('{ArrowRight}{ArrowRight}');
  expect(document.activeElement).toBe(quick.getByRole('button').elements()[1]);
});
