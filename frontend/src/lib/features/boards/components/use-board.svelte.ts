import { untrack } from 'svelte';
import type { Id } from '#lib/api/types.ts';
import { useApp } from '#lib/app/app.ts';
import { BoardView, setBoardView } from '../logic/board-view.svelte.ts';
import { closedReason } from '#lib/features/conversations/kinds.ts';
import { BoardStore } from '../stores/board.svelte.ts';

/** Loads the board of a conversation and provides it to the components below. */
export function useBoard(conversationId: () => Id): BoardView {
  const { api, connection, conversations, session, workspaces } = useApp();
  const id = untrack(conversationId);
  const board = new BoardStore(api, id);
  const mayChange = () => {
    const conversation = conversations.get(id);
    return !!conversation && !closedFor(conversation);
  };
  const closedFor = (conversation: Parameters<typeof closedReason>[0]) => {
    const reason = closedReason(conversation, workspaces.get(conversation.workspace_id)?.role);
    return reason !== null && reason !== 'no_assistant';
  };
  const view = setBoardView(new BoardView(board, id, () => session.account?.id, mayChange));
  $effect(() => board.follow(connection));
  void board.load();
  return view;
}
