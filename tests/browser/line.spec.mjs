// The line between the app and the server, where it is not what one expects.

import { apiOf, expect, test } from './people.mjs';

test('where no WebSocket gets through, messages come and go all the same', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  await anna.openChatWith(ben);
  await anna.write('by a socket');
  await ben.openConversation(anna.name);
  await ben.sees('by a socket');

  // As a proxy does that knows nothing of WebSockets.
  const tried = [];
  await anna.page.routeWebSocket(/\/r1\/websocket/, (socket) => {
    tried.push(socket.url());
    void socket.close({ code: 1011 });
  });
  await anna.page.reload();
  await anna.sees('by a socket');
  await anna.write('by plain calls');
  await ben.sees('by plain calls');
  await ben.write('that arrived');
  await anna.sees('that arrived');
  expect(tried.length).toBeGreaterThan(0);
  await expect(anna.page.getByText(/Reconnecting/)).toHaveCount(0);
  // What was read there is known.
  const annas = await apiOf(server, anna);
  const unread = async () => {
    const { items } = await annas.call('GET', '/r1/conversations');
    return items.reduce((sum, conversation) => sum + conversation.unread, 0);
  };
  await expect.poll(unread).toBe(0);
});
