/** Conversion between a model and its form, and validation of the form. */
import type { GatewayModel, ModelCapabilities, ModelDefinition, ModelDeployment, ModelParams } from '../api.ts';
import { count, formatEditableCredits, microOf } from '#lib/i18n/amounts.ts';
import { m } from '#lib/paraglide/messages.js';

export type ModelField =
  | 'name'
  | 'aliases'
  | 'deployments'
  | 'context_length'
  | 'content_policy'
  | 'failure'
  | 'input'
  | 'output'
  | 'cached'
  | 'context_window'
  | 'max_output'
  | 'efforts'
  | 'least'
  | 'most'
  | 'accepts';

export const ABILITIES = ['images', 'pdf', 'audio', 'tools', 'json_schema', 'reasoning'] as const;
export type Ability = (typeof ABILITIES)[number];

export const abilityNames: Record<Ability, () => string> = {
  images: m.admin_model_images,
  pdf: m.admin_model_pdf,
  audio: m.admin_model_audio,
  tools: m.admin_model_tools,
  json_schema: m.admin_model_json_schema,
  reasoning: m.admin_model_reasoning
};

/** Options for how the model's thinking is controlled. If empty, the server's table decides. Some require effort levels, some a range of tokens. */
export const THINKING = ['', 'none', 'any', 'efforts', 'adaptive', 'levels', 'budget', 'budget_off'] as const;
export type Thinking = (typeof THINKING)[number];

export const thinkingNames: Record<Thinking, () => string> = {
  '': m.admin_model_takes_default,
  none: m.admin_model_thinking_none,
  any: m.admin_model_thinking_any,
  efforts: m.admin_model_thinking_efforts,
  adaptive: m.admin_model_thinking_adaptive,
  levels: m.admin_model_thinking_levels,
  budget: m.admin_model_thinking_budget,
  budget_off: m.admin_model_thinking_budget_off
};

export const hasEfforts = (thinking: Thinking) => ['efforts', 'adaptive', 'levels'].includes(thinking);
export const hasBudget = (thinking: Thinking) => thinking === 'budget' || thinking === 'budget_off';

const EFFORTS = ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max'];

export type Sampling = NonNullable<ModelParams['sampling']> | '';
export const samplingNames: Record<Sampling, () => string> = {
  '': m.admin_model_takes_default,
  any: m.admin_model_sampling_any,
  never: m.admin_model_sampling_never,
  resting: m.admin_model_sampling_resting
};

export type Thoughts = NonNullable<ModelParams['thoughts']> | '';
export const thoughtsNames: Record<Thoughts, () => string> = {
  '': m.admin_model_takes_default,
  never: m.admin_model_thoughts_never,
  known: m.admin_model_thoughts_known,
  always: m.admin_model_thoughts_always
};

/** Values of the form's pickers, which aren't text fields. */
export interface PickedValues {
  abilities: readonly Ability[];
  thinking: Thinking;
  sampling: Sampling;
  thoughts: Thoughts;
}

export function pickedOf(model: GatewayModel | null): PickedValues {
  return {
    abilities: ABILITIES.filter((ability) => model?.capabilities[ability]),
    thinking: thinkingOf(model?.parameters.thinking).thinking,
    sampling: model?.parameters.sampling ?? '',
    thoughts: model?.parameters.thoughts ?? ''
  };
}

/** Parses the API's form of the thinking option, such as `efforts:low,high` and `budget:1024..,off`. */
function thinkingOf(text: string | null | undefined) {
  const [kind = '', rest = ''] = (text ?? '').split(':');
  const [range = '', off] = rest.split(',off');
  const [least = '', most = ''] = kind === 'budget' ? range.split('..') : [];
  const thinking = kind === 'budget' && off !== undefined ? 'budget_off' : (kind as Thinking);
  return { thinking, efforts: hasEfforts(thinking) ? rest.split(',').join(', ') : '', least, most };
}

function thinkingText(thinking: Thinking, values: Record<ModelField, string>): string | null {
  if (hasEfforts(thinking)) return `${thinking}:${names(values.efforts).join(',')}`;
  if (!hasBudget(thinking)) return thinking || null;
  const range = `budget:${values.least.trim()}..${values.most.trim()}`;
  return thinking === 'budget_off' ? `${range},off` : range;
}

/** Returns a message about an invalid field of the thinking option; undefined if it is valid. */
export function thinkingProblem(
  thinking: Thinking,
  field: 'efforts' | 'least' | 'most',
  values: Record<ModelField, string>
): string | undefined {
  if (field === 'efforts') {
    const efforts = names(values.efforts);
    const isRight = efforts.length > 0 && efforts.every((effort) => EFFORTS.includes(effort));
    return hasEfforts(thinking) && !isRight ? m.admin_model_efforts_wrong() : undefined;
  }
  if (!hasBudget(thinking)) return undefined;
  const [least, most] = [values.least.trim(), values.most.trim()];
  if (field === 'least') return /^\d{1,10}$/.test(least) ? undefined : m.admin_model_tokens_wrong();
  if (most === '') return undefined;
  return /^\d{1,10}$/.test(most) && Number(most) >= Number(least) ? undefined : m.admin_model_most_wrong();
}

export function abilitiesOf(capabilities: ModelCapabilities): string[] {
  const { context_window } = capabilities;
  return [
    ...(context_window ? [m.admin_model_context({ count: count(context_window) })] : []),
    ...ABILITIES.filter((ability) => capabilities[ability]).map((ability) => abilityNames[ability]())
  ];
}

const amountProblem = (value: string) =>
  value.trim() === '' || microOf(value) !== null ? undefined : m.admin_model_price_wrong();
const settings = (value: string) => value.split(/\s+/).filter((setting) => setting !== '');
const countProblem = (value: string) =>
  value.trim() === '' || /^[1-9]\d{0,9}$/.test(value.trim()) ? undefined : m.key_limit_wrong();

export const problems: Record<ModelField, (value: string) => string | undefined> = {
  name: (value) => (value.trim() === '' ? m.admin_model_name_missing() : undefined),
  aliases: () => undefined,
  deployments: () => undefined,
  context_length: () => undefined,
  content_policy: () => undefined,
  failure: () => undefined,
  input: amountProblem,
  output: amountProblem,
  cached: amountProblem,
  context_window: countProblem,
  max_output: countProblem,
  efforts: () => undefined,
  least: () => undefined,
  most: () => undefined,
  accepts: (value) =>
    settings(value).every((setting) => /^[a-z_]+=\S+$/.test(setting)) ? undefined : m.admin_model_accepts_wrong()
};

export function valuesOf(model: GatewayModel | null): Record<ModelField, string> {
  const { efforts, least, most } = thinkingOf(model?.parameters.thinking);
  return {
    name: model?.name ?? '',
    aliases: model?.aliases.join(', ') ?? '',
    deployments: '',
    context_length: model?.fallbacks.context_length.join(', ') ?? '',
    content_policy: model?.fallbacks.content_policy.join(', ') ?? '',
    failure: model?.fallbacks.failure.join(', ') ?? '',
    input: formatEditableCredits(model?.price?.input),
    output: formatEditableCredits(model?.price?.output),
    cached: formatEditableCredits(model?.price?.cached),
    context_window: String(model?.capabilities.context_window ?? ''),
    max_output: String(model?.capabilities.max_output ?? ''),
    efforts,
    least,
    most,
    accepts: model?.parameters.accepts ?? ''
  };
}

export function definitionOf(
  values: Record<ModelField, string>,
  deployments: readonly ModelDeployment[],
  { abilities, thinking, sampling, thoughts }: PickedValues,
  before: GatewayModel | null
): ModelDefinition {
  const can = Object.fromEntries(ABILITIES.map((ability) => [ability, abilities.includes(ability)]));
  return {
    aliases: names(values.aliases),
    deployments: deployments.map((deployment) => ({ ...deployment, model: deployment.model.trim() })),
    fallbacks: {
      context_length: names(values.context_length),
      content_policy: names(values.content_policy),
      failure: names(values.failure)
    },
    price: priceOf(values, before),
    capabilities: {
      ...(can as Record<Ability, boolean>),
      context_window: whole(values.context_window),
      max_output: whole(values.max_output)
    },
    parameters: {
      thinking: thinkingText(thinking, values),
      sampling: sampling || null,
      thoughts: thoughts || null,
      accepts: settings(values.accepts).join(' ') || null
    }
  };
}

/** Prices in the form; undefined if neither is filled in, so that the server's table applies. */
function priceOf(values: Record<ModelField, string>, before: GatewayModel | null): ModelDefinition['price'] {
  const [input, output] = [microOf(values.input), microOf(values.output)];
  if (input === null && output === null) return null;
  // Prices that the form doesn't show stay as they are: for cache writes, audio and long contexts.
  return {
    ...before?.price,
    input: input ?? 0,
    output: output ?? 0,
    cached: microOf(values.cached)
  };
}

/** Splits a text at commas into names without duplicates. */
function names(text: string): string[] {
  const parts = text.split(',').map((part) => part.trim());
  return [...new Set(parts.filter((part) => part !== ''))];
}

function whole(text: string): number | null {
  return text.trim() === '' ? null : Number(text);
}
