/** State kept across an OAuth redirect, in session storage. */

export interface OAuthReturn {
  provider: string;
  /** Path to return to. */
  next: string;
}

const KEY = 'natter.detour';

export function saveOAuthReturn(oauthReturn: OAuthReturn): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(oauthReturn));
  } catch {
    // Without storage the user returns to the start page.
  }
}

export function loadOAuthReturn(): OAuthReturn | null {
  try {
    const value: unknown = JSON.parse(sessionStorage.getItem(KEY) ?? 'null');
    if (typeof value !== 'object' || value === null || !('provider' in value) || !('next' in value)) return null;
    return { provider: String(value.provider), next: localPath(String(value.next)) };
  } catch {
    return null;
  }
}

export function clearOAuthReturn(): void {
  try {
    sessionStorage.removeItem(KEY);
  } catch {
    // Storage is blocked.
  }
}

/** Returns a path of this origin or the root; prevents open redirects. */
export function localPath(path: string | null | undefined, origin: string = location.origin): string {
  if (!path?.startsWith('/')) return '/';
  try {
    const url = new URL(path, origin);
    return url.origin === origin ? url.pathname + url.search + url.hash : '/';
  } catch {
    return '/';
  }
}
