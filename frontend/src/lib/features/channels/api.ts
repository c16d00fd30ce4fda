/** API types of channels, memberships and sidebar sections. */
import type { ChangeConversationRequest, Notify, OwnSettings, Timestamp } from '#lib/api/generated/types.gen.ts';

export type { MentionAll, Notify, OwnSettings, Posting, Section } from '#lib/api/generated/types.gen.ts';

/** Own settings; without a level the general settings apply. */
export type OwnChange = Partial<Omit<OwnSettings, 'notify' | 'notify_chosen'>> & { notify?: Notify | null };

export type ChannelChange = Omit<ChangeConversationRequest, 'model'>;

/** Mute without an end. */
export const FOREVER: Timestamp = '9999-12-31T00:00:00.000Z';
