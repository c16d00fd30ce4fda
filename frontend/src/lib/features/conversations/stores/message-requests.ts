import type { AnswerDetails } from '#lib/api/assistants.ts';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { ToolAllowance, ToolCall, ToolDecision } from '#lib/api/tools.ts';
import type { Mention, Message } from '#lib/api/types.ts';
import type { ConversationLog } from '../conversation-log.svelte.ts';

/** Requests on messages of a conversation whose results go into its log. */
export class MessageRequests {
  readonly #api: Api;
  readonly #log: ConversationLog;

  constructor(api: Api, log: ConversationLog) {
    this.#api = api;
    this.#log = log;
  }

  /** Replaces the text and the mentions. New mentions of many people have to be confirmed. */
  edit(id: string, content: string, mentions: readonly Mention[], confirm = false): Promise<void> {
    const body = { content, mentions, ...(confirm && { confirm }) };
    return this.change(() => this.#api.patch(`/messages/${id}`, body));
  }

  /** Replaces the text of a prompt and requests a new answer; the old text stays as a version. */
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

  /** Removes the link previews for everybody; an event follows. */
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

  /** Requests another answer, optionally of another model. */
  async regenerate(id: string, model?: string): Promise<void> {
    await this.#api.post(`/messages/${id}/regenerate`, model === undefined ? undefined : { model });
  }

  /** Requests a second answer of another model. It belongs to no conversation. */
  compare(id: string, model: string): Promise<Message> {
    return this.#api.post(`/messages/${id}/compare`, { model });
  }

  /** Fetches usage, tool calls and reasoning of an answer. */
  details(id: string): Promise<AnswerDetails> {
    return this.#api.get(`/messages/${id}/details`);
  }

  /** Returns a message, fetched if it is not loaded; null if it was deleted. */
  async fetch(id: string): Promise<Message | null> {
    const have = this.#log.find(id);
    if (have || this.#log.isGone(id)) return have;
    try {
      const message = await this.#api.get(`/messages/${id}`);
      return message.deleted_at ? null : message;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  /** Applies the message that a request returns, unless a later event has changed it. */
  async change(request: () => Promise<Message>): Promise<void> {
    const basis = this.#log.known;
    this.#log.apply({ kind: 'fetched', message: await request(), basis });
  }
}
