import { m } from '#lib/paraglide/messages.js';
import type { BoardStore } from '../stores/board.svelte.ts';

/** The columns that most boards begin with. */
export async function createDefaultColumns(board: BoardStore): Promise<void> {
  await board.createColumn(m.board_column_waiting());
  await board.createColumn(m.board_column_doing());
  await board.createColumn(m.board_column_done(), true);
}
