// App that runs below a path of its host.

import { freePort, PASSWORD, Person, startServer } from '../clients/server.mjs';
import { DESKTOP, expect, test, Visitor } from './people.mjs';

test('works below a base path without requests outside it', async ({ browser }) => {
  const port = await freePort();
  const url = `http://localhost:${port}/chat`;
  const server = await startServer({ SERVER__PORT: port, SERVER__PUBLIC_URL: url });
  const context = await browser.newContext({ viewport: DESKTOP, serviceWorkers: 'allow' });
  const [astray, sockets] = [[], []];
  context.on('request', (request) => {
    const { host, pathname } = new URL(request.url());
    if (host === `localhost:${port}` && !pathname.startsWith('/chat/')) astray.push(pathname);
  });
  try {
    // The first account is that of the admin.
    await fetch(`${url}/r1/auth/signup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'admin@example.test', password: PASSWORD, display_name: 'The Admin' })
    });
    const [anna, ben] = [new Visitor(await context.newPage(), 'Anna'), await Person.signUp(url, 'Ben Below')];
    const { page } = anna;
    page.on('websocket', (socket) => sockets.push(new URL(socket.url()).pathname));

    await page.goto(`${url}/`);
    await expect(page).toHaveURL(`${url}/sign-in`);
    await page
      .getByRole('link', { name: /create (an )?account|sign up/i })
      .first()
      .click();
    await expect(page).toHaveURL(`${url}/sign-up`);
    await anna.fillSignUp();
    await expect(page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
    const cookies = await context.cookies(`${url}/r1/auth/refresh`);
    expect(Object.fromEntries(cookies.map(({ name, path }) => [name, path]))).toEqual({
      natter_access: '/chat/',
      natter_refresh: '/chat/r1/auth'
    });

    await anna.openChatWith(ben);
    await anna.write('A word below a path');
    await anna.sees('A word below a path');
    await expect(page).toHaveURL(/\/chat\/c\/[\w-]+$/);
    await page.reload();
    await anna.sees('A word below a path');

    // The link to a message is opened directly and from a text.
    const { items } = await ben.call('GET', '/r1/conversations');
    const chat = items.find(({ last_message }) => last_message?.content === 'A word below a path');
    const link = `${url}/c/${chat.id}/m/${chat.last_message.id}`;
    await page.goto(link);
    await anna.sees('A word below a path');
    await anna.write(`As I said: ${link}`);
    await anna.log.getByRole('link', { name: link }).first().click();
    await expect(page).toHaveURL(`${url}/c/${chat.id}`);
    expect(context.pages()).toHaveLength(1);

    // The manifest and the offline page work.
    expect(await page.evaluate(async () => (await navigator.serviceWorker.ready).scope)).toBe(`${url}/`);
    await expect.poll(() => page.evaluate(async () => !!(await caches.match('/chat/')))).toBe(true);
    const devtools = await context.newCDPSession(page);
    const { url: manifest, errors } = await devtools.send('Page.getAppManifest');
    expect([manifest, errors]).toEqual([`${url}/manifest.webmanifest`, []]);

    await page.goto(`${url}/settings`);
    await page.getByRole('button', { name: 'Sign out' }).click();
    await expect(page.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible();
    await expect(page).toHaveURL(`${url}/sign-in`);
    await anna.signIn();
    await page.getByRole('link', { name: ben.name }).first().click();
    await anna.sees('A word below a path');

    expect(new Set(sockets)).toEqual(new Set(['/chat/r1/websocket']));
    expect(astray).toEqual([]);
    expect(anna.problems).toEqual([]);
  } finally {
    await context.close();
    await server.stop();
  }
});
