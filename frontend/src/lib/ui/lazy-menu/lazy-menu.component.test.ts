import { expect, it, onTestFinished, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { elementOf, render, text } from '#lib/testing/render.svelte.ts';
import MenuForTests from '#lib/testing/menu.svelte';
import { LazyMenu } from './index.ts';

const load = () => Promise.resolve({ default: MenuForTests });
const button = page.getByRole('button', { name: 'Actions' });
const menu = page.getByRole('menu');

it('loads its menu when it is about to be opened', async () => {
  const loading = vi.fn(load);
  render(LazyMenu, { load: loading, children: text('Actions') });
  await expect.element(button).toHaveAttribute('aria-haspopup', 'menu');
  expect(loading).not.toHaveBeenCalled();
  await userEvent.tab();
  await expect.element(button).toHaveFocus();
  expect(loading).toHaveBeenCalledOnce();
  await expect.element(menu).not.toBeInTheDocument();
});

it('is opened and closed by its button', async () => {
  render(LazyMenu, { load, children: text('Actions') });
  await expect.element(button).toHaveAttribute('aria-expanded', 'false');
  await button.click();
  await expect.element(menu).toBeVisible();
  await expect.element(page.getByText('Actions')).toBeVisible();
  await userEvent.keyboard('{Escape}');
  await expect.element(menu).not.toBeInTheDocument();
  await expect.element(button).toHaveFocus();
  await expect.element(button).toHaveAttribute('aria-expanded', 'false');
});

it('is used by keyboard', async () => {
  const onrename = vi.fn();
  render(LazyMenu<{ onrename: () => void }>, { load, given: { onrename }, children: text('Actions') });
  await userEvent.tab();
  await userEvent.keyboard('{ArrowDown}');
  await expect.element(menu).toBeVisible();
  await userEvent.keyboard('{ArrowDown}');
  await expect.element(page.getByRole('menuitem', { name: 'Rename' })).toHaveFocus();
  await userEvent.keyboard('{ArrowDown}');
  await expect.element(page.getByRole('menuitem', { name: 'Archive' })).toHaveFocus();
  await userEvent.keyboard('{ArrowUp}{Enter}');
  expect(onrename).toHaveBeenCalledOnce();
  await expect.element(menu).not.toBeInTheDocument();
  await expect.element(button).toHaveFocus();
});

it('skips an item that is disabled', async () => {
  render(LazyMenu, { load, children: text('Actions') });
  await button.click();
  await expect.element(page.getByRole('menuitem', { name: 'Delete' })).toHaveAttribute('aria-disabled', 'true');
  await userEvent.keyboard('{End}');
  await expect.element(page.getByRole('menuitem', { name: 'Archive' })).toHaveFocus();
});

it('can be disabled', async () => {
  render(LazyMenu, { load, disabled: true, children: text('Actions') });
  await button.click({ force: true });
  await expect.element(menu).not.toBeInTheDocument();
});

it('hangs at the start of its button', async () => {
  const { stage } = render(LazyMenu, { load, children: text('Actions') });
  stage.style.marginInline = '40px';
  await button.click();
  await expect.element(menu).toBeVisible();
  const startOf = (element: HTMLElement) => Math.round(element.getBoundingClientRect().left);
  await expect.poll(() => startOf(elementOf(menu))).toBe(startOf(elementOf(button)));
});

it('returns the focus to the element that its owner names', async () => {
  const link = document.createElement('a');
  link.href = '#row';
  document.body.append(link);
  onTestFinished(() => link.remove());
  render(LazyMenu, { load, returnTo: () => link, children: text('Actions') });
  await button.click();
  await expect.element(page.getByRole('menuitem', { name: 'Rename' })).toBeVisible();
  await userEvent.keyboard('{Escape}');
  await expect.element(menu).not.toBeInTheDocument();
  await expect.poll(() => document.activeElement).toBe(link);
});

it('returns the focus to its button from a menu opened elsewhere', async () => {
  const field = document.createElement('input');
  document.body.append(field);
  onTestFinished(() => field.remove());
  render(LazyMenu, { load, children: text('Actions') });
  field.focus();
  // Unlike that of the mouse, this click leaves the focus where it is, as a right click on a row does.
  elementOf(button).click();
  await expect.element(menu).toBeVisible();
  await userEvent.keyboard('{ArrowDown}{Escape}');
  await expect.element(menu).not.toBeInTheDocument();
  await expect.element(button).toHaveFocus();
});
