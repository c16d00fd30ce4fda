/** Knowledge files of an assistant, section or workspace, including those that are being uploaded. */
import { SvelteMap } from 'svelte/reactivity';
import { ApiError, newId, type Api } from '#lib/api/client.ts';
import type { Upload } from '#lib/api/files.ts';
import type { Knowledge as State, KnowledgeFile, KnowledgeOwner } from '../api.ts';
import type { Id } from '#lib/api/types.ts';
import { upload as send, type Request } from '#lib/api/upload.ts';
import { errorMessage } from '#lib/api/error-messages.ts';
import { formatBytes } from '#lib/i18n/bytes.ts';
import { m } from '#lib/paraglide/messages.js';
import { Resource } from '#lib/api/resource.svelte.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';

const AT_ONCE = 2;

/** Media types of files that contain no text to read. */
const UNREADABLE = /^(image|audio|video|font)\//;

/** Returns the readable files of a folder, named by their relative paths. Hidden files are skipped. */
export function ofFolder(files: Iterable<File>): File[] {
  return [...files].flatMap((file) => {
    const way = (file.webkitRelativePath || file.name).split('/');
    if (way.some((part) => part.startsWith('.')) || UNREADABLE.test(file.type)) return [];
    return [new File([file], way.join(' › '), { type: file.type })];
  });
}

/** File that is being uploaded or was rejected. */
export interface Adding {
  readonly key: string;
  readonly name: string;
  readonly media_type: string;
  readonly size: number;
  /** Upload progress, from 0 to 1. */
  readonly share: number;
  /** Message about the failed upload; null if it has not failed. */
  readonly failure: string | null;
  /** Whether the upload has failed and can't be retried. */
  readonly isFinal: boolean;
}

interface Job {
  readonly file: File;
  readonly abort: AbortController;
  isRunning: boolean;
  upload: Upload | null;
  begunAt: string | null;
}

function pathOf(owner: KnowledgeOwner) {
  if ('section_id' in owner) return `/sections/${owner.section_id}/knowledge` as const;
  return 'assistant_id' in owner
    ? (`/assistants/${owner.assistant_id}/knowledge` as const)
    : (`/workspaces/${owner.workspace_id}/knowledge` as const);
}

export class KnowledgeStore {
  readonly state: Resource<State>;
  /** Uploads by key, in the order in which the files were selected. */
  readonly adding = new SvelteMap<string, Adding>();
  /** Text that screen readers announce when the state of a file changes. */
  announced = $state('');

  readonly #api: Api;
  readonly #path: ReturnType<typeof pathOf>;
  readonly #owner: KnowledgeOwner;
  readonly #transport: (api: Api, request: Request) => Promise<Upload>;
  readonly #jobs = new Map<string, Job>();
  /** Number of change events received; shows whether one arrived during a request. */
  #eventCount = 0;

  constructor(api: Api, owner: KnowledgeOwner, transport: (api: Api, request: Request) => Promise<Upload> = send) {
    this.#api = api;
    this.#owner = owner;
    this.#path = pathOf(owner);
    this.#transport = transport;
    this.state = new Resource(() => api.get(this.#path, this.#workspaceQuery));
  }

  /** Query parameter that selects the workspace: a section may have files in several workspaces. */
  get #workspaceQuery(): { workspace_id?: Id } {
    return 'section_id' in this.#owner ? { workspace_id: this.#owner.workspace_id } : {};
  }

  get files(): readonly KnowledgeFile[] {
    return this.state.value?.files ?? [];
  }

  /** Number of files that can still be added. */
  get remainingFiles(): number {
    const most = this.state.value?.limits.files ?? Infinity;
    const coming = [...this.adding.values()].filter(({ isFinal }) => !isFinal).length;
    return Math.max(0, most - this.files.length - coming);
  }

  async load(): Promise<void> {
    const before = new Map(this.files.map(({ id, state }) => [id, state]));
    await this.state.load();
    const changed = this.files.find(({ id, state }) => before.has(id) && before.get(id) !== state);
    if (changed?.state === 'ready') this.announced = m.knowledge_is_ready({ name: changed.name });
    if (changed?.state === 'failed') this.announced = m.knowledge_has_failed({ name: changed.name });
  }

  /** Reloads the list when it changes; returns a function that stops this. */
  follow(live: LiveUpdates): () => void {
    const leave = live.on((frame) => {
      const { type, payload } = frame as { type: string; payload: object };
      if (type !== 'knowledge.changed') return;
      const told = new Map<string, unknown>(Object.entries(payload));
      const own = new Map<string, unknown>(Object.entries(this.#owner));
      // Events about files of assistants and sections also contain the workspace. Comparing these ids too excludes them from the list of the
      // workspace.
      const keys = ['assistant_id', 'section_id', ...own.keys()];
      if (!keys.every((key) => told.get(key) === own.get(key))) return;
      this.#eventCount += 1;
      void this.load();
    });
    const unsubscribeStale = live.onStale(this.state, () => void this.load());
    return () => {
      leave();
      unsubscribeStale();
    };
  }

  /** Starts the uploads. Returns a message about rejected files; empty if all were accepted. */
  add(files: Iterable<File>): string {
    const problems: string[] = [];
    const { limits } = this.state.value ?? {};
    let room = this.remainingFiles;
    for (const file of files) {
      const { name, size } = file;
      if (size === 0) problems.push(m.attach_empty({ name }));
      else if (limits && size > limits.file_bytes)
        problems.push(m.attach_too_large({ name, most: formatBytes(limits.file_bytes) }));
      else if (room-- > 0) this.#enqueue(file);
    }
    if (room < 0 && limits) problems.push(m.knowledge_full({ most: limits.files }));
    this.#startNext();
    return problems.join(' ');
  }

  #enqueue(file: File): void {
    const key = newId();
    const { name, type: media_type, size } = file;
    this.#jobs.set(key, { file, abort: new AbortController(), isRunning: false, upload: null, begunAt: null });
    this.adding.set(key, { key, name, media_type, size, share: 0, failure: null, isFinal: false });
  }

  #startNext(): void {
    let running = [...this.#jobs.values()].filter(({ isRunning }) => isRunning).length;
    for (const [key, job] of this.#jobs) {
      if (running >= AT_ONCE) return;
      if (job.isRunning || this.adding.get(key)?.failure) continue;
      running += 1;
      void this.#run(key, job);
    }
  }

  async #run(key: string, job: Job): Promise<void> {
    job.isRunning = true;
    try {
      job.upload ??= await this.#transport(this.#api, {
        blob: job.file,
        name: job.file.name,
        mediaType: job.file.type,
        begunAt: job.begunAt,
        onbegun: (at) => (job.begunAt = at),
        onprogress: (share) => this.#change(key, { share }),
        signal: job.abort.signal
      });
      if (job.abort.signal.aborted) return;
      const body = { upload_id: job.upload.id, ...this.#workspaceQuery };
      await this.#request(() => this.#api.post(this.#path, body));
      this.#removeJob(key);
    } catch (error) {
      if (!job.abort.signal.aborted) this.#failed(key, error);
    } finally {
      job.isRunning = false;
      this.#startNext();
    }
  }

  #failed(key: string, error: unknown): void {
    const { code, status } = error instanceof ApiError ? error : new ApiError(0, 'network', '');
    const name = this.adding.get(key)?.name ?? '';
    const isFinal = status >= 400 && status < 500 && status !== 401 && status !== 429;
    const failure = code === 'type_refused' ? m.knowledge_type_refused({ name }) : errorMessage(error);
    this.#change(key, { failure, isFinal, share: 0 });
  }

  /** Retries the upload with this key. */
  retryUpload(key: string): void {
    this.#change(key, { failure: null });
    this.#startNext();
  }

  /** Cancels the upload with this key; the server deletes the partial data after a day. */
  removePending(key: string): void {
    const upload = this.#jobs.get(key)?.upload;
    this.#jobs.get(key)?.abort.abort();
    this.#removeJob(key);
    if (upload) this.#api.delete(`/uploads/${upload.id}`).catch(() => undefined);
    this.#startNext();
  }

  async retry(id: Id): Promise<void> {
    await this.#request(() => this.#api.post(`${this.#path}/${id}/retry`));
  }

  async remove(id: Id): Promise<void> {
    await this.#api.delete(`${this.#path}/${id}`);
    this.#updateFiles((files) => files.filter((file) => file.id !== id));
  }

  /** Aborts the uploads. Called when the page is left. */
  close(): void {
    for (const { abort } of this.#jobs.values()) abort.abort();
    this.#jobs.clear();
  }

  /** Sends a change and shows its response. If an event arrived meanwhile, the list is reloaded, because the event may be newer. */
  async #request(ask: () => Promise<KnowledgeFile>): Promise<void> {
    const heard = this.#eventCount;
    this.#upsert(await ask());
    if (heard !== this.#eventCount) void this.load();
  }

  #upsert(file: KnowledgeFile): void {
    this.#updateFiles((files) => {
      const at = files.findIndex(({ id }) => id === file.id);
      return at === -1 ? [file, ...files] : files.with(at, file);
    });
  }

  /** Shows a change before the server's event about it arrives. */
  #updateFiles(change: (files: KnowledgeFile[]) => KnowledgeFile[]): void {
    const { value } = this.state;
    if (value) this.state.set({ ...value, files: change(value.files) });
  }

  #change(key: string, change: Partial<Adding>): void {
    const adding = this.adding.get(key);
    if (adding) this.adding.set(key, { ...adding, ...change });
  }

  #removeJob(key: string): void {
    this.#jobs.delete(key);
    this.adding.delete(key);
  }
}
