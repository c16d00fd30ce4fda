/**
 * Uploads files and reports the progress, which `fetch` can't do. Small files take one request. Large ones use the tus 1.0.0 protocol, so that an
 * interrupted upload can be resumed.
 */
import { ApiError, failureOf, type Api } from './client.ts';
import type { Upload } from './files.ts';
import { base } from '#lib/util/address.ts';

export interface Request {
  readonly blob: Blob;
  readonly name: string;
  readonly mediaType: string;
  readonly voice?: { readonly peaks: readonly number[]; readonly duration_ms: number } | undefined;
  /** URL of an earlier, incomplete upload of this file; null if there is none. */
  readonly begunAt: string | null;
  readonly onbegun: (at: string | null) => void;
  readonly onprogress: (share: number) => void;
  readonly signal: AbortSignal;
}

/** Incomplete upload: its URL and the number of bytes that the server has. */
interface Part {
  readonly at: string;
  readonly offset: number;
}

const SINGLE_REQUEST_MAX_BYTES = 5 * 1024 * 1024;
const UPLOAD_URL = `${base}/r1/uploads`;
const TUS_URL = `${base}/r1/uploads/tus`;
const TRANSCRIPTION_URL = `${base}/r1/transcriptions`;
const MAX_CONFLICTS = 3;
/** Time in milliseconds without a sent byte after which the connection counts as dead. */
const STALL_TIMEOUT = 60_000;
/** Time in milliseconds that the server has to store the uploaded file and to answer. */
const RESPONSE_TIMEOUT = 120_000;
const TUS = { 'Tus-Resumable': '1.0.0' };

export function upload(api: Api, request: Request): Promise<Upload> {
  return withTokenRefresh(api, () =>
    request.blob.size > SINGLE_REQUEST_MAX_BYTES ? sendParts(api, request) : sendWhole(request)
  );
}

/** Transcribes a recording, which the server doesn't store. Returns an empty text if it contains no speech. */
export async function transcribe(
  api: Api,
  recording: Blob,
  workspaceId: string | undefined,
  signal: AbortSignal
): Promise<string> {
  const address = workspaceId ? `${TRANSCRIPTION_URL}?workspace_id=${workspaceId}` : TRANSCRIPTION_URL;
  const headers = { 'Content-Type': recording.type || 'application/octet-stream' };
  const answer = await withTokenRefresh(api, () => sendRequest('POST', address, headers, signal, recording));
  return (JSON.parse(answer.responseText) as { data: { text: string } }).data.text;
}

async function withTokenRefresh<T>(api: Api, go: () => Promise<T>): Promise<T> {
  try {
    return await go();
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    await api.refresh();
    return await go();
  }
}

async function sendWhole({ blob, name, mediaType, voice, onprogress, signal }: Request): Promise<Upload> {
  const query = voice ? `?kind=voice&peaks=${voice.peaks.join(',')}&duration_ms=${voice.duration_ms}` : '';
  const headers = { 'Content-Type': mediaType || 'application/octet-stream', 'X-Filename': encodeURIComponent(name) };
  const answer = await sendRequest('POST', UPLOAD_URL + query, headers, signal, blob, (loaded) =>
    onprogress(loaded / blob.size)
  );
  return (JSON.parse(answer.responseText) as { data: Upload }).data;
}

async function sendParts(api: Api, request: Request): Promise<Upload> {
  const { blob, onprogress, signal } = request;
  let { begunAt } = request;
  for (let tries = 1; ; tries++) {
    const { at, offset } = (await resumeTusUpload(request, begunAt)) ?? (await startTusUpload(request));
    begunAt = at;
    try {
      if (offset < blob.size) {
        const headers = { ...TUS, 'Upload-Offset': String(offset), 'Content-Type': 'application/offset+octet-stream' };
        const told = (loaded: number) => onprogress((offset + loaded) / blob.size);
        await sendRequest('PATCH', at, headers, signal, blob.slice(offset), told);
      }
      return await api.get(`/uploads/${at.slice(at.lastIndexOf('/') + 1)}`);
    } catch (error) {
      // After a conflict the offset is requested again: more bytes of the earlier attempt have arrived than the server reported at first.
      if (!(error instanceof ApiError) || error.code !== 'upload_conflict' || tries >= MAX_CONFLICTS) throw error;
    }
  }
}

async function startTusUpload({ blob, name, mediaType, onbegun, signal }: Request): Promise<Part> {
  const metadata = `filename ${inBase64(name)},filetype ${inBase64(mediaType)}`;
  const headers = { ...TUS, 'Upload-Length': String(blob.size), 'Upload-Metadata': metadata };
  const answer = await sendRequest('POST', TUS_URL, headers, signal);
  const at = new URL(answer.getResponseHeader('Location') ?? '', location.origin).pathname;
  onbegun(at);
  return { at, offset: 0 };
}

/** Requests the offset of an incomplete upload. Null if there is none or the server has deleted it. */
async function resumeTusUpload({ onbegun, signal }: Request, begunAt: string | null): Promise<Part | null> {
  if (begunAt === null) return null;
  try {
    const answer = await sendRequest('HEAD', begunAt, TUS, signal);
    return { at: begunAt, offset: Number(answer.getResponseHeader('Upload-Offset')) };
  } catch (error) {
    if (!(error instanceof ApiError) || (error.status !== 404 && error.status !== 410)) throw error;
    onbegun(null);
    return null;
  }
}

function sendRequest(
  method: string,
  url: string,
  headers: Record<string, string>,
  signal: AbortSignal,
  body: Blob | null = null,
  onprogress?: (loaded: number) => void
): Promise<XMLHttpRequest> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = () => request.abort();
    const wait = (milliseconds: number) => {
      clearTimeout(timer);
      timer = setTimeout(stop, milliseconds);
    };
    const lost = () => reject(new ApiError(0, 'network', 'The server could not be reached.'));
    signal.addEventListener('abort', stop);
    request.open(method, url);
    const all = { Accept: 'application/json', 'X-Natter-Transport': 'cookie', ...headers };
    for (const [name, value] of Object.entries(all)) request.setRequestHeader(name, value);
    if (onprogress) {
      request.upload.onprogress = ({ loaded }) => {
        wait(STALL_TIMEOUT);
        onprogress(Math.min(loaded, body?.size ?? loaded));
      };
      request.upload.onload = () => wait(RESPONSE_TIMEOUT);
    }
    request.onerror = lost;
    request.onabort = lost;
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(request);
      else reject(failureOf(request.status, request.responseText, (name) => request.getResponseHeader(name)));
    };
    request.onloadend = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    };
    request.send(body);
    // There is no response timeout for transcriptions, because their duration can't be predicted.
    if (!body || onprogress) wait(STALL_TIMEOUT);
  });
}

function inBase64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
