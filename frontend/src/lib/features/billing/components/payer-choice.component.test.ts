import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { goto } from '#lib/testing/app-navigation.ts';
import { createTestApp } from '#lib/testing/app.ts';
import { workspaceOf } from '#lib/testing/data.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import PayerChoice from './payer-choice.svelte';

it('shows the chosen workspace while its page is opened', async () => {
  const testApp = createTestApp();
  testApp.app.workspaces.items = ['Harbour', 'Lighthouse'].map((name) =>
    workspaceOf({ id: name, name, personal: false, role: 'owner' })
  );
  const navigations: (() => void)[] = [];
  goto.mockImplementation(() => new Promise((resolve) => navigations.push(resolve)));
  render(PayerChoice, {}, { in: testApp });
  const select = page.getByRole('combobox');
  await expect.element(select).toHaveValue('');
  elementOf(select).focus();
  await userEvent.keyboard('{ArrowDown}');
  await expect.element(select).toHaveValue('Harbour');
  await userEvent.keyboard('{ArrowDown}');
  expect(goto.mock.calls.map(([to]) => to)).toEqual(['?workspace_id=Harbour', '?workspace_id=Lighthouse']);
  for (const end of navigations) end();
});
