import { expect, it } from 'vitest';
import { page, userEvent } from 'vitest/browser';
import { createTestApp, pending, unreachable, type TestApp } from '#lib/testing/app.ts';
import { CONVERSATION, conversationOf, ME, memberOf, pageOf } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import { ConversationMembersStore } from '../stores/conversation-members.svelte.ts';
import MemberList from './member-list.svelte';

const MEMBERS = `GET /conversations/${CONVERSATION}/members`;
const conversation = conversationOf({ kind: 'group', title: 'Harbour crew' });
const crew = [
  memberOf('Anna Berg', { user_id: ME, role: 'owner' }),
  memberOf('Ben Okafor', { role: 'admin' }),
  ...Array.from({ length: 60 }, (_, index) => memberOf(`Sailor ${index + 1}`))
];

function renderList(testApp: TestApp) {
  const { api, connection, presence } = testApp.app;
  const members = new ConversationMembersStore(api, connection, presence, CONVERSATION);
  void members.list.load();
  const { stage } = render(
    MemberList,
    { conversation, members, scroller: document.documentElement, part: 'h3', above: 0 },
    { in: testApp, width: 360 }
  );
  return { members, stage };
}

it('has a heading for each role', async () => {
  renderList(createTestApp({ [MEMBERS]: pageOf(crew.slice(0, 5)) }));
  await expect.element(page.getByRole('list', { name: 'Members' })).toBeVisible();
  await expect.element(page.getByText('Sailor 3')).toBeVisible();
  const headings = page
    .getByRole('heading', { level: 3 })
    .elements()
    .map(({ textContent }) => textContent);
  expect(headings.map((heading) => heading?.split(' · ')[0])).toEqual(['Owners', 'Admins', 'Members']);
});

it('renders only the rows in view, and says how many there are', async () => {
  renderList(createTestApp({ [MEMBERS]: pageOf(crew, 400) }));
  await expect.element(page.getByText('Ben Okafor')).toBeVisible();
  await expect.element(page.getByRole('status')).toMatchTextContent(/62.*400/);
  expect(page.getByRole('listitem').elements().length).toBeLessThan(crew.length);
  await expect.element(page.getByRole('listitem').first()).toHaveAttribute('aria-setsize', '400');
});

it('is walked through by the arrow keys, past the user themselves', async () => {
  renderList(createTestApp({ [MEMBERS]: pageOf(crew.slice(0, 4)) }));
  const [ben, first, second] = ['Ben Okafor', 'Sailor 1', 'Sailor 2'].map((name) =>
    page.getByRole('button', { name: `Actions for ${name}` })
  );
  await expect.element(ben!).toBeVisible();
  await userEvent.tab();
  await expect.element(ben!).toHaveFocus();
  await userEvent.keyboard('{ArrowDown}');
  await expect.element(first!).toHaveFocus();
  await userEvent.keyboard('{End}');
  await expect.element(second!).toHaveFocus();
  await userEvent.keyboard('{Home}');
  await expect.element(ben!).toHaveFocus();
});

it('says that it is loading', async () => {
  renderList(createTestApp({ [MEMBERS]: pending }));
  await expect.element(page.getByRole('status', { name: 'Loading' })).toBeVisible();
});

it('says what failed, and tries again', async () => {
  const testApp = createTestApp({ [MEMBERS]: unreachable });
  renderList(testApp);
  await expect.element(page.getByRole('alert')).toMatchTextContent('Couldn’t load people');
  testApp.server.answers[MEMBERS] = pageOf(crew.slice(0, 2));
  await page.getByRole('button', { name: 'Try again' }).click();
  await expect.element(page.getByText('Ben Okafor')).toBeVisible();
});

it('says that no one matches, and shows everyone again', async () => {
  const testApp = createTestApp({ [MEMBERS]: pageOf([]) });
  const { members } = renderList(testApp);
  await members.search('zoe');
  await expect.element(page.getByText('No results for “zoe”.')).toBeVisible();
  testApp.server.answers[MEMBERS] = pageOf(crew.slice(0, 2));
  await page.getByRole('button', { name: 'Show everyone' }).click();
  await expect.element(page.getByText('Ben Okafor')).toBeVisible();
});
