import type { Conversation, ConversationCapabilities, ConversationKind } from '#lib/api/types.ts';
import { describe, expect, it } from 'vitest';
import {
  capabilitiesAfterConversion,
  closedReason,
  hasChangingMembers,
  isAssistantChat,
  isChannel,
  isPair,
  isPersonal,
  isPublic,
  mayMentionAll,
  mayManage,
  type OfKind
} from './kinds.ts';

const KINDS: ConversationKind[] = ['single', 'group', 'assistant', 'public_channel', 'private_channel'];

const those = (are: (place: OfKind) => boolean) => KINDS.filter((kind) => are({ kind }));

const conversation = (more: Partial<Conversation>) =>
  ({ kind: 'group', posting: 'everyone', mention_all: 'everyone', own: { role: 'member' }, ...more }) as Conversation;

/** Combination of capabilities that no kind known to this version has. */
const NEWER: ConversationCapabilities = {
  is_pair: false,
  is_personal: false,
  is_open: true,
  is_channel: false,
  fixed_members: true,
  asks_every_message: true
};

describe('conversation capabilities', () => {
  it('follow from the kind if the server sends none', () => {
    expect(those(isPair)).toEqual(['single']);
    expect(those(isPersonal)).toEqual(['assistant']);
    expect(those(isAssistantChat)).toEqual(['assistant']);
    expect(those(isPublic)).toEqual(['public_channel']);
    expect(those(isChannel)).toEqual(['public_channel', 'private_channel']);
    expect(those(hasChangingMembers)).toEqual(['group', 'public_channel', 'private_channel']);
  });

  it('are those that the server sends, whatever the kind', () => {
    const told: OfKind = { kind: 'group', capabilities: NEWER };
    expect([isPublic, isAssistantChat].map((is) => is(told))).toEqual([true, true]);
    expect([isPair, isPersonal, isChannel, hasChangingMembers].map((is) => is(told))).toEqual(Array(4).fill(false));
  });

  it('default to those of a group for an unknown kind', () => {
    const newer = { kind: 'forum' as ConversationKind };
    expect(hasChangingMembers(newer)).toBe(true);
    expect([isPair, isPersonal, isPublic, isChannel, isAssistantChat].some((is) => is(newer))).toBe(false);
  });

  it('are all false for an unknown conversation', () => {
    const all = [isPair, isPersonal, isPublic, isChannel, isAssistantChat, hasChangingMembers];
    expect(all.some((is) => is(undefined))).toBe(false);
  });

  it('change only with the kind', () => {
    const told: OfKind = { kind: 'group', capabilities: NEWER };
    expect(capabilitiesAfterConversion('group', told)).toBe(NEWER);
    const { is_channel, is_open } = capabilitiesAfterConversion('private_channel', told);
    expect({ is_channel, is_open }).toEqual({ is_channel: true, is_open: false });
  });
});

describe('permissions', () => {
  const called = (more: Partial<Conversation>) => mayMentionAll(conversation(more));

  it('let everyone in a group mention all, in a channel those allowed, elsewhere no one', () => {
    expect(called({ kind: 'group', mention_all: 'admins' })).toBe(true);
    expect(called({ kind: 'private_channel' })).toBe(true);
    expect(called({ kind: 'public_channel', mention_all: 'admins' })).toBe(false);
    expect(called({ kind: 'single' })).toBe(false);
    expect(called({ kind: 'assistant' })).toBe(false);
  });

  it('let workspace admins manage its channels', () => {
    expect(mayManage(conversation({ kind: 'public_channel', own: null }), 'admin')).toBe(true);
    expect(mayManage(conversation({ kind: 'group' }), 'admin')).toBe(false);
  });

  it('close a chat whose assistant was deleted', () => {
    expect(closedReason(conversation({ kind: 'assistant', assistants: [] }))).toBe('no_assistant');
    expect(closedReason(conversation({ kind: 'group', assistants: [] }))).toBeNull();
  });
});
