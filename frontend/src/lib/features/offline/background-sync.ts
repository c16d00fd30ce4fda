/** Sends the messages of the outbox from the service worker when the network is back. */
import { ApiError, type Api } from '#lib/api/client.ts';
import type { FileStorage, StoredFile } from '#lib/realtime/file-storage.ts';
import type { OutboxStorage } from '#lib/realtime/outbox-storage.ts';
import { asSent, isServerError, isTemporaryError } from '#lib/realtime/sending.ts';
import type { Outgoing } from '#lib/realtime/state.ts';

/**
 * Sends the messages of the current account in order. If a message is rejected or its uploads aren't finished, it is left to the app together with
 * the later ones of its conversation. Throws if another attempt may succeed. A page may send the same messages at the same time, because the server
 * deduplicates them by `client_id`.
 */
export async function sendPending(
  api: Pick<Api, 'get' | 'post'>,
  outbox: Pick<OutboxStorage, 'load' | 'remove'>,
  files: Pick<FileStorage, 'load' | 'remove'>
): Promise<void> {
  const me = await fetchAccountId(api);
  if (me === null) return;
  const stuck = new Set<string>();
  const done = new Set<string>();
  let failure: ApiError | undefined;
  for (;;) {
    // Read again, because a page may have changed the outbox meanwhile.
    const left = await outbox.load(me);
    const next = left.find(
      (one) => one.state !== 'failed' && !stuck.has(one.conversation_id) && !done.has(one.client_id)
    );
    if (!next) break;
    try {
      const taken = await filesOf(next, me, files);
      if (!taken) {
        stuck.add(next.conversation_id);
        continue;
      }
      const ids = taken.map(({ upload }) => upload.id);
      await api.post(`/conversations/${next.conversation_id}/messages`, asSent(next, ids.length > 0 ? ids : undefined));
      done.add(next.client_id);
      await outbox.remove(me, next.client_id);
      for (const { taken: file } of taken) await files.remove(me, file.key);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      stuck.add(next.conversation_id);
      if (isTemporaryError(error) || isServerError(error)) failure = error;
    }
  }
  if (failure) throw failure;
}

async function fetchAccountId(api: Pick<Api, 'get'>): Promise<string | null> {
  try {
    return (await api.get('/users/me')).id;
  } catch (error) {
    // The account has to sign in again, so the messages are left to the app.
    if (error instanceof ApiError && !isTemporaryError(error) && !isServerError(error)) return null;
    throw error;
  }
}

type SyncState = StoredFile & { readonly upload: NonNullable<StoredFile['upload']> };

/** Ids of the uploads of a message; null if one isn't finished. */
async function filesOf(
  { files = [] }: Outgoing,
  me: string,
  storage: Pick<FileStorage, 'load'>
): Promise<SyncState[] | null> {
  if (files.length === 0) return [];
  const kept = await storage.load(me);
  const found = files.map(({ key }) => kept.find(({ taken }) => taken.key === key));
  const there = found.filter((one): one is SyncState => one !== undefined && one.upload !== null);
  return there.length === files.length ? there : null;
}
