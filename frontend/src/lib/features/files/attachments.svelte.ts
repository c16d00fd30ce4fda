/**
 * Files that are chosen for messages. They go up while one writes; a message that is sent takes them along and waits for
 * them in the outbox. What does the work comes later than the page (`logic/uploader.ts`).
 */
import { SvelteMap } from 'svelte/reactivity';
import type { Api } from '#lib/api/client.ts';
import type { Attached, Picked, Taken } from '#lib/realtime/pending-attachments.ts';
import type { Uploader } from './logic/uploader.ts';
import type { Entrance } from '#lib/features/auth/auth-policy.svelte.ts';

/** What the outbox asks of the files of a message. */
export interface OutgoingFiles {
  /** Their ids, once the server has them all. */
  deliver(taken: readonly Taken[]): Promise<string[]>;
  /** The message is there. */
  sent(taken: readonly Taken[]): void;
  /** The message, or only these of its files, won't be sent. */
  drop(taken: readonly Taken[]): void;
  /** Those that may still arrive. */
  hopeful(taken: readonly Taken[]): Promise<readonly Taken[]>;
}

export interface Choice {
  readonly blob: Blob;
  readonly picked: Picked;
}

/** Tells the other tabs, which may have taken up the same files. */
export type FilesChannel = Pick<BroadcastChannel, 'postMessage' | 'addEventListener'>;

const NONE: readonly Attached[] = [];

export class Attachments implements OutgoingFiles {
  /** All of them, by key. */
  readonly all = new SvelteMap<string, Attached>();
  /** Which of them are not sent yet, by conversation. */
  readonly begun = new SvelteMap<string, readonly string[]>();
  /** Pictures that this browser has sent itself and need not load, by the upload's id. */
  readonly previews = new Map<string, string>();

  readonly #api: Api;
  readonly #entrance: Entrance;
  readonly #channel: FilesChannel | undefined;
  #userId = '';
  #uploader: Promise<Uploader> | undefined;

  constructor(api: Api, entrance: Entrance, channel?: FilesChannel) {
    this.#api = api;
    this.#entrance = entrance;
    this.#channel = channel;
    channel?.addEventListener('message', ({ data }) => {
      void this.#uploader?.then((uploader) => uploader.letGo(data as string[]));
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

  of(conversationId: string): readonly Attached[] {
    const keys = this.begun.get(conversationId);
    return keys?.flatMap((key) => this.all.get(key) ?? []) ?? NONE;
  }

  /** Has what uploads brought, with what was begun before the page was loaded. */
  bring(): Promise<Uploader> {
    this.#uploader ??= import('./logic/uploader.ts').then(
      async ({ Uploader }) => {
        const uploader = new Uploader(this, this.#api, this.#entrance, this.#userId);
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

  /** The connection is back. */
  resume(): void {
    void this.#uploader?.then((uploader) => uploader.resume());
  }

  /** Begins to upload these. What can't be taken is said in the answer; empty: all were. */
  async add(conversationId: string, choices: readonly Choice[]): Promise<string> {
    const uploader = await this.bring();
    return uploader.add(conversationId, choices);
  }

  remove(key: string): void {
    this.#channel?.postMessage([key]);
    void this.bring().then((uploader) => uploader.remove(key));
  }

  retry(key: string): void {
    void this.bring().then((uploader) => uploader.retry(key));
  }

  /** What a message from this conversation takes along. */
  chosen(conversationId: string): readonly Taken[] {
    return this.of(conversationId).map(toTaken);
  }

  /** A message has taken these. */
  handOver(conversationId: string, taken: readonly Taken[]): void {
    const left = this.begun.get(conversationId)?.filter((key) => !taken.some((one) => one.key === key)) ?? [];
    if (left.length > 0) this.begun.set(conversationId, left);
    else this.begun.delete(conversationId);
    if (taken.length === 0) return;
    this.#channel?.postMessage(taken.map(({ key }) => key));
    void this.bring().then((uploader) => uploader.handOver(taken));
  }

  /** Its message was refused, and is written again. */
  giveBack(conversationId: string, taken: readonly Taken[]): void {
    const keys = taken.map(({ key }) => key).filter((key) => this.all.has(key));
    if (keys.length === 0) return;
    this.begun.set(conversationId, [...(this.begun.get(conversationId) ?? []), ...keys]);
    void this.bring().then((uploader) => uploader.handOver(taken, conversationId));
  }

  /** A recording, which is a message by itself. */
  async takeVoice(choice: Choice): Promise<Taken> {
    const uploader = await this.bring();
    return toTaken(uploader.begin(null, choice));
  }

  async deliver(taken: readonly Taken[]): Promise<string[]> {
    const uploader = await this.bring();
    return uploader.deliver(taken);
  }

  sent(taken: readonly Taken[]): void {
    void this.bring().then((uploader) => uploader.sent(taken));
  }

  drop(taken: readonly Taken[]): void {
    for (const { key } of taken) this.remove(key);
  }

  async hopeful(taken: readonly Taken[]): Promise<readonly Taken[]> {
    const uploader = await this.bring();
    return taken.filter(({ key }) => uploader.isHopeful(key));
  }
}

function toTaken({ key, name, media_type, size, voice }: Attached): Taken {
  return { key, name, media_type, size, ...(voice && { voice }) };
}
