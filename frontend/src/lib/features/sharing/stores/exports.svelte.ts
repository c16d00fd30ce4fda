import { base } from '#lib/util/address.ts';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Upload } from '#lib/api/files.ts';
import type { ExportInput, Id } from '#lib/api/types.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';

export type ExportFormat = ExportInput['format'];

type ExportProgress =
  | { type: 'export.progress'; payload: { upload_id: Id; messages: number; of: number } }
  | { type: 'export.ended'; payload: { upload_id: Id; upload: Upload | null } };

/** Export with its progress and result. */
export class ExportStore {
  exportedMessages = $state(0);
  /** Total number of messages to export; 0 until the export starts. */
  totalMessages = $state(0);
  state = $state<'running' | 'ready' | 'failed'>('running');
  #upload: Upload | null = null;
  #isWatched = true;
  #leave: () => void = () => undefined;

  /** Starts an export. Events are followed before the request is sent, because a short export ends before the response arrives. */
  static async start(api: Api, live: LiveUpdates, conversationId: Id, input: ExportInput): Promise<ExportStore> {
    const running = new ExportStore();
    let id: Id | undefined;
    const early: ExportProgress[] = [];
    const leave = live.on((frame: { type: string }) => {
      if (frame.type !== 'export.progress' && frame.type !== 'export.ended') return;
      const told = frame as ExportProgress;
      if (id === undefined) early.push(told);
      else if (told.payload.upload_id === id) running.#applyProgress(told);
    });
    // After a reconnect, requests the state, because events may be missing.
    const unsubscribeStale = live.onStale({ requestedAt: Date.now() }, () => void running.#poll(api, id));
    running.#leave = () => {
      leave();
      unsubscribeStale();
    };
    try {
      const wanted = (await api.post(`/conversations/${conversationId}/export`, input)).id;
      id = wanted;
      early.filter(({ payload }) => payload.upload_id === wanted).forEach((told) => running.#applyProgress(told));
      return running;
    } catch (error) {
      running.#leave();
      throw error;
    }
  }

  /** Called when the dialog is closed: the result is then shown as a toast. */
  unwatch(): void {
    this.#isWatched = false;
    if (this.state === 'running') toast(m.export_begun());
  }

  download(): void {
    if (!this.#upload) return;
    const { id, name } = this.#upload;
    Object.assign(document.createElement('a'), {
      href: `${base}/files/${id}/${encodeURIComponent(name)}`,
      download: name
    }).click();
  }

  async #poll(api: Api, id: Id | undefined): Promise<void> {
    if (id === undefined) return;
    try {
      const upload = await api.get(`/uploads/${id}`);
      if (upload.status !== 'pending') this.#finish(upload.status === 'ready' ? upload : null);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) this.#finish(null);
    }
  }

  #applyProgress(told: ExportProgress): void {
    if (told.type === 'export.progress') {
      this.exportedMessages = told.payload.messages;
      this.totalMessages = told.payload.of;
      return;
    }
    this.#finish(told.payload.upload);
  }

  #finish(upload: Upload | null): void {
    if (this.state !== 'running') return;
    this.#leave();
    this.#upload = upload;
    this.state = this.#upload ? 'ready' : 'failed';
    if (this.#isWatched) return;
    if (this.#upload) toast(m.export_ready(), { action: { label: m.export_download(), run: () => this.download() } });
    else toast(m.export_failed());
  }
}
