// Official Socket.IO clients with their default options: polling first, then WebSocket. They are tested against one server, and against two behind a
// load balancer that distributes the requests.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { io as io45 } from 'socket.io-client-4.5';
import { io as io47 } from 'socket.io-client-4.7';
import { io as io48 } from 'socket.io-client';
import { missing, startCluster } from './cluster.mjs';
import { Person, Watch, startServer } from './server.mjs';

const CLIENTS = { 4.5: io45, 4.7: io47, 4.8: io48 };
const PYTHON = process.env.NATTER_TEST_PYTHON;

class Client {
  events = [];
  watch = new Watch();

  constructor(io, person, options = {}) {
    this.socket = io(person.url, { auth: { token: person.token }, forceNew: true, reconnection: false, ...options });
    this.socket.onAny((type, payload) => {
      this.events.push({ type, payload });
      this.watch.changed();
    });
    this.socket.on('disconnect', (reason) => {
      this.disconnected = reason;
      this.watch.changed();
    });
    this.upgraded = new Promise((resolve) => this.socket.io.on('open', () => this.socket.io.engine.once('upgrade', resolve)));
  }

  async open() {
    await this.watch.until(() => this.events.some(({ type }) => type === 'hello'), () => 'hello');
    return this;
  }

  get transport() {
    return this.socket.io.engine.transport.name;
  }

  emit(type, payload) {
    return new Promise((resolve, reject) => {
      this.socket.timeout(20_000).emit(type, payload, (error, answer) => (error ? reject(error) : resolve(answer)));
    });
  }

  sequence(conversation) {
    return this.events
      .filter(({ type, payload }) => type === 'message.created' && payload.conversation_id === conversation)
      .map(({ payload }) => payload.seq);
  }

  async untilSeq(conversation, seq) {
    await this.watch.until(
      () => this.sequence(conversation).at(-1) >= seq || this.disconnected,
      () => `seq ${seq} (has ${this.sequence(conversation).at(-1)})`,
    );
    assert.equal(this.disconnected, undefined);
  }

  close() {
    this.socket.disconnect();
  }
}

const range = (count) => Array.from({ length: count }, (_, place) => place + 1);

const PLACES = [
  ['one server', async () => startServer(), undefined],
  ['two servers behind a load balancer', startCluster, missing],
];

for (const [place, start, skip] of PLACES) {
  describe(place, { skip }, () => {
    let server;
    before(async () => {
      server = await start();
    });
    after(() => server?.stop());

    const couple = async () => {
      const [anna, ben] = await Promise.all(['Anna', 'Ben'].map((name) => Person.signUp(server.url, name)));
      return { anna, ben, conversation: await anna.openSingle(ben) };
    };

    for (const [version, io] of Object.entries(CLIENTS)) {
      test(`socket.io-client ${version}: upgrades from polling to WebSocket without loss`, async () => {
        const { anna, ben, conversation } = await couple();
        const reader = new Client(io, ben);
        const writer = new Client(io, anna);
        await Promise.all([reader.open(), writer.open()]);
        // These messages are sent while both clients upgrade to WebSocket.
        const answers = await Promise.all(
          range(100).map((n) => writer.emit('message.send', { conversation_id: conversation, client_id: `c${n}`, content: `${n}` })),
        );
        assert.deepEqual(answers.map(({ seq }) => seq), range(100));
        await reader.untilSeq(conversation, 100);
        await Promise.all([reader.upgraded, writer.upgraded]);
        assert.deepEqual([reader.transport, writer.transport], ['websocket', 'websocket']);
        await anna.send(conversation, 'over WebSocket');
        await reader.untilSeq(conversation, 101);
        assert.deepEqual(reader.sequence(conversation), range(101));
        assert.equal((await writer.emit('no.such.command', {})).code, 'unknown_type');
        assert.equal((await writer.emit('ping', { data: Buffer.from([1, 2, 3]) })).code, 'malformed_frame');
        reader.close();
        writer.close();
      });

      test(`socket.io-client ${version}: works with polling only`, async () => {
        const { anna, ben, conversation } = await couple();
        const reader = await new Client(io, ben, { transports: ['polling'] }).open();
        const writer = await new Client(io, anna, { transports: ['polling'] }).open();
        for (const n of range(30)) {
          const answer = await writer.emit('message.send', { conversation_id: conversation, client_id: `c${n}`, content: `${n}` });
          assert.equal(answer.seq, n);
        }
        await reader.untilSeq(conversation, 30);
        assert.deepEqual(reader.sequence(conversation), range(30));
        assert.equal(reader.transport, 'polling');
        assert.equal((await writer.emit('ping', { data: Buffer.from([1, 2, 3]) })).code, 'malformed_frame');
        reader.close();
        writer.close();
      });

      test(`socket.io-client ${version}: is rejected for unknown namespaces and invalid tokens`, async () => {
        const anna = await Person.signUp(server.url, 'Anna');
        const refusal = (path, token) =>
          new Promise((resolve) => {
            const socket = io(server.url + path, { auth: { token }, reconnection: false, forceNew: true });
            socket.once('connect', () => resolve('connected'));
            socket.once('connect_error', (error) => {
              socket.disconnect();
              resolve(error.data?.code ?? error.message);
            });
          });
        assert.equal(await refusal('/admin', anna.token), 'Invalid namespace');
        assert.equal(await refusal('/', 'nonsense'), 'unauthenticated');
      });
    }

    test('python-socketio: works by polling, by WebSocket and with an upgrade', { skip: PYTHON ? undefined : 'NATTER_TEST_PYTHON names no interpreter' }, async () => {
      for (const transports of ['', 'polling', 'websocket']) {
        const { anna, ben, conversation } = await couple();
        const script = new URL('./client.py', import.meta.url).pathname;
        const child = spawn(PYTHON, [script, server.url, anna.token, conversation, transports], { stdio: ['ignore', 'pipe', 'inherit'] });
        const lines = createInterface({ input: child.stdout });
        // The client is ready and receives all messages from now on.
        assert.equal((await once(lines, 'line'))[0], 'ready');
        for (const n of range(30)) await ben.send(conversation, `${n}`);
        const [report] = await once(lines, 'line');
        const { live, logged, acknowledged, transport, refused } = JSON.parse(report);
        assert.deepEqual(live, range(60));
        assert.deepEqual(logged, range(60));
        assert.equal(acknowledged.length, 30);
        assert.equal(transport, transports === 'polling' ? 'polling' : 'websocket');
        assert.equal(refused, 'Invalid namespace');
        if (child.exitCode === null) await once(child, 'exit');
        assert.equal(child.exitCode, 0);
      }
    });
  });
}

test('a client reconnects to the other instance when its server dies', { skip: missing }, async () => {
  const cluster = await startCluster();
  const readers = [];
  try {
    const [anna, ben] = await Promise.all(['Anna', 'Ben'].map((name) => Person.signUp(cluster.url, name)));
    const conversation = await anna.openSingle(ben);
    for (const transports of [['polling', 'websocket'], ['polling'], ['websocket'], ['polling']]) {
      readers.push(new Client(io48, ben, { transports, reconnection: true, reconnectionDelay: 50, reconnectionDelayMax: 200 }));
    }
    await Promise.all(readers.map((reader) => reader.open()));
    // A client that loses its WebSocket during the upgrade doesn't poll any more and notices the loss only after 45 seconds of silence, so the
    // upgrade is awaited.
    await readers[0].upgraded;
    for (const reader of readers) reader.events.length = 0;
    await cluster.servers[0].kill();
    // All clients that lost their server reconnect and receive a hello frame.
    await anna.send(conversation, 'still here');
    for (const [place, reader] of readers.entries()) {
      await reader.watch.until(
        () => reader.events.some(({ type, payload }) => (type === 'hello' && payload.conversations[0].last_seq > 0) || type === 'message.created'),
        () => `news for client ${place} (${reader.disconnected ?? 'connected all the time'}) after the death of a server`,
      );
    }
  } finally {
    for (const reader of readers) reader.close();
    await cluster.stop();
  }
});
