import { expect, it } from 'vitest';
import type { Conversation } from '#lib/api/types.ts';
import { createTestApp } from '#lib/testing/app.ts';
import { BEN, conversationOf, memberOf } from '#lib/testing/data.ts';
import { render } from '#lib/testing/render.svelte.ts';
import ConversationAvatar from './conversation-avatar.svelte';

const assistant = { id: 'a1', name: 'Skipper', picture: { glyph: '⚓', hue: 40 } } as NonNullable<
  Conversation['assistants']
>[number];

it('shows the other person of a direct conversation, with their presence', () => {
  const testApp = createTestApp();
  testApp.app.presence.add([memberOf('Ben Okafor', { user_id: BEN, presence: 'away' })]);
  const { stage } = render(ConversationAvatar, { conversation: conversationOf() }, { in: testApp });
  expect(stage.textContent?.trim()).toBe('BO');
  expect(stage.querySelector('.dot')?.classList).toContain('away');
});

it('shows the initials of a group', () => {
  const { stage } = render(ConversationAvatar, {
    conversation: conversationOf({ kind: 'group', title: 'Harbour crew' })
  });
  expect(stage.textContent?.trim()).toBe('HC');
  expect(stage.querySelector('.dot')).toBeNull();
});

it('shows the picture of an assistant', () => {
  const { stage } = render(ConversationAvatar, {
    conversation: conversationOf({ kind: 'assistant', assistants: [assistant] })
  });
  expect(stage.textContent?.trim()).toBe('⚓');
});

it.each([
  ['public_channel', 'everyone', 'lucide-hash'],
  ['public_channel', 'admins', 'lucide-megaphone'],
  ['private_channel', 'everyone', 'lucide-lock'],
  ['private_channel', 'admins', 'lucide-lock']
] as const)('shows who can see and post in a channel (%s, %s)', (kind, posting, icon) => {
  const { stage } = render(ConversationAvatar, { conversation: conversationOf({ kind, posting, title: 'harbour' }) });
  expect(stage.querySelector('svg')?.classList).toContain(icon);
  expect(stage.firstElementChild?.getAttribute('aria-hidden')).toBe('true');
});
