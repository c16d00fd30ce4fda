/** Delays background work until the page's main content is painted. */
let resolvePainted: () => void = () => undefined;

/** Resolves once the main content is painted or has failed to load. */
export const painted = new Promise<void>((resolve) => (resolvePainted = resolve));

/** Upper bound for the wait on slow connections, in milliseconds. */
const MAX_WAIT = 3_000;

export function markPainted(): void {
  resolvePainted();
}

/** Delays background work until the page calls `markPainted`. */
export function awaitSeen(): void {
  setTimeout(resolvePainted, MAX_WAIT);
}
