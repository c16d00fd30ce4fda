import { promptAskedAt } from '#lib/features/prompts/prompt-query.ts';
import { composerTargetOf, type ComposerTarget } from '../composer-target.svelte.ts';
import type { ConversationView } from '../conversation-view.svelte.ts';
import type { Name } from '../mentions.ts';
import { completingAt, type Completing } from './completion.ts';
import { MentionSearch } from './mention-search.svelte.ts';
import { mentionQueryAt, type MentionQuery } from './mention-query.ts';

/** List of suggestions that handles keys of the text field itself. */
interface KeyedList {
  pressed: (event: KeyboardEvent) => boolean;
}

/** Suggestions for the text before the caret: names, emoji, channels and prompts. */
export class ComposerSuggestions {
  /** Mention that is being typed; null if there is none. */
  mention = $state.raw<MentionQuery | null>(null);
  /** Index of the selected name in `names`. */
  chosen = $state(0);
  /** Emoji or channel name that is being typed; null if there is none. */
  completing = $state.raw<Completing | null>(null);
  #typedPromptQuery = $state<string | null>(null);
  /** Whether all prompts are listed because the user has pressed their button. */
  isBrowsing = $state(false);
  /** Text by which prompts are searched; null while they aren't listed. */
  readonly promptQuery = $derived.by(() => this.#typedPromptQuery ?? (this.isBrowsing ? '' : null));

  prompts = $state<KeyedList>();
  completions = $state<KeyedList>();
  /** Element id of the selected prompt; undefined if there is none. */
  activePrompt = $state<string>();
  /** Element id of the selected emoji or channel; undefined if there is none. */
  activeCompletion = $state<string>();
  readonly #shownPrompt = $derived.by(() => (this.promptQuery === null ? undefined : this.activePrompt));
  readonly #shownCompletion = $derived.by(() => (this.completing ? this.activeCompletion : undefined));

  readonly #search: MentionSearch;
  readonly #target: ComposerTarget;
  readonly #pick: (name: Name) => void;

  /** Must be constructed while a component initialises. `pick` is called with a name that the user has selected by keyboard. */
  constructor(conversationView: ConversationView, pick: (name: Name) => void) {
    this.#target = composerTargetOf(conversationView);
    this.#pick = pick;
    this.#search = new MentionSearch(conversationView, () => this.mention?.query ?? null);
  }

  /** Names that match the typed mention. */
  get names(): readonly Name[] {
    return this.#search.offers;
  }

  /** Whether a list is open in which an entry is selected. */
  get isOpen(): boolean {
    return this.names.length > 0 || Boolean(this.#shownPrompt || this.#shownCompletion);
  }

  /** Element id of the selected entry; undefined if none is selected. */
  activeIn(listId: string): string | undefined {
    if (this.names.length > 0) return `${listId}-${this.chosen}`;
    return this.#shownCompletion ?? this.#shownPrompt;
  }

  /** Length of the typed query for prompts including its `/`; 0 if none is typed. */
  get promptQueryLength(): number {
    return this.#typedPromptQuery === null ? 0 : this.#typedPromptQuery.length + 1;
  }

  /** Updates the suggestions. Called when the text or the caret has changed. */
  update(text: string, field: HTMLTextAreaElement | undefined): void {
    const caret = field?.selectionStart ?? 0;
    const isCaret = field?.selectionStart === field?.selectionEnd;
    this.mention = isCaret ? mentionQueryAt(text, caret) : null;
    this.chosen = 0;
    this.completing = isCaret && !this.mention ? completingAt(text, caret) : null;
    this.#typedPromptQuery = isCaret && !this.#target.editing ? promptAskedAt(text, caret) : null;
  }

  togglePrompts(): void {
    this.isBrowsing = this.promptQuery === null;
    this.#typedPromptQuery = null;
  }

  closePrompts(): void {
    this.isBrowsing = false;
    this.#typedPromptQuery = null;
  }

  close(): void {
    this.mention = this.completing = null;
    this.closePrompts();
  }

  /** Passes a key to the open list. Returns whether it was used. */
  handleKeydown(event: KeyboardEvent): boolean {
    return (
      (this.promptQuery !== null && this.#handleKeyInPrompts(event)) ||
      (this.names.length > 0 && this.#handleKeyInNames(event)) ||
      (this.completing !== null && this.#handleKeyInCompletions(event))
    );
  }

  #handleKeyInPrompts(event: KeyboardEvent): boolean {
    if (event.key !== 'Escape') return this.prompts?.pressed(event) ?? false;
    this.closePrompts();
    return true;
  }

  #handleKeyInCompletions(event: KeyboardEvent): boolean {
    if (event.key !== 'Escape' || !this.#shownCompletion) return this.completions?.pressed(event) ?? false;
    this.completing = null;
    return true;
  }

  #handleKeyInNames(event: KeyboardEvent): boolean {
    const { names } = this;
    switch (event.key) {
      case 'ArrowDown':
        this.chosen = (this.chosen + 1) % names.length;
        return true;
      case 'ArrowUp':
        this.chosen = (this.chosen + names.length - 1) % names.length;
        return true;
      case 'Enter':
      case 'Tab': {
        const name = names[this.chosen];
        if (name) this.#pick(name);
        return name !== undefined;
      }
      case 'Escape':
        this.mention = null;
        return true;
    }
    return false;
  }
}
