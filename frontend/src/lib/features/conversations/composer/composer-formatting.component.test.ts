import { beforeEach, expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { newId } from '#lib/api/client.ts';
import { createTestAppWith } from '#lib/testing/app.ts';
import { accountOf, ARABIC, CONVERSATION, conversationOf, UNBROKEN } from '#lib/testing/data.ts';
import { expectNoOverflow } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import { persistentStorage } from '#lib/util/browser-storage.ts';
import Composer from '../composer.svelte';

beforeEach(() => persistentStorage.removeItem('natter.formatting-bar'));

async function renderComposer(options: { dir?: 'ltr' | 'rtl'; width?: number } = {}) {
  const testApp = await createTestAppWith([conversationOf({ kind: 'group', title: 'Crew' })]);
  // An account of its own, because messages that aren't sent stay in the database of the browser.
  testApp.app.session.account = accountOf({ id: newId() });
  const rendered = render(Composer, {}, { in: testApp, conversationId: CONVERSATION, width: 640, ...options });
  // Loaded together with the commands for the keys.
  await import('./formats.ts');
  await expect.element(page.getByRole('toolbar', { name: 'Formatting' })).toBeVisible();
  return rendered;
}

const field = page.getByRole('textbox', { name: 'Message' });
const select = (start: number, end = start) => (elementOf(field) as HTMLTextAreaElement).setSelectionRange(start, end);
const styledText = () => document.querySelector<HTMLElement>('.styled-text');
const keys = (written: string) => userEvent.keyboard(written);

it('formats the selection by keys, and undoes it', async () => {
  await renderComposer();
  await field.click();
  await keys('very good');
  select(5, 9);
  await keys('{Control>}b{/Control}');
  await expect.element(field).toHaveValue('very **good**');
  await keys('{Control>}b{/Control}');
  await expect.element(field).toHaveValue('very good');
  await keys('{Control>}i{/Control}');
  await expect.element(field).toHaveValue('very _good_');
  await keys('{Control>}z{/Control}');
  await expect.element(field).toHaveValue('very good');
  select(5, 9);
  await keys('{Control>}e{/Control}');
  await expect.element(field).toHaveValue('very `good`');
  await keys('{Control>}e{/Control}{Control>}{Shift>}x{/Shift}{/Control}');
  await expect.element(field).toHaveValue('very ~~good~~');
  await keys('{Control>}{Shift>}x{/Shift}{/Control}{Control>}k{/Control}');
  await expect.element(field).toHaveValue('very [good]()');
  await keys('https://a.example');
  await expect.element(field).toHaveValue('very [good](https://a.example)');
});

it('formats what is typed after the key', async () => {
  await renderComposer();
  await field.click();
  await keys('So {Control>}b{/Control}good{Control>}b{/Control}!');
  await expect.element(field).toHaveValue('So **good**!');
});

it('leaves the key of links to the command palette if nothing is selected', async () => {
  await renderComposer();
  await field.click();
  await keys('Tide');
  const pressed = Promise.withResolvers<boolean>();
  addEventListener('keydown', (event) => event.key === 'k' && pressed.resolve(event.defaultPrevented));
  await keys('{Control>}k{/Control}');
  expect(await pressed.promise).toBe(false);
  await expect.element(field).toHaveValue('Tide');
});

it('makes lists and quotes of lines by keys', async () => {
  await renderComposer();
  await field.click();
  await keys('a{Shift>}{Enter}{/Shift}b');
  select(0, 3);
  await keys('{Control>}{Shift>}[Digit7]{/Shift}{/Control}');
  await expect.element(field).toHaveValue('1. a\n2. b');
  await keys('{Control>}{Shift>}[Digit8]{/Shift}{/Control}');
  await expect.element(field).toHaveValue('- a\n- b');
  await keys('{Control>}{Shift>}[Digit8]{/Shift}{/Control}{Control>}{Shift>}[Digit9]{/Shift}{/Control}');
  await expect.element(field).toHaveValue('> a\n> b');
});

it('opens a code block, in which Enter starts a line', async () => {
  const { view } = await renderComposer();
  await field.click();
  await keys('```{Enter}let a{Enter}let b');
  await expect.element(field).toHaveValue('```\nlet a\nlet b\n```');
  expect(view.log.items).toEqual([]);
  await keys('{Control>}z{/Control}');
  await expect.element(field).not.toHaveValue('```\nlet a\nlet b\n```');
  await keys('{Control>}{Shift>}z{/Shift}{/Control}');
  await expect.element(field).toHaveValue('```\nlet a\nlet b\n```');
  // Behind the block, Enter sends.
  await keys('{ArrowDown}{End}{Enter}');
  await expect.poll(() => view.log.items.map((row) => row.view.content)).toEqual(['```\nlet a\nlet b\n```']);
});

it('continues and indents lists, without trapping Tab', async () => {
  await renderComposer();
  await field.click();
  await keys('- a{Shift>}{Enter}{/Shift}b{Tab}');
  await expect.element(field).toHaveValue('- a\n  - b');
  await expect.element(field).toHaveFocus();
  await keys('{Shift>}{Tab}{/Shift}');
  await expect.element(field).toHaveValue('- a\n- b');
  await keys('{Shift>}{Enter}{Enter}{/Shift}');
  await expect.element(field).toHaveValue('- a\n- b\n');
  await keys('{ArrowUp}{Tab}{Tab}');
  await expect.element(field).not.toHaveFocus();
  await field.click();
  select(0);
  await keys('{Shift>}{Tab}{/Shift}');
  await expect.element(field).not.toHaveFocus();
  await expect.element(field).toHaveValue('- a\n  - b\n');
});

it.each(['ltr', 'rtl'] as const)('formats by buttons, which the arrow keys reach (%s)', async (dir) => {
  await renderComposer({ dir });
  await field.click();
  await keys('good');
  select(0, 4);
  await page.getByRole('button', { name: 'Bold' }).click();
  await expect.element(field).toHaveValue('**good**');
  await expect.element(field).toHaveFocus();
  const toolbar = elementOf(page.getByRole('toolbar', { name: 'Formatting' }));
  expect(toolbar.querySelectorAll('button[tabindex="0"]')).toHaveLength(1);
  elementOf(page.getByRole('button', { name: 'Bold' })).focus();
  const [forward, back] = dir === 'ltr' ? ['{ArrowRight}', '{ArrowLeft}'] : ['{ArrowLeft}', '{ArrowRight}'];
  await keys(forward);
  await expect.element(page.getByRole('button', { name: 'Italic' })).toHaveFocus();
  await keys(back + back);
  await expect.element(page.getByRole('button', { name: 'Code block' })).toHaveFocus();
  await keys('{Home}');
  await expect.element(page.getByRole('button', { name: 'Bold' })).toHaveFocus();
  await keys('{Enter}');
  await expect.element(field).toHaveValue('good');
  await expect.element(field).toHaveFocus();
});

it('hides the buttons, and remembers that on this device', async () => {
  await renderComposer();
  const toggle = page.getByRole('button', { name: 'Formatting' });
  await expect.element(toggle).toHaveAttribute('aria-expanded', 'true');
  await toggle.click();
  await expect.element(page.getByRole('toolbar', { name: 'Formatting' })).not.toBeInTheDocument();
  expect(persistentStorage.getItem('natter.formatting-bar')).toBe('hidden');
  await toggle.click();
  await expect.element(page.getByRole('toolbar', { name: 'Formatting' })).toBeVisible();
});

it('starts a mention by its button', async () => {
  await renderComposer();
  await field.click();
  await keys('Ask');
  await page.getByRole('button', { name: 'Mention someone' }).click();
  await expect.element(field).toHaveValue('Ask @');
  await expect.element(page.getByRole('option', { name: /Ben Okafor/ })).toBeVisible();
});

it('shows formatting over the text, and only while there is some', async () => {
  await renderComposer();
  await field.fill('Ask @Ben Okafor about **tides**');
  await expect.poll(() => styledText()?.querySelector('.typed-mention')?.textContent).toBe('@Ben Okafor');
  expect(styledText()?.querySelector('.typed-strong')?.textContent).toBe('tides');
  expect(styledText()?.getAttribute('aria-hidden')).toBe('true');
  await field.fill('Ask Ben');
  await expect.poll(styledText).toBeNull();
  expect(getComputedStyle(elementOf(field)).color).not.toBe('rgba(0, 0, 0, 0)');
});

it('shows the field’s own text while a character is composed', async () => {
  await renderComposer();
  await field.fill('**にほん**');
  await expect.poll(styledText).not.toBeNull();
  elementOf(field).dispatchEvent(new CompositionEvent('compositionstart'));
  await expect.poll(styledText).toBeNull();
  elementOf(field).dispatchEvent(new CompositionEvent('compositionend'));
  await expect.poll(styledText).not.toBeNull();
});

const TEXTS = {
  latin: 'AV **To. WAVE** _fi ffl_ `->` ~~Very~~ https://a.example @Ben Okafor, Tiếng Việt **đậm** và _nghiêng_ 😀 `a`',
  'right-to-left': `**${ARABIC}** @Ben Okafor\n_${ARABIC}_ https://a.example ${ARABIC}\nLatin **again**`,
  unbroken: `**${UNBROKEN}** \`${UNBROKEN}\``,
  'lines and spaces': `- **a**   \n- b  \n\n\`\`\`\n  let a;\n\`\`\`\n**${'word  '.repeat(40)}**\n`
};

/** Difference of a colour channel up to which two pixels count as equal, because letters are smoothed differently. */
const MAX_SMOOTHING = 64;

/** Picture of the field, with the styled text or without it, in the same colours. */
async function pictureOf(stage: HTMLElement, isStyled: boolean): Promise<ImageData> {
  const sheet = document.head.appendChild(document.createElement('style'));
  sheet.textContent = isStyled
    ? `.styled-text, .styled-text span { color: var(--foreground) !important; background: none !important;
        box-shadow: none !important; text-decoration: none !important; -webkit-text-stroke: 0 !important; }`
    : `.styled-text { visibility: hidden; } .composer textarea.styled { color: var(--foreground) !important; }`;
  const picture = await page
    .elementLocator(stage.querySelector('textarea')!.parentElement!)
    .screenshot({ save: false });
  sheet.remove();
  const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${picture}`)).blob());
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
  context.drawImage(bitmap, 0, 0);
  return context.getImageData(0, 0, bitmap.width, bitmap.height);
}

function differences(one: ImageData, other: ImageData): number {
  expect([one.width, one.height]).toEqual([other.width, other.height]);
  let all = 0;
  for (let at = 0; at < one.data.length; at += 4) {
    if (Math.abs(one.data[at]! - other.data[at]!) > MAX_SMOOTHING) all++;
  }
  return all;
}

it.each(Object.entries(TEXTS))('draws each letter where the field has it (%s)', async (_, text) => {
  for (const width of [340, 640]) {
    const { stage } = await renderComposer({ width });
    await field.fill(text);
    await expect.poll(styledText).not.toBeNull();
    expectNoOverflow(stage);
    elementOf(field).blur();
    // At its end a long text is scrolled.
    elementOf(field).scrollTop = 10_000;
    const [styled, plain] = [await pictureOf(stage, true), await pictureOf(stage, false)];
    // A shift by one pixel would change hundreds.
    expect(differences(styled, plain)).toBeLessThan(10);
    stage.remove();
  }
});

it('types into the field when no other one has the focus', async () => {
  await renderComposer();
  const other = document.body.appendChild(document.createElement('div'));
  other.innerHTML = '<input aria-label="Other"><article tabindex="-1">Row</article><button>Press</button>';
  try {
    elementOf(field).blur();
    await keys('tide');
    await expect.element(field).toHaveFocus();
    await expect.element(field).toHaveValue('tide');
    for (const element of other.children) {
      (element as HTMLElement).focus();
      await keys('x');
      expect(document.activeElement).toBe(element);
    }
    (document.activeElement as HTMLElement).blur();
    await keys('?{Control>}j{/Control}');
    await expect.element(field).not.toHaveFocus();
    const dialog = other.appendChild(document.createElement('div'));
    dialog.setAttribute('role', 'dialog');
    dialog.textContent = 'Open';
    await keys('x');
    await expect.element(field).toHaveValue('tide');
  } finally {
    other.remove();
  }
});
