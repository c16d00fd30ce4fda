/**
 * Media query of the layout with a single column, for phones in portrait and landscape. `pointer: coarse` distinguishes a phone from a low window,
 * and the width distinguishes it from a tablet whose keyboard covers half of the screen. CSS can't name media queries, so the styles repeat this one;
 * `phone.test.ts` checks that they are equal.
 */
export const PHONE = '(max-width: 760px), (max-width: 1000px) and (max-height: 500px) and (pointer: coarse)';
