// socket.io: a room for each channel. With the address of a Redis as the second argument, its adapter carries the messages.
import { createServer } from 'node:http';
import { createAdapter } from '@socket.io/redis-adapter';
import { createClient } from 'redis';
import { Server } from 'socket.io';

const [port, redis] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, { transports: ['websocket'], serveClient: false, perMessageDeflate: false });
if (redis) {
  const publisher = createClient({ url: redis });
  const subscriber = publisher.duplicate();
  await Promise.all([publisher.connect(), subscriber.connect()]);
  io.adapter(createAdapter(publisher, subscriber));
}
io.on('connection', (socket) => {
  socket.on('join', async (name, done) => {
    await socket.join(name);
    done();
  });
  socket.on('message', (name, text) => io.to(name).emit('message', text));
});
http.listen({ host: '127.0.0.1', port: Number(port), backlog: 4096 });
