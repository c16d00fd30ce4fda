/**
 * Signing in by a provider leads away from the page and back, maybe by another one of ours (a second factor, an error).
 * What was intended is kept for this tab meanwhile.
 */

export interface OAuthReturn {
  provider: string;
  /** Where the person wanted to go: a path of ours. */
  next: string;
}

const KEY = 'natter.detour';

export function saveOAuthReturn(oauthReturn: OAuthReturn): void {
  try {
    sessionStorage.setItem(KEY, JSON.stringify(oauthReturn));
  } catch {
    // Forgotten: the person arrives at the start.
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
    // Nothing was kept.
  }
}

/** The path if it is one of ours, else the start: nobody is led away by a link to our sign-in page. */
export function localPath(path: string | null | undefined, origin: string = location.origin): string {
  if (!path?.startsWith('/')) return '/';
  try {
    const url = new URL(path, origin);
    return url.origin === origin ? url.pathname + url.search + url.hash : '/';
  } catch {
    return '/';
  }
}
