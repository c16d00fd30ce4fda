import { expect, it, onTestFinished, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import type { Model } from '#lib/api/assistants.ts';
import { createTestApp, pending, unreachable, type TestApp } from '#lib/testing/app.ts';
import { LONG_NAME, pageOf, UNBROKEN } from '#lib/testing/data.ts';
import { expectEllipsis, expectNoOverflow } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import ModelPicker from './model-picker.svelte';

const models: Model[] = [
  { name: 'tern-small', provider: 'Harbour AI', is_default: true, context_window: 128_000 },
  { name: 'tern-large', provider: 'Harbour AI', aliases: ['albatross'] },
  { name: 'gull', provider: 'Coast' }
];

function renderPicker(testApp: TestApp, more: { current?: string; usual?: string } = {}) {
  const [onpick, onclose] = [vi.fn(), vi.fn()];
  render(
    ModelPicker,
    { title: 'Choose a model', anchor: null, current: null, usual: null, onpick, onclose, ...more },
    { in: testApp }
  );
  return { onpick, onclose };
}

const withModels = (...items: Model[]) => createTestApp({ 'GET /models': pageOf(items) });
const field = page.getByRole('combobox', { name: 'Search models' });
const names = () =>
  page
    .getByRole('option')
    .elements()
    .map((option) => option.querySelector('b')?.textContent);
const selected = () => page.getByRole('option', { selected: true });

it('lists the models, the current one first', async () => {
  renderPicker(withModels(...models), { current: 'gull' });
  await expect.poll(names).toEqual(['gull', 'tern-small', 'tern-large']);
  await expect.element(page.getByRole('option', { name: /gull.*current/ })).toBeVisible();
  await expect.element(page.getByRole('option', { name: /tern-small.*Default/ })).toBeVisible();
  await expect.element(field).toHaveFocus();
});

it('marks the model in use that is named with its provider', async () => {
  renderPicker(withModels(...models), { current: 'Coast/gull' });
  await expect.element(page.getByRole('option', { name: /gull.*current/ })).toBeVisible();
});

it('doesn’t offer models that can’t answer questions', async () => {
  renderPicker(withModels(...models, { name: 'text-embedding-3' }, { name: 'whisper-1' }));
  await expect.poll(names).toEqual(['tern-small', 'tern-large', 'gull']);
  await expect.element(field).toHaveAttribute('placeholder', expect.stringContaining('3'));
});

it('has headings over its prices and contexts', async () => {
  const price = { input: 1_250_000, output: 8_000_000 };
  renderPicker(withModels({ name: 'tern-large', price, context_window: 128_000 }));
  await expect
    .element(page.getByRole('option', { name: /tern-large.*Input 1\.25.*Output 8.*Context 128/ }))
    .toBeVisible();
  const numbers = document.querySelectorAll('.number');
  const heading = elementOf(page.getByText('Output', { exact: true }).first()).getBoundingClientRect();
  const value = numbers[4]!.getBoundingClientRect();
  expect([numbers.length, heading.right]).toEqual([6, value.right]);
});

it('is as wide as the window of a phone', async () => {
  const { innerWidth: width, innerHeight: height } = window;
  await page.viewport(390, 844);
  onTestFinished(() => page.viewport(width, height));
  const price = { input: 1_250_000, output: 8_000_000 };
  renderPicker(withModels(...models.map((model) => ({ ...model, price, context_window: 128_000 }))));
  await expect.poll(names).toHaveLength(3);
  const dialog = elementOf(page.getByRole('dialog'));
  expect([dialog.getBoundingClientRect().left, dialog.getBoundingClientRect().right]).toEqual([0, 390]);
  expectNoOverflow(dialog);
});

it('is searched by name, alias and provider', async () => {
  renderPicker(withModels(...models));
  await field.fill('alba');
  await expect.poll(names).toEqual(['tern-large']);
  await field.fill('coast');
  await expect.poll(names).toEqual(['gull']);
  await field.fill('penguin');
  await expect.element(page.getByText('No models match “penguin”.')).toBeVisible();
});

it('is used by keyboard while the focus stays in the field', async () => {
  const { onpick } = renderPicker(withModels(...models));
  await expect.poll(names).toHaveLength(3);
  await expect.element(selected()).toMatchTextContent('tern-small');
  await userEvent.keyboard('{ArrowDown}');
  await expect.element(selected()).toMatchTextContent('tern-large');
  await expect.element(field).toHaveAttribute('aria-activedescendant', elementOf(selected()).id);
  await userEvent.keyboard('{ArrowUp}{ArrowUp}{Enter}');
  expect(onpick).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ name: 'gull' }));
  await expect.element(field).toHaveFocus();
});

it('is used by pointer, and closed by Escape', async () => {
  const { onpick, onclose } = renderPicker(withModels(...models));
  await page.getByRole('option', { name: /gull/ }).click();
  expect(onpick).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ name: 'gull' }));
  await userEvent.keyboard('{Escape}');
  expect(onclose).toHaveBeenCalledOnce();
});

it('says that it is loading, that there are no models, or what failed', async () => {
  const testApp = createTestApp({ 'GET /models': pending });
  renderPicker(testApp);
  await expect.element(page.getByRole('status', { name: 'Loading' })).toBeVisible();
});

it.each([
  ['user', /^No models are available to you yet. Ask an admin/],
  ['admin', /^No models are available to you yet. Add or allow one/]
] as const)('tells a %s what to do if there are no models', async (role, words) => {
  const testApp = withModels();
  testApp.app.session.account!.role = role;
  renderPicker(testApp);
  await expect.element(page.getByText(words)).toBeVisible();
});

it('says what failed, and tries again', async () => {
  const testApp = createTestApp({ 'GET /models': unreachable });
  renderPicker(testApp);
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load models');
  testApp.server.answers['GET /models'] = pageOf(models);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect.poll(names).toHaveLength(3);
});

it('cuts long names with an ellipsis', async () => {
  renderPicker(withModels({ name: UNBROKEN, provider: LONG_NAME, is_default: true, context_window: 1_000_000 }));
  await expect.poll(names).toEqual([UNBROKEN]);
  expectNoOverflow(elementOf(page.getByRole('listbox')));
  expectEllipsis(elementOf(page.getByText(UNBROKEN)));
});
