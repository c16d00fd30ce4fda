import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { reduce, type LogInput } from '#lib/realtime/reducer.ts';
import { EMPTY, type LogState } from '#lib/realtime/state.ts';
import { OutboxStore } from './outbox.svelte.ts';
import { FakeFiles, FakeLiveUpdates, MemoryOutboxStorage } from '../store-testing.ts';

const taken = (key: string) => ({ key, name: `${key}.png`, media_type: 'image/png', size: 7 });

const settled = () => vi.advanceTimersByTimeAsync(0);

/** Channel of a tab, which receives the messages of the other tabs. */
class Tab extends EventTarget {
  static all: Tab[] = [];

  constructor() {
    super();
    Tab.all.push(this);
  }

  postMessage(data: unknown) {
    for (const tab of Tab.all) if (tab !== this) tab.dispatchEvent(new MessageEvent('message', { data }));
  }
}

class Desk {
  readonly live = new FakeLiveUpdates();
  readonly post = vi.fn(async () => ({ seq: 7 }));
  readonly files = new FakeFiles();
  readonly logs = new Map<string, LogState>();
  readonly outbox: OutboxStore;

  constructor(
    readonly storage = new MemoryOutboxStorage(),
    channel?: EventTarget & Pick<BroadcastChannel, 'postMessage'>
  ) {
    this.outbox = new OutboxStore(
      this.live,
      storage,
      (id, input: LogInput) => this.logs.set(id, reduce(this.logs.get(id) ?? EMPTY, input)),
      this.post,
      this.files,
      channel as BroadcastChannel | undefined
    );
  }

  shown(id: string) {
    return (this.logs.get(id)?.outbox ?? []).map((outgoing) => [outgoing.content, outgoing.state]);
  }
}

describe('OutboxStore', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('sends at once and keeps a message until it is confirmed', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'hello', 'm1');
    expect(desk.live.requests[0]?.payload).toMatchObject({ conversation_id: 'c1', content: 'hello', reply_to: 'm1' });
    expect(desk.shown('c1')).toEqual([['hello', 'sending']]);
    expect(desk.storage.kept.size).toBe(1);
    desk.live.next().resolve({ message_id: 'm2', seq: 2 });
    await settled();
    expect(desk.shown('c1')).toEqual([['hello', 'sent']]);
    expect(desk.storage.kept.size).toBe(0);
  });

  it('reports the outcome and returns a refused message with its files', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    const sent = desk.outbox.outcome(desk.outbox.send('c1', 'hello', null));
    desk.live.next().resolve({ message_id: 'm2', seq: 2 });
    expect(await sent).toBeNull();

    const files = [taken('f1')];
    const id = desk.outbox.send('c2', 'and this?', null, [], files);
    const refused = desk.outbox.outcome(id);
    desk.files.arrive();
    await settled();
    desk.live.refuse('out_of_credits');
    expect(await refused).toMatchObject({ code: 'out_of_credits' });
    expect(desk.outbox.withdraw(id)).toEqual(files);
    expect(desk.files.gone).toEqual([]);
    expect(desk.shown('c2')).toEqual([]);
    expect(desk.storage.kept.size).toBe(0);

    desk.live.ready = false;
    expect(await desk.outbox.outcome(desk.outbox.send('c3', 'later', null))).toBeNull();
  });

  it('sends that link previews are disabled', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'https://a.test', null, [], [], { previews: false });
    expect(desk.live.requests[0]?.payload).toMatchObject({ previews: false });
  });

  it('sends mentions, and confirms a group mention only on a retry', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', '@all, hello', null, [{ kind: 'all' }]);
    expect(desk.live.requests[0]?.payload).toMatchObject({ mentions: [{ kind: 'all' }] });
    expect(desk.live.requests[0]?.payload).not.toHaveProperty('confirm');
    const id = String(desk.live.requests[0]?.payload.client_id);
    desk.live.refuse('confirm_mention');
    await settled();
    expect(desk.shown('c1')).toEqual([['@all, hello', 'failed']]);
    desk.outbox.retry(id);
    expect(desk.live.requests[0]?.payload).toMatchObject({ mentions: [{ kind: 'all' }], confirm: true });
  });

  it('sends an edited message without confirming its group mention', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', '@all, hello', null, [{ kind: 'all' }]);
    const id = String(desk.live.requests[0]?.payload.client_id);
    desk.live.refuse('confirm_mention', undefined, { count: 40 });
    await settled();
    expect(desk.logs.get('c1')?.outbox[0]?.failure).toMatchObject({ details: { count: 40 } });
    desk.outbox.reword(id, '@here, hello', [{ kind: 'here' }]);
    expect(desk.live.requests[0]?.payload).toMatchObject({
      client_id: id,
      content: '@here, hello',
      mentions: [{ kind: 'here' }]
    });
    expect(desk.live.requests[0]?.payload).not.toHaveProperty('confirm');
    expect(desk.shown('c1')).toEqual([['@here, hello', 'sending']]);
    expect([...desk.storage.kept.values()]).toMatchObject([{ content: '@here, hello' }]);
  });

  it('sends a message after its files are uploaded, and later messages after it', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', '', null, [], [taken('a'), taken('b')]);
    desk.outbox.send('c1', 'behind', null);
    await settled();
    expect(desk.live.requests).toHaveLength(0);
    desk.files.arrive();
    await settled();
    expect(desk.live.requests[0]?.payload).toMatchObject({ content: '', attachment_ids: ['upload-a', 'upload-b'] });
    desk.live.next().resolve({ message_id: 'm2', seq: 2 });
    await settled();
    expect(desk.files.gone).toEqual(['a', 'b']);
    expect(desk.live.requests[0]?.payload).toMatchObject({ content: 'behind' });
    expect(desk.live.requests[0]?.payload).not.toHaveProperty('attachment_ids');
  });

  it('returns a message with a refused file and sends it without the file', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.files.refuse('bad');
    desk.outbox.send('c1', 'text', null, [], [taken('good'), taken('bad')]);
    await settled();
    expect(desk.shown('c1')).toEqual([['text', 'failed']]);
    await desk.outbox.sendWithout(desk.logs.get('c1')?.outbox[0]?.client_id ?? '');
    expect(desk.files.gone).toEqual(['bad']);
    desk.files.arrive();
    await settled();
    expect(desk.live.requests[0]?.payload).toMatchObject({ content: 'text', attachment_ids: ['upload-good'] });
  });

  it('does not send a message that was discarded during its upload', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', '', null, [], [taken('a')]);
    desk.outbox.send('c1', 'next', null);
    await settled();
    desk.outbox.discard(desk.logs.get('c1')?.outbox[0]?.client_id ?? '');
    desk.files.arrive();
    await settled();
    expect(desk.files.gone).toEqual(['a']);
    expect(desk.live.requests.map(({ payload }) => payload.content)).toEqual(['next']);
  });

  it('posts a message that is too large for a frame, in order', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    const long = 'ế'.repeat(100_000);
    desk.outbox.send('c1', 'first', null);
    desk.outbox.send('c1', long, null);
    expect(desk.post).not.toHaveBeenCalled();
    desk.live.next().resolve({ message_id: 'm2', seq: 2 });
    await settled();
    expect(desk.post).toHaveBeenCalledExactlyOnceWith('c1', { client_id: expect.any(String), content: long });
    expect(desk.live.requests).toHaveLength(0);
    expect(desk.shown('c1').map(([, state]) => state)).toEqual(['sent', 'sent']);
  });

  it('sends offline messages in order, once each, after a reconnect', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.live.ready = false;
    for (const text of ['one', 'two', 'three']) desk.outbox.send('c1', text, null);
    expect(desk.outbox.waiting).toBe(3);
    desk.live.greet();
    desk.outbox.resume();
    desk.outbox.resume();
    const sent: unknown[] = [];
    for (let seq = 1; seq <= 3; seq++) {
      expect(desk.live.requests).toHaveLength(1);
      const request = desk.live.next();
      sent.push(request.payload.content);
      request.resolve({ seq });
      await settled();
    }
    expect(sent).toEqual(['one', 'two', 'three']);
    expect(desk.live.requests).toHaveLength(0);
    expect(desk.outbox.waiting).toBe(0);
  });

  it('retries with the same id after a lost response', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'one', null);
    desk.outbox.send('c1', 'two', null);
    const first = desk.live.requests[0]?.payload.client_id;
    desk.live.lose();
    await settled();
    expect(desk.shown('c1')).toEqual([
      ['one', 'waiting'],
      ['two', 'waiting']
    ]);
    desk.live.greet();
    desk.outbox.resume();
    expect(desk.live.requests[0]?.payload).toMatchObject({ client_id: first, content: 'one' });
  });

  it('neither shows nor sends a message that another tab has sent', async () => {
    Tab.all = [];
    const storage = new MemoryOutboxStorage();
    const writing = new Desk(storage, new Tab());
    writing.live.ready = false;
    await writing.outbox.open('me');
    writing.outbox.send('c1', 'from the train', null, [], [taken('f1')]);
    await settled();
    const other = new Desk(storage, new Tab());
    other.live.ready = false;
    await other.outbox.open('me');
    expect([other.outbox.waiting, other.shown('c1')]).toEqual([1, [['from the train', 'waiting']]]);
    writing.live.greet();
    writing.outbox.resume();
    await settled();
    writing.files.arrive();
    await settled();
    writing.live.next().resolve({ seq: 4 });
    await settled();
    expect([other.outbox.waiting, other.shown('c1')]).toEqual([0, [['from the train', 'sent']]]);
    expect(other.files.gone).toEqual(['f1']);
    other.live.greet();
    other.outbox.resume();
    await settled();
    expect(other.live.requests).toEqual([]);
  });

  it('follows the failed message of another tab: edited, retried, failed again', async () => {
    Tab.all = [];
    const storage = new MemoryOutboxStorage();
    const one = new Desk(storage, new Tab());
    await one.outbox.open('me');
    const id = one.outbox.send('c1', '@all lunch', null);
    one.live.refuse('confirm_mention');
    await settled();
    const other = new Desk(storage, new Tab());
    await other.outbox.open('me');
    expect(other.shown('c1')).toEqual([['@all lunch', 'failed']]);
    one.outbox.reword(id, '@here lunch', [{ kind: 'here' }]);
    await settled();
    expect(other.shown('c1')).toEqual([['@here lunch', 'waiting']]);
    expect(other.live.requests).toEqual([]);
    one.live.refuse('forbidden');
    await settled();
    expect(other.shown('c1')).toEqual([['@here lunch', 'failed']]);
    // The user retries in the other tab.
    other.outbox.retry(id);
    expect(other.live.next().payload).toMatchObject({ client_id: id, content: '@here lunch' });
    expect(one.shown('c1')).toEqual([['@here lunch', 'waiting']]);
    expect(one.live.requests).toEqual([]);
  });

  it('does not send a message that another tab has withdrawn', async () => {
    const storage = new MemoryOutboxStorage();
    const here = new Desk(storage, new Tab());
    const there = new Desk(storage, new Tab());
    here.live.ready = there.live.ready = false;
    await here.outbox.open('me');
    here.outbox.send('c1', 'in anger', null);
    const left = here.outbox.send('c1', 'calmly', null);
    await there.outbox.open('me');
    expect(there.shown('c1')).toHaveLength(2);
    const [first] = there.logs.get('c1')?.outbox ?? [];
    there.outbox.discard(first?.client_id ?? '');
    expect(here.shown('c1')).toEqual([['calmly', 'waiting']]);
    here.live.ready = true;
    here.outbox.resume();
    expect(here.live.requests.map(({ payload }) => payload.client_id)).toEqual([left]);
    Tab.all = [];
  });

  it('retries automatically when only the response was lost', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'hello', null);
    const first = desk.live.next();
    first.reject(new Error('no answer'));
    await settled();
    expect(desk.shown('c1')).toEqual([['hello', 'waiting']]);
    await vi.advanceTimersByTimeAsync(1_000);
    const again = desk.live.next();
    expect(again.payload.client_id).toBe(first.payload.client_id);
    again.resolve({ message_id: 'm2', seq: 2 });
    await settled();
    expect(desk.shown('c1')).toEqual([['hello', 'sent']]);
  });

  it('resumes unsent messages in order after a reload', async () => {
    const before = new Desk();
    await before.outbox.open('me');
    before.live.ready = false;
    before.outbox.send('c1', 'one', null);
    before.outbox.send('c1', 'two', null);
    const after = new Desk(before.storage);
    await after.outbox.open('me');
    expect(after.shown('c1')).toEqual([
      ['one', 'sending'],
      ['two', 'waiting']
    ]);
    const other = new Desk(before.storage);
    await other.outbox.open('you');
    expect(other.outbox.waiting).toBe(0);
  });

  it('continues after a refused message, which can be retried or discarded', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'bad', null);
    desk.outbox.send('c1', 'good', null);
    const id = String(desk.live.requests[0]?.payload.client_id);
    desk.live.refuse('invalid');
    await settled();
    expect(desk.shown('c1')).toEqual([
      ['bad', 'failed'],
      ['good', 'sending']
    ]);
    desk.live.next().resolve({ seq: 5 });
    await settled();
    desk.outbox.retry(id);
    expect(desk.live.requests[0]?.payload).toMatchObject({ client_id: id, content: 'bad' });
    desk.live.refuse('invalid');
    await settled();
    desk.outbox.discard(id);
    expect(desk.shown('c1')).toEqual([['good', 'sent']]);
    expect(desk.storage.kept.size).toBe(0);
  });

  it('requests a background sync only for messages that wait for a connection', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'at once', null);
    await settled();
    expect(desk.storage.woken).toBe(0);
    desk.live.ready = false;
    desk.outbox.send('c2', 'later', null);
    await settled();
    expect(desk.storage.woken).toBe(1);
  });

  it('waits for the rate limit and continues automatically', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'one', null);
    desk.live.refuse('rate_limited', 8);
    await settled();
    expect(desk.shown('c1')).toEqual([['one', 'waiting']]);
    expect(desk.outbox.slowedUntil - Date.now()).toBe(8_000);
    desk.outbox.send('c1', 'two', null);
    expect(desk.live.requests).toHaveLength(0);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(desk.live.requests[0]?.payload.content).toBe('one');
  });

  it('waits for slow mode in that channel only', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'one', null);
    desk.live.refuse('slow_mode', 8);
    await settled();
    expect(desk.shown('c1')).toEqual([['one', 'waiting']]);
    expect(desk.outbox.slowedUntil).toBe(0);
    desk.outbox.send('c2', 'two', null);
    expect(desk.live.requests.map(({ payload }) => payload.content)).toEqual(['two']);
    await vi.advanceTimersByTimeAsync(8_000);
    expect(desk.live.requests.map(({ payload }) => payload.content)).toEqual(['two', 'one']);
  });

  it('returns a message after five server errors and continues with later ones', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'bad', null);
    desk.outbox.send('c1', 'good', null);
    const id = String(desk.live.requests[0]?.payload.client_id);
    for (let turn = 1; turn <= 5; turn++) {
      expect(desk.live.requests[0]?.payload.content, `try ${turn}`).toBe('bad');
      desk.live.refuse('internal');
      await settled();
      // Messages in other conversations don't wait, and no rate limit is shown.
      expect(desk.outbox.slowedUntil).toBe(0);
      if (turn < 5) await vi.advanceTimersByTimeAsync(1_000 * 2 ** (turn - 1));
    }
    expect(desk.shown('c1')).toEqual([
      ['bad', 'failed'],
      ['good', 'sending']
    ]);
    desk.live.next().resolve({ seq: 5 });
    await settled();
    desk.outbox.retry(id);
    expect(desk.live.requests[0]?.payload).toMatchObject({ client_id: id, content: 'bad' });
  });

  it('sends conversations independently of each other', async () => {
    const desk = new Desk();
    await desk.outbox.open('me');
    desk.outbox.send('c1', 'one', null);
    desk.outbox.send('c2', 'two', null);
    expect(desk.live.requests.map((request) => request.payload.content)).toEqual(['one', 'two']);
  });
});
