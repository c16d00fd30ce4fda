/** Brings a file to the server, with progress: `fetch` tells none of what goes up. */
import { ApiError, failureOf, type Api } from './client.ts';
import type { Upload } from './files.ts';

export interface Request {
  readonly blob: Blob;
  readonly name: string;
  readonly mediaType: string;
  readonly peaks?: readonly number[] | undefined;
  readonly onprogress: (share: number) => void;
  readonly signal: AbortSignal;
}

export async function upload(api: Api, request: Request): Promise<Upload> {
  try {
    return await send(request);
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    await api.refresh();
    return await send(request);
  }
}

function send({ blob, name, mediaType, peaks, onprogress, signal }: Request): Promise<Upload> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const stop = () => request.abort();
    const lost = () => {
      signal.removeEventListener('abort', stop);
      reject(signal.aborted ? signal.reason : new ApiError(0, 'network', 'The server could not be reached.'));
    };
    signal.addEventListener('abort', stop);
    request.open('POST', `/r1/uploads${peaks ? `?kind=voice&peaks=${peaks.join(',')}` : ''}`);
    request.setRequestHeader('Accept', 'application/json');
    request.setRequestHeader('X-Natter-Transport', 'cookie');
    request.setRequestHeader('Content-Type', mediaType || 'application/octet-stream');
    request.setRequestHeader('X-Filename', encodeURIComponent(name));
    request.upload.onprogress = ({ loaded }) => onprogress(blob.size > 0 ? Math.min(1, loaded / blob.size) : 0);
    request.onerror = lost;
    request.onabort = lost;
    request.onload = () => {
      signal.removeEventListener('abort', stop);
      const made = dataOf(request.responseText);
      if (request.status === 201 && made) resolve(made);
      else reject(failureOf(request.status, request.responseText, (header) => request.getResponseHeader(header)));
    };
    request.send(blob);
  });
}

function dataOf(text: string): Upload | undefined {
  try {
    return (JSON.parse(text) as { data?: Upload }).data;
  } catch {
    return undefined;
  }
}
