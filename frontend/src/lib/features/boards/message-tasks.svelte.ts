import type { Api } from '#lib/api/client.ts';
import type { Task } from './api.ts';
import type { Id } from '#lib/api/types.ts';
import type { App } from '#lib/app/app.ts';
import type { ConversationView } from '#lib/features/conversations/conversation-view.svelte.ts';
import { BoardStore, type BoardUpdates } from './stores/board.svelte.ts';

interface Created {
  type: 'task.created';
  payload: { conversation_id: Id; task: Task };
}

const NONE: readonly Task[] = [];

/** Tasks that were created from messages of a conversation. The board is loaded only if there are any. */
export class MessageTasksStore {
  readonly #api: Pick<Api, 'get' | 'post' | 'patch' | 'delete'>;
  readonly #id: Id;
  readonly #board: BoardStore;
  #isReading = false;

  constructor(api: Pick<Api, 'get' | 'post' | 'patch' | 'delete'>, conversationId: Id) {
    this.#api = api;
    this.#id = conversationId;
    this.#board = new BoardStore(api, conversationId, { onlyFromMessages: true });
  }

  readonly #byMessage = $derived.by(() => Map.groupBy(this.#board.tasks, ({ message_id }) => message_id));

  of(messageId: Id | null): readonly Task[] {
    if (messageId === null) return NONE;
    return this.#byMessage.get(messageId) ?? NONE;
  }

  isDone({ column_id }: Task): boolean {
    return this.#board.column(column_id)?.done ?? false;
  }

  /** Loads the tasks and updates them on events; returns a function that stops this. */
  open(live: BoardUpdates): () => void {
    const leave = this.#board.follow(live);
    const leaveFirst = live.on((frame: { type: string }) => {
      if (frame.type !== 'task.created') return;
      const { conversation_id, task } = (frame as Created).payload;
      if (conversation_id === this.#id && task.message_id) void this.#read();
    });
    void this.#load();
    return () => {
      leave();
      leaveFirst();
    };
  }

  async #load(): Promise<void> {
    try {
      const query = { from_message: true, page_size: 1 };
      const { total } = await this.#api.get(`/conversations/${this.#id}/tasks`, query);
      if (total > 0) await this.#read();
    } catch {
      // The tasks are optional; loading is tried again at the next visit.
    }
  }

  async #read(): Promise<void> {
    // Once the board is loaded, it updates itself.
    if (this.#isReading || this.#board.isLoaded) return;
    this.#isReading = true;
    await this.#board.load();
    this.#isReading = false;
  }
}

/** Shows the tasks that were created from messages of the conversation. */
export function showTasks(app: App, conversationView: ConversationView): void {
  if (conversationView.pending) return;
  const tasks = new MessageTasksStore(app.api, conversationView.id);
  conversationView.tasks = tasks;
  conversationView.onClose(tasks.open(app.connection));
}
