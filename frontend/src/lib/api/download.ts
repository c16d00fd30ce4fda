import { ApiError, failureOf, type Api } from './client.ts';
import { base } from '#lib/util/address.ts';

/** Downloads a file without decoding it. */
export async function fetchFile(api: Api, path: string): Promise<Blob> {
  const ask = async () => {
    try {
      return await fetch(`${base}/r1${path}`, { credentials: 'same-origin', cache: 'no-store' });
    } catch {
      throw new ApiError(0, 'network', 'The server could not be reached.');
    }
  };
  let answer = await ask();
  if (answer.status === 401) {
    await api.refresh();
    answer = await ask();
  }
  if (!answer.ok) throw failureOf(answer.status, await answer.text(), (name) => answer.headers.get(name));
  return await answer.blob();
}
