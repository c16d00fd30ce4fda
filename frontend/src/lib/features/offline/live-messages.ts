/** Adds messages that arrive over the socket to the cached responses, so that they can be read when the app starts offline. */
import type { Cursor, DurableFrame, Message } from '#lib/api/types.ts';
import type { LiveUpdates } from '#lib/realtime/live-updates.ts';

/** Type of the worker message that carries frames. */
export const LIVE_MESSAGES = 'natter.live';
/** Time in milliseconds for which frames are collected. */
const COLLECT_FOR = 1_000;
/** Maximum number of messages in a cached response. */
const MAX_MESSAGES = 200;

const TYPES = ['message.created', 'message.updated', 'message.completed', 'message.failed', 'message.deleted'] as const;
export type MessageFrame = Extract<DurableFrame, { type: (typeof TYPES)[number] }>;

const isMessageFrame = (frame: { type: string }): frame is MessageFrame =>
  (TYPES as readonly string[]).includes(frame.type);

/** Collects the frames about messages and passes them on, at the latest when the page is hidden. Returns a function that stops it. */
export function forwardMessages(
  connection: Pick<LiveUpdates, 'on'>,
  post: (frames: MessageFrame[]) => void
): () => void {
  let frames: MessageFrame[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (frames.length > 0) post(frames);
    frames = [];
  };
  const unsubscribe = connection.on((frame) => {
    if (!isMessageFrame(frame)) return;
    frames.push(frame);
    timer ??= setTimeout(flush, COLLECT_FOR);
  });
  addEventListener('pagehide', flush);
  return () => {
    unsubscribe();
    removeEventListener('pagehide', flush);
    flush();
  };
}

/** Conversation whose latest messages the URL requests; undefined for other URLs. */
export function latestMessagesOf({ pathname, searchParams }: URL): string | undefined {
  const isPart = ['before_seq', 'after_seq', 'from', 'to'].some((name) => searchParams.has(name));
  return isPart ? undefined : /\/r1\/conversations\/([\w-]+)\/messages$/.exec(pathname)?.[1];
}

/** Applies frames to the latest messages of a conversation. */
export function applyFrames(page: Cursor<Message>, id: string, frames: readonly MessageFrame[]): Cursor<Message> {
  let { items } = page;
  for (const { type, payload } of frames) {
    if (payload.conversation_id !== id) continue;
    if (type === 'message.deleted') items = items.filter((message) => message.id !== payload.message_id);
    else if (type === 'message.created') items = withMessage(items, payload.message);
    else {
      items = items.map((message) => (message.id === payload.message.id ? payload.message : message));
      // The messages after an edited question belong to its previous version.
      if (type === 'message.updated' && payload.branch_changed)
        items = items.filter(({ seq }) => seq <= payload.message.seq);
    }
  }
  const shown = items.slice(-MAX_MESSAGES);
  return { ...page, items: shown, has_more: page.has_more || shown.length < items.length };
}

/** Adds a new message, unless it is a reply that is only in its thread. */
function withMessage(items: Message[], message: Message): Message[] {
  const isShown = !message.thread_id || message.also_to_conversation === true;
  const isNew = isShown && message.seq > (items.at(-1)?.seq ?? 0);
  return isNew ? [...items, message] : items;
}
