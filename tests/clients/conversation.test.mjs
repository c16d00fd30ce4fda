// Checks that clients of every kind receive the same events of a conversation.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { io } from 'socket.io-client';
import { EventStreamReader, MessagePackReader, SocketIoReader, WebSocketReader } from './readers.mjs';
import { Person, startServer } from './server.mjs';

let server;
before(async () => {
  server = await startServer();
});
after(() => server?.stop());

const KINDS = [SocketIoReader, WebSocketReader, MessagePackReader, EventStreamReader];
const WRITERS = [SocketIoReader, WebSocketReader, MessagePackReader];

async function openAll(person) {
  return Promise.all(KINDS.map((Kind) => new Kind(person).open()));
}

/** Checks that a reader has received exactly the events of the conversation's log, each once and in order. */
function assertEqualsLog(reader, conversation, log) {
  const seen = reader.durable(conversation).map(({ type, payload }) => ({ type, payload }));
  const wanted = log.map(({ type, payload }) => ({ type, payload }));
  assert.deepEqual(seen, wanted.slice(wanted.length - seen.length), reader.constructor.name);
  const sequence = seen.map(({ payload }) => payload.seq);
  assert.deepEqual(sequence, sequence.map((_, place) => sequence[0] + place), `${reader.constructor.name} has gaps`);
}

test('every client receives the messages of every client in one order', async () => {
  const anna = await Person.signUp(server.url, 'Anna');
  const ben = await Person.signUp(server.url, 'Ben');
  const conversation = await anna.openSingle(ben);
  const readers = await openAll(ben);
  const writers = await Promise.all(WRITERS.map((Kind) => new Kind(anna).open()));
  const texts = ['plain', 'Tiếng Việt, 日本語 and 👩‍👩‍👧', 'a "quote", a \\ and\na line'];

  const answers = [];
  for (const writer of writers) {
    for (const text of texts) answers.push(await writer.message(conversation, text));
  }
  const sent = await anna.send(conversation, 'and by REST');

  assert.equal(new Set(answers.map(({ message_id }) => message_id)).size, answers.length);
  for (const reader of [...readers, ...writers]) {
    await reader.untilSeq(conversation, sent.seq);
    assertEqualsLog(reader, conversation, await ben.eventLog(conversation));
    reader.close();
  }
  const contents = readers[0].durable(conversation).flatMap(({ type, payload }) => (type === 'message.created' ? [payload.message.content] : []));
  assert.deepEqual(contents, [...texts, ...texts, ...texts, 'and by REST']);
});

test('a client_id sent by two kinds of client creates one message', async () => {
  const anna = await Person.signUp(server.url, 'Anna');
  const ben = await Person.signUp(server.url, 'Ben');
  const conversation = await anna.openSingle(ben);
  const [first, second] = await Promise.all([new SocketIoReader(anna).open(), new MessagePackReader(anna).open()]);
  const id = crypto.randomUUID();
  const answers = await Promise.all([first.message(conversation, 'once', id), second.message(conversation, 'once', id)]);
  assert.equal(answers[0].message_id, answers[1].message_id);
  assert.equal(answers[0].seq, answers[1].seq);
  assert.deepEqual(answers.map(({ duplicate }) => duplicate).sort(), [false, true]);
  first.close();
  second.close();
});

test('a rejected frame returns an error and keeps the connection', async () => {
  const anna = await Person.signUp(server.url, 'Anna');
  for (const Kind of WRITERS) {
    const reader = await new Kind(anna).open();
    const error = await reader.message('01890000-0000-7000-8000-000000000000', 'to nowhere');
    assert.equal(error.code, 'not_found', JSON.stringify(error));
    const unknown = await reader.request('no.such.command', {});
    assert.equal(unknown.code, 'unknown_type', JSON.stringify(unknown));
    await reader.request('ping', {});
    reader.close();
  }
});

test('disconnected clients catch up by sync', async () => {
  const anna = await Person.signUp(server.url, 'Anna');
  const ben = await Person.signUp(server.url, 'Ben');
  const conversation = await anna.openSingle(ben);
  const seen = await anna.send(conversation, 'seen');
  for (let index = 0; index < 30; index += 1) await anna.send(conversation, `missed ${index}`);
  for (const Kind of WRITERS) {
    const reader = await new Kind(ben).open();
    // The response consists of a frame for each missed event and then `sync.done`.
    reader.request('sync', { cursors: { [conversation]: seen.seq } }).catch(() => {});
    await reader.until('sync.done');
    const log = (await ben.eventLog(conversation)).filter(({ seq }) => seq > seen.seq);
    assert.deepEqual(
      reader.durable(conversation).map(({ payload }) => payload.seq),
      log.map(({ seq }) => seq),
      Kind.name,
    );
    reader.close();
  }
});

test('socket.io-client reconnects after a server restart', async () => {
  const own = await startServer();
  const anna = await Person.signUp(own.url, 'Anna');
  const reader = await new SocketIoReader(anna).open();
  reader.events.length = 0;
  await own.restart();
  await reader.until('hello');
  reader.close();
  await own.stop();
});

test('Socket.IO rejects unknown namespaces and invalid tokens in its own format', async () => {
  const anna = await Person.signUp(server.url, 'Anna');
  const refusal = (path, token) =>
    new Promise((resolve) => {
      const socket = io(server.url + path, { transports: ['websocket'], auth: { token }, reconnection: false, forceNew: true });
      socket.once('connect', () => resolve('connected'));
      socket.once('connect_error', (error) => {
        socket.disconnect();
        resolve(error.message);
      });
    });
  assert.equal(await refusal('/admin', anna.token), 'Invalid namespace');
  assert.notEqual(await refusal('/', 'nonsense'), 'connected');
});

test('sign-out closes every connection of the session with 4401', async () => {
  const anna = await Person.signUp(server.url, 'Anna');
  const plain = await new WebSocketReader(anna).open();
  const packed = await new MessagePackReader(anna).open();
  const socketIo = await new SocketIoReader(anna).open();
  const dropped = new Promise((resolve) => socketIo.socket.once('disconnect', resolve));
  await anna.call('POST', '/r1/auth/logout', {});
  assert.equal(await plain.ended, 4401);
  assert.equal(await packed.ended, 4401);
  await dropped;
  socketIo.close();
});
