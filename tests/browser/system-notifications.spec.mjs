// System notifications while the app is open but hidden.

import { chromium } from './chromium.mjs';
import { apiOf, expect, shoot, test } from './people.mjs';

test.use({ launchOptions: chromium });

/** Simulates that another tab is in the foreground. */
const hide = (page, isHidden) =>
  page.evaluate(
    (state) => {
      Object.defineProperty(document, 'visibilityState', {
        configurable: true,
        get: () => state
      });
      document.dispatchEvent(new Event('visibilitychange'));
    },
    isHidden ? 'hidden' : 'visible'
  );

/** System notifications that are shown. */
const shown = (page) =>
  page.evaluate(async () => {
    const registration = await navigator.serviceWorker.ready;
    return (await registration.getNotifications()).map(({ title, body, tag }) => ({ title, body, tag }));
  });

/** Anna, and Ben, who has allowed notifications. */
const arriveBoth = async (arrive) => {
  const anna = await arrive('Anna');
  const ben = await arrive('Ben', {
    serviceWorkers: 'allow',
    permissions: ['notifications']
  });
  await ben.page.evaluate(() => navigator.serviceWorker.ready);
  return [anna, ben];
};

test('shows system notifications until they are read', async ({ arrive, server }) => {
  const [anna, ben] = await arriveBoth(arrive);
  const { page } = ben;
  await anna.openChatWith(ben);

  // A visible tab shows the message itself, so there is no notification.
  await anna.write('Can you see this?');
  const entry = page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /^Activity/ });
  await expect(entry).toHaveAccessibleName(/1 unread/);
  expect(await shown(page)).toEqual([]);

  await hide(page, true);
  const tag = new URL(anna.page.url()).pathname.split('/')[2];
  await anna.write('Dinner at eight?');
  await expect.poll(() => shown(page)).toEqual([{ title: anna.name, body: 'Dinner at eight?', tag }]);
  // A later message of the conversation replaces the notification.
  await anna.write('Or at nine?');
  await expect.poll(() => shown(page)).toEqual([{ title: anna.name, body: 'Or at nine?', tag }]);

  // The message is read on another device.
  const bens = await apiOf(server, ben);
  await bens.call('POST', '/r1/notifications/read', { all: true });
  await expect.poll(() => shown(page)).toEqual([]);

  // If previews are turned off, the notification doesn't contain the text.
  await bens.call('PATCH', '/r1/notifications/settings', {
    show_text: false
  });
  await anna.write('It’s a surprise.');
  await expect.poll(() => shown(page)).toEqual([{ title: anna.name, body: 'sent you a message', tag }]);

  // A click opens the message of the notification and marks it read.
  await hide(page, false);
  await page.evaluate((tag) => {
    navigator.serviceWorker.dispatchEvent(
      new MessageEvent('message', {
        data: {
          type: 'natter.open',
          conversation_id: tag,
          message_id: null,
          path: `/c/${tag}`
        }
      })
    );
  }, tag);
  await expect(page).toHaveURL(new RegExp(`/c/${tag}`));
  await ben.sees('It’s a surprise.');
  await expect.poll(() => shown(page)).toEqual([]);
});

test('shows no system notification while another tab is visible or the setting is off', async ({ arrive, server }) => {
  const [anna, ben] = await arriveBoth(arrive);
  const { page } = ben;
  const second = await page.context().newPage();
  await second.goto('/activity');
  await expect(second.getByRole('heading', { name: 'Nothing yet' })).toBeVisible();
  await hide(page, true);
  await anna.openChatWith(ben);
  await anna.write('Can you see this?');
  await expect(second.getByRole('main').getByText('Can you see this?')).toBeVisible();
  expect(await shown(page)).toEqual([]);

  await hide(second, true);
  await anna.write('And this?');
  await expect.poll(async () => (await shown(page)).map(({ body }) => body)).toEqual(['And this?']);
  await second.close();

  await hide(page, false);
  await page.goto('/settings#notifications');
  const toggle = page.getByRole('switch', { name: 'From open tabs' });
  await expect(toggle).toBeChecked();
  await toggle.scrollIntoViewIfNeeded();
  await ben.expectFlawless('notifications of this device');
  await shoot(page, 'notifications-of-this-device-1280');
  await toggle.click();
  await expect(toggle).not.toBeChecked();
  await page.reload();
  await expect(toggle).not.toBeChecked();
  const bens = await apiOf(server, ben);
  await bens.call('POST', '/r1/notifications/read', { all: true });
  await expect.poll(() => shown(page)).toEqual([]);
  await hide(page, true);
  await anna.write('Are you there?');
  await expect(
    page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: /^Activity/ })
  ).toHaveAccessibleName(/1 unread/);
  expect(await shown(page)).toEqual([]);
});
