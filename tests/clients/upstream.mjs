// The fake AI provider of tests/support, as a process.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const BINARY = process.env.NATTER_TEST_UPSTREAM ?? new URL('../../target/debug/upstream', import.meta.url).pathname;

export class Upstream {
  #child;
  #lines;

  static async start(kind) {
    const upstream = new Upstream();
    upstream.#child = spawn(BINARY, [kind], { stdio: ['pipe', 'pipe', 'inherit'] });
    upstream.#lines = createInterface({ input: upstream.#child.stdout })[Symbol.asyncIterator]();
    upstream.kind = kind;
    upstream.url = await upstream.#line();
    return upstream;
  }

  async #line() {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the upstream has ended');
    return value;
  }

  async #say(line) {
    this.#child.stdin.write(`${line}\n`);
    return this.#line();
  }

  /** What it does with the next request: see tests/support/src/bin/upstream.rs. */
  async then(line) {
    await this.#say(line);
  }

  /** The body of the last request. */
  async last() {
    return JSON.parse(await this.#say('asked')).at(-1).body;
  }

  async stop() {
    const ended = once(this.#child, 'exit');
    this.#child.kill();
    await ended;
  }
}
