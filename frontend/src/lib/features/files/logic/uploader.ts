/** Uploads attachments: several at a time, each only once. Resumes them after a disconnect. */
import { ApiError, newId, type Api } from '#lib/api/client.ts';
import type { Upload } from '#lib/api/files.ts';
import { upload as send, type Request } from '#lib/api/upload.ts';
import { errorMessage } from '#lib/api/error-messages.ts';
import { m } from '#lib/paraglide/messages.js';
import type { AttachmentsStore, ChosenFile } from '../attachments.svelte.ts';
import type { AuthPolicyStore } from '#lib/features/auth/auth-policy.svelte.ts';
import { MAX_FILES, type Attachment, type AttachedFile } from '#lib/realtime/pending-attachments.ts';
import { FileStorage, type StoredFile } from '#lib/realtime/file-storage.ts';
import { formatBytes } from '#lib/i18n/bytes.ts';

const AT_ONCE = 3;
const FIRST_PAUSE = 1_000;
const MAX_PAUSE = 30_000;
/** Number of server errors after which an upload isn't retried automatically. */
const MAX_TRIES = 4;
const DEFAULT_MAX_BYTES = 100 * 1024 * 1024;
/** Age in milliseconds from which an upload isn't used any more, because the server deletes unused uploads after a day. */
const MAX_UPLOAD_AGE = 23 * 60 * 60 * 1_000;
/** Maximum number of local copies of pictures that are kept for display. */
const MAX_PREVIEWS = 40;
/** Picture types that all browsers can display. */
const DRAWN = /^image\/(png|jpeg|gif|webp|avif|svg\+xml|bmp)$/;

interface Job {
  readonly blob: Blob | null;
  conversationId: string | null;
  readonly keptAt: number;
  begunAt: string | null;
  readonly abort: AbortController;
  tries: number;
  timer: ReturnType<typeof setTimeout> | undefined;
  readonly done: Set<() => void>;
}

export type Transport = (api: Api, request: Request) => Promise<Upload>;

export class Uploader {
  readonly #files: AttachmentsStore;
  readonly #api: Api;
  readonly #authPolicy: Pick<AuthPolicyStore, 'uploads' | 'load'>;
  readonly #userId: string;
  readonly #storage: Pick<FileStorage, 'load' | 'put' | 'remove'>;
  readonly #transport: Transport;
  readonly #jobs = new Map<string, Job>();
  #running = 0;

  constructor(
    files: AttachmentsStore,
    api: Api,
    authPolicy: Pick<AuthPolicyStore, 'uploads' | 'load'>,
    userId: string,
    storage: Pick<FileStorage, 'load' | 'put' | 'remove'> = new FileStorage(),
    transport: Transport = send
  ) {
    this.#files = files;
    this.#api = api;
    this.#authPolicy = authPolicy;
    this.#userId = userId;
    this.#storage = storage;
    this.#transport = transport;
  }

  /** Restores the files of an earlier visit and continues their uploads. */
  async restore(): Promise<void> {
    for (const { taken, conversationId, blob, upload, keptAt, begunAt } of await this.#storage.load(this.#userId)) {
      const isForgotten = upload !== null && Date.now() - keptAt > MAX_UPLOAD_AGE;
      if (isForgotten || (!blob && !upload)) {
        void this.#storage.remove(this.#userId, taken.key);
        continue;
      }
      this.#addJob(taken, { blob, conversationId, upload, keptAt, begunAt });
    }
    this.#startNext();
  }

  close(): void {
    for (const { abort, timer } of this.#jobs.values()) {
      clearTimeout(timer);
      abort.abort();
    }
    const waiting = [...this.#jobs.values()].flatMap(({ done }) => [...done]);
    this.#jobs.clear();
    for (const tell of waiting) tell();
  }

  /** Maximum file size, in bytes. */
  get #maxBytes(): number {
    return this.#authPolicy.uploads?.max_bytes ?? DEFAULT_MAX_BYTES;
  }

  async add(conversationId: string, choices: readonly ChosenFile[]): Promise<string> {
    await this.#authPolicy.load();
    const problems: string[] = [];
    let room = MAX_FILES - (this.#files.begun.get(conversationId)?.length ?? 0);
    for (const choice of choices) {
      const { name, size } = choice.picked;
      if (size === 0) problems.push(m.attach_empty({ name }));
      else if (this.#authPolicy.uploads?.refused_types?.includes(choice.picked.media_type))
        problems.push(m.attach_type_refused({ name }));
      else if (size > this.#maxBytes) problems.push(m.attach_too_large({ name, most: formatBytes(this.#maxBytes) }));
      else if (room-- > 0) this.enqueue(conversationId, choice);
    }
    if (room < 0) problems.push(m.attach_too_many({ most: MAX_FILES }));
    return problems.join(' ');
  }

  enqueue(conversationId: string | null, { blob, picked }: ChosenFile): Attachment {
    const taken: AttachedFile = { key: newId(), ...picked };
    const attached = this.#addJob(taken, { blob, conversationId, upload: null, keptAt: Date.now() });
    this.#persist(taken.key);
    this.#startNext();
    return attached;
  }

  #addJob(
    taken: AttachedFile,
    { blob, conversationId, upload, keptAt, begunAt = null }: Omit<StoredFile, 'taken'>
  ): Attachment {
    const isDrawn = blob !== null && DRAWN.test(taken.media_type);
    const attached: Attachment = {
      ...taken,
      state: upload ? 'ready' : 'waiting',
      share: upload ? 1 : 0,
      failure: null,
      isFinal: false,
      preview: isDrawn ? URL.createObjectURL(blob) : null,
      upload
    };
    const job: Job = {
      blob,
      conversationId,
      keptAt,
      begunAt,
      abort: new AbortController(),
      tries: 0,
      timer: undefined,
      done: new Set()
    };
    this.#jobs.set(taken.key, job);
    this.#files.all.set(taken.key, attached);
    if (conversationId !== null) {
      const keys = this.#files.begun.get(conversationId) ?? [];
      this.#files.begun.set(conversationId, [...keys, taken.key]);
    }
    return attached;
  }

  /** Assigns the files to a message in the outbox, or to the draft of `conversationId` if that is given. */
  handOver(taken: readonly AttachedFile[], conversationId: string | null = null): void {
    for (const { key } of taken) {
      const job = this.#jobs.get(key);
      if (job) job.conversationId = conversationId;
      this.#persist(key);
    }
  }

  remove(key: string): void {
    const attached = this.#files.all.get(key);
    const begunAt = this.#jobs.get(key)?.begunAt;
    this.#removeJob(key);
    if (attached?.preview) URL.revokeObjectURL(attached.preview);
    // A failure is ignored, because the server deletes unused uploads after a day anyway.
    const id = attached?.upload?.id ?? begunAt?.slice(begunAt.lastIndexOf('/') + 1);
    if (id) this.#api.delete(`/uploads/${id}`).catch(() => undefined);
  }

  /** Removes files that another tab has sent or removed. */
  releaseTaken(keys: readonly string[]): void {
    for (const key of keys) {
      // The file belongs to a message in the outbox of this tab, so it stays.
      if (this.#jobs.get(key)?.conversationId == null) continue;
      const preview = this.#files.all.get(key)?.preview;
      this.#cancelJob(key);
      if (preview) URL.revokeObjectURL(preview);
    }
  }

  retry(key: string): void {
    const job = this.#jobs.get(key);
    if (!job || this.#files.all.get(key)?.state !== 'failed') return;
    job.tries = 0;
    this.#change(key, { state: 'waiting', share: 0, failure: null });
    this.#startNext();
  }

  resume(): void {
    for (const job of this.#jobs.values()) {
      clearTimeout(job.timer);
      job.timer = undefined;
    }
    this.#startNext();
  }

  isHopeful(key: string): boolean {
    const attached = this.#files.all.get(key);
    return attached !== undefined && attached.state !== 'failed';
  }

  async deliver(taken: readonly AttachedFile[]): Promise<string[]> {
    for (const { key } of taken) if (!this.#files.all.get(key)?.isFinal) this.retry(key);
    const ids: string[] = [];
    for (const { key, name } of taken) ids.push(await this.#arrived(key, name));
    return ids;
  }

  sent(taken: readonly AttachedFile[]): void {
    const { all, previews } = this.#files;
    for (const { key } of taken) {
      const attached = all.get(key);
      if (attached?.upload && attached.preview) previews.set(attached.upload.id, attached.preview);
      this.#removeJob(key);
    }
    for (const [id, url] of [...previews].slice(0, -MAX_PREVIEWS)) {
      previews.delete(id);
      URL.revokeObjectURL(url);
    }
  }

  async #arrived(key: string, name: string): Promise<string> {
    for (;;) {
      const attached = this.#files.all.get(key);
      const job = this.#jobs.get(key);
      if (!attached || !job) throw new ApiError(422, 'upload_failed', m.attach_lost({ name }));
      if (attached.state === 'ready' && attached.upload) return attached.upload.id;
      if (attached.state === 'failed')
        throw new ApiError(422, 'upload_failed', attached.failure?.message ?? m.attach_lost({ name }));
      await new Promise<void>((resolve) => job.done.add(resolve));
    }
  }

  #startNext(): void {
    for (const [key, job] of this.#jobs) {
      if (this.#running >= AT_ONCE) return;
      if (job.timer === undefined && this.#files.all.get(key)?.state === 'waiting') void this.#run(key, job);
    }
  }

  async #run(key: string, job: Job): Promise<void> {
    const attached = this.#files.all.get(key);
    if (!attached || !job.blob) return;
    this.#running++;
    this.#change(key, { state: 'uploading' });
    try {
      const upload = await this.#transport(this.#api, {
        blob: job.blob,
        name: attached.name,
        mediaType: attached.media_type,
        voice: attached.voice,
        begunAt: job.begunAt,
        onbegun: (at) => {
          job.begunAt = at;
          this.#persist(key);
        },
        onprogress: (share) => this.#change(key, { share }),
        signal: job.abort.signal
      });
      this.#change(key, { state: 'ready', share: 1, upload });
      this.#persist(key);
    } catch (error) {
      if (!job.abort.signal.aborted) this.#failed(key, job, error);
    } finally {
      this.#running--;
      for (const tell of job.done) tell();
      job.done.clear();
      this.#startNext();
    }
  }

  #failed(key: string, job: Job, error: unknown): void {
    const known = error instanceof ApiError ? error : new ApiError(0, 'network', '');
    job.tries++;
    const isLost = known.isNetwork || known.status === 429 || known.status === 503;
    if (isLost || (known.status >= 500 && job.tries < MAX_TRIES)) {
      const pause = known.retryAfter
        ? known.retryAfter * 1_000
        : Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** (job.tries - 1));
      job.timer = setTimeout(() => {
        job.timer = undefined;
        this.#startNext();
      }, pause);
      this.#change(key, { state: 'waiting', share: 0 });
      return;
    }
    const name = this.#files.all.get(key)?.name ?? '';
    const isFinal = known.status >= 400 && known.status < 500 && known.status !== 401;
    this.#change(key, {
      state: 'failed',
      isFinal,
      failure: { code: known.code, message: reasonOf(known, name, formatBytes(this.#maxBytes)) }
    });
  }

  #change(key: string, change: Partial<Attachment>): void {
    const attached = this.#files.all.get(key);
    if (attached) this.#files.all.set(key, { ...attached, ...change });
  }

  #persist(key: string): void {
    const attached = this.#files.all.get(key);
    const job = this.#jobs.get(key);
    if (!attached || !job) return;
    const { name, media_type, size, voice, upload } = attached;
    void this.#storage.put(this.#userId, {
      taken: { key, name, media_type, size, ...(voice && { voice }) },
      conversationId: job.conversationId,
      blob: upload ? null : job.blob,
      upload,
      keptAt: job.keptAt,
      begunAt: job.begunAt
    });
  }

  #removeJob(key: string): void {
    this.#cancelJob(key);
    void this.#storage.remove(this.#userId, key);
  }

  #cancelJob(key: string): void {
    const job = this.#jobs.get(key);
    this.#jobs.delete(key);
    this.#files.all.delete(key);
    if (job?.conversationId) {
      const keys = this.#files.begun.get(job.conversationId)?.filter((one) => one !== key) ?? [];
      if (keys.length > 0) this.#files.begun.set(job.conversationId, keys);
      else this.#files.begun.delete(job.conversationId);
    }
    clearTimeout(job?.timer);
    job?.abort.abort();
    for (const tell of job?.done ?? []) tell();
  }
}

function reasonOf(error: ApiError, name: string, most: string): string {
  switch (error.code) {
    case 'too_large':
      return m.attach_too_large({ name, most });
    case 'quota_exceeded':
      return error.details.next === 'change_plan' ? m.attach_no_room_in_plan({ name }) : m.attach_no_room({ name });
    case 'type_refused':
      return m.attach_type_refused({ name });
  }
  return m.attach_failed({ name, reason: errorMessage(error) });
}
