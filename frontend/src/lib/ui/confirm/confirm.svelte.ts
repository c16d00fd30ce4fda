export interface Question {
  title: string;
  body: string;
  /** The word on the button that does it. */
  action: string;
  /** The word on the one that leaves all as it is, where “Cancel” would be unclear. */
  keep?: string;
}

interface Asked extends Question {
  answer: (isYes: boolean) => void;
}

/** What is being asked now. */
export const asked = $state<{ question: Asked | null }>({ question: null });

/** Asks before something that cannot be undone: `if (await confirmed({…})) …` */
export function confirmed(question: Question): Promise<boolean> {
  asked.question?.answer(false);
  return new Promise((resolve) => {
    asked.question = {
      ...question,
      answer: (isYes) => {
        asked.question = null;
        resolve(isYes);
      }
    };
  });
}
