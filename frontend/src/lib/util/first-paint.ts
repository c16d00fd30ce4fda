/** What one has come to see is shown first: what comes by itself, without a click, waits for that. */
let tell: () => void = () => undefined;

/** Once what one has come to see stands there, or can't be brought. */
export const painted = new Promise<void>((resolve) => (tell = resolve));

/** So late it is no longer waited for: it may come over a slow line. */
const MAX_WAIT = 3_000;

/** It stands there. */
export function markPainted(): void {
  tell();
}

/** The page that is opened says itself when it is seen. */
export function awaitSeen(): void {
  setTimeout(tell, MAX_WAIT);
}
