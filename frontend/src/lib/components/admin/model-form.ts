/** What an admin types about a model, and what the server takes. */
import type { GatewayModel, ModelCapabilities, ModelDefinition, ModelDeployment } from '#lib/api/gateway.ts';
import { count, editable, microOf } from '#lib/gateway/amounts.ts';
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
  | 'max_output';

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

export function abilitiesOf(capabilities: ModelCapabilities): string[] {
  const { context_window } = capabilities;
  return [
    ...(context_window ? [m.admin_model_context({ count: count(context_window) })] : []),
    ...ABILITIES.filter((ability) => capabilities[ability]).map((ability) => abilityNames[ability]())
  ];
}

const amountProblem = (value: string) =>
  value.trim() === '' || microOf(value) !== null ? undefined : m.admin_model_price_wrong();
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
  max_output: countProblem
};

export function valuesOf(model: GatewayModel | null): Record<ModelField, string> {
  return {
    name: model?.name ?? '',
    aliases: model?.aliases.join(', ') ?? '',
    deployments: '',
    context_length: model?.fallbacks.context_length.join(', ') ?? '',
    content_policy: model?.fallbacks.content_policy.join(', ') ?? '',
    failure: model?.fallbacks.failure.join(', ') ?? '',
    input: editable(model?.price?.input),
    output: editable(model?.price?.output),
    cached: editable(model?.price?.cached),
    context_window: String(model?.capabilities.context_window ?? ''),
    max_output: String(model?.capabilities.max_output ?? '')
  };
}

export function definitionOf(
  values: Record<ModelField, string>,
  deployments: readonly ModelDeployment[],
  abilities: readonly Ability[],
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
    }
  };
}

/** None where neither is said: then the server's own table holds. */
function priceOf(values: Record<ModelField, string>, before: GatewayModel | null): ModelDefinition['price'] {
  const [input, output] = [microOf(values.input), microOf(values.output)];
  if (input === null && output === null) return null;
  // What the form doesn’t ask for stays: what is written to a cache, sound, long input.
  return {
    ...before?.price,
    input: input ?? 0,
    output: output ?? 0,
    cached: microOf(values.cached)
  };
}

/** What stands between the commas, each once. */
function names(text: string): string[] {
  const parts = text.split(',').map((part) => part.trim());
  return [...new Set(parts.filter((part) => part !== ''))];
}

function whole(text: string): number | null {
  return text.trim() === '' ? null : Number(text);
}
