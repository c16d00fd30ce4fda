import type { AnswerDetails } from '#lib/api/assistants.ts';
import type { Api } from '#lib/api/client.ts';
import type { ToolAllowance, ToolCall, ToolDecision } from '#lib/api/tools.ts';
import type { Mention, Message } from '#lib/api/types.ts';
import type { ConversationLog } from './conversation-log.svelte.ts';
import { perView } from './per-view.ts';

/** Requests about messages of a conversation, whose results are applied to its log. */
export class MessageRequests {
  readonly #api: Api;
  readonly #log: ConversationLog;

  constructor(api: Api, log: ConversationLog) {
    this.#api = api;
    this.#log = log;
  }

  /** Replaces the text and the mentions. If new mentions notify many people, the server requires `confirm`. */
  edit(id: string, content: string, mentions: readonly Mention[], confirm = false): Promise<void> {
    const body = { content, mentions, ...(confirm && { confirm }) };
    return this.change(() => this.#api.patch(`/messages/${id}`, body));
  }

  /** Replaces the text of a question and requests a new answer. The old text stays as a version. */
  editAndAskAgain(id: string, content: string): Promise<void> {
    return this.change(() => this.#api.post(`/messages/${id}/versions`, { content }));
  }

  showVersion(id: string, index: number): Promise<void> {
    return this.change(() => this.#api.put(`/messages/${id}/version`, { index }));
  }

  async remove(id: string): Promise<void> {
    await this.#api.delete(`/messages/${id}`);
    this.#log.apply({ kind: 'removed', id });
  }

  /** Removes the link previews of a message for everyone. The log is updated by the event about that. */
  async removePreviews(id: string): Promise<void> {
    await this.#api.delete(`/messages/${id}/previews`);
  }

  async stop(id: string): Promise<void> {
    await this.#api.post(`/messages/${id}/stop`);
  }

  /** Allows or denies a tool call of an answer. */
  async decide(messageId: string, callId: string, decision: ToolDecision, more: ToolAllowance = {}): Promise<void> {
    const body = { decision, ...more };
    const call = await this.#api.post(`/messages/${messageId}/tool_calls/${callId}`, body);
    this.#log.apply({ kind: 'tool_call', messageId, call });
  }

  /** Fetches a tool call with its complete arguments and the parameters of the tool. */
  toolCall(messageId: string, callId: string): Promise<ToolCall> {
    return this.#api.get(`/messages/${messageId}/tool_calls/${callId}`);
  }

  /** Requests another answer, of another model if that is given. */
  async regenerate(id: string, model?: string): Promise<void> {
    await this.#api.post(`/messages/${id}/regenerate`, model === undefined ? undefined : { model });
  }

  /** Requests a second answer, of another model. It doesn't appear in the conversation. */
  compare(id: string, model: string): Promise<Message> {
    return this.#api.post(`/messages/${id}/compare`, { model });
  }

  /** Fetches usage, tool calls and reasoning of an answer. */
  details(id: string): Promise<AnswerDetails> {
    return this.#api.get(`/messages/${id}/details`);
  }

  /** Sends a request and applies the message that it returns, unless a later event has changed that. */
  async change(request: () => Promise<Message>): Promise<void> {
    const basis = this.#log.lastKnownSeq;
    this.#log.apply({ kind: 'fetched', message: await request(), basis });
  }
}

export const requestsOf = perView(({ app, log }) => new MessageRequests(app.api, log));
