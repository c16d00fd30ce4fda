// Raw ws: what a socket says goes to everyone who connected to the same path.
import { WebSocketServer } from 'ws';

const channels = new Map();
const server = new WebSocketServer({
  host: '127.0.0.1',
  port: Number(process.argv[2]),
  backlog: 4096,
  perMessageDeflate: false,
  clientTracking: false,
});
server.on('connection', (socket, request) => {
  const name = request.url;
  let readers = channels.get(name);
  if (!readers) channels.set(name, (readers = new Set()));
  readers.add(socket);
  socket.on('message', (data, isBinary) => {
    for (const reader of readers) reader.send(data, { binary: isBinary });
  });
  socket.on('close', () => readers.delete(socket));
});
