import { m } from '#lib/paraglide/messages.js';
import type { BoardStore } from '../stores/board.svelte.ts';

/** Default columns of a board. */
export async function createDefaultColumns(board: BoardStore): Promise<void> {
  await board.createColumn(m.board_column_waiting());
  await board.createColumn(m.board_column_doing());
  await board.createColumn(m.board_column_done(), true);
}
