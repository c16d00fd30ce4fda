export interface Question {
  title: string;
  body: string;
  /** Label of the confirm button. */
  action: string;
  /** Label of the cancel button, if “Cancel” would be ambiguous. */
  keep?: string;
}

interface PendingQuestion extends Question {
  answer: (isYes: boolean) => void;
}

/** Question shown by the confirmation dialog. */
export const pendingQuestion = $state<{ question: PendingQuestion | null }>({ question: null });

/** Confirms an irreversible action: `if (await confirmed({…})) …` */
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
