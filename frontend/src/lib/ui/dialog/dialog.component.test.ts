import { createRawSnippet } from 'svelte';
import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { UNBROKEN } from '#lib/testing/data.ts';
import { expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render, text } from '#lib/testing/render.svelte.ts';
import { Dialog } from './index.ts';

const html = (markup: string) => createRawSnippet(() => ({ render: () => `<div class="dialog-body">${markup}</div>` }));

it('is named by its title and described by its description', async () => {
  render(Dialog, {
    title: 'New note',
    description: 'Only you can read it.',
    onclose: () => undefined,
    children: text('Text')
  });
  const dialog = page.getByRole('dialog', { name: 'New note' });
  await expect.element(dialog).toBeVisible();
  await expect.element(dialog).toHaveAccessibleDescription('Only you can read it.');
  await expect.element(page.getByRole('heading', { level: 2 })).toMatchTextContent('New note');
});

it('is named by a title that it doesn’t show', async () => {
  render(Dialog, { title: 'New note', hideTitle: true, onclose: () => undefined, children: text('Text') });
  await expect.element(page.getByRole('dialog', { name: 'New note' })).toBeVisible();
  await expect.element(page.getByRole('button', { name: 'Close' })).not.toBeInTheDocument();
});

it('focuses its first field, or else its first control', async () => {
  const children = html('<button type="button">Later</button><input aria-label="Name" />');
  render(Dialog, { title: 'With a field', onclose: () => undefined, children });
  await expect.element(page.getByRole('textbox', { name: 'Name' })).toHaveFocus();
});

it('focuses the button that closes it if it has no field', async () => {
  render(Dialog, { title: 'Without fields', onclose: () => undefined, children: text('Text') });
  await expect.element(page.getByRole('button', { name: 'Close' })).toHaveFocus();
});

it('keeps the focus inside', async () => {
  render(Dialog, { title: 'New note', onclose: () => undefined, children: html('<input aria-label="Name" />') });
  const names = ['Close', 'Name', 'Close'];
  await expect.element(page.getByLabelText('Name')).toHaveFocus();
  for (const name of names) {
    await userEvent.tab();
    await expect.element(page.getByLabelText(name)).toHaveFocus();
  }
});

it.each([
  ['its button', () => page.getByRole('button', { name: 'Close' }).click()],
  ['Escape', () => userEvent.keyboard('{Escape}')]
])('is closed by %s', async (_, close) => {
  const onclose = vi.fn();
  render(Dialog, { title: 'New note', onclose, children: text('Text') });
  await expect.element(page.getByRole('button', { name: 'Close' })).toHaveFocus();
  await close();
  expect(onclose).toHaveBeenCalledOnce();
});

it('wraps a long title and description beside its button', async () => {
  render(Dialog, { title: UNBROKEN, description: UNBROKEN, onclose: () => undefined, children: text('Text') });
  await expect.element(page.getByRole('dialog')).toBeVisible();
  expectNoOverflow(elementOf(page.getByRole('dialog')));
});

it('scrolls a long content', async () => {
  render(Dialog, { title: 'New note', onclose: () => undefined, children: html('<p>Line</p>'.repeat(200)) });
  await expect.element(page.getByRole('dialog')).toBeVisible();
  const dialog = elementOf(page.getByRole('dialog'));
  expect(dialog.getBoundingClientRect().bottom).toBeLessThanOrEqual(innerHeight);
  const body = dialog.querySelector('.dialog-body') as Element;
  expect(body.scrollHeight).toBeGreaterThan(body.clientHeight);
});

it.each(['ltr', 'rtl'] as const)(
  'has its title before the button that closes it, in the middle of the page (%s)',
  async (dir) => {
    render(Dialog, { title: 'New note', onclose: () => undefined, children: text('Text') }, { dir });
    await expect.element(page.getByRole('dialog')).toBeVisible();
    const parts = [elementOf(page.getByRole('heading')), elementOf(page.getByRole('button', { name: 'Close' }))];
    if (dir === 'ltr') expectLeftToRight(...parts);
    else expectRightToLeft(...parts);
    const { left, right } = elementOf(page.getByRole('dialog')).getBoundingClientRect();
    expect(Math.abs(left - (innerWidth - right))).toBeLessThan(1);
  }
);
