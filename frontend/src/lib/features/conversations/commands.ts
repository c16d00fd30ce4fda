/** Slash commands of the composer. */
import { goto } from '#lib/util/navigation.ts';
import { FOREVER } from '#lib/features/channels/api.ts';
import type { App } from '#lib/app/app.ts';
import { attempt } from '#lib/ui/attempt.ts';
import { leaveConversation, mayLeave } from './list/conversation-actions.ts';
import { toast } from '#lib/ui/toast/toast.svelte.ts';
import { m } from '#lib/paraglide/messages.js';
import { searchFor } from '#lib/features/search/search-address.ts';
import { getLocale } from '#lib/i18n/locale.ts';
import { isOff, lengthOf, MAX_DURATION, splitEmoji, untilWords } from './composer/command-text.ts';
import { hasChangingMembers, isChannel, isPersonal, mayManage } from './kinds.ts';
import { composerTargetOf } from './composer-target.svelte.ts';
import type { ConversationView } from './conversation-view.svelte.ts';
import { messageActionsOf } from './message-actions.svelte.ts';
import { senderOf } from './message-sender.svelte.ts';

export interface CommandPlace {
  readonly app: App;
  readonly conversationView: ConversationView;
}

export interface CommandField extends CommandPlace {
  /** Replaces the text in the composer. */
  readonly write: (text: string) => void;
}

/**
 * Result of a command. `done`: the input is cleared. `kept`: the input stays, because the command failed or needs more. `send`: this text is sent
 * instead.
 */
export type CommandEnd = 'done' | 'kept' | { readonly send: string };

export interface Command {
  readonly name: string;
  readonly about: () => string;
  /** Returns a hint about the argument. */
  readonly takes?: () => string;
  /** Whether the command needs an argument. */
  readonly needsText?: boolean;
  readonly isFor?: (place: CommandPlace) => boolean;
  readonly run: (place: CommandPlace, text: string) => CommandEnd | Promise<CommandEnd>;
}

/** Duration of “do not disturb” in milliseconds if the command names none. */
const DEFAULT_DND_DURATION = 3_600_000;
/** Maximum length of a reminder's note, in characters. */
const MAX_NOTE = 200;

const end = (isDone: boolean): CommandEnd => (isDone ? 'done' : 'kept');

function manages({ app, conversationView: { conversation } }: CommandPlace): boolean {
  if (!conversation || !hasChangingMembers(conversation)) return false;
  return mayManage(conversation, app.workspaces.get(conversation.workspace_id)?.role);
}

export const COMMANDS: readonly Command[] = [
  {
    name: 'dnd',
    about: m.command_dnd,
    takes: m.command_dnd_takes,
    run: async ({ app }, text) => {
      const length = text === '' ? DEFAULT_DND_DURATION : lengthOf(text);
      if (length === null && !isOff(text)) return refuse(m.command_length_wrong());
      const until = length === null ? null : new Date(Date.now() + length).toISOString();
      const done = until ? m.command_dnd_done({ when: untilWords(until) }) : m.command_dnd_ended();
      return end(await attempt(() => app.api.patch('/notifications/settings', { dnd_until: until }), done));
    }
  },
  {
    name: 'invite',
    about: m.command_invite,
    isFor: manages,
    run: ({ app }) => {
      app.shell.openPanel('details');
      return 'done';
    }
  },
  {
    name: 'leave',
    about: m.command_leave,
    isFor: ({ conversationView: { conversation } }) =>
      conversation !== undefined && mayLeave(conversation) && !conversation.is_default,
    run: async ({ app, conversationView: { conversation } }): Promise<CommandEnd> => {
      if (conversation) await leaveConversation(app, conversation);
      return 'done';
    }
  },
  {
    name: 'mute',
    about: m.command_mute,
    takes: m.command_mute_takes,
    isFor: ({ conversationView }) => !conversationView.pending && !!conversationView.conversation?.own,
    run: async ({ app, conversationView }, text) => {
      const length = text === '' ? null : lengthOf(text);
      if (text !== '' && length === null && !isOff(text)) return refuse(m.command_length_wrong());
      const until = isOff(text) ? null : length === null ? FOREVER : new Date(Date.now() + length).toISOString();
      const done = until ? m.conversation_muted() : m.conversation_unmuted();
      return end(
        await attempt(() => app.conversations.changeSettings(conversationView.id, { muted_until: until }), done)
      );
    }
  },
  {
    name: 'poll',
    about: m.command_poll,
    takes: m.command_poll_takes,
    isFor: ({ conversationView }) =>
      conversationView.conversation !== undefined &&
      !isPersonal(conversationView.conversation) &&
      !conversationView.pending,
    run: ({ conversationView }, text) => {
      conversationView.dialogs.open({ kind: 'poll', question: text });
      return 'done';
    }
  },
  {
    name: 'remind',
    about: m.command_remind,
    takes: m.command_remind_takes,
    needsText: true,
    isFor: ({ conversationView }) => newestIn(conversationView) !== null,
    run: remind
  },
  {
    name: 'search',
    about: m.command_search,
    takes: m.command_search_takes,
    needsText: true,
    run: async (_, text): Promise<CommandEnd> => {
      await goto(searchFor([], text));
      return 'done';
    }
  },
  {
    name: 'shrug',
    about: m.command_shrug,
    takes: m.command_shrug_takes,
    // The backslashes are escaped for Markdown.
    run: (_, text) => ({ send: `${text} ¯\\\\\\_(ツ)\\_/¯`.trimStart() })
  },
  {
    name: 'status',
    about: m.command_status,
    takes: m.command_status_takes,
    run: async ({ app }, text) => {
      if (text === '') {
        app.shell.dialog = 'status';
        return 'done';
      }
      const said = isOff(text) ? { emoji: null, text: null } : splitEmoji(text);
      return end(await attempt(() => app.session.setCustomStatus({ ...said, until: null }), m.command_status_done()));
    }
  },
  {
    name: 'topic',
    about: m.command_topic,
    takes: m.command_topic_takes,
    needsText: true,
    isFor: (place) => manages(place) && !place.conversationView.pending,
    run: async ({ app, conversationView }, text) =>
      end(
        await attempt(
          () => app.conversations.update(conversationView.id, { topic: text }),
          isChannel(conversationView.conversation) ? undefined : m.saved()
        )
      )
  }
];

/** Newest loaded message that has reached the server. */
const newestIn = ({ log }: ConversationView) => log.items.findLast(({ view }) => view.id !== null)?.view.id ?? null;

/** Sets a reminder about the message that is being replied to, or else about the newest one. */
async function remind({ app, conversationView }: CommandPlace, text: string): Promise<CommandEnd> {
  const messageId = composerTargetOf(conversationView).replyTo?.id ?? newestIn(conversationView);
  if (!messageId) return refuse(m.command_remind_nothing());
  const [{ parseReminder }, { remindersOf }, { momentOf }] = await Promise.all([
    import('#lib/features/scheduling/remind-text.ts'),
    import('#lib/features/scheduling/reminders.svelte.ts'),
    import('#lib/features/scheduling/schedule.ts')
  ]);
  const reminder = await parseReminder(text, getLocale());
  if (!reminder) return refuse(m.command_remind_wrong());
  const wait = reminder.at.getTime() - Date.now();
  if (wait <= 0 || wait > MAX_DURATION) return refuse(m.command_remind_far());
  const note = reminder.note.replace(/\s+/g, ' ').slice(0, MAX_NOTE);
  const create = () => remindersOf(app).create(messageId, reminder.at.toISOString(), note);
  return end(await attempt(create, m.remind_done({ time: momentOf(reminder.at) })));
}

function refuse(why: string): CommandEnd {
  toast(why);
  return 'kept';
}

export function commandsFor(place: CommandPlace): Command[] {
  return COMMANDS.filter(({ isFor }) => isFor?.(place) ?? true);
}

export interface Typed {
  readonly command: Command;
  readonly text: string;
}

/** Returns the command at the start of a text and its argument; null if there is none. */
export function parseCommand(text: string, place: CommandPlace): Typed | null {
  const [, name, rest = ''] = /^\/([a-z]+)(?:\s+([\s\S]*))?$/.exec(text.trim()) ?? [];
  const command = name && commandsFor(place).find((one) => one.name === name);
  return command ? { command, text: rest.trim() } : null;
}

/** Runs the command in a text; returns false if there is none. */
export async function runTypedCommand(field: CommandField, text: string): Promise<boolean> {
  if (text.trimStart().startsWith('+')) return runReaction(field, text);
  const typed = parseCommand(text, field);
  if (typed) await execute(field, typed.command, typed.text);
  return typed !== null;
}

/** Reacts to the message that is being replied to, or else to the newest one. Returns false if the text is no emoji or reactions aren't allowed. */
async function runReaction({ conversationView, write }: CommandField, text: string): Promise<boolean> {
  const { quickEmoji } = await import('#lib/features/reactions/quick-reaction.ts');
  const emoji = conversationView.rights.canReact ? await quickEmoji(text, conversationView.directory.emoji) : null;
  if (!emoji) return false;
  const messageId = composerTargetOf(conversationView).replyTo?.id ?? newestIn(conversationView);
  if (!messageId) refuse(m.command_react_nothing());
  else if (await messageActionsOf(conversationView).react(messageId, emoji, true)) {
    composerTargetOf(conversationView).cancel();
    write('');
  }
  return true;
}

export async function execute(field: CommandField, command: Command, text: string): Promise<void> {
  if (command.needsText && text === '') return field.write(`/${command.name} `);
  const end = await command.run(field, text);
  if (end === 'kept') return;
  field.write('');
  if (end !== 'done') void senderOf(field.conversationView).send(end.send);
}
