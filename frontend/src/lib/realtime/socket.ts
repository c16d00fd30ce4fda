import type { Api } from '#lib/api/client.ts';
import type { Frame } from '#lib/api/types.ts';
import { base } from '#lib/util/address.ts';

/** Part of a WebSocket that the connection uses. Tests and the fallback transport implement it too. */
export interface Socket {
  onopen: (() => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number }) => void) | null;
  onerror: (() => void) | null;
  readyState: number;
  send(data: string): void;
  close(code?: number): void;
}

/** Value of `readyState` if the socket is open. */
export const OPEN = 1;

export function openWebSocket(): Socket {
  const scheme = location.protocol === 'https:' ? 'wss' : 'ws';
  return new WebSocket(`${scheme}://${location.host}${base}/r1/websocket`, 'natter.json') as unknown as Socket;
}

/** Loads the fallback transport, which uses HTTP requests only. */
export async function loadStreamSocket(): Promise<(api: Api) => Socket> {
  const { StreamSocket } = await import('./stream-socket.ts');
  return (api) => new StreamSocket(api);
}

export function parseFrame(data: string): Frame | undefined {
  try {
    const value: unknown = JSON.parse(data);
    if (typeof value !== 'object' || value === null || typeof (value as Frame).type !== 'string') return undefined;
    return value as Frame;
  } catch {
    return undefined;
  }
}
