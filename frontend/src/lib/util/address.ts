/**
 * The app may stand below a path of its host (`server.public_url`). Inside of it paths are written as if it stood at the root: `/c/new`.
 * Where one becomes an address of the browser, or an address of the browser a path, it passes here; `goto` is in `navigation.ts`.
 */

const around = globalThis as { readonly natterBase?: string; readonly registration?: unknown };

/** Where the app stands, without a slash at the end; empty at the root. The page says it, and the service worker stands there itself. */
export const base: string =
  around.natterBase ?? (around.registration ? location.pathname.slice(0, location.pathname.lastIndexOf('/')) : '');

/** The address of a path of ours, on this host. */
export function withBase(path: string): string {
  return base + path;
}

/** The address of a path of ours with the host: to be copied, and to be entered elsewhere. */
export function wholeAddress(path: string): string {
  return location.origin + base + path;
}

/** Whether an address of this host belongs to the app. */
export function isBelow(pathname: string): boolean {
  return pathname === base || pathname.startsWith(`${base}/`);
}

/** The path of ours that an address leads to. */
export function pathOf({ pathname }: Pick<URL, 'pathname'>): string {
  return isBelow(pathname) ? pathname.slice(base.length) || '/' : pathname;
}
