const KEY = 'natter.joining';

/** URL of an invitation. */
export function invitationPath(token: string): string {
  return `/invite?${new URLSearchParams({ token })}`;
}

/** Invitation token in a `next` path. */
export function invitationIn(path: string): string | null {
  const url = new URL(path, 'https://natter.invalid');
  return url.pathname === '/invite' ? url.searchParams.get('token') : null;
}

/** Remembers that joining was requested before sign-in. */
export function rememberJoining(token: string): void {
  try {
    sessionStorage.setItem(KEY, token);
  } catch {
    // The user confirms again.
  }
}

/** Whether joining was requested before sign-in; resets the flag. */
export function consumeJoining(token: string): boolean {
  try {
    const isIt = sessionStorage.getItem(KEY) === token;
    if (isIt) sessionStorage.removeItem(KEY);
    return isIt;
  } catch {
    return false;
  }
}
