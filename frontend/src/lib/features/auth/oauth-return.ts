/** Data that is kept in session storage during the redirect to an OAuth provider. */
import { tabStorage } from '#lib/util/browser-storage.ts';

export interface OAuthReturn {
  provider: string;
  /** Path to continue at after the sign-in. */
  next: string;
}

const KEY = 'natter.detour';

export function saveOAuthReturn(oauthReturn: OAuthReturn): void {
  tabStorage.setItem(KEY, JSON.stringify(oauthReturn));
}

export function loadOAuthReturn(): OAuthReturn | null {
  try {
    const value: unknown = JSON.parse(tabStorage.getItem(KEY) ?? 'null');
    if (typeof value !== 'object' || value === null || !('provider' in value) || !('next' in value)) return null;
    return { provider: String(value.provider), next: localPath(String(value.next)) };
  } catch {
    return null;
  }
}

export function clearOAuthReturn(): void {
  tabStorage.removeItem(KEY);
}

/** Returns the path if it is one of this origin, and the root otherwise. Prevents open redirects. */
export function localPath(path: string | null | undefined, origin: string = location.origin): string {
  if (!path?.startsWith('/')) return '/';
  try {
    const url = new URL(path, origin);
    return url.origin === origin ? url.pathname + url.search + url.hash : '/';
  } catch {
    return '/';
  }
}
