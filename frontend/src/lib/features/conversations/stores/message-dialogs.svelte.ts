import type { Upload } from '#lib/api/files.ts';
import type { MessageView } from '../rows.ts';

/** A picture with its sender and the time of its message. */
export interface Pictured extends Upload {
  readonly by: string;
  readonly time: number;
}

/** Pictures of the viewer, and the index of the one on display. */
export interface Viewing {
  readonly pictures: readonly Pictured[];
  readonly at: number;
}

/** Unsent poll, as its dialog holds it. */
export interface PollDraft {
  readonly question: string;
  readonly options: readonly string[];
  readonly multiple: boolean;
  readonly anonymous: boolean;
  readonly end: string;
}

/** Dialog over the conversation; `actions` is the sheet that a long press opens. */
export type MessageDialog =
  | {
      readonly kind: 'actions' | 'react' | 'reactors' | 'report' | 'task' | 'forward' | 'remind';
      readonly message: MessageView;
    }
  | { readonly kind: 'pictures'; readonly viewing: Viewing }
  | { readonly kind: 'poll'; readonly question: string };

/** Dialog of the conversation and inline panels of its messages. */
export class MessageDialogs {
  #current = $state.raw<MessageDialog | null>(null);
  /** Key of the message whose deletion awaits confirmation. */
  deleting = $state<string | null>(null);
  /** Key of the answer whose details are expanded. */
  detailed = $state<string | null>(null);
  /** Key of the message whose menu of further actions is open. */
  more = $state<string | null>(null);
  /** Content of the poll dialog when it was dismissed, restored when it opens again. */
  pollDraft: PollDraft | null = null;

  get current(): MessageDialog | null {
    return this.#current;
  }

  /** Message whose action sheet is open. */
  get held(): MessageView | null {
    return this.#current?.kind === 'actions' ? this.#current.message : null;
  }

  open(dialog: MessageDialog): void {
    this.#current = dialog;
  }

  /** Closes the dialog of that kind. A dialog that has replaced it stays open, because a dialog may report its end late. */
  close(kind: MessageDialog['kind']): void {
    if (this.#current?.kind === kind) this.#current = null;
  }

  closeAll(): void {
    this.#current = null;
  }
}
