/** Shorter pauses are no sleep, only a switch of tabs, in milliseconds. */
const MIN_SLEEP = 5_000;

/** Calls `run` when the page returns after a while or the network is back; returns a function that stops it. */
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
