import { tick, untrack } from 'svelte';
import { errorMessage } from '#lib/api/error-messages.ts';
import type { App } from '#lib/app/app.ts';
import type { ChosenFile } from '#lib/features/files/attachments.svelte.ts';
import { isBlank, withoutControls } from '#lib/features/markdown/blank-text.ts';
import type { UsablePrompt } from '#lib/features/prompts/templates.ts';
import { MAX_GROWN_CHARS } from '#lib/ui/grow-field.ts';
import type { Failure } from '#lib/realtime/state.ts';
import { isComposing } from '#lib/util/composing.ts';
import { m } from '#lib/paraglide/messages.js';
import type { Command } from '../commands.ts';
import type { ConversationContext } from '../context.ts';
import { composerTargetOf, type ComposerTarget } from '../composer-target.svelte.ts';
import type { ConversationView } from '../conversation-view.svelte.ts';
import { isAssistantChat } from '../kinds.ts';
import type { Name } from '../mentions.ts';
import { senderOf, type MessageSender } from '../message-sender.svelte.ts';
import { failureReason } from '../messages/message-labels.ts';
import { ComposerFormatting } from './composer-formatting.ts';
import { ComposerPaste } from './composer-paste.svelte.ts';
import { ComposerSuggestions } from './composer-suggestions.svelte.ts';
import { remaining } from './message-length.ts';
import { escapeName } from './mention-query.ts';
import { replaceText } from './text-edits.ts';
import { unsentText } from './unsent-text.ts';

/** Text and state of a composer: a message, a reply, or an edit of a message. */
export class ComposerState {
  /** Text field, which the component sets. */
  field = $state<HTMLTextAreaElement>();
  /** Component that attaches files; it sets this itself. */
  attachments = $state<{ attach: (files: Iterable<File>) => Promise<boolean> }>();
  text = $state('');
  /** Message about an error, shown below the text; empty if there is none. */
  problem = $state('');
  isSaving = $state(false);
  /** Prompt whose variables are being filled in; null if there is none. */
  filling = $state.raw<UsablePrompt | null>(null);
  /** Button at which the emoji picker is open; null if it is closed. */
  emojiAnchor = $state.raw<Element | null>(null);
  /** State of the voice recorder. While its component is `loading`, the text field stays. */
  recording = $state<'off' | 'loading' | 'on'>('off');

  readonly suggestions: ComposerSuggestions;
  readonly paste = new ComposerPaste(this);
  readonly formatting = new ComposerFormatting(() => this.field);
  readonly #app: App;
  readonly #chat: ConversationContext;
  readonly #view: ConversationView;
  readonly #target: ComposerTarget;
  readonly #sender: MessageSender;
  /** Length of the typed text that the prompt replaces when it has been filled in. */
  #typedForPrompt = 0;
  /** Id of the edited message whose text is in the field; null if there is none. */
  #editedId: string | null = null;
  /** Reason why the first message of a conversation was refused, shown until the text changes. */
  #refusal: Failure | null;

  readonly attached = $derived.by(() => (this.#target.editing ? [] : this.#chat.files.of(this.#view.key)));
  readonly limit = $derived.by(() => {
    const { messages } = this.#app.authPolicy;
    return isAssistantChat(this.#view.conversation) ? messages.max_prompt_chars : messages.max_chars;
  });
  /** Number of characters left, negative beyond the limit; null while the limit is far away. */
  readonly remainingChars = $derived.by(() => remaining(this.text, this.limit));
  readonly canSend = $derived.by(
    () =>
      (!isBlank(this.text) || this.attached.length > 0) &&
      (this.remainingChars === null || this.remainingChars >= 0) &&
      !this.isSaving &&
      (!this.#sender.isPaused || this.#target.editing !== null)
  );

  /** Must be constructed while a component initialises, because its effects belong to that component. */
  constructor(app: App, chat: ConversationContext, conversationView: ConversationView) {
    this.#app = app;
    this.#chat = chat;
    this.#view = conversationView;
    this.#target = composerTargetOf(conversationView);
    this.#sender = senderOf(conversationView);
    this.#refusal = conversationView.pending?.refusal ?? null;
    this.suggestions = new ComposerSuggestions(conversationView, (name) => void this.mention(name));
    const { drafts, typing } = chat;
    const { directory, id, key, navigation } = conversationView;
    const target = this.#target;
    this.text = drafts.get(key);

    // The exact limit is needed for long texts only, so the policy is loaded when the text becomes long.
    $effect(() => {
      if (this.text.length > MAX_GROWN_CHARS / 2) void app.authPolicy.load();
    });

    // Puts the text of the edited message into the field. The draft is stored and returns after the edit.
    $effect(() => this.#showEdited());

    untrack(() => {
      void target.restoreReply();
      for (const name of drafts.pickedMentions(key)) directory.remember(name);
    });

    // Takes over a draft that was changed on another device.
    $effect(() => {
      const { adopted } = drafts;
      if (adopted?.key !== key || target.editing) return;
      untrack(() => {
        this.text = adopted.text;
        void target.restoreReply();
      });
    });

    $effect(() => {
      navigation.focus = () => void tick().then(() => this.field?.focus());
      // On phones the field isn't focused, because the keyboard would cover the messages.
      if (!matchMedia('(pointer: coarse)').matches) navigation.focus();
      return () => {
        navigation.focus = () => undefined;
        typing.stop(id);
      };
    });
  }

  #showEdited(): void {
    const { directory, key } = this.#view;
    const { editing } = this.#target;
    if (editing?.id === this.#editedId) return;
    const { drafts } = this.#chat;
    this.#editedId = editing?.id ?? null;
    this.text = editing ? (drafts.editOf(editing.id ?? '') ?? directory.wordsOf(editing.content)) : drafts.get(key);
    this.problem = this.#refusal ? m.chat_not_sent_why({ reason: failureReason(this.#refusal) }) : '';
    this.#refusal = null;
  }

  /** Stores the text in this browser, so that it survives a reload. */
  #store(): void {
    const { editing } = this.#target;
    if (!editing) this.#storeDraft(this.text);
    else if (editing.id) this.#chat.drafts.setEdit(editing.id, this.text);
  }

  #storeDraft(draft: string): void {
    const { id, key, root } = this.#view;
    this.#chat.drafts.set(key, draft);
    if (!root) this.#app.conversations.drafts.set(id, draft);
  }

  /** Handles a change of the text that the user has made. */
  handleInput(): void {
    const { pending, id, root } = this.#view;
    const { typing } = this.#chat;
    this.problem = '';
    this.suggestions.isBrowsing = false;
    this.#store();
    if (isBlank(this.text) || pending || root) typing.stop(id);
    else typing.reportTyping(id);
    this.updateSuggestions();
  }

  updateSuggestions(): void {
    this.suggestions.update(this.text, this.field);
  }

  write(text: string): void {
    this.text = text;
    this.handleInput();
    this.#view.navigation.focus();
  }

  togglePrompts(): void {
    this.suggestions.togglePrompts();
    this.field?.focus();
  }

  /** Inserts a prompt, after its variables were filled in or a tool server has rendered it. */
  insertPrompt(prompt: UsablePrompt): void {
    this.#typedForPrompt = this.suggestions.promptQueryLength;
    this.suggestions.closePrompts();
    if (prompt.content.includes('{{')) this.filling = prompt;
    else if (prompt.make) void this.#useRendered(prompt.make);
    else void this.usePrompt(prompt.content);
  }

  /** Asks the tool server to render a prompt that has no variables, and inserts the text. */
  async #useRendered(make: NonNullable<UsablePrompt['make']>): Promise<void> {
    const { attempt } = await import('#lib/ui/attempt.ts');
    await attempt(async () => await this.usePrompt(await make({})));
  }

  /** Replaces the typed query by the prompt. The text after the query comes after the prompt. */
  async usePrompt(prompt: string): Promise<void> {
    const rest = this.text.slice(this.#typedForPrompt);
    this.filling = null;
    // Waits until the dialog has returned the focus to the field.
    await tick();
    if (rest.trim()) await this.replaceRange(0, this.#typedForPrompt, `${prompt}\n\n`);
    else await this.replaceRange(0, this.text.length, prompt);
  }

  get #commandField() {
    return { app: this.#app, conversationView: this.#view, write: (text: string) => this.write(text) };
  }

  /** Runs the command or reaction in the text. Returns false if the text is neither. */
  async #runAsCommand(): Promise<boolean> {
    const isPlain = this.#target.editing || this.attached.length > 0;
    if (isPlain || !/^(?:\/[a-z]+(?:\s|$)|\+[^\s\w]\S*$)/.test(this.text.trim())) return false;
    // Marked as saving, so that a second press doesn't run it again.
    this.isSaving = true;
    try {
      return await (await import('../commands.ts')).runTypedCommand(this.#commandField, this.text);
    } catch {
      this.problem = m.part_failed();
      return true;
    } finally {
      this.isSaving = false;
    }
  }

  /** Completes the name of the command that is being typed. */
  async completeCommand({ name }: Command): Promise<void> {
    await this.replaceRange(0, this.suggestions.promptQueryLength, `/${name} `);
  }

  async runCommand(command: Command, words: string): Promise<void> {
    this.suggestions.closePrompts();
    await (await import('../commands.ts')).execute(this.#commandField, command, words);
  }

  /** Content to send, in which channel names are links, unless the links would exceed the maximum length. */
  #content(): string {
    const words = isBlank(this.text) ? '' : withoutControls(this.text).trim();
    const linked = this.#view.directory.channels?.linked(words) ?? words;
    return (remaining(linked, this.limit) ?? 0) < 0 ? words : linked;
  }

  async send(): Promise<void> {
    if (!this.canSend || (await this.#runAsCommand())) return;
    const content = this.#content();
    const { directory, id, key, navigation } = this.#view;
    this.#chat.typing.stop(id);
    const { editing } = this.#target;
    if (editing?.id) {
      const isChanged = this.text.trim() !== directory.wordsOf(editing.content);
      if (isChanged && !(await this.#awaitSave(this.#sender.change(editing.id, content)))) return;
      this.#target.cancel();
    } else {
      if (this.attached.some(({ state }) => state === 'failed')) {
        this.problem = m.files_failed();
        return;
      }
      const [written, taken] = [this.text, this.#chat.files.chosen(key)];
      const sending = this.#sender.send(content, taken);
      if (sending && !(await this.#awaitSave(sending))) return;
      this.#clearSent(written, taken);
    }
    navigation.focus();
  }

  async schedule(at: string): Promise<void> {
    if (!this.canSend) return;
    const { scheduleDraft: schedule } = await import('#lib/features/scheduling/schedule.ts');
    const { files, typing } = this.#chat;
    const { id, key, navigation } = this.#view;
    typing.stop(id);
    const [written, taken] = [this.text, files.chosen(key)];
    if (!(await this.#awaitSave(schedule(this.#view, this.#content(), taken, at, files)))) return;
    this.#clearSent(written, taken);
    this.#target.cancel();
    navigation.focus();
  }

  /** Removes the sent text and files. Text that was typed meanwhile stays. */
  #clearSent(written: string, taken: ReturnType<ConversationContext['files']['chosen']>): void {
    this.#chat.files.handOver(this.#view.key, taken);
    this.text = unsentText(this.text, written);
    this.#storeDraft(this.text);
  }

  async sendVoice(choice: ChosenFile): Promise<void> {
    this.closeRecorder();
    try {
      await this.#sender.send('', [await this.#chat.files.addVoice(choice)]);
    } catch (error) {
      this.problem = m.chat_action_failed({ reason: errorMessage(error) });
    }
  }

  closeRecorder(): void {
    this.recording = 'off';
    this.#view.navigation.focus();
  }

  /** Waits until the server has accepted. If it refuses, shows the error and returns false. */
  async #awaitSave(saving: Promise<void>): Promise<boolean> {
    this.isSaving = true;
    try {
      await saving;
      return true;
    } catch (error) {
      this.problem = m.chat_action_failed({ reason: errorMessage(error) });
      return false;
    } finally {
      this.isSaving = false;
    }
  }

  async mention(named: Name): Promise<void> {
    const { mention } = this.suggestions;
    if (!mention) return;
    const { directory, key } = this.#view;
    directory.remember(named);
    if (!this.#target.editing) this.#chat.drafts.addPickedMention(key, named);
    const { at, query } = mention;
    this.suggestions.mention = null;
    await this.replaceRange(at, at + 1 + query.length, `@${escapeName(named.name)} `);
  }

  /** Replaces the emoji or channel name that is being typed. */
  async complete(words: string): Promise<void> {
    const { completing } = this.suggestions;
    if (!completing) return;
    this.suggestions.completing = null;
    await this.replaceRange(completing.at, completing.end, words);
  }

  /** Replaces a range of the text and places the caret after the inserted words. Doesn't double the space after them. */
  async replaceRange(start: number, end: number, words: string): Promise<void> {
    await tick();
    if (!this.field) return;
    const isSpaced = words.endsWith(' ') && this.text[end] === ' ';
    replaceText(this.field, start, isSpaced ? end + 1 : end, words);
  }

  get selection(): { start: number; end: number } {
    const { selectionStart: start = 0, selectionEnd: end = 0 } = this.field ?? {};
    return { start, end };
  }

  /** Returns a space if an insertion at `start` needs one after the preceding word, otherwise an empty text. */
  #spaceBefore(start: number): string {
    return /\S$/.test(this.text.slice(0, start)) ? ' ' : '';
  }

  /** Inserts an emoji at the caret. Custom emoji are separated by spaces from the words around them. */
  async insertEmoji(emoji: string): Promise<void> {
    this.emojiAnchor = null;
    // Waits until the emoji picker has returned the focus to the field.
    await tick();
    const { start, end } = this.selection;
    const isWord = emoji.startsWith(':');
    await this.replaceRange(start, end, isWord ? `${this.#spaceBefore(start)}${emoji} ` : emoji);
  }

  /** Inserts the sign of a mention at the caret, so that people are suggested. */
  async startMention(): Promise<void> {
    const { start, end } = this.selection;
    await this.replaceRange(start, end, `${this.#spaceBefore(start)}@`);
  }

  /** Inserts a transcript at the caret, so that the user can review it before sending. */
  async insertTranscript(transcript: string): Promise<void> {
    this.recording = 'off';
    await tick();
    const { start, end } = this.selection;
    await this.replaceRange(start, end, `${this.#spaceBefore(start)}${transcript}`);
  }

  handleKeydown(event: KeyboardEvent): void {
    // During the composition of a character, Enter belongs to the input method.
    if (isComposing(event)) return;
    const isHandled =
      this.suggestions.handleKeydown(event) || this.formatting.handleKeydown(event) || this.#handleKeyInText(event);
    if (isHandled) event.preventDefault();
  }

  #handleKeyInText(event: KeyboardEvent): boolean {
    const target = this.#target;
    if (event.key === 'Enter' && !event.shiftKey && !event.altKey) {
      void this.send();
      return true;
    }
    if (event.key === 'ArrowUp' && this.text === '' && !target.editing) return target.editLast();
    return event.key === 'Escape' && target.cancel();
  }
}
