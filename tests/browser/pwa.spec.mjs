// Installed app: offline start, cached messages, push, and no reload without consent.

import { chromium } from './chromium.mjs';
import { apiOf, expect, test } from './people.mjs';

test.use({ serviceWorkers: 'allow', launchOptions: chromium });

/** Waits until the service worker controls the page. */
async function controlled(page) {
  await page.evaluate(async () => {
    await navigator.serviceWorker.ready;
    if (!navigator.serviceWorker.controller)
      await new Promise((resolve) =>
        navigator.serviceWorker.addEventListener('controllerchange', resolve, {
          once: true
        })
      );
  });
}

/** Sends events to the service worker by the DevTools protocol of a page of its origin. */
async function workerOf(page) {
  const devtools = await page.context().newCDPSession(page);
  const registered = new Promise((resolve) => {
    devtools.on(
      'ServiceWorker.workerRegistrationUpdated',
      ({ registrations }) => registrations[0] && resolve(registrations[0].registrationId)
    );
  });
  await devtools.send('ServiceWorker.enable');
  const where = { origin: new URL(page.url()).origin, registrationId: await registered };
  return { send: (command, what) => devtools.send(command, { ...where, ...what }) };
}

test('opens offline, shows cached messages and sends the outbox when online', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna', { serviceWorkers: 'allow' }), await arrive('Ben')];
  await controlled(anna.page);
  await anna.openChatWith(ben);
  await anna.write('before the tunnel');
  await anna.sees('before the tunnel');
  const address = anna.page.url();
  // Responses are cached only after the service worker has started, so the page is reloaded.
  await anna.page.reload();
  await anna.sees('before the tunnel');
  // Messages that come over the socket are cached, too.
  await ben.openConversation(anna.name);
  await ben.write('see you later');
  await anna.sees('see you later');
  await anna.write('the train enters');
  await ben.sees('the train enters');
  const cached = () =>
    anna.page.evaluate(async () => {
      const cache = await caches.open('natter-read-2');
      const requests = (await cache.keys()).filter(({ url }) => /\/messages\?limit=/.test(url));
      const bodies = await Promise.all(requests.map(async (request) => (await cache.match(request))?.text()));
      return bodies.join();
    });
  await expect.poll(cached).toMatch(/see you later.*the train enters/);
  await anna.page.context().setOffline(true);
  await anna.page.goto(address);
  await anna.sees('before the tunnel');
  await anna.sees('see you later');
  await anna.sees('the train enters');
  await anna.composer.fill('from the tunnel');
  await anna.composer.press('Enter');
  await anna.sees('from the tunnel');
  await anna.page.context().setOffline(false);
  await ben.sees('from the tunnel');
});

test('works offline in the chosen language, whose texts alone are cached', async ({ arrive }) => {
  const { page } = await arrive('Anna', { serviceWorkers: 'allow' });
  await controlled(page);
  /** Languages and numbers of the cached files with texts. */
  const cached = () =>
    page.evaluate(async () => {
      const names = (await caches.keys()).filter((name) => name.startsWith('natter-shell-'));
      const requests = await Promise.all(names.map(async (name) => (await caches.open(name)).keys()));
      const languages = requests.flat().flatMap(({ url }) => /\/languages\/(\w+)\//.exec(url)?.[1] ?? []);
      return Object.fromEntries(
        Object.entries(Object.groupBy(languages, (one) => one)).map(([one, all]) => [one, all.length])
      );
    });
  await expect.poll(async () => Object.keys(await cached())).toEqual(['en']);
  const { en: count } = await cached();
  expect(count).toBeGreaterThan(3);
  await page.goto('/settings');
  await page.getByLabel('Language', { exact: true }).selectOption({ label: 'Deutsch' });
  await expect(page.getByRole('heading', { name: 'Darstellung' })).toBeVisible();
  await expect.poll(cached).toEqual({ de: expect.any(Number) });
  await expect.poll(async () => (await cached()).de).toBeGreaterThanOrEqual(count - 1);

  await page.context().setOffline(true);
  await page.goto('/');
  await expect(page.getByRole('navigation', { name: 'Unterhaltungen' })).toBeVisible();
  // Texts that no page has loaded before.
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('dialog', { name: 'Befehlspalette' })).toBeVisible();
  // The texts of a language that was never used aren't there.
  await page.goto('/settings');
  const language = page.getByLabel('Sprache', { exact: true });
  await language.selectOption({ label: 'Français' });
  await expect(page.getByText('Das konnte nicht geladen werden.')).toBeVisible();
  await expect(language).toHaveValue('de');
  await page.reload();
  await expect(page.getByRole('heading', { name: 'Darstellung' })).toBeVisible();
});

test('sends the outbox by background sync in order and once', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna', { serviceWorkers: 'allow' }), await arrive('Ben')];
  await controlled(anna.page);
  await anna.openChatWith(ben);
  await anna.write('before');
  await anna.sees('before');
  await ben.openConversation(anna.name);
  const [context, address] = [anna.page.context(), anna.page.url()];
  // A page of the same origin that isn't the app.
  const beside = await context.newPage();
  await beside.goto('/health');
  const worker = await workerOf(beside);

  await context.setOffline(true);
  await expect(anna.page.getByText('Offline:')).toBeVisible();
  await anna.write('first');
  await anna.write('second');
  await anna.sees('second');
  const kept = () =>
    beside.evaluate(
      () =>
        new Promise((resolve) => {
          const opening = indexedDB.open('natter-outbox');
          opening.onsuccess = () => {
            const count = opening.result.transaction('messages').objectStore('messages').count();
            count.onsuccess = () => {
              opening.result.close();
              resolve(count.result);
            };
          };
        })
    );
  await expect.poll(kept).toBe(2);
  await anna.page.close();

  // The access token has expired.
  await context.clearCookies({ name: 'natter_access' });
  await context.setOffline(false);
  await worker.send('ServiceWorker.dispatchSyncEvent', { tag: 'natter-outbox', lastChance: false });
  await ben.sees('second');
  await expect.poll(kept).toBe(0);
  const api = await apiOf(server, anna);
  const contents = (await api.eventLog(address.split('/').pop()))
    .filter(({ type }) => type === 'message.created')
    .map(({ payload }) => payload.message.content);
  expect(contents).toEqual(['before', 'first', 'second']);
  // The session continues.
  const again = await context.newPage();
  await again.goto(address);
  await expect(again.getByRole('main').getByRole('log').getByText('second')).toHaveCount(1);
});

test('shows cached pictures offline and clears the cache at sign-out', async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna', { serviceWorkers: 'allow' }), await register('Ben')];
  await controlled(anna.page);
  await anna.openChatWith(ben);
  const file = new URL('../../frontend/static/icon-192.png', import.meta.url).pathname;
  await anna.page.locator('form input[type=file]').setInputFiles(file);
  await anna.write('our new sign');
  await anna.sees('our new sign');
  const picture = anna.log.getByRole('img', { name: 'icon-192.png' });
  const width = () => picture.evaluate((image) => image.naturalWidth);
  /** Number of cached responses of each kind. */
  const kept = () =>
    anna.page.evaluate(async () => {
      const count = async (name) => (await (await caches.open(name)).keys()).length;
      return { answers: await count('natter-read-2'), pictures: await count('natter-pictures-1') };
    });
  // The first page of the sender shows the local copy of the file.
  await expect
    .poll(async () => {
      await anna.page.reload();
      await anna.sees('our new sign');
      await expect.poll(width).toBeGreaterThan(0);
      return (await kept()).pictures;
    })
    .toBeGreaterThan(0);
  await anna.page.context().setOffline(true);
  await anna.page.goto(anna.page.url());
  await anna.sees('our new sign');
  await expect.poll(width).toBeGreaterThan(0);
  await anna.page.context().setOffline(false);
  await anna.page.goto('/settings');
  await anna.page.getByRole('button', { name: 'Sign out' }).click();
  await expect(anna.page.getByRole('button', { name: 'Sign in' })).toBeVisible();
  await expect.poll(kept).toEqual({ answers: 0, pictures: 0 });
});

test('is installable and a share target', async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna', { serviceWorkers: 'allow' }), await register('Ben')];
  await anna.openChatWith(ben);
  const manifest = await anna.page.evaluate(async () => {
    const { href } = document.querySelector('link[rel="manifest"]');
    const answer = await fetch(href);
    return {
      type: answer.headers.get('content-type'),
      ...(await answer.json())
    };
  });
  expect(manifest.type).toMatch(/manifest\+json/);
  // The manifest fulfils the criteria of browsers for the installation.
  expect(manifest).toMatchObject({ name: 'Natter', short_name: 'Natter', start_url: './', display: 'standalone' });
  expect(manifest.icons.map(({ sizes, purpose }) => `${sizes} ${purpose}`)).toEqual(
    expect.arrayContaining(['192x192 any', '512x512 any', '512x512 maskable'])
  );
  for (const { src } of manifest.icons) expect((await anna.page.request.get(`/${src}`)).status()).toBe(200);
  // Chromium lists problems with the installation. In windows of tests, it never offers it.
  const devtools = await anna.page.context().newCDPSession(anna.page);
  const { installabilityErrors } = await devtools.send('Page.getInstallabilityErrors');
  expect(installabilityErrors.filter(({ errorId }) => errorId !== 'in-incognito')).toEqual([]);
  const { errors } = await devtools.send('Page.getAppManifest');
  expect(errors).toEqual([]);
  for (const { url } of manifest.shortcuts) {
    await anna.page.goto(`/${url}`);
    await expect(anna.page.getByRole('main')).toBeVisible();
  }
  const { action, params } = manifest.share_target;
  await anna.page.goto(`/${action}?${params.title}=A+page&${params.url}=https%3A%2F%2Fexample.org%2F`);
  await expect(anna.page.getByText('https://example.org/')).toBeVisible();
  await anna.expectFlawless('sharing');
  await anna.page.getByRole('main').getByRole('button', { name: ben.name }).click();
  await expect(anna.composer).toHaveValue(/A page\nhttps:\/\/example\.org\//);
});

test('shows a push notification and opens its message', async ({ arrive, register }) => {
  const anna = await arrive('Anna', {
    serviceWorkers: 'allow',
    permissions: ['notifications']
  });
  const ben = await register('Ben');
  await anna.openChatWith(ben);
  await anna.write('hello');
  const conversation = anna.page.url().split('/').pop();
  await anna.page.goto('/settings');
  await controlled(anna.page);
  const worker = await workerOf(anna.page);
  const push = (data) => worker.send('ServiceWorker.deliverPushMessage', { data: data && JSON.stringify(data) });
  const shown = () =>
    anna.page.evaluate(async () => {
      const registration = await navigator.serviceWorker.ready;
      return (await registration.getNotifications()).map(({ title, body, tag }) => ({ title, body, tag }));
    });
  const pushed = {
    id: crypto.randomUUID(),
    kind: 'message',
    conversation_id: conversation,
    message_id: null,
    title: ben.name,
    text: 'see you'
  };
  await push(pushed);
  await expect.poll(shown).toEqual([{ title: ben.name, body: 'see you', tag: conversation }]);
  // A later message of the conversation replaces the notification.
  await push({ ...pushed, id: crypto.randomUUID(), text: 'at nine' });
  await expect.poll(shown).toEqual([{ title: ben.name, body: 'at nine', tag: conversation }]);
  // The message was read elsewhere, so the notification is closed.
  await push('');
  await expect.poll(shown).toEqual([]);
  // A click opens the window that exists.
  await anna.page.evaluate((conversation_id) => {
    navigator.serviceWorker.dispatchEvent(
      new MessageEvent('message', {
        data: { type: 'natter.open', conversation_id, message_id: null }
      })
    );
  }, conversation);
  await expect(anna.page).toHaveURL(new RegExp(`/c/${conversation}`));
});
