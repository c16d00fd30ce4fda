/** Actions on a message that save it, copy it to the notes, pin it or copy its link. */
import { absoluteUrl } from '#lib/util/address.ts';
import { goto } from '#lib/util/navigation.ts';
import type { App } from '#lib/app/app.ts';
import { attempt } from '#lib/ui/attempt.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { quoteOf } from '#lib/features/notes/quote.ts';
import { notesOf } from '#lib/features/notes/account-notes.svelte.ts';
import { savedOf } from '#lib/features/bookmarks/saved.svelte.ts';
import { copyText } from '#lib/ui/clipboard.ts';
import type { MessageView } from '../rows.ts';

type Marked = Pick<MessageView, 'id' | 'isPinned' | 'content' | 'sender' | 'time'>;

/** Permanent link of a message. */
export function linkTo(conversationId: string, messageId: string): string {
  return absoluteUrl(`/c/${conversationId}/m/${messageId}`);
}

export async function mark(
  action: 'save' | 'note' | 'pin' | 'link',
  { id, isPinned, ...said }: Marked,
  app: App,
  conversationId: string
): Promise<void> {
  if (id === null) return;
  switch (action) {
    case 'link':
      return toast((await copyText(linkTo(conversationId, id))) ? m.message_link_copied() : m.chat_copy_failed());
    case 'note': {
      const notes = notesOf(app);
      const note = notes.create();
      notes.write(note, quoteOf(said, linkTo(conversationId, id)));
      const open = { label: m.note_open(), run: () => void goto(`/notes/${note}`) };
      return toast(m.note_made(), { action: open });
    }
    case 'pin':
      await attempt(
        () => (isPinned ? app.api.delete(`/messages/${id}/pin`) : app.api.put(`/messages/${id}/pin`)),
        isPinned ? m.pin_removed() : m.pin_done()
      );
      return;
    case 'save': {
      const saved = savedOf(app);
      const isSaved = saved.has(id);
      await attempt(() => saved.setSaved(id, !isSaved), isSaved ? m.saved_removed() : m.saved_done());
    }
  }
}
