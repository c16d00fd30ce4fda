import { expect, it, vi } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { createTestApp, pending, unreachable } from '#lib/testing/app.ts';
import { LONG_NAME, ME, pageOf, UNBROKEN, userOf } from '#lib/testing/data.ts';
import { expectEllipsis, expectNoOverflow } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import PeopleList from './people-list.svelte';

const [anna, ben, carla] = [
  userOf('Anna Berg', { id: ME }),
  userOf('Ben Okafor', { presence: 'online' }),
  userOf('Carla')
];

/** Directory that finds people by the first letters of their names. */
const directory = (...people: ReturnType<typeof userOf>[]) =>
  createTestApp({
    'GET /users': ({ query }: { query: Readonly<Record<string, string>> }) =>
      pageOf(people.filter(({ display_name }) => display_name.toLowerCase().startsWith(query.q ?? '')))
  });

const field = page.getByRole('searchbox', { name: 'Search people' });

it('lists everyone but the user, with their presence', async () => {
  render(PeopleList, { ontake: () => undefined }, { in: directory(anna, ben, carla) });
  await expect.element(page.getByRole('button', { name: /Ben Okafor/ })).toBeVisible();
  expect(page.getByRole('listitem').elements()).toHaveLength(2);
  await expect.element(page.getByRole('button', { name: /Anna/ })).not.toBeInTheDocument();
});

it('says that it is loading', async () => {
  render(PeopleList, { ontake: () => undefined }, { in: createTestApp({ 'GET /users': pending }) });
  await expect.element(page.getByRole('status', { name: 'Loading' })).toBeVisible();
});

it('says what failed, and tries again', async () => {
  const testApp = createTestApp({ 'GET /users': unreachable });
  render(PeopleList, { ontake: () => undefined }, { in: testApp });
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load people');
  testApp.server.answers['GET /users'] = pageOf([ben]);
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect.element(page.getByRole('button', { name: /Ben/ })).toBeVisible();
});

it('says that no one else is there, and offers to add people', async () => {
  const { app } = render(PeopleList, { ontake: () => undefined }, { in: directory(anna) });
  await expect.element(page.getByText('No one else is in this workspace yet.')).toBeVisible();
  await page.getByRole('button', { name: 'Add by email' }).click();
  expect(app.shell.dialog).toBe('workspace-members');
});

it('says that no one matches', async () => {
  render(PeopleList, { ontake: () => undefined }, { in: directory(ben) });
  await field.fill('zoe');
  await expect.element(page.getByText('No results for “zoe”.')).toBeVisible();
});

it('marks what matches, and takes the first match by Enter', async () => {
  const ontake = vi.fn();
  render(PeopleList, { ontake }, { in: directory(ben, carla) });
  await field.fill('car');
  await expect.element(page.getByRole('mark')).toMatchTextContent('Car');
  await expect.poll(() => page.getByRole('listitem').elements()).toHaveLength(1);
  await userEvent.keyboard('{Enter}');
  expect(ontake).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ id: carla.id }));
});

it('is walked through by the arrow keys', async () => {
  render(PeopleList, { ontake: () => undefined }, { in: directory(ben, carla) });
  await expect.element(page.getByRole('button', { name: /Ben/ })).toBeVisible();
  await field.click();
  const stops = [page.getByRole('button', { name: /Ben/ }), page.getByRole('button', { name: /Carla/ }), field];
  for (const stop of stops) {
    await userEvent.keyboard('{ArrowDown}');
    await expect.element(stop).toHaveFocus();
  }
  await userEvent.keyboard('{ArrowUp}');
  await expect.element(stops[1]!).toHaveFocus();
});

it('says who is chosen, if several can be, and returns to the field', async () => {
  const ontake = vi.fn();
  render(PeopleList, { ontake, taken: [ben], multiple: true }, { in: directory(ben, carla) });
  await expect.element(page.getByRole('button', { name: /Ben/ })).toHaveAttribute('aria-pressed', 'true');
  await page.getByRole('button', { name: /Carla/ }).click();
  expect(ontake).toHaveBeenCalledOnce();
  await expect.element(field).toHaveFocus();
});

it('leaves people out', async () => {
  render(PeopleList, { ontake: () => undefined, exclude: ({ id }) => id === ben.id }, { in: directory(ben, carla) });
  await expect.element(page.getByRole('button', { name: /Carla/ })).toBeVisible();
  await expect.element(page.getByRole('button', { name: /Ben/ })).not.toBeInTheDocument();
});

it('cuts long names with an ellipsis', async () => {
  const testApp = directory(userOf(LONG_NAME, { presence: 'online' }), userOf(UNBROKEN));
  const { stage } = render(PeopleList, { ontake: () => undefined }, { in: testApp, width: 260 });
  await expect.element(page.getByText(UNBROKEN)).toBeVisible();
  expectNoOverflow(elementOf(page.getByRole('list')));
  expectEllipsis(elementOf(page.getByText(UNBROKEN)));
  expect(stage.scrollWidth).toBeLessThanOrEqual(stage.clientWidth + 8);
});
