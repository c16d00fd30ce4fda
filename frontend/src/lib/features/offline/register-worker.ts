import { getLocale } from '#lib/i18n/locale.ts';
import { withBase } from '#lib/util/address.ts';

/** Time in milliseconds without activity after which the service worker is registered, which then caches files. */
const IDLE_MS = 5_000;

export function registerWorker(): void {
  if (!('serviceWorker' in navigator)) return;
  // If registration fails, only the use offline is missing.
  const later = () => setTimeout(() => void register().catch(() => undefined), IDLE_MS);
  if (document.readyState === 'complete') later();
  else addEventListener('load', later, { once: true });
}

async function register(): Promise<void> {
  const { storeLanguage, LANGUAGE_MESSAGE } = await import('./worker-language.ts');
  // Stored before the worker is installed, because that loads the texts of this language.
  await storeLanguage(getLocale());
  const { active } = await navigator.serviceWorker.register(withBase('/service-worker.js'), { type: 'module' });
  active?.postMessage(LANGUAGE_MESSAGE);
}
