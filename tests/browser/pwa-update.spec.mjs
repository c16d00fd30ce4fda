// New version of the app while it is open: the page isn't reloaded without the user's consent.

import { createServer, request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { freePort, PASSWORD, startServer } from '../clients/server.mjs';
import { DESKTOP, expect, test, Visitor } from './people.mjs';

/** Proxy in front of the server, which can change the version of the app. */
async function startProxy(port, server) {
  const state = { isNext: false };
  const proxy = createServer((incoming, outgoing) => {
    const isShell =
      incoming.url.startsWith('/service-worker.js') || (incoming.headers.accept ?? '').includes('text/html');
    const headers = { ...incoming.headers };
    if (isShell) for (const name of ['accept-encoding', 'if-none-match']) delete headers[name];
    const where = { host: '127.0.0.1', port: server, method: incoming.method, path: incoming.url, headers };
    const asking = request(where, async (answer) => {
      if (!isShell || !state.isNext) {
        outgoing.writeHead(answer.statusCode, answer.headers);
        answer.pipe(outgoing);
        return;
      }
      const told = { ...answer.headers };
      for (const name of ['etag', 'content-length', 'transfer-encoding']) delete told[name];
      outgoing.writeHead(answer.statusCode, told);
      const next = (await text(answer)).replaceAll('natter-shell-', 'natter-shell-next-');
      outgoing.end(next.replace('<html', '<html data-version="next"'));
    });
    asking.on('error', () => outgoing.destroy());
    incoming.pipe(asking);
  });
  proxy.on('upgrade', (incoming, socket, head) => {
    const through = connect(server, '127.0.0.1', () => {
      const lines = [`${incoming.method} ${incoming.url} HTTP/1.1`];
      for (let at = 0; at < incoming.rawHeaders.length; at += 2)
        lines.push(`${incoming.rawHeaders[at]}: ${incoming.rawHeaders[at + 1]}`);
      through.write(`${lines.join('\r\n')}\r\n\r\n`);
      through.write(head);
      socket.pipe(through).pipe(socket);
    });
    socket.on('error', () => through.destroy());
    through.on('error', () => socket.destroy());
  });
  await new Promise((resolve) => proxy.listen(port, resolve));
  const stop = () => {
    proxy.close();
    proxy.closeAllConnections();
  };
  return { state, stop };
}

test('updates on request and keeps drafts', async ({ browser }) => {
  const [port, shown] = [await freePort(), await freePort()];
  const url = `http://localhost:${shown}`;
  const server = await startServer({ SERVER__PORT: port, SERVER__PUBLIC_URL: url });
  const proxy = await startProxy(shown, port);
  const contexts = [];
  const arrive = async (name) => {
    const context = await browser.newContext({ baseURL: url, viewport: DESKTOP, serviceWorkers: 'allow' });
    contexts.push(context);
    const visitor = new Visitor(await context.newPage(), name);
    await visitor.register({ url });
    await visitor.open();
    return visitor;
  };
  try {
    // The first account is that of the admin.
    await fetch(`http://127.0.0.1:${port}/r1/auth/signup`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ email: 'admin@example.test', password: PASSWORD, display_name: 'The Admin' })
    });
    const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
    const { page } = anna;
    const html = page.locator('html');
    const shells = () =>
      page.evaluate(async () => (await caches.keys()).filter((name) => name.startsWith('natter-shell-')));
    await anna.openChatWith(ben);
    await anna.write('before');
    await anna.sees('before');
    await anna.composer.fill('half a sentence');
    await page.evaluate(async () => {
      await navigator.serviceWorker.ready;
      if (!navigator.serviceWorker.controller)
        await new Promise((resolve) =>
          navigator.serviceWorker.addEventListener('controllerchange', resolve, { once: true })
        );
      window.isStillHere = true;
    });
    await expect.poll(shells).toHaveLength(1);
    const [old] = await shells();

    proxy.state.isNext = true;
    await page.evaluate(async () => void (await (await navigator.serviceWorker.ready).update()));
    const line = page.getByRole('status').filter({ hasText: 'Update ready' });
    await expect(line).toBeVisible();
    expect(await page.evaluate(() => window.isStillHere)).toBe(true);
    await expect(html).not.toHaveAttribute('data-version', 'next');
    expect(await shells()).toContain(old);
    await expect(anna.composer).toHaveValue('half a sentence');

    await line.getByRole('button', { name: 'Reload', exact: true }).click();
    await expect(html).toHaveAttribute('data-version', 'next');
    await expect(anna.composer).toHaveValue('half a sentence');
    await expect(line).toHaveCount(0);
    await expect.poll(shells).toEqual([old.replace('natter-shell-', 'natter-shell-next-')]);
    // Offline, the new version is used.
    await page.context().setOffline(true);
    await page.goto(page.url());
    await expect(html).toHaveAttribute('data-version', 'next');
    await anna.sees('before');
    await page.context().setOffline(false);
  } finally {
    for (const context of contexts) await context.close();
    proxy.stop();
    await server.stop();
  }
});
