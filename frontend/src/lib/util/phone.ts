/**
 * Media query for the single-column layout: phones, upright or sideways. `pointer: coarse` tells a phone from a low window; the width tells it from
 * a tablet whose keyboard covers half of the screen. CSS can't name media queries, so styles repeat it (checked by `phone.test.ts`).
 */
export const PHONE = '(max-width: 760px), (max-width: 1000px) and (max-height: 500px) and (pointer: coarse)';
