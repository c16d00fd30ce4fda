// Readers for each kind of client, with the same interface: the received events, and `send`, which resolves with the payload of the response.

import { randomUUID } from 'node:crypto';
import { decode, encode } from '@msgpack/msgpack';
import { io } from 'socket.io-client';
import WebSocket from 'ws';
import { Watch } from './server.mjs';

class Reader {
  events = [];
  watch = new Watch();

  take(type, payload) {
    this.events.push({ type, payload });
    this.watch.changed();
  }

  /** Durable events of a conversation, in the order of arrival. */
  durable(conversation) {
    return this.events.filter(({ payload }) => payload.conversation_id === conversation && Number.isInteger(payload.seq));
  }

  async until(type, matches = () => true) {
    const find = () => this.events.find((event) => event.type === type && matches(event.payload));
    await this.watch.until(() => find() !== undefined, () => `${type} at ${this.constructor.name}`);
    return find().payload;
  }

  async untilSeq(conversation, seq) {
    await this.watch.until(
      () => this.durable(conversation).some(({ payload }) => payload.seq >= seq),
      () => `seq ${seq} at ${this.constructor.name} (has ${this.durable(conversation).length})`,
    );
  }

  message(conversation, content, client_id = randomUUID()) {
    return this.request('message.send', { conversation_id: conversation, client_id, content });
  }
}

/** Reader with the package `socket.io-client`, over its WebSocket transport. */
export class SocketIoReader extends Reader {
  constructor(person) {
    super();
    this.socket = io(person.url, {
      transports: ['websocket'],
      auth: { token: person.token },
      reconnectionDelay: 50,
      reconnectionDelayMax: 200,
      forceNew: true,
    });
    this.socket.onAny((type, payload) => this.take(type, payload));
  }

  async open() {
    await this.until('hello');
    return this;
  }

  request(type, payload) {
    return this.socket.timeout(20_000).emitWithAck(type, payload);
  }

  close() {
    this.socket.disconnect();
  }
}

/** Reader with the package `ws`, in JSON. */
export class WebSocketReader extends Reader {
  replies = new Map();
  protocol = 'natter.json';

  constructor(person) {
    super();
    this.person = person;
  }

  async open() {
    const headers = { authorization: `Bearer ${this.person.token}` };
    this.socket = new WebSocket(`${this.person.url.replace('http', 'ws')}/r1/websocket`, [this.protocol], { headers });
    this.ended = new Promise((resolve) => this.socket.once('close', (code) => resolve(code)));
    this.socket.on('message', (data, binary) => this.frame(this.read(data, binary)));
    await new Promise((resolve, reject) => this.socket.once('open', resolve).once('error', reject));
    await this.until('hello');
    return this;
  }

  frame({ type, payload, reply_to }) {
    if (reply_to) {
      this.replies.get(reply_to)?.(payload);
      this.replies.delete(reply_to);
    }
    this.take(type, payload);
  }

  read(data, binary) {
    if (binary) throw new Error('a binary frame came to a JSON client');
    return JSON.parse(data.toString());
  }

  write(envelope) {
    this.socket.send(JSON.stringify(envelope));
  }

  request(type, payload) {
    const id = randomUUID();
    return new Promise((resolve) => {
      this.replies.set(id, resolve);
      this.write({ id, type, timestamp: new Date().toISOString(), payload });
    });
  }

  close() {
    this.socket.terminate();
  }
}

/** Reader with the packages `ws` and `@msgpack/msgpack`. */
export class MessagePackReader extends WebSocketReader {
  protocol = 'natter.msgpack';

  read(data, binary) {
    if (!binary) throw new Error('a text frame came to a MessagePack client');
    return decode(data);
  }

  write(envelope) {
    this.socket.send(encode(envelope));
  }
}

/** Reader of Server-Sent Events with `fetch`. */
export class EventStreamReader extends Reader {
  constructor(person) {
    super();
    this.person = person;
  }

  async open() {
    this.stop = new AbortController();
    const headers = { authorization: `Bearer ${this.person.token}` };
    if (this.cursor) headers['last-event-id'] = this.cursor;
    const answer = await fetch(`${this.person.url}/r1/events`, { headers, signal: this.stop.signal });
    if (answer.status !== 200) throw new Error(`GET /r1/events: ${answer.status}`);
    this.pump(answer.body).catch(() => {});
    await this.until('hello');
    return this;
  }

  async pump(body) {
    let text = '';
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const fields = Object.fromEntries(
          text.slice(0, end).split('\n').filter((line) => !line.startsWith(':')).map((line) => line.split(/: (.*)/s, 2)),
        );
        text = text.slice(end + 2);
        if (fields.id) this.cursor = fields.id;
        if (fields.data) {
          const { type, payload } = JSON.parse(fields.data);
          this.take(type, payload);
        }
      }
    }
  }

  close() {
    this.stop.abort();
  }
}
