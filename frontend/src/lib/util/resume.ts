/** Time in milliseconds for which the page must have been hidden to count as asleep. Shorter times are a switch between tabs. */
const MIN_SLEEP = 5_000;

/** Calls `run` when the page returns after a while or the network is back. Returns a function that stops this. */
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
