import { createRawSnippet } from 'svelte';
import { expect, it, onTestFinished, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { elementOf, render, text } from '#lib/testing/render.svelte.ts';
import PopoverStage from './popover-stage.svelte';

const html = (markup: string) => createRawSnippet(() => ({ render: () => `<div>${markup}</div>` }));

/** Adds a focused button at a position, and a field beside it. */
function addButton(style = 'left: 40px; top: 40px') {
  const around = document.createElement('div');
  around.innerHTML = `<button style="position: fixed; ${style}">Open</button><input aria-label="Message" />`;
  document.body.append(around);
  onTestFinished(() => around.remove());
  const button = around.querySelector('button')!;
  button.focus();
  return button;
}

function renderPopover(
  anchor: Element | null,
  children = html('<button>First</button><button>Last</button>'),
  liftsPage = false
) {
  const onclose = vi.fn(() => update({ isOpen: false }));
  const { update } = render(PopoverStage, { isOpen: true, anchor, liftsPage, children, onclose });
  return onclose;
}

const popover = () => page.getByRole('dialog', { name: 'Pick' });

it('opens below its button, without covering or dimming it', async () => {
  const button = addButton();
  renderPopover(button);
  await expect.element(popover()).toBeVisible();
  await expect
    .poll(() => Math.round(elementOf(popover()).getBoundingClientRect().top - button.getBoundingClientRect().bottom))
    .toBe(6);
  const { left, top } = button.getBoundingClientRect();
  expect(document.elementFromPoint(left + 4, top + 4)).toBe(button);
});

it('stays inside the window at a button in its corner', async () => {
  renderPopover(addButton('right: 0; bottom: 0'));
  await expect.element(popover()).toBeVisible();
  await expect
    .poll(() => {
      const { left, top, right, bottom } = elementOf(popover()).getBoundingClientRect();
      return left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
    })
    .toBe(true);
});

it('opens above a button in the lower half of the window', async () => {
  const button = addButton('left: 40px; top: 520px');
  renderPopover(button);
  await expect.element(popover()).toBeVisible();
  await expect
    .poll(() => Math.round(button.getBoundingClientRect().top - elementOf(popover()).getBoundingClientRect().bottom))
    .toBe(6);
});

it('is in the window without a button', async () => {
  renderPopover(null);
  await expect.element(popover()).toBeVisible();
  await expect.poll(() => elementOf(popover()).getBoundingClientRect().top).toBeGreaterThan(0);
});

it('keeps the focus inside, and returns it to the button at Escape', async () => {
  const button = addButton();
  const onclose = renderPopover(button);
  await expect.element(page.getByRole('button', { name: 'First' })).toHaveFocus();
  await userEvent.tab();
  await expect.element(page.getByRole('button', { name: 'Last' })).toHaveFocus();
  await userEvent.tab();
  await expect.element(page.getByRole('button', { name: 'First' })).toHaveFocus();
  await userEvent.keyboard('{Escape}');
  expect(onclose).toHaveBeenCalledOnce();
  await expect.element(popover()).not.toBeInTheDocument();
  expect(document.activeElement).toBe(button);
});

it('is closed by a press outside, which focuses what was pressed', async () => {
  const onclose = renderPopover(addButton());
  await expect.element(page.getByRole('button', { name: 'First' })).toHaveFocus();
  await page.getByRole('textbox', { name: 'Message' }).click();
  expect(onclose).toHaveBeenCalledOnce();
  await expect.element(popover()).not.toBeInTheDocument();
  await expect.element(page.getByRole('textbox', { name: 'Message' })).toHaveFocus();
});

it('leaves a press of its button to the button', async () => {
  const button = addButton();
  const onclose = renderPopover(button);
  await expect.element(page.getByRole('button', { name: 'First' })).toHaveFocus();
  await page.getByRole('button', { name: 'Open' }).click();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  expect(onclose).not.toHaveBeenCalled();
});

it('focuses its first field', async () => {
  renderPopover(addButton(), html('<button>First</button><input aria-label="Search" />'));
  await expect.element(page.getByRole('textbox', { name: 'Search' })).toHaveFocus();
});

it('stays where it opened if a list removes its button', async () => {
  const button = addButton();
  renderPopover(button);
  await expect.element(page.getByRole('button', { name: 'First' })).toHaveFocus();
  const top = button.getBoundingClientRect().bottom + 6;
  await expect.poll(() => elementOf(popover()).getBoundingClientRect().top).toBe(top);
  button.remove();
  window.dispatchEvent(new Event('resize'));
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  expect(elementOf(popover()).getBoundingClientRect().top).toBe(top);
});

it('is a sheet at the bottom of a phone', async () => {
  const { innerWidth: width, innerHeight: height } = window;
  await page.viewport(390, 844);
  onTestFinished(() => page.viewport(width, height));
  renderPopover(addButton(), text('Text'));
  await expect.element(popover()).toBeVisible();
  const rect = elementOf(popover()).getBoundingClientRect();
  expect([rect.left, rect.right, Math.round(rect.bottom)]).toEqual([0, 390, 844]);
  await expect.element(page.getByRole('button', { name: 'Close' })).toBeVisible();
});

it('shortens the page by the height of a sheet until it closes, unless too little would be left', async () => {
  const { innerWidth: width, innerHeight: height } = window;
  onTestFinished(() => page.viewport(width, height));
  const sheetHeight = () => document.documentElement.style.getPropertyValue('--sheet');
  await page.viewport(390, 844);
  renderPopover(addButton(), html('<div style="height: 300px">Text</div>'), true);
  await expect.element(popover()).toBeVisible();
  const { offsetHeight } = elementOf(popover());
  expect(offsetHeight).toBeGreaterThan(300);
  await expect.poll(sheetHeight).toBe(`${offsetHeight}px`);
  await page.viewport(390, 420);
  await expect.poll(sheetHeight).toBe('0px');
  await page.viewport(1200, 800);
  await expect.poll(sheetHeight).toBe('0px');
  await userEvent.keyboard('{Escape}');
  await expect.poll(sheetHeight).toBe('');
});

it('covers the page by default', async () => {
  const { innerWidth: width, innerHeight: height } = window;
  onTestFinished(() => page.viewport(width, height));
  await page.viewport(390, 844);
  renderPopover(addButton(), text('Text'));
  await expect.element(popover()).toBeVisible();
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  expect(document.documentElement.style.getPropertyValue('--sheet')).toBe('');
});
