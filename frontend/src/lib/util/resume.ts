/** Shorter pauses are no sleep, only a switch of tabs, in milliseconds. */
const MIN_SLEEP = 5_000;

/** Runs that when the page comes back after a while out of sight, and when the network does; answers how to stop. */
export function onResume(run: () => void): () => void {
  let hiddenAt = Infinity;
  const look = () => {
    if (document.visibilityState === 'hidden') hiddenAt = Date.now();
    else if (Date.now() - hiddenAt > MIN_SLEEP) run();
  };
  document.addEventListener('visibilitychange', look);
  addEventListener('online', run);
  return () => {
    document.removeEventListener('visibilitychange', look);
    removeEventListener('online', run);
  };
}
