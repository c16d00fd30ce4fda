import fc from '#lib/util/property-testing.ts';
import { describe, expect, it } from 'vitest';
import { reduce, type LogInput } from './reducer.ts';
import { EMPTY, isBehind, type LogState } from './state.ts';
import { created, frame, message, ModelServer, outgoing, toolCall } from '#lib/features/conversations/testing.ts';

const apply = (state: LogState, ...inputs: LogInput[]) => inputs.reduce(reduce, state);
const event = (one: ReturnType<typeof created>): LogInput => ({ kind: 'event', frame: one });
const latest = (items: ReturnType<typeof message>[], basis = 0, hasMore = false): LogInput => ({
  kind: 'page',
  part: 'latest',
  items,
  basis,
  hasMore
});
const contents = (state: LogState) => state.entries.map((entry) => entry.message.content);

describe('durable events', () => {
  it('are applied by sequence number, once', () => {
    const state = apply(EMPTY, latest([message(1)]), event(created(2)), event(created(2)), event(created(3)));
    expect(contents(state)).toEqual(['text 1', 'text 2', 'text 3']);
    expect(state.cursor).toBe(3);
  });

  it('wait behind a gap, which requires a sync and is closed by it', () => {
    let state = apply(EMPTY, latest([message(1)]), event(created(4)), event(created(3)));
    expect(contents(state)).toEqual(['text 1']);
    expect(isBehind(state)).toBe(true);
    state = apply(state, event(created(2)));
    expect(contents(state)).toEqual(['text 1', 'text 2', 'text 3', 'text 4']);
    expect(isBehind(state)).toBe(false);
    expect(state.early).toEqual([]);
  });

  it('that are announced but missing require a sync', () => {
    const state = apply(EMPTY, latest([message(1)]), { kind: 'heard', seq: 2 });
    expect(isBehind(state)).toBe(true);
  });

  it('of a conversation that is not open are left to its first page', () => {
    const state = apply(EMPTY, event(created(7)));
    expect(state.entries).toEqual([]);
    expect(state.early).toEqual([]);
    expect(isBehind(state)).toBe(false);
  });

  it('that arrive during the first page request are kept', () => {
    const state = apply(EMPTY, { kind: 'requested' }, event(created(2)), latest([message(1)]));
    expect(contents(state)).toEqual(['text 1', 'text 2']);
  });

  it('remove a deleted message permanently', () => {
    const state = apply(
      EMPTY,
      latest([message(1), message(2)]),
      event(frame('message.deleted', { seq: 3, message_id: 'm1' })),
      latest([message(1), message(2)], 2)
    );
    expect(contents(state)).toEqual(['text 2']);
    expect(state.deletedIds.has('m1')).toBe(true);
  });

  it('of an older message survive an older page requested before', () => {
    const state = apply(
      EMPTY,
      latest([message(5)], 5, true),
      event(frame('message.updated', { seq: 6, message: message(2, { content: 'edited' }) })),
      { kind: 'page', part: 'older', items: [message(2)], basis: 5, hasMore: false }
    );
    expect(contents(state)).toEqual(['edited', 'text 5']);
  });

  it('are reset when the log no longer reaches back', () => {
    const state = apply(
      EMPTY,
      latest([message(1)]),
      { kind: 'queued', outgoing: outgoing('a') },
      { kind: 'heard', seq: 9_000 },
      { kind: 'expired' }
    );
    expect(state.loaded).toBe(false);
    expect(state.outbox).toHaveLength(1);
  });
});

describe('streaming answer', () => {
  const streaming = message(1, {
    status: 'streaming',
    content: '',
    sender: { kind: 'assistant', id: 'a', name: 'Quill' }
  });
  const delta = (offset: number, text: string): LogInput => ({
    kind: 'delta',
    delta: { message_id: 'm1', offset, text }
  });

  it('grows and ignores duplicate chunks', () => {
    const state = apply(
      EMPTY,
      latest([streaming]),
      delta(0, 'One '),
      delta(4, 'two'),
      delta(4, 'two'),
      delta(0, 'One ')
    );
    expect(contents(state)).toEqual(['One two']);
  });

  it('counts in UTF-16 code units', () => {
    const state = apply(EMPTY, latest([streaming]), delta(0, '👍'), delta(2, ' ok'));
    expect(contents(state)).toEqual(['👍 ok']);
    expect(state.gaps.size).toBe(0);
  });

  it('with a gap requires a fetch, then continues', () => {
    let state = apply(EMPTY, latest([streaming]), delta(0, 'One '), delta(8, 'three '), delta(14, 'four'));
    expect(contents(state)).toEqual(['One ']);
    expect([...state.gaps.keys()]).toEqual(['m1']);
    state = apply(state, { kind: 'fetched', message: { ...streaming, content: 'One two ' }, basis: 1 });
    expect(contents(state)).toEqual(['One two three four']);
    expect(state.gaps.size).toBe(0);
  });

  it('keeps the streamed text if the stored text is behind', () => {
    const state = apply(EMPTY, latest([streaming]), delta(0, 'One two'), {
      kind: 'fetched',
      message: { ...streaming, content: 'One' },
      basis: 1
    });
    expect(contents(state)).toEqual(['One two']);
  });

  it('restarts when another instance takes over', () => {
    const state = apply(
      EMPTY,
      latest([streaming]),
      delta(0, 'first try'),
      event(frame('message.updated', { seq: 2, message: streaming })),
      delta(0, 'second')
    );
    expect(contents(state)).toEqual(['second']);
  });

  it('ends with its last event and ignores later chunks', () => {
    const done = { ...streaming, status: 'complete' as const, content: 'Done.' };
    const state = apply(
      EMPTY,
      latest([streaming]),
      delta(9, 'lost'),
      event(frame('message.completed', { seq: 2, message: done })),
      delta(5, ' late')
    );
    expect(contents(state)).toEqual(['Done.']);
    expect(state.gaps.size).toBe(0);
  });

  it('keeps the reason of its failure', () => {
    const failed = { ...streaming, status: 'failed' as const };
    const state = apply(
      EMPTY,
      latest([streaming]),
      event(frame('message.failed', { seq: 2, message: failed, reason: 'The provider is overloaded.' })),
      latest([failed], 2)
    );
    expect(state.entries[0]?.reason).toBe('The provider is overloaded.');
  });
});

describe('own messages', () => {
  const opened = apply(EMPTY, latest([message(1)]));
  const mine = created(2, { client_id: 'a', content: 'from a' });

  it('are shown at once and replaced by their event', () => {
    const queued = apply(opened, { kind: 'queued', outgoing: outgoing('a') }, { kind: 'sending', client_id: 'a' });
    expect(queued.outbox[0]?.state).toBe('sending');
    const acked = apply(queued, { kind: 'acked', client_id: 'a', seq: 2 });
    expect(acked.outbox[0]?.state).toBe('sent');
    const arrived = apply(acked, event(mine));
    expect(arrived.outbox).toEqual([]);
    expect(contents(arrived)).toEqual(['text 1', 'from a']);
  });

  it('end the same if the event overtakes the acknowledgement', () => {
    const queued = apply(opened, { kind: 'queued', outgoing: outgoing('a') });
    const oneWay = apply(queued, { kind: 'acked', client_id: 'a', seq: 2 }, event(mine));
    const other = apply(queued, event(mine), { kind: 'acked', client_id: 'a', seq: 2 });
    expect(other).toEqual(oneWay);
  });

  it('stay visible behind a gap until it is closed', () => {
    const state = apply(opened, { kind: 'queued', outgoing: outgoing('a') }, event(created(3, { client_id: 'a' })), {
      kind: 'acked',
      client_id: 'a',
      seq: 3
    });
    expect(state.outbox).toHaveLength(1);
    expect(apply(state, event(created(2))).outbox).toEqual([]);
  });

  it('sent before a reload are recognised in the page', () => {
    const state = apply(EMPTY, { kind: 'queued', outgoing: outgoing('a') }, latest([message(1, { client_id: 'a' })]));
    expect(state.outbox).toEqual([]);
    expect(apply(state, { kind: 'queued', outgoing: outgoing('a') }).outbox).toEqual([]);
  });

  it('fail with a reason, and can be retried and discarded', () => {
    const failure = { code: 'too_long', message: 'Too long.' };
    let state = apply(
      opened,
      { kind: 'queued', outgoing: outgoing('a') },
      { kind: 'refused', client_id: 'a', failure }
    );
    expect(state.outbox[0]).toMatchObject({ state: 'failed', failure });
    state = apply(state, { kind: 'waiting', client_id: 'a' });
    expect(state.outbox[0]).toMatchObject({ state: 'waiting', failure: null });
    expect(apply(state, { kind: 'discarded', client_id: 'a' }).outbox).toEqual([]);
  });
});

/** Random steps of the server and of the network. */
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('create' as const), own: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('edit' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const), pick: fc.nat() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('answer' as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('grow' as const), lose: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('complete' as const) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant('deliver' as const), pick: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      older: fc.boolean(),
      limit: fc.integer({ min: 1, max: 5 })
    })
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('arrive' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('ack' as const), pick: fc.nat() }) }
);

describe('any order and duplication of history, live events and resync', () => {
  it('converges to the state of the server', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), (steps) => {
        const server = new ModelServer();
        let state = EMPTY;
        const onTheWay: LogInput[] = [];
        const mine: { clientId: string; seq: number }[] = [];
        let answer: string | null = null;
        let revision = 0;
        const pickOne = <T>(from: readonly T[], at: number): T | undefined => from[at % Math.max(from.length, 1)];
        const request = (part: 'latest' | 'older', limit: number) => {
          const before = part === 'latest' ? Infinity : (state.entries[0]?.message.seq ?? Infinity);
          onTheWay.push({ kind: 'page', part, basis: state.known, ...server.page(before, limit) });
          if (!state.loaded) state = reduce(state, { kind: 'requested' });
        };

        for (const one of steps) {
          switch (one.do) {
            case 'create': {
              if (!one.own) {
                server.create();
                break;
              }
              const clientId = `own${server.lastSeq}`;
              state = reduce(state, { kind: 'queued', outgoing: outgoing(clientId) });
              mine.push({ clientId, seq: server.create({ client_id: clientId }).seq });
              break;
            }
            case 'edit':
              server.write(pickOne(server.messages, one.pick)?.id ?? '', { content: `revision ${++revision}` });
              break;
            case 'delete':
              server.delete(pickOne(server.messages, one.pick)?.id ?? '');
              break;
            case 'answer':
              answer = server.create({ status: 'streaming', content: '' }).id;
              break;
            case 'grow': {
              const have = server.messages.find((other) => other.id === answer);
              if (have?.status !== 'streaming') break;
              const text = ` word${++revision}`;
              server.store(have.id, have.content + text);
              const input: LogInput = {
                kind: 'delta',
                delta: { message_id: have.id, offset: have.content.length, text }
              };
              if (!one.lose) state = reduce(state, input);
              break;
            }
            case 'complete':
              server.write(answer ?? '', { status: 'complete' }, 'message.completed');
              break;
            case 'deliver': {
              const next = pickOne(server.log, one.pick);
              if (next) state = reduce(state, { kind: 'event', frame: next });
              break;
            }
            case 'ask':
              if (one.older ? state.loaded : true)
                request(one.older ? 'older' : 'latest', state.loaded && !one.older ? 5 : one.limit);
              break;
            case 'arrive': {
              const input = pickOne(onTheWay, one.pick);
              // The store requests the newest page only if nothing is loaded.
              if (input?.kind === 'page' && input.part === 'latest' && state.loaded) break;
              if (input) state = reduce(state, input);
              break;
            }
            case 'ack': {
              const sent = pickOne(mine, one.pick);
              if (sent) state = reduce(state, { kind: 'acked', client_id: sent.clientId, seq: sent.seq });
              break;
            }
          }
        }

        if (!state.loaded) {
          request('latest', 5);
          state = reduce(state, onTheWay.at(-1) as LogInput);
        }
        state = reduce(state, { kind: 'heard', seq: server.lastSeq });
        for (const missed of server.log.slice(state.cursor)) state = reduce(state, { kind: 'event', frame: missed });
        for (const late of onTheWay) if (late.kind === 'page' && late.part === 'older') state = reduce(state, late);
        while (state.hasOlder) {
          request('older', 3);
          state = reduce(state, onTheWay.at(-1) as LogInput);
        }
        for (const one of server.messages.filter((other) => other.status === 'streaming')) {
          state = reduce(state, { kind: 'fetched', message: one, basis: state.known });
        }
        for (const sent of mine) state = reduce(state, { kind: 'acked', client_id: sent.clientId, seq: sent.seq });

        expect(isBehind(state)).toBe(false);
        expect(state.early).toEqual([]);
        expect(state.outbox).toEqual([]);
        expect(state.entries.map((entry) => entry.message)).toEqual(server.messages);
      }),
      { numRuns: 2_000 }
    );
  });
});

describe('prompt versions', () => {
  const hello = [message(1, { content: 'a?' }), message(2, { content: 'a!' }), message(3, { content: 'b?' })];
  const asked = event(
    frame('message.updated', { seq: 4, message: message(1, { content: 'a2?' }), branch_changed: true })
  );
  const branchOf = (state: LogState) => state.branch as NonNullable<LogState['branch']>;

  it('remove what followed the previous version and show the new answer', () => {
    const state = apply(EMPTY, latest(hello), asked, event(created(5, { content: '', status: 'streaming' })));
    expect(contents(state)).toEqual(['a2?', '']);
    const read = apply(state, {
      kind: 'branch',
      branch: branchOf(state),
      basis: 5,
      items: [message(5, { content: '' })]
    });
    expect(contents(read)).toEqual(['a2?', '']);
    expect(read.branch).toBeNull();
  });

  it('restore what follows the selected version', () => {
    const left = apply(EMPTY, latest(hello), asked, event(created(5, { content: 'a2!' })));
    const back = event(
      frame('message.updated', { seq: 6, message: message(1, { content: 'a?' }), branch_changed: true })
    );
    const state = apply(left, back);
    expect(contents(state)).toEqual(['a?']);
    expect(
      contents(apply(state, { kind: 'branch', branch: branchOf(state), basis: 6, items: hello.slice(1) }))
    ).toEqual(['a?', 'a!', 'b?']);
    // This page belongs to the version that was selected before.
    const late = apply(state, { kind: 'branch', branch: branchOf(left), basis: 5, items: [message(5)] });
    expect(contents(late)).toEqual(['a?']);
  });
});

describe('tool calls of an answer', () => {
  const streaming = message(1, { status: 'streaming', content: 'Let me look.' });
  const call = (id: string, change: Parameters<typeof toolCall>[1] = {}): LogInput => ({
    kind: 'tool_call',
    messageId: 'm1',
    call: toolCall(id, change)
  });
  const statuses = (state: LogState) =>
    state.entries[0]?.message.tool_calls?.map(({ id, status }) => `${id} ${status}`);

  it('are shown in order with their current state', () => {
    const state = apply(EMPTY, latest([streaming]), call('a', { status: 'waiting' }), call('b'), call('a'));
    expect(statuses(state)).toEqual(['a running', 'b running']);
  });

  it('never return to an earlier state', () => {
    const state = apply(EMPTY, latest([streaming]), call('a', { status: 'done' }), call('a', { status: 'queued' }));
    expect(statuses(state)).toEqual(['a done']);
  });

  it('keep their position in the growing text, and end as reported', () => {
    let state = apply(EMPTY, latest([streaming]), call('a'), {
      kind: 'delta',
      delta: { message_id: 'm1', offset: 12, text: ' Found.' }
    });
    expect(contents(state)).toEqual(['Let me look. Found.']);
    expect(statuses(state)).toEqual(['a running']);
    const done = message(1, { tool_calls: [toolCall('a', { status: 'done' })] });
    state = apply(state, event(frame('message.completed', { seq: 2, message: done })), call('a'));
    expect(statuses(state)).toEqual(['a done']);
  });
});

it('counts each reaction once, removes it, and keeps those of a page', () => {
  const react = (seq: number, user_id: string, type: 'reaction.added' | 'reaction.removed' = 'reaction.added') =>
    event(frame(type, { seq, message_id: 'm1', emoji: '👍', user_id }));
  const thumb = { emoji: '👍', count: 1, user_ids: ['u1'] };
  const page = {
    kind: 'page',
    items: [message(1, { reactions: [thumb] })],
    hasMore: false,
    basis: 2,
    part: 'latest'
  } as const;
  const reactions = (...inputs: LogInput[]) => inputs.reduce(reduce, reduce(EMPTY, page)).entries[0]?.message.reactions;
  expect(reactions(react(2, 'u1'))).toEqual([thumb]);
  expect(reactions(react(4, 'u3'), react(3, 'u2'))).toEqual([{ emoji: '👍', count: 3, user_ids: ['u1', 'u2', 'u3'] }]);
  expect(reactions(react(3, 'u1', 'reaction.removed'))).toEqual([]);
  // The first page was requested before any event, so later events arrive again.
  const late = { ...page, basis: 0 };
  const again = (...inputs: LogInput[]) => inputs.reduce(reduce, reduce(EMPTY, late)).entries[0]?.message.reactions;
  expect(again(react(2, 'u1'))).toEqual([thumb]);
  expect(again(react(2, 'u2', 'reaction.removed'))).toEqual([thumb]);
  expect(again(react(2, 'u1'), react(3, 'u1', 'reaction.removed'))).toEqual([]);
  // The message isn't loaded.
  const other = event(frame('reaction.added', { seq: 3, message_id: 'm9', emoji: '👍', user_id: 'u2' }));
  expect(reactions(other)).toEqual([thumb]);
});

it('shows own reactions at once, counts them once, and reverts refused ones', () => {
  const input = (kind: 'reacting' | 'not_reacting') => (isAdded: boolean) =>
    ({ kind, reacting: { message_id: 'm1', emoji: '👍', user_id: 'me', isAdded } }) as const;
  const [reacting, refused] = [input('reacting'), input('not_reacting')];
  const told = (seq: number, isAdded: boolean) =>
    event(frame(`reaction.${isAdded ? 'added' : 'removed'}`, { seq, message_id: 'm1', emoji: '👍', user_id: 'me' }));
  // Seven people have reacted, of whom three are listed.
  const many = { emoji: '👍', count: 7, user_ids: ['u1', 'u2', 'me'] };
  const without = { emoji: '👍', count: 6, user_ids: ['u1', 'u2'] };
  const page = (reactions: (typeof many)[]) =>
    ({ kind: 'page', items: [message(1, { reactions })], hasMore: false, basis: 2, part: 'latest' }) as const;
  const after = (first: (typeof many)[], ...inputs: LogInput[]) =>
    inputs.reduce(reduce, reduce(EMPTY, page(first))).entries[0]?.message.reactions;
  const one = [{ emoji: '👍', count: 1, user_ids: ['me'] }];
  expect(after([], reacting(true))).toEqual(one);
  expect(after([], reacting(true), told(3, true))).toEqual(one);
  expect(after([], reacting(true), reacting(false))).toEqual([]);
  expect(after([], reacting(true), refused(true))).toEqual([]);
  expect(after([many], reacting(false))).toEqual([without]);
  expect(after([many], reacting(false), refused(false))).toEqual([many]);
  // The reaction existed before, so it stays: only the response was lost.
  expect(after([many], reacting(true), refused(true))).toEqual([many]);
  expect(after([], reacting(true), told(3, true), refused(true))).toEqual(one);
  expect(after([many], reacting(false), told(3, false), refused(false))).toEqual([without]);
  // The rejection arrives after the reaction was removed.
  expect(after([], reacting(true), reacting(false), refused(true))).toEqual([]);
  expect(after([many], reacting(false), told(3, false))).toEqual([without]);
  expect(after([many], reacting(false), reacting(true))).toEqual([many]);
  // The reaction was removed and added on another device before this one received the events.
  expect(after([many], reacting(false), told(3, false), told(4, true))).toEqual([many]);
  // The page was loaded before the reaction was removed.
  expect(after([many], reacting(false), page([many]), told(3, false))).toEqual([without]);
});

it('takes the latest poll results and keeps the question', () => {
  const results = (first: number, second: number) => ({
    options: [first, second].map((votes) => ({ votes, user_ids: [] })),
    voters: first + second
  });
  const poll = { options: ['Yes', 'No'], multiple: false, anonymous: true, results: results(0, 0) };
  const voted = (seq: number, one: number, two: number) =>
    event(frame('poll.updated', { seq, message_id: 'm1', results: results(one, two) }));
  const state = apply(EMPTY, latest([message(1, { poll })]), voted(3, 0, 1), voted(2, 1, 0), voted(2, 5, 5));
  expect(state.entries[0]?.message.poll).toEqual({ ...poll, results: results(0, 1) });
  expect(apply(EMPTY, latest([message(1)]), voted(2, 1, 0)).entries[0]?.message.poll).toBeUndefined();
});
