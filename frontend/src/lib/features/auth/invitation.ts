import { tabStorage } from '#lib/util/browser-storage.ts';

const KEY = 'natter.joining';

export function invitationPath(token: string): string {
  return `/invite?${new URLSearchParams({ token })}`;
}

/** Extracts the invitation token from the path to continue at; null if that is no invitation. */
export function invitationIn(path: string): string | null {
  const url = new URL(path, 'https://natter.invalid');
  return url.pathname === '/invite' ? url.searchParams.get('token') : null;
}

/** Remembers across the sign-in that the user has chosen to join. */
export function rememberJoining(token: string): void {
  tabStorage.setItem(KEY, token);
}

/** Whether the user chose to join before the sign-in. Returns true only once. */
export function consumeJoining(token: string): boolean {
  const isIt = tabStorage.getItem(KEY) === token;
  if (isIt) tabStorage.removeItem(KEY);
  return isIt;
}
