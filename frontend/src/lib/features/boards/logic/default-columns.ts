import { m } from '#lib/paraglide/messages.js';
import type { BoardStore } from '../stores/board.svelte.ts';

/** Creates the columns that a new board starts with. */
export async function createDefaultColumns(board: BoardStore): Promise<void> {
  await board.createColumn(m.board_column_waiting());
  await board.createColumn(m.board_column_doing());
  await board.createColumn(m.board_column_done(), true);
}
