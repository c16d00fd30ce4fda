/**
 * Attachments of drafts. They are uploaded while the user types, and the outbox waits for them. The uploader is loaded on demand
 * (`logic/uploader.ts`).
 */
import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Attachment, PickedFile, AttachedFile } from '#lib/realtime/pending-attachments.ts';
import type { Uploader } from './logic/uploader.ts';
import type { AuthPolicyStore } from '#lib/features/auth/auth-policy.svelte.ts';

/** Operations on attachments that the outbox uses. */
export interface OutgoingFiles {
  /** Waits until all files are uploaded; returns the ids of the uploads. */
  deliver(taken: readonly AttachedFile[]): Promise<string[]>;
  /** Releases the files of a message that was sent. */
  sent(taken: readonly AttachedFile[]): void;
  /** Removes the files of a message that won't be sent. */
  release(taken: readonly AttachedFile[]): void;
  /** Returns the files whose upload can still succeed. */
  hopeful(taken: readonly AttachedFile[]): Promise<readonly AttachedFile[]>;
}

export interface ChosenFile {
  readonly blob: Blob;
  readonly picked: PickedFile;
}

/** Channel to the other tabs, which may have loaded the same files. */
export type FilesChannel = Pick<BroadcastChannel, 'postMessage' | 'addEventListener'>;

const NONE: readonly Attachment[] = [];

export class AttachmentsStore implements OutgoingFiles {
  readonly all = new SvelteMap<string, Attachment>();
  /** Keys of the attachments of each draft. */
  readonly begun = new SvelteMap<string, readonly string[]>();
  /** URLs of local copies of uploaded pictures, by upload id. */
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

  /** Loads the uploader, which restores the files of an earlier visit. */
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

  /** Resumes interrupted uploads. Called after a reconnect. */
  resume(): void {
    void this.#uploader?.then((uploader) => uploader.resume());
  }

  /** Starts uploads. Returns a message about rejected files; empty if all were accepted. */
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

  /** Attachments of the draft of a conversation. */
  chosen(conversationId: string): readonly AttachedFile[] {
    return this.of(conversationId).map(toTaken);
  }

  /** Removes the attachments from the draft, because a message is sent with them. */
  handOver(conversationId: string, taken: readonly AttachedFile[]): void {
    const left = this.begun.get(conversationId)?.filter((key) => !taken.some((one) => one.key === key)) ?? [];
    if (left.length > 0) this.begun.set(conversationId, left);
    else this.begun.delete(conversationId);
    if (taken.length === 0) return;
    this.#channel?.postMessage(taken.map(({ key }) => key));
    void this.loadUploader().then((uploader) => uploader.handOver(taken));
  }

  /** Returns the attachments of a rejected message to the draft. */
  returnToComposer(conversationId: string, taken: readonly AttachedFile[]): void {
    const keys = taken.map(({ key }) => key).filter((key) => this.all.has(key));
    if (keys.length === 0) return;
    this.begun.set(conversationId, [...(this.begun.get(conversationId) ?? []), ...keys]);
    void this.loadUploader().then((uploader) => uploader.handOver(taken, conversationId));
  }

  /** Adds a voice recording, which is sent as a message of its own. */
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
