/**
 * Base path support: the app may run below a path of its host (`server.public_url`). Inside the app paths start at its root (`/c/new`); they are
 * converted to and from browser URLs here. `goto` is in `navigation.ts`.
 */

const around = globalThis as { readonly natterBase?: string; readonly registration?: unknown };

/** Base path without trailing slash; empty at the root. Set by the page; the service worker derives it from its own URL. */
export const base: string =
  around.natterBase ?? (around.registration ? location.pathname.slice(0, location.pathname.lastIndexOf('/')) : '');

/** URL path with the base path. */
export function withBase(path: string): string {
  return base + path;
}

/** Absolute URL, for copying. */
export function wholeAddress(path: string): string {
  return location.origin + base + path;
}

/** Whether a URL path of this host belongs to the app. */
export function isBelow(pathname: string): boolean {
  return pathname === base || pathname.startsWith(`${base}/`);
}

/** App path of a URL. */
export function pathOf({ pathname }: Pick<URL, 'pathname'>): string {
  return isBelow(pathname) ? pathname.slice(base.length) || '/' : pathname;
}
