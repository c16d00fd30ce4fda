import { ApiError, type Api } from '#lib/api/client.ts';
import type { BoardColumn, BoardFrame, NewTask, Task, TaskChange } from '../api.ts';
import type { HelloPayload, Id, Page, ServerFrame } from '#lib/api/types.ts';
import { renameUser } from '#lib/realtime/user-rename.ts';
import { comparePositions, positionBetween } from '../logic/position.ts';

const PAGE_SIZE = 200;
/** Delay in milliseconds before a reload, so that several gaps cause a single one. */
const RELOAD_DELAY = 200;
/** Maximum number of tasks that the server archives per request. */
const MAX_ARCHIVED = 500;

/** Methods of the connection that the board uses. */
export interface BoardUpdates {
  on(handler: (frame: ServerFrame) => void): () => void;
  onConnect(handler: (hello: HelloPayload) => void): () => void;
}

/** Board of a conversation: loaded once, updated by events, and reloaded if its version number shows that events are missing. */
export class BoardStore {
  columns = $state.raw<readonly BoardColumn[]>([]);
  #tasks = $state.raw<ReadonlyMap<Id, Task>>(new Map());
  isLoaded = $state(false);
  error = $state<unknown>(null);

  readonly #api: Pick<Api, 'get' | 'post' | 'patch' | 'delete'>;
  readonly #id: Id;
  readonly #filter: { from_message?: true };
  #version = 0;
  #turn = 0;
  /** Events that arrive during loading; they are applied after it. Null at other times. */
  #pendingFrames: BoardFrame[] | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** `onlyFromMessages`: loads only the tasks that were created from messages. */
  constructor(api: Pick<Api, 'get' | 'post' | 'patch' | 'delete'>, id: Id, { onlyFromMessages = false } = {}) {
    this.#api = api;
    this.#id = id;
    this.#filter = onlyFromMessages ? { from_message: true } : {};
  }

  /** Tasks of each column, in order. */
  readonly #ordered = $derived.by(() => {
    const columns = new Map<Id, Task[]>(this.columns.map(({ id }) => [id, []]));
    for (const task of this.#tasks.values()) columns.get(task.column_id)?.push(task);
    for (const tasks of columns.values())
      tasks.sort((a, b) => comparePositions(a.position, b.position) || comparePositions(a.id, b.id));
    return columns;
  });

  tasksIn(columnId: Id): readonly Task[] {
    return this.#ordered.get(columnId) ?? [];
  }

  get(id: Id): Task | undefined {
    return this.#tasks.get(id);
  }

  get tasks(): Task[] {
    return [...this.#tasks.values()];
  }

  get count(): number {
    return this.#tasks.size;
  }

  column(id: Id): BoardColumn | undefined {
    return this.columns.find((column) => column.id === id);
  }

  async load(): Promise<void> {
    this.#turn += 1;
    const turn = this.#turn;
    this.#pendingFrames = [];
    this.error = null;
    try {
      const head = await this.#api.get(`/conversations/${this.#id}/board`);
      const first = await this.#page(1);
      const rest = Array.from({ length: Math.max(0, Math.ceil(first.total / PAGE_SIZE) - 1) }, (_, at) => at + 2);
      const pages = [first, ...(await Promise.all(rest.map((page) => this.#page(page))))];
      if (turn !== this.#turn) return;
      this.#version = head.version;
      this.columns = head.columns;
      this.#tasks = new Map(pages.flatMap(({ items }) => items).map((task) => [task.id, task]));
      this.isLoaded = true;
      const pending = this.#pendingFrames;
      this.#pendingFrames = null;
      pending
        .sort((a, b) => a.payload.board_version - b.payload.board_version)
        .forEach((frame) => this.#applyFrame(frame));
    } catch (error) {
      if (turn !== this.#turn) return;
      this.#pendingFrames = null;
      this.error = error;
    }
  }

  retry(): Promise<void> {
    return this.load();
  }

  /** Updates the board on events; returns a function that stops this. */
  follow(live: BoardUpdates): () => void {
    const leave = live.on((frame) => {
      if (frame.type === 'resync') {
        const named = frame.payload.conversation_ids;
        if (!named || named.includes(this.#id)) this.#scheduleReload();
        return;
      }
      if (frame.type === 'user.changed') {
        this.#tasks = new Map([...this.#tasks].map(([id, task]) => [id, renameUser(task, frame.payload)]));
        return;
      }
      const told: { type: string } = frame;
      if (isOfBoard(told) && told.payload.conversation_id === this.#id) this.#handleFrame(told);
    });
    const unsubscribeConnect = live.onConnect(({ conversations }) => {
      const version = conversations.find(({ id }) => id === this.#id)?.board_version ?? 0;
      if (this.isLoaded && version !== this.#version) this.#scheduleReload();
    });
    return () => {
      clearTimeout(this.#timer);
      leave();
      unsubscribeConnect();
    };
  }

  /** Returns a task of the board, or fetches it if it is archived. */
  async find(id: Id): Promise<Task> {
    return this.#tasks.get(id) ?? (await this.#api.get(`/tasks/${id}`));
  }

  async createColumn(name: string, done = false): Promise<void> {
    const path = `/conversations/${this.#id}/board/columns` as const;
    this.#upsertColumn(await this.#api.post(path, { name, done }));
  }

  async changeColumn(id: Id, change: { name?: string; done?: boolean; position?: number }): Promise<void> {
    this.#upsertColumn(await this.#api.patch(`/columns/${id}`, change));
  }

  async removeColumn(id: Id): Promise<void> {
    await this.#api.delete(`/columns/${id}`);
    this.columns = this.columns.filter((column) => column.id !== id);
  }

  /** Archives all tasks of a column; returns their number. */
  async archiveColumn(id: Id): Promise<number> {
    let count = 0;
    for (;;) {
      const told = await this.#api.post(`/columns/${id}/archive`, {});
      count += told.count;
      if (told.count < MAX_ARCHIVED) return count;
    }
  }

  async create(input: NewTask): Promise<Task> {
    const task = await this.#api.post(`/conversations/${this.#id}/tasks`, input);
    this.#upsertTask(task);
    return task;
  }

  /** Changes a task. If `seen` isn't its current version, the change is rejected and the task is reloaded. */
  async change(seen: Task, input: TaskChange): Promise<Task> {
    try {
      const task = await this.#api.patch(`/tasks/${seen.id}`, { ...input, version: seen.version });
      this.#upsertTask(task);
      return task;
    } catch (error) {
      if (error instanceof ApiError && error.code === 'stale')
        this.#upsertTask(await this.#api.get(`/tasks/${seen.id}`));
      throw error;
    }
  }

  /** Restores an archived task. */
  async restore(id: Id): Promise<void> {
    this.#upsertTask(await this.#api.patch(`/tasks/${id}`, { archived: false }));
  }

  /** Moves a task to index `at` of a column and shows that before the server has confirmed it. */
  async move(id: Id, columnId: Id, at: number): Promise<void> {
    const before = this.moveLocally(id, columnId, at);
    if (before) await this.saveMove(before);
  }

  /** Moves a task on this device only; returns it as it was before. */
  moveLocally(id: Id, columnId: Id, at: number): Task | undefined {
    const task = this.#tasks.get(id);
    if (!task) return undefined;
    const others = this.tasksIn(columnId).filter((other) => other.id !== id);
    const position = positionBetween(others[at - 1]?.position ?? null, others[at]?.position ?? null);
    this.#set({ ...task, column_id: columnId, position });
    return task;
  }

  /** Sends the current position of a task that was moved by `moveLocally`; reverts the move if that fails. */
  async saveMove(before: Task): Promise<void> {
    const now = this.#tasks.get(before.id);
    if (!now || (now.column_id === before.column_id && now.position === before.position)) return;
    const { column_id, position } = now;
    try {
      this.#upsertTask(await this.#api.patch(`/tasks/${before.id}`, { column_id, position }));
    } catch (error) {
      this.revertMove(before);
      throw error;
    }
  }

  /** Reverts a move by `moveLocally`, unless an event has changed the task since. */
  revertMove(before: Task): void {
    if (this.#tasks.get(before.id)?.version === before.version) this.#set(before);
  }

  async remove({ id, version }: Task): Promise<void> {
    await this.#api.delete(`/tasks/${id}?version=${version}`);
    this.#removeTask(id);
  }

  #page(page: number): Promise<Page<Task>> {
    return this.#api.get(`/conversations/${this.#id}/tasks`, {
      ...this.#filter,
      page,
      page_size: PAGE_SIZE
    });
  }

  #handleFrame(frame: BoardFrame): void {
    if (this.#pendingFrames) this.#pendingFrames.push(frame);
    else if (this.isLoaded) this.#applyFrame(frame);
  }

  #applyFrame(frame: BoardFrame): void {
    const { board_version } = frame.payload;
    if (board_version <= this.#version) return;
    // Events are missing or arrive out of order: this one is applied, and the board is reloaded soon.
    if (board_version > this.#version + 1) this.#scheduleReload();
    else this.#version = board_version;
    switch (frame.type) {
      case 'task.created':
      case 'task.updated':
        this.#upsertTask(frame.payload.task);
        return;
      case 'task.deleted':
        this.#removeTask(frame.payload.task_id);
        return;
      case 'column.created':
      case 'column.updated':
        this.#upsertColumn(frame.payload.column);
        return;
      case 'column.deleted':
        this.columns = this.columns.filter(({ id }) => id !== frame.payload.column_id);
        return;
    }
  }

  /** Adds or replaces a task. Responses and events may arrive in any order, so the later version stays. */
  #upsertTask(task: Task): void {
    const have = this.#tasks.get(task.id);
    if (have && have.version > task.version) return;
    if (task.archived_at) this.#removeTask(task.id);
    else this.#set(task);
  }

  #set(task: Task): void {
    this.#tasks = new Map(this.#tasks).set(task.id, task);
  }

  #removeTask(id: Id): void {
    const tasks = new Map(this.#tasks);
    tasks.delete(id);
    this.#tasks = tasks;
  }

  #upsertColumn(column: BoardColumn): void {
    const others = this.columns.filter(({ id }) => id !== column.id);
    this.columns = [...others, column].sort((a, b) => comparePositions(a.position, b.position));
  }

  #scheduleReload(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.load(), RELOAD_DELAY);
  }
}

function isOfBoard(frame: { type: string }): frame is BoardFrame {
  return /^(task|column)\./.test(frame.type);
}
