import type { Api } from '#lib/api/client.ts';
import type { Capability, Model } from '#lib/api/assistants.ts';
import { useApp } from '#lib/app/app.ts';
import { useConversationView } from '#lib/features/conversations/conversation-view.svelte.ts';
import { useRetryOnReconnect } from '#lib/ui/retry-on-reconnect.svelte.ts';
import { getLocale } from '#lib/i18n/locale.ts';
import { answersQuestions, isNamed } from './logic/model-names.ts';
import { ModelsStore } from './stores/models.svelte.ts';

/** Models by API client, so that they are loaded once per page. */
const known = new WeakMap<Api, ModelsStore>();

function modelsOf(api: Api): ModelsStore {
  const have = known.get(api);
  if (have) return have;
  const models = new ModelsStore(api);
  known.set(api, models);
  return models;
}

/** Maximum number of models that a sentence names. */
const NAMED = 3;

export interface ChatModel {
  /** Model of the open chat; undefined if unknown. */
  readonly model: Model | undefined;
  /** Returns the names of available models with a capability, joined for a sentence; empty if there are none. */
  able: (capability: Capability) => string;
}

export function useChatModel(): ChatModel {
  const { api } = useApp();
  const conversationView = useConversationView();
  const { list } = modelsOf(api);

  $effect(() => {
    if (conversationView.assistant && !list.isKnown && !list.isLoading && !list.error) void list.load();
  });
  useRetryOnReconnect(() => list);

  const model = $derived(
    conversationView.assistant &&
      list.items.find((each) =>
        conversationView.models.current === null ? each.is_default : isNamed(each, conversationView.models.current)
      )
  );
  return {
    get model() {
      return model;
    },
    able(capability) {
      if (!conversationView.models.canChoose) return '';
      const able = list.items.filter((each) => each.capabilities?.[capability] && answersQuestions(each));
      const names = able.map(({ name }) => name);
      return new Intl.ListFormat(getLocale(), { type: 'disjunction' }).format(names.slice(0, NAMED));
    }
  };
}
