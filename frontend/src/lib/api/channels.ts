/** Channels, one's own place in a conversation, and one's own sections of the sidebar. */
import type { OwnSettings, Timestamp } from './generated/types.gen.ts';

export type { MentionAll, Notify, Posting, Section } from './generated/types.gen.ts';

/** What can be changed of one's own place in a conversation. */
export type OwnChange = Partial<OwnSettings>;

/** A mute without an end. */
export const FOREVER: Timestamp = '9999-12-31T00:00:00.000Z';
