import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, type Api } from '#lib/api/client.ts';
import type { Upload } from '#lib/api/files.ts';
import type { Request } from '#lib/api/upload.ts';
import { AttachmentsStore } from '../attachments.svelte.ts';
import type { AuthPolicyStore } from '#lib/features/auth/auth-policy.svelte.ts';
import type { StoredFile } from '#lib/realtime/file-storage.ts';
import { Uploader } from './uploader.ts';

interface Going {
  request: Request;
  arrive: () => void;
  fail: (error: ApiError) => void;
}

class Storage {
  readonly kept = new Map<string, StoredFile>();
  load = () => Promise.resolve([...this.kept.values()]);
  put = (_: string, kept: StoredFile) => Promise.resolve(void this.kept.set(kept.taken.key, kept));
  remove = (_: string, key: string) => Promise.resolve(void this.kept.delete(key));
}

class Desk {
  readonly going: Going[] = [];
  readonly removed = vi.fn(() => Promise.resolve());
  readonly entrance = { uploads: { refused_types: [], max_bytes: 1_000 }, load: () => Promise.resolve() };
  readonly api = { delete: this.removed } as unknown as Api;
  readonly files = new AttachmentsStore(this.api, this.entrance as unknown as AuthPolicyStore);
  readonly uploader: Uploader;

  constructor(readonly storage = new Storage()) {
    this.uploader = new Uploader(this.files, this.api, this.entrance, 'me', storage, (_, request) => {
      return new Promise<Upload>((resolve, reject) => {
        const { name, blob, mediaType } = request;
        const upload: Upload = { id: `u-${name}`, name, media_type: mediaType, size: blob.size, status: 'ready' };
        this.going.push({ request, arrive: () => resolve(upload), fail: reject });
      });
    });
  }

  add(...names: string[]) {
    return this.uploader.add(
      'c1',
      names.map((name) => choice(name))
    );
  }

  get states() {
    return this.files.of('c1').map(({ name, state }) => [name, state]);
  }
}

function choice(name: string, size = 5) {
  return { blob: new Blob(['x'.repeat(size)]), picked: { name, media_type: 'text/plain', size } };
}

const settled = () => vi.advanceTimersByTimeAsync(0);

describe('Uploader', () => {
  beforeEach(() => vi.useFakeTimers());
  afterEach(() => vi.useRealTimers());

  it('uploads three files at a time, in order of choice', async () => {
    const desk = new Desk();
    expect(await desk.add('a', 'b', 'c', 'd')).toBe('');
    expect(desk.states.map(([, state]) => state)).toEqual(['uploading', 'uploading', 'uploading', 'waiting']);
    desk.going[1]?.arrive();
    await settled();
    expect(desk.states).toEqual([
      ['a', 'uploading'],
      ['b', 'ready'],
      ['c', 'uploading'],
      ['d', 'uploading']
    ]);
  });

  it('rejects files before the upload: too large, empty, too many', async () => {
    const desk = new Desk();
    expect(await desk.uploader.add('c1', [choice('big', 1_001), choice('none', 0), choice('fits')])).toMatch(
      /big.*none/
    );
    expect(desk.states).toEqual([['fits', 'uploading']]);
    expect(await desk.add(...Array.from({ length: 10 }, (_, at) => `f${at}`))).toContain('10');
    expect(desk.states).toHaveLength(10);
  });

  it('keeps files that were chosen after the message was sent', async () => {
    const desk = new Desk();
    vi.spyOn(desk.files, 'loadUploader').mockResolvedValue(desk.uploader);
    await desk.add('a', 'b');
    const taken = desk.files.chosen('c1');
    await desk.add('c');
    desk.files.handOver('c1', taken);
    expect(desk.states).toEqual([['c', 'uploading']]);
    desk.files.handOver('c1', desk.files.chosen('c1'));
    expect([desk.states, desk.files.begun.size]).toEqual([[], 0]);
  });

  it('drops files that a message of another tab has taken, without deleting them', async () => {
    const here = new Desk();
    await here.add('a', 'b');
    here.going[0]?.arrive();
    await settled();
    const there = new Desk(here.storage);
    await there.uploader.restore();
    expect(there.states.map(([name]) => name)).toEqual(['a', 'b']);
    const [a, b] = there.files.chosen('c1');
    // A message of this tab waits for the file.
    there.uploader.handOver([b!]);
    there.uploader.releaseTaken([a!.key, b!.key]);
    expect([there.states, there.files.all.has(b!.key)]).toEqual([[['b', 'uploading']], true]);
    expect([here.storage.kept.size, there.removed.mock.calls]).toEqual([2, []]);
  });

  it('waits for the connection and reports progress', async () => {
    const desk = new Desk();
    await desk.add('a');
    desk.going[0]?.request.onprogress(0.5);
    expect(desk.files.of('c1')[0]?.share).toBe(0.5);
    desk.going[0]?.fail(new ApiError(0, 'network', ''));
    await settled();
    expect(desk.states).toEqual([['a', 'waiting']]);
    desk.uploader.resume();
    expect(desk.going).toHaveLength(2);
    desk.going[1]?.arrive();
    await settled();
    expect(desk.states).toEqual([['a', 'ready']]);
  });

  it('stops after a refusal and retries only what may succeed', async () => {
    const desk = new Desk();
    await desk.add('a', 'b');
    desk.going[0]?.fail(new ApiError(415, 'type_refused', ''));
    for (let at = 1; at <= 4; at++) {
      desk.going[at]?.fail(new ApiError(500, 'internal', ''));
      await vi.advanceTimersByTimeAsync(60_000);
    }
    expect(desk.states.map(([, state]) => state)).toEqual(['failed', 'failed']);
    const [a, b] = desk.files.of('c1');
    expect([a?.isFinal, b?.isFinal]).toEqual([true, false]);
    desk.uploader.retry(b?.key ?? '');
    expect(desk.states).toEqual([
      ['a', 'failed'],
      ['b', 'uploading']
    ]);
  });

  it('returns the ids of a message’s files in order, or the failure', async () => {
    const desk = new Desk();
    await desk.add('a', 'b');
    const taken = desk.files.chosen('c1');
    const delivered = desk.uploader.deliver(taken);
    desk.going[1]?.arrive();
    desk.going[0]?.arrive();
    expect(await delivered).toEqual(['u-a', 'u-b']);
    await desk.add('c');
    const refused = desk.uploader.deliver(desk.files.chosen('c1').slice(2));
    desk.going[2]?.fail(new ApiError(413, 'too_large', ''));
    await expect(refused).rejects.toMatchObject({ code: 'upload_failed', message: expect.stringContaining('c') });
  });

  it('restores chosen files after a reload without a second upload', async () => {
    const before = new Desk();
    await before.add('there', 'open');
    before.going[0]?.arrive();
    await settled();
    const after = new Desk(before.storage);
    await after.uploader.restore();
    expect(after.states).toEqual([
      ['there', 'ready'],
      ['open', 'uploading']
    ]);
    expect(after.going.map(({ request }) => request.name)).toEqual(['open']);
  });

  it('aborts a cancelled upload and deletes a finished one', async () => {
    const desk = new Desk();
    await desk.add('a', 'b');
    desk.going[0]?.arrive();
    await settled();
    const [a, b] = desk.files.of('c1');
    desk.uploader.remove(a?.key ?? '');
    desk.uploader.remove(b?.key ?? '');
    expect(desk.removed).toHaveBeenCalledExactlyOnceWith('/uploads/u-a');
    expect(desk.going[1]?.request.signal.aborted).toBe(true);
    expect(desk.states).toEqual([]);
    expect(desk.storage.kept.size).toBe(0);
  });
});
