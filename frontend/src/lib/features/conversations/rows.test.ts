import fc from '#lib/util/property-testing.ts';
import { describe, expect, it } from 'vitest';
import type { Message, Sender } from '#lib/api/types.ts';
import { hasMore, RowBuilder, type Reader, type Row } from './rows.ts';
import type { Entry } from '#lib/realtime/state.ts';
import { message, outgoing } from './testing.ts';

const me: Sender = { kind: 'user', id: 'me', name: 'Elena' };
const reader: Reader = { me, unreadFrom: null };
const entry = (seq: number, change: Partial<Message> = {}): Entry => ({
  message: message(seq, change),
  version: seq,
  reason: null
});
const at = (time: string) => ({ created_at: new Date(`2026-11-20T${time}`).toISOString() });
const shape = (rows: readonly Row[]) =>
  rows.map((row) =>
    [row.opensDay ? 'd' : '', row.opensUnread ? 'u' : '', row.isHead ? 'h' : '', row.isTail ? 't' : ''].join('')
  );

describe('RowBuilder', () => {
  it('distinguishes plain messages from those with a footer', () => {
    const isMore = (change: Partial<Message>) =>
      hasMore(new RowBuilder().build([entry(1, change)], [], reader)[0]!.view);
    expect(isMore({})).toBe(false);
    expect(isMore({ reactions: [{ emoji: '👍', count: 1, user_ids: ['u2'] }] })).toBe(true);
    expect(isMore({ pinned_at: '2026-11-20T09:00:00Z' })).toBe(true);
    expect(isMore({ hidden_at: '2026-11-20T09:00:00Z' })).toBe(true);
    expect(isMore({ sender: { kind: 'assistant', id: 'q', name: 'Quill' } })).toBe(true);
  });

  it('groups messages of one author within a minute', () => {
    const entries = [
      entry(1, at('09:00:00')),
      entry(2, at('09:00:50')),
      entry(3, at('09:02:00')),
      entry(4, { ...at('09:02:10'), sender: { kind: 'user', id: 'u2', name: 'Jonas' } })
    ];
    expect(shape(new RowBuilder().build(entries, [], reader))).toEqual(['dh', 't', 'ht', 'ht']);
  });

  it('starts a group at a new day, the unread line and a reply', () => {
    const entries = [
      entry(1, at('23:59:50')),
      entry(2, { created_at: new Date('2026-11-21T00:00:05').toISOString() }),
      entry(3, { created_at: new Date('2026-11-21T00:00:06').toISOString() }),
      entry(4, { created_at: new Date('2026-11-21T00:00:07').toISOString(), reply_to: 'm1' })
    ];
    expect(shape(new RowBuilder().build(entries, [], { me, unreadFrom: 3 }))).toEqual(['dht', 'dht', 'uht', 'ht']);
  });

  it('starts a group after a message with replies, also when the first reply arrives', () => {
    const thread = { reply_count: 1, last_reply_at: at('09:01:00').created_at } as Message['thread'];
    const entries = [entry(1, at('09:00:00')), entry(2, at('09:00:10')), entry(3, at('09:00:20'))];
    const builder = new RowBuilder();
    expect(shape(builder.build(entries, [], reader))).toEqual(['dh', '', 't']);
    const replied = entries.with(0, entry(1, { ...at('09:00:00'), thread }));
    expect(shape(builder.build(replied, [], reader))).toEqual(['dht', 'h', 't']);
  });

  it('keeps the key of an own message when its event arrives', () => {
    const builder = new RowBuilder();
    const before = builder.build([], [outgoing('a')], reader);
    const after = builder.build([entry(1, { client_id: 'a', sender: me })], [], reader);
    expect(before[0]?.key).toBe('a');
    expect(after[0]?.key).toBe('a');
    expect(after[0]?.view).toMatchObject({ own: true, sending: null });
  });

  it('does not group answers of an assistant', () => {
    const assistant: Sender = { kind: 'assistant', id: 'q', name: 'Quill' };
    expect(
      shape(new RowBuilder().build([entry(1, { sender: assistant }), entry(2, { sender: assistant })], [], reader))
    ).toEqual(['dht', 'ht']);
  });

  it('reuses unchanged rows', () => {
    const builder = new RowBuilder();
    const entries = Array.from({ length: 50 }, (_, index) => entry(index + 1));
    const before = builder.build(entries, [], reader);
    const streamed = entries.with(49, entry(50, { content: 'more' }));
    const after = builder.build(streamed, [], reader);
    expect(after.filter((row, index) => row !== before[index])).toHaveLength(1);
    const older = builder.build([entry(0), ...streamed], [], reader);
    expect(older.filter((row) => !after.includes(row)).map((row) => row.view.seq)).toEqual([0, 1]);
  });

  it('reuses the list when nothing changed', () => {
    const builder = new RowBuilder();
    const entries = [entry(1), entry(2)];
    const rows = builder.build(entries, [], reader);
    const outbox: [] = [];
    const again = builder.build(entries, outbox, { ...reader });
    expect(again).toEqual(rows);
    expect(builder.build(entries, outbox, { ...reader })).toBe(again);
    expect(builder.build(entries, outbox, { ...reader, unreadFrom: 2 })).not.toBe(again);
  });

  it('produces the same rows incrementally as at once', () => {
    const change = fc.oneof(
      fc.record({
        do: fc.constant('append' as const),
        gap: fc.constantFrom(0, 10, 20, 50, 61),
        who: fc.constantFrom('me', 'u1', 'u2')
      }),
      fc.record({
        do: fc.constant('prepend' as const),
        gap: fc.constantFrom(0, 10, 20, 50, 61),
        who: fc.constantFrom('me', 'u1')
      }),
      fc.record({ do: fc.constant('edit' as const), pick: fc.nat() }),
      fc.record({ do: fc.constant('remove' as const), pick: fc.nat() }),
      fc.record({ do: fc.constant('send' as const) })
    );
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 40, size: 'max' }),
        fc.option(fc.integer({ min: 995, max: 1010 })),
        (changes, unreadFrom) => {
          const builder = new RowBuilder();
          let entries: Entry[] = [];
          let outbox: ReturnType<typeof outgoing>[] = [];
          let first = 1000;
          let last = 999;
          let start = Date.parse('2026-11-20T23:50:00');
          let end = start;
          for (const one of changes) {
            if (one.do === 'append') {
              end += one.gap * 1_000;
              entries = [
                ...entries,
                entry(++last, {
                  sender: { kind: 'user', id: one.who, name: '' },
                  created_at: new Date(end).toISOString()
                })
              ];
            } else if (one.do === 'prepend') {
              start -= one.gap * 1_000;
              entries = [
                entry(--first, {
                  sender: { kind: 'user', id: one.who, name: '' },
                  created_at: new Date(start).toISOString()
                }),
                ...entries
              ];
            } else if (one.do === 'send') {
              outbox =
                outbox.length > 2
                  ? []
                  : [...outbox, outgoing(`o${last}-${outbox.length}`, { created_at: new Date(end).toISOString() })];
            } else if (entries.length > 0) {
              const index = one.pick % entries.length;
              const have = entries[index] as Entry;
              entries =
                one.do === 'edit'
                  ? entries.with(index, { ...have, message: { ...have.message, content: 'edited' } })
                  : entries.toSpliced(index, 1);
            }
            const rows = builder.build(entries, outbox, { me, unreadFrom });
            expect(rows).toEqual(new RowBuilder().build(entries, outbox, { me, unreadFrom }));
          }
        }
      ),
      { numRuns: 300 }
    );
  });
});
