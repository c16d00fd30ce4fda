import type { Notification } from '../api.ts';
import { momentOf } from '#lib/features/scheduling/schedule.ts';
import { m } from '#lib/paraglide/messages.js';

/** Heading of a notification: its actor or its subject. */
export function heading({ kind, actor, title }: Notification): string {
  if (kind === 'reminder' && actor) return m.activity_reminder();
  return actor?.name ?? title;
}

/** Text about the action, to follow the name of the actor: “mentioned you”. `isPair`: the conversation is direct. */
export function actionText({ kind, count, detail, actor }: Notification, isPair = false): string {
  switch (kind) {
    case 'mention':
      return detail ? m.activity_mentioned_all({ how: `@${detail}` }) : m.activity_mentioned();
    case 'keyword':
      return m.activity_keyword({ keyword: detail ?? '' });
    case 'thread':
      return count > 1 ? m.activity_replied_more({ count }) : m.activity_replied();
    case 'message':
      if (actor?.kind === 'assistant' && count === 1) return m.activity_answered();
      if (count === 1) return m.activity_wrote();
      return isPair ? m.activity_wrote_you({ count }) : m.activity_wrote_more({ count });
    case 'reaction':
      return count > 1 ? m.activity_reacted_more({ count: count - 1 }) : m.activity_reacted();
    case 'reminder':
      return detail ? m.activity_due({ time: momentOf(detail) }) : '';
    case 'export':
      return m.activity_export_ready();
    case 'system':
      return '';
    default:
      return kind;
  }
}

/** Path that a notification opens; null if there is nothing to open. */
export function destination({ kind, actor, conversation_id, message_id, upload_id }: Notification): string | null {
  if (upload_id) return `/files/${upload_id}/export`;
  if (!conversation_id) return null;
  if (kind === 'reminder' && !actor) return `/tasks/${conversation_id}`;
  return message_id ? `/c/${conversation_id}/m/${message_id}` : `/c/${conversation_id}`;
}
