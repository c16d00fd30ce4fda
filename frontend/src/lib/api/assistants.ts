/** Assistants, models and saved prompts. */
import type * as Described from './generated/types.gen.ts';
import type { ToolCall, ToolGrant } from './tools.ts';
import type { Always } from './types.ts';

export type { AnswerContext, Visibility } from './generated/types.gen.ts';

export type Assistant = Always<
  Described.Assistant,
  | 'workspace_id'
  | 'description'
  | 'model'
  | 'system_prompt'
  | 'temperature'
  | 'max_answer_tokens'
  | 'picture'
  | 'created_by'
> & {
  /** Tools that the assistant may use while `tools_enabled` is set. */
  tools?: ToolGrant[];
};

/** Picture of an assistant: an icon or emoji on a coloured background. */
export type Picture = Described.Picture;

export type AssistantInput = Pick<
  Assistant,
  | 'name'
  | 'temperature'
  | 'max_answer_tokens'
  | 'picture'
  | 'tools_enabled'
  | 'visibility'
  | 'answers_mentions'
  | 'model_choice'
  | 'starters'
> & { description: string; model: string; system_prompt: string; tools?: ToolGrant[] };

/** Saved prompt. Its `{{variables}}` are filled in each time it is used. */
export type Prompt = Always<Described.Prompt, 'author'>;

export type PromptInput = Pick<Prompt, 'command' | 'title' | 'content' | 'visibility'>;

export type Capability = 'images' | 'pdf' | 'audio' | 'tools' | 'reasoning';

/** Model that the account may use, identified by its public name. */
export type Model = Pick<Described.UsableModel, 'name'> & Partial<Omit<Described.UsableModel, 'name'>>;

/** Statistics of an answer and the sources it used. */
export type AnswerFacts = Always<
  Described.AnswerFigures,
  'first_token_ms' | 'thought_ms' | 'input_tokens' | 'cached_tokens' | 'output_tokens' | 'reasoning_tokens' | 'cost'
>;

/** File of the conversation, with the part of it that was sent to the model. */
export type ContextFile = Described.SeenFile;

/** `GET /r1/messages/{id}/details` */
export type AnswerDetails = Omit<Always<Described.AnswerDetails, 'model' | 'thinking'>, 'tool_calls'> & {
  /** Tool calls of the answer with their full arguments and results. */
  tool_calls?: ToolCall[];
};
