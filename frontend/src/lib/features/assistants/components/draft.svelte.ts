import type { Assistant, AssistantInput, Picture, Visibility } from '#lib/api/assistants.ts';
import type { ToolGrant } from '#lib/api/tools.ts';
import { Form } from '#lib/ui/form/form.svelte.ts';
import { number } from '#lib/i18n/numbers.ts';
import { m } from '#lib/paraglide/messages.js';

export const MAX_NAME = 80;
export const MAX_DESCRIPTION = 200;
export const MAX_INSTRUCTIONS = 8_000;
export const MAX_STARTER = 200;
export const MAX_STARTERS = 8;
const MAX_ANSWER_TOKENS = 100_000;

type Field = 'name' | 'description' | 'system_prompt' | 'max_answer_tokens';

function tokensProblem(value: string): string | undefined {
  if (value.trim() === '') return undefined;
  const count = Number(value);
  const isFit = Number.isInteger(count) && count >= 1 && count <= MAX_ANSWER_TOKENS;
  return isFit ? undefined : m.assistant_tokens_wrong({ most: number(MAX_ANSWER_TOKENS) });
}

/** Form values of an assistant that is being created or edited. */
export class AssistantDraft {
  readonly form: Form<Field>;
  picture = $state.raw<Picture | null>(null);
  model = $state('');
  temperature = $state<number | null>(null);
  tools_enabled = $state(false);
  tools = $state.raw<ToolGrant[]>([]);
  /** Tools before the edit. Unchanged tools aren't sent, because someone else may have changed them meanwhile. */
  #toolsBefore = this.tools;
  visibility = $state<Visibility>('workspace');
  answers_mentions = $state(true);
  model_choice = $state(true);
  starters = $state<string[]>([]);
  #kept = $state('');

  constructor(assistant: Assistant | null) {
    this.form = new Form<Field>(
      {
        name: assistant?.name ?? '',
        description: assistant?.description ?? '',
        system_prompt: assistant?.system_prompt ?? '',
        max_answer_tokens: assistant?.max_answer_tokens?.toString() ?? ''
      },
      {
        name: (value) => (value.trim() === '' ? m.name_missing() : undefined),
        description: () => undefined,
        system_prompt: () => undefined,
        max_answer_tokens: tokensProblem
      }
    );
    if (assistant) {
      this.picture = assistant.picture ?? null;
      this.model = assistant.model ?? '';
      this.temperature = assistant.temperature ?? null;
      this.tools_enabled = assistant.tools_enabled ?? false;
      this.tools = assistant.tools ?? [];
      this.#toolsBefore = this.tools;
      this.visibility = assistant.visibility ?? 'workspace';
      this.answers_mentions = assistant.answers_mentions ?? true;
      this.model_choice = assistant.model_choice ?? true;
      this.starters = [...(assistant.starters ?? [])];
    }
    this.markSaved();
  }

  get input(): AssistantInput {
    const { name, description, system_prompt, max_answer_tokens } = this.form.values;
    return {
      name: name.trim(),
      description: description.trim(),
      system_prompt: system_prompt.trim(),
      model: this.model,
      temperature: this.temperature,
      max_answer_tokens: max_answer_tokens.trim() === '' ? null : Number(max_answer_tokens),
      picture: this.picture,
      tools_enabled: this.tools_enabled,
      ...(this.tools !== this.#toolsBefore && { tools: this.tools }),
      visibility: this.visibility,
      answers_mentions: this.answers_mentions,
      model_choice: this.model_choice,
      starters: this.starters.map((starter) => starter.trim()).filter((starter) => starter !== '')
    };
  }

  get isChanged(): boolean {
    return JSON.stringify(this.input) !== this.#kept;
  }

  /** Marks the draft as saved. */
  markSaved(): void {
    this.#toolsBefore = this.tools;
    this.#kept = JSON.stringify(this.input);
  }
}
