import { expect, it, vi } from 'vitest';
import { page } from 'vitest/browser';
import { createTestApp } from '#lib/testing/app.ts';
import { LONG_NAME, ME, memberOf, UNBROKEN } from '#lib/testing/data.ts';
import { expectEllipsis, expectLeftToRight, expectNoOverflow, expectRightToLeft } from '#lib/testing/layout.ts';
import { elementOf, render } from '#lib/testing/render.svelte.ts';
import MemberRow from './member-row.svelte';

const shown = { isOwn: false, position: 3, size: 40, part: 'h3', hasMenu: false } as const;

it('is an item of a longer list', async () => {
  render(MemberRow, { member: memberOf('Ben Okafor'), ...shown });
  const item = page.getByRole('listitem');
  await expect.element(item).toMatchTextContent('Ben Okafor');
  await expect.element(item).toHaveAttribute('aria-posinset', '3');
  await expect.element(item).toHaveAttribute('aria-setsize', '40');
});

it('has a heading, a role and a presence', async () => {
  const testApp = createTestApp();
  const member = memberOf('Ben Okafor', { role: 'owner', presence: 'dnd' });
  testApp.app.presence.add([member]);
  render(MemberRow, { member, ...shown, heading: 'Owners · 1', part: 'h4' }, { in: testApp });
  await expect.element(page.getByRole('heading', { level: 4 })).toMatchTextContent('Owners · 1');
  await expect.element(page.getByText('Owner', { exact: true })).toBeVisible();
  await expect.element(page.getByText('Do not disturb')).toBeVisible();
});

it('has a button for its menu', async () => {
  const onmenu = vi.fn();
  const member = memberOf('Ben Okafor');
  const { update } = render(MemberRow, { member, ...shown, onmenu });
  const button = page.getByRole('button', { name: 'Actions for Ben Okafor' });
  await expect.element(button).toHaveAttribute('aria-expanded', 'false');
  await button.click();
  expect(onmenu).toHaveBeenCalledExactlyOnceWith(member, elementOf(button));
  update({ hasMenu: true });
  await expect.element(button).toHaveAttribute('aria-expanded', 'true');
});

it('says who the user is, and has no actions for them', async () => {
  render(MemberRow, { member: memberOf('Anna', { user_id: ME }), ...shown, isOwn: true, onmenu: () => undefined });
  await expect.element(page.getByRole('listitem')).toMatchTextContent(/Anna Berg\s\(You\)/);
  await expect.element(page.getByRole('button')).not.toBeInTheDocument();
});

it.each([LONG_NAME, UNBROKEN])('cuts a long name with an ellipsis: %s', (name) => {
  const { stage } = render(
    MemberRow,
    { member: memberOf(name, { role: 'admin' }), ...shown, onmenu: () => undefined },
    { width: 260 }
  );
  expectNoOverflow(stage);
  expectEllipsis(elementOf(page.getByText(name)).closest('.truncate') as Element);
});

it('follows the direction of the page', () => {
  const order = (dir: 'ltr' | 'rtl') => {
    const { stage } = render(
      MemberRow,
      { member: memberOf(dir, { role: 'admin' }), ...shown, onmenu: () => undefined },
      { dir }
    );
    return ['.av', '.truncate', '.badge', 'button'].map((part) => stage.querySelector(part) as Element);
  };
  expectLeftToRight(...order('ltr'));
  expectRightToLeft(...order('rtl'));
});
