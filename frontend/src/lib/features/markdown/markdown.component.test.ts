import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { ARABIC, UNBROKEN } from '#lib/testing/data.ts';
import { expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { render } from '#lib/testing/render.svelte.ts';
import Markdown from './markdown.svelte';
import { parseOnce } from './parse.ts';

const renderText = (source: string, width = 480) => render(Markdown, { blocks: parseOnce(source) }, { width });

it('shows a text as it is', () => {
  const { stage } = renderText('Tide at six');
  expect(stage.textContent).toBe('Tide at six');
});

it('has headings, lists, quotes and links', async () => {
  renderText('# Tides\n\n- high\n- low\n\n> slack water\n\n[table](https://example.com/tides)');
  await expect.element(page.getByRole('heading', { name: 'Tides' })).toBeVisible();
  expect(
    page
      .getByRole('listitem')
      .elements()
      .map(({ textContent }) => textContent?.trim())
  ).toEqual(['high', 'low']);
  await expect.element(page.getByRole('blockquote')).toMatchTextContent('slack water');
  const link = page.getByRole('link', { name: 'table' });
  await expect.element(link).toHaveAttribute('href', 'https://example.com/tides');
  await expect.element(link).toHaveAttribute('rel', expect.stringMatching(/noopener/));
});

it('has tables that scroll by keyboard', async () => {
  const columns = Array.from({ length: 12 }, (_, index) => `Column${index}`);
  const { stage } = renderText(`| ${columns.join(' | ')} |\n|${'---|'.repeat(12)}\n| ${columns.join(' | ')} |`, 280);
  await expect.element(page.getByRole('columnheader', { name: 'Column0' })).toBeInTheDocument();
  expectNoOverflow(stage);
  await userEvent.tab();
  await expect.element(page.getByRole('group', { name: 'Table' })).toHaveFocus();
});

it('says which tasks are done', async () => {
  renderText('- [x] rig\n- [ ] sail');
  await expect.element(page.getByRole('listitem').first()).toMatchTextContent('Done rig');
  await expect.element(page.getByRole('listitem').nth(1)).toMatchTextContent(/rig|sail/);
});

it('draws elements that were written as HTML', () => {
  const { stage } = renderText(
    'H<sub>2</sub>O, <kbd>Ctrl</kbd>, <mark>low **tide**</mark>, <u>a</u>, <s>b</s><br>x<sup>2</sup>'
  );
  expect([...stage.querySelectorAll('sub, kbd, mark, u, s, br, sup')].map(({ localName }) => localName)).toEqual([
    'sub',
    'kbd',
    'mark',
    'u',
    's',
    'br',
    'sup'
  ]);
  expect(stage.querySelector('mark strong')?.textContent).toBe('tide');
});

it('opens pages of the console in the app', async () => {
  renderText('Add a provider in [Admin, Providers](/admin/providers), [not](/logout).');
  const link = page.getByRole('link');
  await expect.element(link).toHaveAttribute('href', '/admin/providers');
  await expect.element(link).not.toHaveAttribute('target');
  expect(link.elements()).toHaveLength(1);
});

it('is not translated where it holds code or formulas', () => {
  const { stage } = renderText('`a` and $x^2$\n\n```\nlet a;\n```');
  for (const element of stage.querySelectorAll('code, .formula'))
    expect((element as HTMLElement).translate).toBe(false);
  expect(stage.querySelector('p')?.translate).toBe(true);
});

it('expands a section', async () => {
  renderText('<details><summary>Log of today</summary>\n\n- high water\n\n</details>');
  await expect.element(page.getByText('high water')).not.toBeVisible();
  await userEvent.click(page.getByText('Log of today'));
  await expect.element(page.getByText('high water')).toBeVisible();
});

it('knows all entities of the browser', () => {
  const { stage } = renderText('a &zigrarr; b &nosuch; &notin2; &semi; &eacute;');
  expect(stage.textContent).toBe('a ⇝ b &nosuch; &notin2; ; é');
});

it.each(['<img src=x onerror=alert(1)>', '[x](javascript:alert(1))', '<script>alert(1)</script>'])(
  'runs nothing of %s',
  (source) => {
    const { stage } = renderText(source);
    expect(stage.querySelector('img, script, a[href^="javascript"]')).toBeNull();
    expect(stage.textContent).not.toBe('');
  }
);

it.each([
  UNBROKEN,
  `# ${UNBROKEN}`,
  `\`${UNBROKEN}\``,
  `1. ${UNBROKEN}`,
  `> ${UNBROKEN}`,
  `[${UNBROKEN}](https://a.example)`
])('wraps a long word: %s', (source) => {
  const { stage } = renderText(source, 260);
  expectNoOverflow(stage);
});

it('writes each paragraph in its own direction, and code from left to right', () => {
  const { stage } = renderText(`- ${ARABIC}\n\n\`\`\`\nlet a = 1;\n\`\`\``);
  const item = stage.querySelector('li') as Element;
  expect(item.matches(':dir(rtl)')).toBe(true);
  expectRightToLeft(item, item.querySelector('.inset') as Element);
  expect(getComputedStyle(stage.querySelector('.code') as Element).direction).toBe('ltr');
});
