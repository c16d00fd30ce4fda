import { mount } from 'svelte';
import { goto } from '#lib/util/navigation.ts';

let isListening = false;

/** Page side of the PWA: opens notifications and announces updates. */
export function startPwa(): void {
  if (isListening || !('serviceWorker' in navigator)) return;
  isListening = true;
  navigator.serviceWorker.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    if (isOpening(data)) open(data);
  });
  void watch();
}

interface WindowLaunch {
  type: 'natter.open';
  conversation_id: string | null;
  message_id: string | null;
  /** Path, unless the notification is about a message. */
  path?: string | undefined;
}

function isOpening(data: unknown): data is WindowLaunch {
  return typeof data === 'object' && data !== null && 'type' in data && data.type === 'natter.open';
}

function open({ conversation_id, message_id, path }: WindowLaunch): void {
  const message = message_id ? `/m/${message_id}` : '';
  void goto(path ? path : conversation_id ? `/c/${conversation_id}${message}` : '/activity');
}

async function watch(): Promise<void> {
  const registration = await navigator.serviceWorker.ready;
  // Apple devices: closes notifications that were read elsewhere; others are closed by push.
  if (/iPhone|iPad|Macintosh/.test(navigator.userAgent)) registration.active?.postMessage('natter.look');
  const checkForUpdate = () => {
    if (registration.waiting && navigator.serviceWorker.controller) announceUpdate(registration.waiting);
  };
  checkForUpdate();
  registration.addEventListener('updatefound', () => {
    registration.installing?.addEventListener('statechange', checkForUpdate);
  });
}

let isSaid = false;

function announceUpdate(waiting: ServiceWorker): void {
  if (isSaid) return;
  isSaid = true;
  import('./components/update-ready.svelte')
    .then(({ default: UpdateReady }) => {
      mount(UpdateReady, { target: document.body, props: { onupdate: () => update(waiting) } });
    })
    .catch(() => {
      isSaid = false;
    });
}

/** Reloads when the new service worker has taken control. */
function update(waiting: ServiceWorker): void {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  waiting.postMessage('natter.update');
}
