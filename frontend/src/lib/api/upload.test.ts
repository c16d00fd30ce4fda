import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Api } from './client.ts';
import { transcribe, upload, type Request } from './upload.ts';

/** Fake `XMLHttpRequest` that the test drives. */
class Line {
  static all: Line[] = [];
  static get last(): Line {
    const last = Line.all.at(-1);
    if (!last) throw new Error('nothing was asked');
    return last;
  }

  status = 0;
  responseText = '';
  readonly upload: { onprogress?: (event: { loaded: number }) => void; onload?: () => void } = {};
  onload: () => void = () => undefined;
  onabort: () => void = () => undefined;
  onloadend: () => void = () => undefined;
  isAborted = false;

  constructor() {
    Line.all.push(this);
  }

  open = () => undefined;
  setRequestHeader = () => undefined;
  send = () => undefined;
  getResponseHeader = () => null;

  abort(): void {
    this.isAborted = true;
    this.onabort();
    this.onloadend();
  }

  answer(data: unknown): void {
    this.status = 201;
    this.responseText = JSON.stringify({ data });
    this.onload();
    this.onloadend();
  }
}

function request(more: Partial<Request> = {}): Request {
  return {
    blob: new Blob(['x'.repeat(100)]),
    name: 'plan.txt',
    mediaType: 'text/plain',
    begunAt: null,
    onbegun: () => undefined,
    onprogress: () => undefined,
    signal: new AbortController().signal,
    ...more
  };
}

describe('uploads', () => {
  beforeEach(() => {
    vi.useFakeTimers();
    vi.stubGlobal('XMLHttpRequest', Line);
    Line.all = [];
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('has no timeout while data is sent', async () => {
    const shares: number[] = [];
    const sent = upload({} as Api, request({ onprogress: (share) => shares.push(share) }));
    for (const loaded of [20, 40, 60, 80, 100]) {
      await vi.advanceTimersByTimeAsync(50_000);
      Line.last.upload.onprogress?.({ loaded });
    }
    Line.last.upload.onload?.();
    await vi.advanceTimersByTimeAsync(100_000);
    Line.last.answer({ id: 'u1' });
    expect(await sent).toEqual({ id: 'u1' });
    expect(shares).toEqual([0.2, 0.4, 0.6, 0.8, 1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('fails with a network error after a minute without progress', async () => {
    const silent = upload({} as Api, request()).catch((error: unknown) => error);
    Line.last.upload.onprogress?.({ loaded: 20 });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await silent).toMatchObject({ code: 'network', isNetwork: true });
    // A small file is sent in a single request.
    const unanswered = upload({} as Api, request()).catch((error: unknown) => error);
    Line.last.upload.onprogress?.({ loaded: 100 });
    Line.last.upload.onload?.();
    await vi.advanceTimersByTimeAsync(119_000);
    expect(Line.last.isAborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await unanswered).toMatchObject({ code: 'network' });
    // An interrupted upload starts with the request for its offset.
    const asked = upload({} as Api, request({ blob: new Blob(['x'.repeat(6 * 1024 * 1024)]), begunAt: '/at' }));
    const lost = asked.catch((error: unknown) => error);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(await lost).toMatchObject({ code: 'network' });
    expect(Line.all.every(({ isAborted }) => isAborted)).toBe(true);
  });

  it('has no timeout for a transcription', async () => {
    const stop = new AbortController();
    const said = transcribe({} as Api, new Blob(['x']), undefined, stop.signal);
    await vi.advanceTimersByTimeAsync(10 * 60_000);
    Line.last.answer({ text: 'Hello' });
    expect(await said).toBe('Hello');
  });
});
