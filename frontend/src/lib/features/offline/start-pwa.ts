import { mount } from 'svelte';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';
import { goto } from '#lib/util/navigation.ts';
import { forwardMessages, LIVE_MESSAGES } from './live-messages.ts';

let isListening = false;

/** Starts the page's part of the installed app: opening notifications, announcing updates and caching messages. */
export function startPwa(connection: Pick<LiveUpdates, 'on'>): void {
  if (isListening || !('serviceWorker' in navigator)) return;
  isListening = true;
  navigator.serviceWorker.addEventListener('message', ({ data }: MessageEvent<unknown>) => {
    if (isOpening(data)) open(data);
  });
  forwardMessages(connection, (frames) =>
    navigator.serviceWorker.controller?.postMessage({ type: LIVE_MESSAGES, frames })
  );
  void watch();
}

interface WindowLaunch {
  type: 'natter.open';
  conversation_id: string | null;
  message_id: string | null;
  /** Path to open, if the notification isn't about a conversation. */
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
  // On Apple devices push can't close notifications that were read elsewhere, so the service worker closes them now.
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

/** Activates the new service worker and reloads the page when it has taken control. */
function update(waiting: ServiceWorker): void {
  navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
  waiting.postMessage('natter.update');
}
