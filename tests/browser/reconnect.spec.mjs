// Problems with the connection: blocked WebSockets and proxies that hold back responses.

import { apiOf, expect, test } from './people.mjs';

test('exchanges messages without WebSockets', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  await anna.openChatWith(ben);
  await anna.write('by a socket');
  await ben.openConversation(anna.name);
  await ben.sees('by a socket');

  // Simulates a proxy that doesn't support WebSockets.
  const tried = [];
  await anna.page.routeWebSocket(/\/r1\/websocket/, (socket) => {
    tried.push(socket.url());
    void socket.close({ code: 1011 });
  });
  await anna.page.reload();
  await expect(anna.page.getByText('This network blocks live updates.')).toBeVisible({ timeout: 20_000 });
  await anna.sees('by a socket');
  await anna.write('by plain calls');
  await ben.sees('by plain calls');
  await ben.write('that arrived');
  await anna.sees('that arrived');
  expect(tried.length).toBeGreaterThan(0);
  await expect(anna.page.getByText(/Reconnecting/)).toHaveCount(0);
  // The server has received the read position.
  const annas = await apiOf(server, anna);
  const unread = async () => {
    const { items } = await annas.call('GET', '/r1/conversations');
    return items.reduce((sum, conversation) => sum + conversation.unread, 0);
  };
  await expect.poll(unread).toBe(0);
});

test('receives messages behind a buffering proxy', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  await anna.openChatWith(ben);
  await anna.write('by a socket');
  await ben.openConversation(anna.name);
  await ben.sees('by a socket');

  await anna.page.routeWebSocket(/\/r1\/websocket/, (socket) => void socket.close({ code: 1011 }));
  await anna.page.route(/\/r1\/events/, async (route) => {
    // Simulates a proxy that holds back responses, so that those without an end never arrive.
    if (!route.request().url().includes('wait=')) return;
    // The page may have aborted the request.
    const hand = async () => route.fulfill({ response: await route.fetch({ timeout: 60_000 }) });
    await hand().catch(() => undefined);
  });
  await anna.page.reload();
  await anna.sees('by a socket');
  await anna.write('by plain calls');
  await ben.sees('by plain calls');
  for (const text of ['that arrived', 'and that']) {
    await ben.write(text);
    await expect(anna.log.getByText(text)).toBeVisible({ timeout: 45_000 });
  }
  await expect(anna.page.getByText(/Reconnecting/)).toHaveCount(0);
});
