import type { ConversationView } from '../conversation-view.svelte.ts';
import { messageActionsOf } from '../message-actions.svelte.ts';
import { attemptAction } from './attempt-action.ts';

/** Applies the chosen model to the purpose for which the picker was opened. */
export async function chooseModel(view: ConversationView, model: string): Promise<void> {
  const { app, assistant, chat, id, models, navigation, pending } = view;
  const { choosing } = models;
  models.choosing = null;
  if (choosing?.answer?.id) {
    const { answer, isComparing } = choosing;
    if (isComparing) chat.comparing.shown = { conversationId: id, model, first: answer, question: null };
    else await messageActionsOf(view).regenerate(choosing.answer.id, model);
    return;
  }
  if (choosing?.isComparing) {
    chat.comparing.model = model;
    navigation.focus();
    return;
  }
  // The assistant's own model is stored as an empty choice, so that the chat follows when the assistant gets another model.
  const chosen = model === assistant?.model ? '' : model;
  if (pending) pending.choose(chosen || null);
  else await attemptAction(() => app.conversations.update(id, { model: chosen }));
  navigation.focus();
}
