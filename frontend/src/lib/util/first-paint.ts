/** Delays work until the main content of the page is painted. */
let resolvePainted: () => void = () => undefined;

/** Resolves when the main content is painted or has failed to load. */
export const painted = new Promise<void>((resolve) => (resolvePainted = resolve));

/** Longest delay on a slow connection, in milliseconds. */
const MAX_WAIT = 3_000;

export function markPainted(): void {
  resolvePainted();
}

/** Delays work until the page calls `markPainted`. Called by pages whose main content takes long. */
export function deferUntilPainted(): void {
  setTimeout(resolvePainted, MAX_WAIT);
}
