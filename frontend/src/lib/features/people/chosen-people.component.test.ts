import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { LONG_NAME, UNBROKEN, userOf } from '#lib/testing/data.ts';
import { expectEllipsis, expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import ChosenPeople from './chosen-people.svelte';

const [ben, carla] = [userOf('Ben'), userOf('Carla')];

it('is nothing while no one is chosen', () => {
  const { stage } = render(ChosenPeople, { taken: [], ontakeout: () => undefined });
  expect(stage.children).toHaveLength(0);
});

it('lists the people with a button to remove each', async () => {
  const ontakeout = vi.fn();
  render(ChosenPeople, { taken: [ben, carla], ontakeout });
  const items = page.getByRole('list', { name: 'Selected people' }).getByRole('listitem');
  expect(items.elements()).toHaveLength(2);
  await page.getByRole('button', { name: 'Remove Carla' }).click();
  expect(ontakeout).toHaveBeenCalledExactlyOnceWith(carla);
});

it('cuts long names with an ellipsis, and keeps their buttons', () => {
  const taken = [userOf(LONG_NAME), userOf(UNBROKEN)];
  const { stage } = render(ChosenPeople, { taken, ontakeout: () => undefined }, { width: 240 });
  expectNoOverflow(stage);
  expectEllipsis(elementOf(page.getByText(UNBROKEN)));
  for (const button of page.getByRole('button').elements())
    expect(button.getBoundingClientRect().right).toBeLessThanOrEqual(stage.getBoundingClientRect().right);
});

it.each(['ltr', 'rtl'] as const)('follows the direction of the page (%s)', (dir) => {
  render(ChosenPeople, { taken: [ben, carla], ontakeout: () => undefined }, { dir });
  const parts = [
    page.getByText('Ben'),
    page.getByRole('button', { name: 'Remove Ben' }),
    page.getByText('Carla'),
    page.getByRole('button', { name: 'Remove Carla' })
  ].map(elementOf);
  if (dir === 'ltr') expectLeftToRight(...parts);
  else expectRightToLeft(...parts);
});
