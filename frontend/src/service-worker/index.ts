/**
 * Service worker: caches the files of the app and recent responses, sends the outbox in the background and shows push notifications. Pages come from
 * the network, or from the cache if that fails. The cache of responses contains conversations and their pictures, has a limited size, and is cleared
 * at sign-out.
 */
import { version } from '$app/env';
import { assets, immutable } from '$app/manifest';
import { self } from '$app/service-worker';
import { base, isBelow, pathOf, withBase } from '#lib/util/address.ts';
import { Api } from '#lib/api/client.ts';
import type { Cursor, Message } from '#lib/api/types.ts';
import { BrowserRenewal, RENEWAL } from '#lib/api/renewal.ts';
import { FileStorage } from '#lib/realtime/file-storage.ts';
import { BrowserOutboxStorage, SYNC_TAG } from '#lib/realtime/outbox-storage.ts';
import { replaceDevice } from '#lib/features/notifications/push-device.ts';
import { changesAccount, OfflineCache, PICTURE_CACHE, READ_CACHE } from '#lib/features/offline/asset-cache.ts';
import {
  applyFrames,
  LIVE_MESSAGES,
  latestMessagesOf,
  type MessageFrame
} from '#lib/features/offline/live-messages.ts';
import { sendPending } from '#lib/features/offline/background-sync.ts';
import { isNeeded, languageOf } from '#lib/features/offline/shell-files.ts';
import { LANGUAGE_CACHE, LANGUAGE_MESSAGE, readLanguage } from '#lib/features/offline/worker-language.ts';

/** Page of the app, which is the same at all paths. */
const PAGE_URL = `${base}/`;
const SHELL_CACHE = `natter-shell-${version}`;
/** Time in milliseconds after which the cached page is used, although the network may still answer. */
const NETWORK_TIMEOUT = 4_000;
/** Paths of API requests whose responses are cached. */
const CACHED_PATHS =
  /^\/r1\/(users\/me|users\/pictures|workspaces|workspaces\/[\w-]+\/emoji|sections|conversations|conversations\/[\w-]+|conversations\/[\w-]+\/(messages|members|pins)|notifications|messages\/[\w-]+\/thread)$/;
/** Maximum number of files that are loaded at the same time. */
const MAX_PARALLEL = 4;
/** Language of readers whose page has stored none. */
const DEFAULT_LANGUAGE = 'en';
/** Files of the app. */
const FILES = [...immutable, ...assets].map(({ path }) => `${base}/${path.replace(/^\//, '')}`);

const cachedPage = new OfflineCache(caches);

/** Event of Background Sync, which browsers send when the network is back. */
type SyncEvent = ExtendableEvent & { readonly tag: string };

/** Data of a shown notification. */
interface About {
  id: string;
  conversation_id: string | null;
  message_id: string | null;
  /** Path that a click opens. Set only by notifications that a page has shown. */
  path?: string;
}

interface Pushed extends About {
  kind: string;
  title: string;
  text: string;
}

self.addEventListener('install', (event) => event.waitUntil(cacheShell()));
self.addEventListener('activate', (event) => event.waitUntil(activate()));
self.addEventListener('fetch', (event) => answer(event));
self.addEventListener('sync', (event: Event) => {
  const { tag } = event as SyncEvent;
  if (tag === SYNC_TAG) (event as SyncEvent).waitUntil(sendWhatIsLeft());
});
self.addEventListener('push', (event) => event.waitUntil(show(event.data)));
self.addEventListener('pushsubscriptionchange', (event) => event.waitUntil(changed(event)));
self.addEventListener('notificationclick', (event) => event.waitUntil(open(event.notification)));
self.addEventListener('message', (event) => {
  if (event.data === 'natter.update') void self.skipWaiting();
  else if (event.data === 'natter.forget') event.waitUntil(cachedPage.clear());
  else if (event.data === 'natter.look') event.waitUntil(closeNotifications());
  else if (event.data === LANGUAGE_MESSAGE) event.waitUntil(cacheLanguage());
  else if (isLive(event.data)) event.waitUntil(addMessages(event.data.frames));
});

async function cacheShell(): Promise<void> {
  const cache = await caches.open(SHELL_CACHE);
  await cache.add(new Request(PAGE_URL, { cache: 'reload', headers: { Accept: 'text/html' } }));
  const language = await currentLanguage();
  // Files that the previous version has cached because they were used are loaded as well.
  const isUsed = async (file: string) => (await caches.match(file)) !== undefined;
  const used = await Promise.all(FILES.map(async (file) => isNeeded(file, language) || (await isUsed(file))));
  await addFiles(FILES.filter((_, index) => used[index]));
}

/** Caches files, a few at a time, so that the connection of the reader isn't slowed down. */
async function addFiles(files: readonly string[]): Promise<void> {
  const cache = await caches.open(SHELL_CACHE);
  for (let at = 0; at < files.length; at += MAX_PARALLEL) await cache.addAll(files.slice(at, at + MAX_PARALLEL));
}

async function currentLanguage(): Promise<string> {
  return (await readLanguage()) ?? DEFAULT_LANGUAGE;
}

/** Caches the texts of the language that was chosen after the worker was installed, and deletes those of the language before. */
async function cacheLanguage(): Promise<void> {
  const language = await currentLanguage();
  const cache = await caches.open(SHELL_CACHE);
  const known = new Set((await cache.keys()).map(({ url }) => new URL(url).pathname));
  await addFiles(FILES.filter((file) => languageOf(file) === language && !known.has(file)));
  const old = [...known].filter((file) => (languageOf(file) ?? language) !== language);
  await Promise.all(old.map((file) => cache.delete(file)));
}

async function activate(): Promise<void> {
  const names = await caches.keys();
  const old = names.filter(
    (name) =>
      name.startsWith('natter-') && ![SHELL_CACHE, READ_CACHE, PICTURE_CACHE, RENEWAL, LANGUAGE_CACHE].includes(name)
  );
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

function answer(event: FetchEvent): void {
  const { request } = event;
  const url = new URL(request.url);
  // The host may serve other apps as well.
  if (url.origin !== location.origin || !isBelow(url.pathname)) return;
  const path = pathOf(url);
  if (request.method !== 'GET') {
    // A request that may change the account clears the cache.
    if (changesAccount(request.method, path)) event.waitUntil(cachedPage.clear());
    return;
  }
  if (request.mode === 'navigate') {
    if (!/^\/(r1|v1|v2|api|openai|files|docs|health|metrics|socket\.io|\.well-known|artifact\.html)(\/|$)/.test(path))
      event.respondWith(page(request));
  } else if (path.startsWith('/_app/immutable/')) event.respondWith(file(event));
  else if (path.startsWith('/files/') && request.destination === 'image') event.respondWith(picture(event));
  else if (CACHED_PATHS.test(path)) event.respondWith(read(request));
}

/** Loads the page from the network. If that fails or takes too long, the cached page is used. */
async function page(request: Request): Promise<Response> {
  const cachedPage = async () => (await caches.match(PAGE_URL, { cacheName: SHELL_CACHE })) ?? Response.error();
  const late = new Promise<Response>((resolve) => setTimeout(() => resolve(cachedPage()), NETWORK_TIMEOUT));
  try {
    return await Promise.race([fetch(request), late]);
  } catch {
    return cachedPage();
  }
}

/** Takes a file from the cache, or else from the network, and caches it. Its name contains a hash of its content, so it never changes. */
async function file(event: FetchEvent): Promise<Response> {
  const { request } = event;
  const known = await caches.match(request);
  if (known) return known;
  const response = await fetch(request);
  // If the storage is full, the file is loaded again when it is needed.
  if (response.status === 200) event.waitUntil(store(request, response.clone()).catch(() => undefined));
  return response;
}

async function store(request: Request, response: Response): Promise<void> {
  await (await caches.open(SHELL_CACHE)).put(request, response);
}

/** Takes a picture from the cache, or else from the network. Its content never changes. */
async function picture(event: FetchEvent): Promise<Response> {
  const { request } = event;
  const known = await cachedPage.find(PICTURE_CACHE, request.url);
  if (known) return known;
  const { era } = cachedPage;
  const response = await fetch(request);
  if (response.status === 200) event.waitUntil(cachedPage.store(PICTURE_CACHE, request.url, response.clone(), era));
  return response;
}

/** Requests data of the API. If the network fails, the last response is used. */
async function read(request: Request): Promise<Response> {
  const { era } = cachedPage;
  try {
    const response = await fetch(request);
    if (response.ok) await cachedPage.store(READ_CACHE, request.url, response.clone(), era);
    else if (response.status === 401 || response.status === 404) await cachedPage.remove(READ_CACHE, request.url);
    return response;
  } catch (error) {
    const known = await cachedPage.find(READ_CACHE, request.url);
    if (known) return known;
    throw error;
  }
}

interface LiveMessages {
  type: typeof LIVE_MESSAGES;
  frames: MessageFrame[];
}

function isLive(data: unknown): data is LiveMessages {
  return typeof data === 'object' && data !== null && 'type' in data && data.type === LIVE_MESSAGES;
}

/** Adds messages that a page has received over the socket to the cached responses. */
function addMessages(frames: readonly MessageFrame[]): Promise<void> {
  const changed = new Set<string>(frames.map(({ payload }) => payload.conversation_id));
  return cachedPage.update((url, body) => {
    const id = latestMessagesOf(url);
    if (!id || !changed.has(id)) return undefined;
    const { data, ...rest } = body as { data: Cursor<Message> };
    return { ...rest, data: applyFrames(data, id, frames) };
  });
}

/** Sends the messages of the outbox. A lock lets only one run do so at a time, because browsers may send the event twice. */
async function sendWhatIsLeft(): Promise<void> {
  await navigator.locks.request('natter.left', () =>
    sendPending(asked(), new BrowserOutboxStorage(), new FileStorage())
  );
}

/** API client with the same lock and refresh key as the pages. */
function asked(): Api {
  return new Api({ locks: navigator.locks, renewal: new BrowserRenewal() });
}

/** Registers a push subscription that the browser has replaced. */
async function changed({ newSubscription }: PushSubscriptionChangeEvent): Promise<void> {
  await replaceDevice(asked(), self.registration.pushManager, newSubscription);
}

async function show(data: PushMessageData | null): Promise<void> {
  const pushed = parsed(data);
  if (!pushed) return closeNotifications();
  const title = pushed.kind === 'reminder' ? `⏰ ${pushed.title}` : pushed.title;
  await self.registration.showNotification(title, {
    body: pushed.text,
    // A new notification of a conversation replaces the previous one.
    tag: pushed.conversation_id ?? pushed.id,
    icon: `${base}/icon-192.png`,
    badge: `${base}/badge.png`,
    data: pushed
  });
  // On Apple devices, no push without a visible notification is possible, so nothing else closes those that were read.
  if ((await self.registration.getNotifications()).length > 1) await closeNotifications();
}

function parsed(data: PushMessageData | null): Pushed | null {
  try {
    const pushed: unknown = data?.json();
    return pushed && typeof pushed === 'object' && 'id' in pushed && 'title' in pushed ? (pushed as Pushed) : null;
  } catch {
    return null;
  }
}

/** Closes the notifications that were read on another device. */
async function closeNotifications(): Promise<void> {
  const shown = await self.registration.getNotifications();
  if (shown.length === 0) return;
  const response = await fetch(`${base}/r1/notifications?unread=true&page_size=200`, {
    headers: { Accept: 'application/json' }
  });
  if (!response.ok) return;
  const { data } = (await response.json()) as { data: { items: { id: string }[] } };
  const unread = new Set(data.items.map(({ id }) => id));
  for (const notification of shown)
    if (!unread.has((notification.data as About | null)?.id ?? '')) notification.close();
}

/** Opens the page of a notification in an existing window, or else in a new one. */
async function open(notification: Notification): Promise<void> {
  notification.close();
  const about = notification.data as About;
  const all = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
  const windows = all.filter(({ url }) => isBelow(new URL(url).pathname));
  const app = windows.find(({ focused }) => focused) ?? windows[0];
  if (app) {
    app.postMessage({ type: 'natter.open', ...about });
    await app.focus();
    return;
  }
  const { conversation_id, message_id } = about;
  const message = message_id ? `/m/${message_id}` : '';
  await self.clients.openWindow(
    withBase(about.path ?? (conversation_id ? `/c/${conversation_id}${message}` : '/activity'))
  );
}
