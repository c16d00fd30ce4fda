import type { Upload } from '#lib/api/files.ts';
import type { MessageView } from '../rows.ts';

/** Picture with its sender and the time of its message. */
export interface Pictured extends Upload {
  readonly by: string;
  readonly time: number;
}

/** Pictures of the viewer, and the index of the displayed one. */
export interface Viewing {
  readonly pictures: readonly Pictured[];
  readonly at: number;
}

/** Content of the poll dialog before the poll is sent. */
export interface PollDraft {
  readonly question: string;
  readonly options: readonly string[];
  readonly multiple: boolean;
  readonly anonymous: boolean;
  readonly end: string;
}

/** Open dialog of the conversation. `actions` is the sheet that a long press on a message opens. */
export type MessageDialog =
  | {
      readonly kind: 'actions' | 'reactors' | 'report' | 'task' | 'forward' | 'remind';
      readonly message: MessageView;
    }
  | {
      readonly kind: 'react';
      readonly message: MessageView;
      /** Element at which the emoji picker opens. */
      readonly anchor: Element | null;
    }
  | { readonly kind: 'pictures'; readonly viewing: Viewing }
  | { readonly kind: 'poll'; readonly question: string };

/** State of the dialogs of a conversation and of the panels in its messages. */
export class MessageDialogs {
  #current = $state.raw<MessageDialog | null>(null);
  /** Key of the message whose deletion must be confirmed; null if there is none. */
  deleting = $state<string | null>(null);
  /** Key of the answer whose details are expanded; null if there is none. */
  detailed = $state<string | null>(null);
  /** Key of the message whose menu of further actions is open; null if there is none. */
  more = $state<string | null>(null);
  /** Content of the poll dialog when it was closed without sending. It is restored when the dialog opens again. */
  pollDraft: PollDraft | null = null;

  get current(): MessageDialog | null {
    return this.#current;
  }

  /** Message whose action sheet is open; null if there is none. */
  get held(): MessageView | null {
    return this.#current?.kind === 'actions' ? this.#current.message : null;
  }

  /** Key of the message whose emoji picker is open; null if there is none. */
  get reacting(): string | null {
    return this.#current?.kind === 'react' ? this.#current.message.key : null;
  }

  open(dialog: MessageDialog): void {
    this.#current = dialog;
  }

  /** Closes the dialog of this kind. A dialog that has replaced it stays open, because a dialog may report late that it has closed. */
  close(kind: MessageDialog['kind']): void {
    if (this.#current?.kind === kind) this.#current = null;
  }

  closeAll(): void {
    this.#current = null;
  }
}
