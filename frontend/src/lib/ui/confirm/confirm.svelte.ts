export interface Question {
  title: string;
  body: string;
  /** The word on the button that does it. */
  action: string;
  /** The word on the one that leaves all as it is, where “Cancel” would be unclear. */
  keep?: string;
}

interface PendingQuestion extends Question {
  answer: (isYes: boolean) => void;
}

/** What is being asked now. */
export const pendingQuestion = $state<{ question: PendingQuestion | null }>({ question: null });

/** Asks before something that cannot be undone: `if (await confirmed({…})) …` */
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
