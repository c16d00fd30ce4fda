// Runs the server as a process with a port and a folder of its own, and provides people who use its API.

import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

const BINARY = process.env.NATTER_BIN ?? new URL('../../target/debug/natter', import.meta.url).pathname;
export const PASSWORD = 'Correct-Horse-9-Battery';

export async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Starts the server and waits until it listens. */
export async function startServer(settings = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'natter-clients-'));
  const port = settings.SERVER__PORT ?? (await freePort());
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('NATTER')));
  const usual = { SERVER__PORT: port, SERVER__DATA_DIR: folder, RATE_LIMIT__ENABLED: 'false', METRICS__LISTEN: 'none', ...settings };
  environment.NATTER_TEST_CHEAP_HASHES = '1';
  for (const [key, value] of Object.entries(usual)) environment[`NATTER__${key}`] = String(value);
  let child;
  const log = [];
  const start = async () => {
    child = spawn(BINARY, ['serve'], { cwd: folder, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    await new Promise((resolve, reject) => {
      for (const stream of [child.stdout, child.stderr]) {
        createInterface({ input: stream }).on('line', (line) => {
          log.push(line);
          if (line.includes('listening')) resolve();
        });
      }
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`natter ended with ${code}:\n${log.join('\n')}`)));
    });
  };
  const end = async (signal) => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  };
  await start();
  return {
    url: settings.SERVER__PUBLIC_URL ?? `http://127.0.0.1:${port}`,
    folder,
    log,
    kill: () => end('SIGKILL'),
    restart: async () => {
      await end('SIGKILL');
      await start();
    },
    stop: async () => {
      await end('SIGTERM');
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Person with an account, whose methods send requests. */
export class Person {
  constructor(url, tokens) {
    this.url = url;
    this.id = tokens.user.id;
    this.name = tokens.user.display_name;
    this.token = tokens.access_token;
  }

  static async signUp(url, name) {
    const email = `${name.toLowerCase().replace(/\W/g, '')}-${randomUUID()}@example.test`;
    const tokens = await call(url, 'POST', '/r1/auth/signup', { email, password: PASSWORD, display_name: name });
    return new Person(url, tokens);
  }

  call(method, path, body) {
    return call(this.url, method, path, body, this.token);
  }

  async openSingle(other) {
    return (await this.call('POST', '/r1/conversations', { kind: 'single', member_ids: [other.id] })).id;
  }

  async openGroup(title, ...others) {
    const member_ids = others.map((other) => other.id);
    return (await this.call('POST', '/r1/conversations', { kind: 'group', title, member_ids })).id;
  }

  send(conversation, content, client_id = randomUUID()) {
    return this.call('POST', `/r1/conversations/${conversation}/messages`, { client_id, content });
  }

  /** All durable events of a conversation, oldest first. */
  async eventLog(conversation) {
    const all = [];
    for (let more = true; more; ) {
      const after = all.at(-1)?.seq ?? 0;
      const slice = await this.call('GET', `/r1/conversations/${conversation}/events?after_seq=${after}&limit=200`);
      all.push(...slice.items);
      more = slice.has_more;
    }
    return all;
  }
}

async function call(url, method, path, body, token) {
  const headers = { 'content-type': 'application/json' };
  if (token) headers.authorization = `Bearer ${token}`;
  const answer = await fetch(url + path, { method, headers, body: body && JSON.stringify(body) });
  const { data, code, message } = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${code} ${message}`);
  return data;
}

/** Waits until `condition` holds, which is checked whenever `changed()` is called. */
export class Watch {
  #waiting = new Set();

  changed() {
    for (const look of this.#waiting) look();
  }

  until(condition, what) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(look);
        reject(new Error(`${what()} did not happen`));
      }, 60_000);
      const look = () => {
        if (!condition()) return;
        clearTimeout(timer);
        this.#waiting.delete(look);
        resolve();
      };
      this.#waiting.add(look);
      look();
    });
  }
}
