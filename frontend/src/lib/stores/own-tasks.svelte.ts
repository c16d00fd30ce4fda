import type { Api } from '#lib/api/client.ts';
import type { OwnTask } from '#lib/api/boards.ts';
import type { Id } from '#lib/api/types.ts';
import type { Line } from './line.ts';
import { Listing } from './listing.svelte.ts';

const PAGE_SIZE = 100;
/** Several changes at once are one reason to look. */
const LOOK_AFTER = 300;

/** What one is to do, on all boards. */
export class OwnTasks {
  /** Done ones, in place of the others. */
  isDone = $state(false);
  readonly list: Listing<OwnTask>;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(api: Pick<Api, 'get'>) {
    this.list = new Listing(
      (page) => api.get('/tasks', { assignee: 'me', done: this.isDone, page, page_size: PAGE_SIZE }),
      ({ id }) => id
    );
  }

  show(isDone: boolean): Promise<void> {
    this.isDone = isDone;
    this.list.items = [];
    this.list.page = 0;
    return this.list.load();
  }

  /** Takes up what is told of them; answers how to stop that. */
  follow(line: Line): () => void {
    const leave = line.on(({ type }: { type: string }) => {
      if (type === 'tasks.own' || type === 'resync') this.#lookSoon();
    });
    const leaveReturn = line.onReturn(this.list, () => this.#lookSoon());
    return () => {
      clearTimeout(this.#timer);
      leave();
      leaveReturn();
    };
  }

  get(id: Id): OwnTask | undefined {
    return this.list.items.find((task) => task.id === id);
  }

  #lookSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.list.load(), LOOK_AFTER);
  }
}
