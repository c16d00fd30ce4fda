import { withBase } from '#lib/util/address.ts';

/** Time in milliseconds without activity after which the service worker is registered, which then caches files. */
const IDLE_MS = 5_000;

export function registerWorker(): void {
  if (!('serviceWorker' in navigator)) return;
  const register = () => {
    const path = withBase('/service-worker.js');
    // If registration fails, only the use offline is missing.
    navigator.serviceWorker.register(path, { type: 'module' }).catch(() => undefined);
  };
  const later = () => setTimeout(register, IDLE_MS);
  if (document.readyState === 'complete') later();
  else addEventListener('load', later, { once: true });
}
