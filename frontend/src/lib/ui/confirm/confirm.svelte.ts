export interface Question {
  title: string;
  body: string;
  /** Label of the button that confirms. */
  action: string;
  /** Label of the button that cancels, if “Cancel” would be ambiguous. */
  keep?: string;
}

interface PendingQuestion extends Question {
  answer: (isYes: boolean) => void;
}

/** Question that the confirmation dialog shows; null if it is closed. */
export const pendingQuestion = $state<{ question: PendingQuestion | null }>({ question: null });

/** Asks the user to confirm an action that can't be undone: `if (await confirmed({…})) …`. Resolves to false if they cancel. */
export function confirmed(question: Question): Promise<boolean> {
  pendingQuestion.question?.answer(false);
  return new Promise((resolve) => {
    pendingQuestion.question = {
      ...question,
      answer: (isYes) => {
        pendingQuestion.question = null;
        resolve(isYes);
      }
    };
  });
}
