/** Attachments of drafts. They upload while typing; the outbox waits for them. The uploader is loaded on demand (`logic/uploader.ts`). */
import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Attachment, PickedFile, AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { Uploader } from './logic/uploader.ts';
import type { AuthPolicyStore } from '#lib/features/auth/auth-policy.svelte.ts';

/** Attachment operations used by the outbox. */
export interface OutgoingFiles {
  /** Resolves to the upload ids once all are stored. */
  deliver(taken: readonly AttachedFile[]): Promise<string[]>;
  /** Releases files of a sent message. */
  sent(taken: readonly AttachedFile[]): void;
  /** Removes files of a message that won't be sent. */
  release(taken: readonly AttachedFile[]): void;
  /** Files whose upload can still succeed. */
  hopeful(taken: readonly AttachedFile[]): Promise<readonly AttachedFile[]>;
}

export interface ChosenFile {
  readonly blob: Blob;
  readonly picked: PickedFile;
}

/** Notifies other tabs, which may have loaded the same files. */
export type FilesChannel = Pick<BroadcastChannel, 'postMessage' | 'addEventListener'>;

const NONE: readonly Attachment[] = [];

export class AttachmentsStore implements OutgoingFiles {
  /** Attachments by key. */
  readonly all = new SvelteMap<string, Attachment>();
  /** Unsent files by conversation. */
  readonly begun = new SvelteMap<string, readonly string[]>();
  /** Local previews of uploaded pictures, by upload id. */
  readonly previews = new Map<string, string>();

  readonly #api: Api;
  readonly #authPolicy: AuthPolicyStore;
  readonly #channel: FilesChannel | undefined;
  #userId = '';
  #uploader: Promise<Uploader> | undefined;

  constructor(api: Api, authPolicy: AuthPolicyStore, channel?: FilesChannel) {
    this.#api = api;
    this.#authPolicy = authPolicy;
    this.#channel = channel;
    channel?.addEventListener('message', ({ data }) => {
      void this.#uploader?.then((uploader) => uploader.releaseTaken(data as string[]));
    });
  }

  open(userId: string): void {
    this.#userId = userId;
  }

  close(): void {
    void this.#uploader?.then((uploader) => uploader.close());
    this.#uploader = undefined;
    this.all.clear();
    this.begun.clear();
  }

  of(conversationId: string): readonly Attachment[] {
    const keys = this.begun.get(conversationId);
    return keys?.flatMap((key) => this.all.get(key) ?? []) ?? NONE;
  }

  /** Loads the uploader and restores unfinished files. */
  loadUploader(): Promise<Uploader> {
    this.#uploader ??= import('./logic/uploader.ts').then(
      async ({ Uploader }) => {
        const uploader = new Uploader(this, this.#api, this.#authPolicy, this.#userId);
        await uploader.restore();
        return uploader;
      },
      (error: unknown) => {
        this.#uploader = undefined;
        throw error;
      }
    );
    return this.#uploader;
  }

  /** Resumes uploads after a reconnect. */
  resume(): void {
    void this.#uploader?.then((uploader) => uploader.resume());
  }

  /** Starts uploads; returns a message about rejected files, empty if none. */
  async add(conversationId: string, choices: readonly ChosenFile[]): Promise<string> {
    const uploader = await this.loadUploader();
    return uploader.add(conversationId, choices);
  }

  remove(key: string): void {
    this.#channel?.postMessage([key]);
    void this.loadUploader().then((uploader) => uploader.remove(key));
  }

  retry(key: string): void {
    void this.loadUploader().then((uploader) => uploader.retry(key));
  }

  /** Attachments of the next message. */
  chosen(conversationId: string): readonly AttachedFile[] {
    return this.of(conversationId).map(toTaken);
  }

  /** Takes the attachments for a message. */
  handOver(conversationId: string, taken: readonly AttachedFile[]): void {
    const left = this.begun.get(conversationId)?.filter((key) => !taken.some((one) => one.key === key)) ?? [];
    if (left.length > 0) this.begun.set(conversationId, left);
    else this.begun.delete(conversationId);
    if (taken.length === 0) return;
    this.#channel?.postMessage(taken.map(({ key }) => key));
    void this.loadUploader().then((uploader) => uploader.handOver(taken));
  }

  /** Returns the files of a rejected message to the composer. */
  returnToComposer(conversationId: string, taken: readonly AttachedFile[]): void {
    const keys = taken.map(({ key }) => key).filter((key) => this.all.has(key));
    if (keys.length === 0) return;
    this.begun.set(conversationId, [...(this.begun.get(conversationId) ?? []), ...keys]);
    void this.loadUploader().then((uploader) => uploader.handOver(taken, conversationId));
  }

  /** Adds a voice recording, which is sent as its own message. */
  async addVoice(choice: ChosenFile): Promise<AttachedFile> {
    const uploader = await this.loadUploader();
    return toTaken(uploader.enqueue(null, choice));
  }

  async deliver(taken: readonly AttachedFile[]): Promise<string[]> {
    const uploader = await this.loadUploader();
    return uploader.deliver(taken);
  }

  sent(taken: readonly AttachedFile[]): void {
    void this.loadUploader().then((uploader) => uploader.sent(taken));
  }

  release(taken: readonly AttachedFile[]): void {
    for (const { key } of taken) this.remove(key);
  }

  async hopeful(taken: readonly AttachedFile[]): Promise<readonly AttachedFile[]> {
    const uploader = await this.loadUploader();
    return taken.filter(({ key }) => uploader.isHopeful(key));
  }
}

function toTaken({ key, name, media_type, size, voice }: Attachment): AttachedFile {
  return { key, name, media_type, size, ...(voice && { voice }) };
}
