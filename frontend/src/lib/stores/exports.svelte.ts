import type { Api } from '#lib/api/client.ts';
import type { Upload } from '#lib/api/files.ts';
import type { Id, ServerFrame, Timestamp } from '#lib/api/types.ts';
import { toast } from '#lib/components/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';

export type ExportFormat = 'html' | 'markdown' | 'json';

/** What of a conversation is wanted. */
export interface ExportWish {
  format: ExportFormat;
  from?: Timestamp;
  to?: Timestamp;
  files: boolean;
}

interface Ended {
  type: 'export.ended';
  payload: { upload_id: Id; upload: Upload | null };
}

interface Line {
  on(handler: (frame: ServerFrame) => void): () => void;
}

/** Begins an export, and says how it went as long as this page is open. */
export async function beginExport(api: Api, line: Line, conversationId: Id, wish: ExportWish): Promise<void> {
  const heard = new Map<Id, Upload | null>();
  let wanted: Id | undefined;
  const look = () => {
    if (wanted === undefined || !heard.has(wanted)) return;
    leave();
    const upload = heard.get(wanted);
    if (!upload) toast(m.export_failed());
    else toast(m.export_ready(), { action: { label: m.export_download(), run: () => download(upload) } });
  };
  const leave = line.on((frame: { type: string }) => {
    if (frame.type !== 'export.ended') return;
    const { upload_id, upload } = (frame as Ended).payload;
    heard.set(upload_id, upload);
    look();
  });
  try {
    wanted = (await api.post<Upload>(`/conversations/${conversationId}/export`, wish)).id;
    look();
  } catch (error) {
    leave();
    throw error;
  }
}

function download({ id, name }: Upload): void {
  const link = document.createElement('a');
  link.href = `/files/${id}/${encodeURIComponent(name)}`;
  link.download = name;
  link.click();
}
