/** Recently used emoji of this device. They are offered in the emoji picker and as quick reactions. */
/** Returns the form without redundant variation selectors, as the server stores it. Otherwise the same emoji could appear as two reactions. */
export function formOf(emoji: string): string {
  return emoji.replaceAll(/(\p{Emoji_Presentation})\ufe0f/gu, '$1');
}

const RECENT_KEY = 'natter.emoji';
const MAX_RECENT = 16;
const DEFAULT_EMOJI = ['👍', '❤️', '😂', '🎉', '👀', '✅', '🙏', '😮'];

export type KeyValueStorage = Pick<Storage, 'getItem' | 'setItem'>;

/** Recently used emoji, filled up with popular ones. */
export function recentEmoji(storage: KeyValueStorage): string[] {
  return [...new Set([...readRecentEmoji(storage), ...DEFAULT_EMOJI])].slice(0, MAX_RECENT);
}

export function saveRecentEmoji(storage: KeyValueStorage, emoji: string): void {
  storage.setItem(RECENT_KEY, [...new Set([emoji, ...readRecentEmoji(storage)])].slice(0, MAX_RECENT).join(' '));
}

function readRecentEmoji(storage: KeyValueStorage): string[] {
  return storage.getItem(RECENT_KEY)?.split(' ').filter(Boolean).map(formOf) ?? [];
}
