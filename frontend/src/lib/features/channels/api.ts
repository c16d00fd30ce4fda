/** API types of channels, of the user's settings for them, and of sidebar sections. */
import type { ChangeConversationRequest, Notify, OwnSettings, Timestamp } from '#lib/api/generated/types.gen.ts';

export type { MentionAll, Notify, OwnSettings, Posting, Section } from '#lib/api/generated/types.gen.ts';

/** Changes of the user's settings for a conversation. `notify` null: the user's general notification level applies. */
export type OwnChange = Partial<Omit<OwnSettings, 'notify' | 'notify_chosen'>> & { notify?: Notify | null };

export type ChannelChange = Omit<ChangeConversationRequest, 'model'>;

/** End time that stands for a mute without an end. */
export const FOREVER: Timestamp = '9999-12-31T00:00:00.000Z';
