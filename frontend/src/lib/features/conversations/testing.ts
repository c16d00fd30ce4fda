/** Test data, and a small model of the server's log of a conversation. */
import type { ToolCall } from '#lib/api/tools.ts';
import type { DurableFrame, Message } from '#lib/api/types.ts';
import type { Outgoing } from '#lib/realtime/state.ts';

export function message(seq: number, change: Partial<Message> = {}): Message {
  return {
    id: `m${seq}`,
    conversation_id: 'c1',
    seq,
    no: seq,
    client_id: null,
    sender: { kind: 'user', id: 'u1', name: 'Mai' },
    content: `text ${seq}`,
    status: 'complete',
    reply_to: null,
    attachments: [],
    reactions: [],
    edited_at: null,
    deleted_at: null,
    created_at: '2026-11-20T09:00:00.000Z',
    ...change
  };
}

export function toolCall(id: string, change: Partial<ToolCall> = {}): ToolCall {
  return {
    id,
    server: 'Traces',
    tool: 'query',
    title: null,
    status: 'running',
    arguments: '{"zone":"eu-west"}',
    result: null,
    at: 0,
    asker_id: 'u1',
    expires_at: null,
    duration_ms: null,
    ...change
  };
}

type PayloadOf<Type> = Extract<DurableFrame, { type: Type }>['payload'];

export function frame<Type extends DurableFrame['type']>(
  type: Type,
  payload: Omit<PayloadOf<Type>, 'conversation_id'>
): DurableFrame {
  return {
    id: `${type}-${String((payload as { seq: number }).seq)}`,
    type,
    timestamp: '2026-11-20T09:00:00.000Z',
    payload: { conversation_id: 'c1', ...payload }
  } as DurableFrame;
}

export const created = (seq: number, change: Partial<Message> = {}) =>
  frame('message.created', { seq, message: message(seq, change) });

export function outgoing(clientId: string, change: Partial<Outgoing> = {}): Outgoing {
  return {
    client_id: clientId,
    conversation_id: 'c1',
    content: `from ${clientId}`,
    reply_to: null,
    created_at: '2026-11-20T09:00:00.000Z',
    state: 'waiting',
    failure: null,
    seq: null,
    ...change
  };
}

/** Conversation as the server has it: its state and log. */
export class ModelServer {
  readonly log: DurableFrame[] = [];
  readonly #messages = new Map<string, Message>();

  get lastSeq(): number {
    return this.log.length;
  }

  get messages(): Message[] {
    return [...this.#messages.values()].sort((a, b) => a.seq - b.seq);
  }

  create(change: Partial<Message> = {}): Message {
    const seq = this.lastSeq + 1;
    const made = message(seq, change);
    this.#messages.set(made.id, made);
    this.log.push(frame('message.created', { seq, message: made }));
    return made;
  }

  write(id: string, change: Partial<Message>, type: 'message.updated' | 'message.completed' = 'message.updated'): void {
    const have = this.#messages.get(id);
    if (!have) return;
    const seq = this.lastSeq + 1;
    const made = { ...have, ...change };
    this.#messages.set(id, made);
    this.log.push(frame(type, { seq, message: made }));
  }

  /** Stores a text without an event, as the server does for streaming answers. */
  store(id: string, content: string): void {
    const have = this.#messages.get(id);
    if (have) this.#messages.set(id, { ...have, content });
  }

  delete(id: string): void {
    if (!this.#messages.delete(id)) return;
    this.log.push(frame('message.deleted', { seq: this.lastSeq + 1, message_id: id }));
  }

  page(beforeSeq: number, limit: number): { items: Message[]; hasMore: boolean } {
    const before = this.messages.filter((one) => one.seq < beforeSeq);
    return { items: before.slice(-limit), hasMore: before.length > limit };
  }
}
