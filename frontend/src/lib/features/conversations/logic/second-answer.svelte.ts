import type { ToolCall } from '#lib/api/tools.ts';
import type { Message, ServerFrame } from '#lib/api/types.ts';

type Delta = Extract<ServerFrame, { type: 'message.delta' }>['payload'];

/** Second answer of a comparison. It isn't in the log of a conversation, so its events are collected here. */
export class SecondAnswer {
  /** Answer in its current state; null until the server has started it. */
  message = $state.raw<Message | null>(null);
  /** Number of the version that the answer becomes in the chat; null while one of the answers is streaming. */
  version = $state.raw<number | null>(null);
  calls = $state.raw<readonly ToolCall[]>([]);
  /** Events that arrived before the id of the answer was known. */
  #pendingFrames: ServerFrame[] = [];
  /** Deltas that can't be applied because an earlier one is missing. The finished answer will contain the whole text. */
  #pendingDeltas: Delta[] = [];

  /** Sets the answer that the server has started, and applies the events that arrived before. */
  start(message: Message): void {
    this.message = message;
    const pending = this.#pendingFrames;
    this.#pendingFrames = [];
    for (const frame of pending) this.handleFrame(frame);
  }

  handleFrame(frame: ServerFrame): void {
    switch (frame.type) {
      case 'message.delta':
      case 'message.tool_call':
      case 'message.compared':
        break;
      default:
        return;
    }
    if (!this.message) {
      this.#pendingFrames.push(frame);
    } else if (frame.type === 'message.compared') {
      const { message, version } = frame.payload;
      if (message.id !== this.message.id) return;
      this.message = message;
      this.version = version ?? this.version;
      this.#pendingDeltas = [];
    } else if (frame.payload.message_id === this.message.id) {
      if (frame.type === 'message.delta') this.#applyDelta(frame.payload);
      else this.#applyToolCall(frame.payload.call);
    }
  }

  #applyDelta(delta: Delta): void {
    this.#pendingDeltas = [...this.#pendingDeltas, delta].sort((one, other) => one.offset - other.offset);
    while (this.message?.status === 'streaming') {
      const { content } = this.message;
      const [next] = this.#pendingDeltas;
      if (next === undefined || next.offset > content.length) break;
      this.#pendingDeltas = this.#pendingDeltas.slice(1);
      if (content.startsWith(next.text, next.offset)) continue;
      this.message = { ...this.message, content: content.slice(0, next.offset) + next.text };
    }
  }

  #applyToolCall(call: ToolCall): void {
    const others = this.calls.filter(({ id }) => id !== call.id);
    this.calls = [...others, call];
  }
}
