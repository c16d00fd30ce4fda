/** Assistants, the models behind them, and prompts that are kept. */
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
  /** What it may use while `tools_enabled`. */
  tools?: ToolGrant[];
};

/** An icon or an emoji, and a colour. */
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

/** A text that one asks often, with `{{variables}}` that are asked for when it is used. */
export type Prompt = Always<Described.Prompt, 'author'>;

export type PromptInput = Pick<Prompt, 'command' | 'title' | 'content' | 'visibility'>;

export type Capability = 'images' | 'pdf' | 'audio' | 'tools' | 'reasoning';

/** What answers: a model by its public name. */
export type Model = Pick<Described.UsableModel, 'name'> & Partial<Omit<Described.UsableModel, 'name'>>;

/** What an answer took, and what it was written from. */
export type AnswerFacts = Always<
  Described.AnswerFigures,
  'first_token_ms' | 'thought_ms' | 'input_tokens' | 'cached_tokens' | 'output_tokens' | 'reasoning_tokens' | 'cost'
>;

/** A file of the conversation, and what the model was given of it. */
export type ContextFile = Described.SeenFile;

/** `GET /r1/messages/{id}/details` */
export type AnswerDetails = Omit<Always<Described.AnswerDetails, 'model' | 'thinking'>, 'tool_calls'> & {
  /** With all that was said to tools and by them. */
  tool_calls?: ToolCall[];
};
