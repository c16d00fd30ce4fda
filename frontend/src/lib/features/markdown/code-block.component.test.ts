import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectEllipsis, expectLeftToRight, expectNoOverflow } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import CodeBlock from './code-block.svelte';

it('names its language, or what it is', async () => {
  const { update } = render(CodeBlock, { language: 'rust', text: 'fn main() {}' });
  await expect.element(page.getByRole('figure')).toMatchTextContent('rust');
  update({ info: 'rust src/main.rs' });
  await expect.element(page.getByText('rust src/main.rs')).toBeVisible();
  update({ language: null, info: undefined });
  await expect.element(page.getByText('Code', { exact: true })).toBeVisible();
});

it('is highlighted, and keeps its text while it grows', async () => {
  const { stage, update } = render(CodeBlock, { language: 'rust', text: 'fn main() {}' });
  await expect.poll(() => stage.querySelector('code span')?.textContent).toBe('fn');
  expect(elementOf(page.getByRole('code')).textContent).toBe('fn main() {}');
  update({ text: 'fn main() {}\nfn other() {}' });
  expect(elementOf(page.getByRole('code')).textContent).toBe('fn main() {}\nfn other() {}');
});

it('shows a language that it doesn’t know as plain text', async () => {
  const { stage } = render(CodeBlock, { language: 'klingon', text: 'Qapla’' });
  await expect.element(page.getByRole('code')).toMatchTextContent('Qapla’');
  expect(stage.querySelector('code span')).toBeNull();
});

it('is copied, and says so for a while', async () => {
  const write = vi.spyOn(navigator.clipboard, 'writeText').mockResolvedValue();
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  render(CodeBlock, { language: null, text: 'let a = 1;' });
  await page.getByRole('button', { name: 'Copy code' }).click();
  await expect.element(page.getByRole('button', { name: 'Copied' })).toBeVisible();
  expect(write).toHaveBeenCalledExactlyOnceWith('let a = 1;');
  vi.advanceTimersByTime(1600);
  await expect.element(page.getByRole('button', { name: 'Copy code' })).toBeVisible();
});

it('scrolls long lines by keyboard, and cuts a long title', async () => {
  const { stage } = render(CodeBlock, { language: null, info: UNBROKEN, text: UNBROKEN }, { width: 260 });
  expectNoOverflow(stage);
  expectEllipsis(stage.querySelector('header .truncate') as Element);
  await userEvent.tab();
  await userEvent.tab();
  const code = stage.querySelector('pre') as Element;
  expect(document.activeElement).toBe(code);
  await userEvent.keyboard('{ArrowRight}');
  await expect.poll(() => code.scrollLeft).toBeGreaterThan(0);
});

it.each(['ltr', 'rtl'] as const)('is written from left to right in each page (%s)', (dir) => {
  const { stage } = render(CodeBlock, { language: 'rust', text: 'fn main() {}' }, { dir });
  expectLeftToRight(stage.querySelector('header .truncate') as Element, elementOf(page.getByRole('button')));
  expect(getComputedStyle(stage.querySelector('pre') as Element).direction).toBe('ltr');
});
