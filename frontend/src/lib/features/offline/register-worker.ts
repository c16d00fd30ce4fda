import { withBase } from '#lib/util/address.ts';

/** Idle time before the service worker precaches files, in milliseconds. */
const IDLE_MS = 5_000;

export function registerWorker(): void {
  if (!('serviceWorker' in navigator)) return;
  const register = () => {
    const path = withBase('/service-worker.js');
    // Without a service worker only offline use is missing.
    navigator.serviceWorker.register(path, { type: 'module' }).catch(() => undefined);
  };
  const later = () => setTimeout(register, IDLE_MS);
  if (document.readyState === 'complete') later();
  else addEventListener('load', later, { once: true });
}
