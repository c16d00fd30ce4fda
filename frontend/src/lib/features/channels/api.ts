/** Channels, one's own place in a conversation, and one's own sections of the sidebar. */
import type { ChangeConversationRequest, Notify, OwnSettings, Timestamp } from '#lib/api/generated/types.gen.ts';

export type { MentionAll, Notify, OwnSettings, Posting, Section } from '#lib/api/generated/types.gen.ts';

/** What can be changed of one's own place in a conversation. Without a level of its own it follows the settings. */
export type OwnChange = Partial<Omit<OwnSettings, 'notify' | 'notify_chosen'>> & { notify?: Notify | null };

export type ChannelChange = Omit<ChangeConversationRequest, 'model'>;

/** A mute without an end. */
export const FOREVER: Timestamp = '9999-12-31T00:00:00.000Z';
