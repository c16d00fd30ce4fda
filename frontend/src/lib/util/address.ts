/**
 * Paths and URLs of an app that may run below a path of its host (`server.public_url`). Inside the app, paths start at its root (`/c/new`); they are
 * converted to and from URLs of the browser here. `goto` is in `navigation.ts`.
 */

const around = globalThis as { readonly natterBase?: string; readonly registration?: unknown };

/**
 * Path of the app on its host, without a slash at the end; empty if the app is at the root. The page sets it, and the service worker derives it from
 * its own URL.
 */
export const base: string =
  around.natterBase ?? (around.registration ? location.pathname.slice(0, location.pathname.lastIndexOf('/')) : '');

/** Converts a path of the app to one of the host. */
export function withBase(path: string): string {
  return base + path;
}

/** Absolute URL of a path of the app, for copying. */
export function absoluteUrl(path: string): string {
  return location.origin + base + path;
}

/** Whether a path of this host belongs to the app. */
export function isBelow(pathname: string): boolean {
  return pathname === base || pathname.startsWith(`${base}/`);
}

/** Path within the app to which a URL leads. */
export function pathOf({ pathname }: Pick<URL, 'pathname'>): string {
  return isBelow(pathname) ? pathname.slice(base.length) || '/' : pathname;
}
