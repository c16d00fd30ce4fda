import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { render } from '#lib/testing/render.svelte.ts';
import ResizeHandle from './resize-handle.svelte';

it.each([
  ['list', 'Conversation list width', 300, 316],
  ['panel', 'Details panel width', 372, 356]
] as const)('is a separator that the arrow keys move (%s)', async (column, name, before, after) => {
  const { app } = render(ResizeHandle, { column });
  const handle = page.getByRole('separator', { name });
  await expect.element(handle).toHaveAttribute('aria-valuenow', String(before));
  await userEvent.tab();
  await expect.element(handle).toHaveFocus();
  await userEvent.keyboard('{ArrowRight}');
  await expect.element(handle).toHaveAttribute('aria-valuenow', String(after));
  expect(app.settings.widthOf(column)).toBe(after);
  await userEvent.keyboard('{ArrowLeft}');
  await expect.element(handle).toHaveAttribute('aria-valuenow', String(before));
});

it('stops at its limits', async () => {
  const { app } = render(ResizeHandle, { column: 'list' });
  const handle = page.getByRole('separator');
  await expect.element(handle).toHaveAttribute('aria-valuemin', '220');
  await expect.element(handle).toHaveAttribute('aria-valuemax', '420');
  await userEvent.tab();
  for (let presses = 0; presses < 9; presses += 1) await userEvent.keyboard('{ArrowRight}');
  await expect.element(handle).toHaveAttribute('aria-valuenow', '420');
  expect(app.settings.widthOf('list')).toBe(420);
});

it('returns to the usual width by a double click', async () => {
  const { app, stage } = render(ResizeHandle, { column: 'list' });
  stage.style.height = '100px';
  app.settings.setWidth('list', 400);
  await expect.element(page.getByRole('separator')).toHaveAttribute('aria-valuenow', '400');
  await page.getByRole('separator').dblClick();
  await expect.element(page.getByRole('separator')).toHaveAttribute('aria-valuenow', '300');
});
